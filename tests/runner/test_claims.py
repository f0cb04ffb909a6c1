"""Claims: what is due is started, in order, within the limit, and every slot comes back on every path."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest
import trio
import trio.testing
from attrs import define, evolve, field
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.runner.house import START, Child, House, audit, deaf, in_house, lasting, succeed, virtually
from trioflow.core.deployments import DeploymentSchedule
from trioflow.core.leases import Owner
from trioflow.core.runs import RetryPolicy
from trioflow.core.schedules import IntervalSchedule
from trioflow.core.schedules.window import Overlap
from trioflow.core.states import Completed, Failed, Running, Scheduled
from trioflow.core.verdicts import Accept, Reject
from trioflow.errors import ProcessNotStarted, RuleError, StoreError
from trioflow.runner.opened import Opened
from trioflow.wire import endpoints
from trioflow.wire.requests import ClaimFlowRun

ELSEWHERE = Owner(host="another host", pid=7, started=1)


def opened(runner) -> Opened:
    assert runner._opened is not None
    return runner._opened


@define(eq=False)
class Meddler:
    """A client whose answers to claims a test changes; ``meddle`` gets the request and the client."""

    inner: object
    meddle: object

    async def call(self, endpoint, request):
        if endpoint is endpoints.CLAIM_FLOW_RUN:
            return await self.meddle(request, self.inner)
        return await self.inner.call(endpoint, request)

    async def changes(self, after, which):
        return await self.inner.changes(after, which)

    async def now(self):
        return await self.inner.now()


# --- what is due


@pytest.mark.behaviour("RL-01", "RL-08", "RL-13")
async def test_a_run_that_becomes_due_wakes_the_runner_and_is_started_at_once(autojump_clock, caplog):
    with caplog.at_level(logging.INFO, logger="trioflow.runner"):
        async with in_house(lasting(5)) as house:
            runner = await house.serving()
            await trio.sleep(3)
            run = await house.run_of(audit())
            await house.wait_state(run, "Running")

            assert trio.current_time() == 3
            (hand,) = opened(runner).claims.in_hand.values()
            assert (hand.run_id, hand.supervised.pid) == (run.id, 1000)

            await house.wait_state(run, "Completed")
            await house.stage.wait_alive(0)
            await trio.testing.wait_all_tasks_blocked()
            assert opened(runner).claims.in_hand == {}

    said = [record.getMessage() for record in caplog.records]
    assert f"Runner 'my-runner' submitting flow run '{run.id}'" in said
    assert f"Completed submission of flow run '{run.id}'" in said


@pytest.mark.behaviour("RL-04")
@pytest.mark.parametrize(("prefetch", "started"), [(10, 59.0), (1, 59.0), (0.5, 59.5), (0, 60.0)])
async def test_a_run_is_claimed_a_second_before_it_is_due_and_no_earlier(autojump_clock, prefetch, started):
    async with in_house() as house:
        await house.serving(prefetch_seconds=prefetch)
        run = await house.run_of(audit(), at=60)
        await house.wait_state(run, "Pending")

        assert trio.current_time() == pytest.approx(started, abs=1e-3)


@pytest.mark.behaviour("RL-04", "RL-05")
async def test_runs_that_are_past_due_are_taken_the_earliest_first(autojump_clock, caplog):
    async with in_house() as house:
        await trio.sleep(100)
        runs = {at: await house.run_of(audit(), at=at) for at in (50, 10, 99, 70)}
        with caplog.at_level(logging.INFO, logger="trioflow.runner"):
            await house.serving()
            await house.wait_count("Completed", 4)

        said = [record.getMessage() for record in caplog.records if "submitting" in record.getMessage()]
        assert said == [f"Runner 'my-runner' submitting flow run '{runs[at].id}'" for at in (10, 50, 70, 99)]


async def test_a_schedule_is_followed_to_the_second_without_being_woken(autojump_clock):
    async with in_house() as house:
        every_minute = audit(schedules=[IntervalSchedule(timedelta(minutes=1))])
        await house.serving(every_minute, prefetch_seconds=0)
        await trio.sleep(299)

        assert [round(at, 3) for at in house.stage.started_at] == [60, 120, 180, 240]


@pytest.mark.behaviour("RL-01")
@pytest.mark.promise("P4")
async def test_a_runner_that_hears_of_nothing_finds_its_work_by_polling(autojump_clock):
    async with in_house() as house:

        @define(eq=False)
        class Deafened(Meddler):
            async def changes(self, after, which):
                await trio.sleep_forever()

        async def claim(request, inner):
            return await inner.call(endpoints.CLAIM_FLOW_RUN, request)

        await house.serving(client=Deafened(house.client, claim), query_seconds=10)
        await trio.sleep(1)
        run = await house.run_of(audit())
        with trio.fail_after(13):
            await house.wait_state(run, "Completed")

        assert trio.current_time() >= 7


async def test_a_run_that_waited_for_its_turn_starts_when_the_one_before_is_over(autojump_clock):
    async with in_house(lasting(90)) as house:
        schedule = DeploymentSchedule(
            schedule=IntervalSchedule(timedelta(minutes=1)), overlap=Overlap.BUFFER_ONE
        )
        await house.serving(audit(schedules=[schedule]), prefetch_seconds=0, query_seconds=1000)
        await trio.sleep(300)

        assert [round(at, 3) for at in house.stage.started_at] == [60, 150, 240]


# --- the limit


@pytest.mark.behaviour("RL-07", "LM-02")
@pytest.mark.promise("P15")
async def test_a_freed_slot_is_handed_on_at_once_and_in_order(autojump_clock, caplog):
    async with in_house(lasting(10)) as house:
        with caplog.at_level(logging.INFO, logger="trioflow.runner"):
            runs = [await house.run_of(audit(), at=-at) for at in (5, 4, 3, 2, 1)]
            await house.serving(limit=2, query_seconds=1000)
            await house.wait_state(runs[-1], "Completed")

        started = [child.run_id for child in house.stage.started]
        ids = [run.id for run in runs]
        assert (set(started[:2]), set(started[2:4]), started[4]) == (set(ids[:2]), set(ids[2:4]), ids[4])
        assert [round(at, 3) for at in house.stage.started_at] == [0, 0, 10, 10, 20]
        assert house.stage.most == 2
        assert any(record.getMessage().startswith("Flow run limit reached; 2") for record in caplog.records)


@pytest.mark.behaviour("RL-06", "RL-09", "RL-12")
async def test_a_look_tells_which_runs_are_in_hand_and_claims_none_twice(autojump_clock):
    async with in_house(lasting(10)) as house, house.runner(limit=2) as runner:
        await runner.add_deployment(audit())
        runs = [await house.run_of(audit(), at=-at) for at in (3, 2, 1)]
        polling = opened(runner).polling

        assert [run.id for run in await polling.look()] == [run.id for run in runs[:2]]
        assert await polling.look() == []
        await trio.sleep(11)
        assert [run.id for run in await polling.look()] == [runs[2].id]
        await trio.sleep(11)
        assert opened(runner).claims.in_hand == {}


async def test_a_run_that_awaits_its_retry_in_its_own_process_is_not_claimed_again(autojump_clock):
    async def fail_and_wait(child: Child) -> int:
        await child.prepare()
        await child.say(Running())
        await child.say(Failed(message="first try"))
        await trio.sleep(30)
        await child.say(Running())
        await child.say(Completed())
        return 0

    async with in_house(fail_and_wait) as house:
        retrying = audit(retry=RetryPolicy(retries=1, delays=(20.0,)))
        await house.serving(retrying)
        run = await house.run_of(retrying)
        await house.wait_state(run, "Completed")

        assert len(house.stage.started) == 1
        assert await house.history(run) == [
            "Scheduled",
            "Pending",
            "Running",
            "AwaitingRetry",
            "Running",
            "Completed",
        ]


# --- refusals


def answering(change):
    """A claim that is answered otherwise than the store did."""

    async def meddle(request, inner):
        return change(await inner.call(endpoints.CLAIM_FLOW_RUN, request))

    return meddle


async def owned_by_another(request: ClaimFlowRun, inner):
    """Somebody was faster."""
    await inner.call(
        endpoints.CLAIM_FLOW_RUN,
        ClaimFlowRun(run_id=request.run_id, owner=ELSEWHERE, transition_id=request.run_id),
    )
    return await inner.call(endpoints.CLAIM_FLOW_RUN, request)


async def raising_a_rule_error(request, inner):
    raise RuleError("a custom rule raised")


@pytest.mark.behaviour("RL-10", "RL-11", "QK-01")
@pytest.mark.parametrize(
    ("meddle", "said"),
    [
        (owned_by_another, "Aborted submission of flow run '{}'. Server sent an abort signal: Run is owned"),
        (
            answering(lambda answer: evolve(answer, verdict=Accept(Running()))),
            "Aborted submission of flow run '{}': Server returned a non-pending state 'Pending'",
        ),
        (
            answering(lambda answer: evolve(answer, verdict=Reject(Scheduled(START), "wait"))),
            "Aborted submission of flow run '{}': Server returned a non-pending state",
        ),
        (raising_a_rule_error, "Failed to claim flow run '{}'"),
    ],
)
async def test_a_run_whose_claim_is_refused_is_not_run_and_its_slot_is_free_at_once(
    autojump_clock, caplog, meddle, said
):
    async with in_house() as house:
        with caplog.at_level(logging.INFO, logger="trioflow.runner"):
            runner = await house.serving(client=Meddler(house.client, meddle), limit=1)
            run = await house.run_of(audit())
            await trio.testing.wait_all_tasks_blocked()

            assert any(record.getMessage().startswith(said.format(run.id)) for record in caplog.records)
            assert house.stage.started == []
            assert runner._terms.limiter.in_use == 0


async def test_a_refused_run_does_not_hold_up_the_others(autojump_clock):
    async with in_house() as house:
        first = await house.run_of(audit(), at=-2)

        async def refuse_the_first(request, inner):
            if request.run_id == first.id:
                raise RuleError("not this one")
            return await inner.call(endpoints.CLAIM_FLOW_RUN, request)

        second = await house.run_of(audit(), at=-1)
        await house.serving(client=Meddler(house.client, refuse_the_first), limit=1)
        await house.wait_state(second, "Completed")

        assert await house.history(first) == ["Scheduled"]


@pytest.mark.promise("P4")
async def test_while_the_store_is_in_trouble_nothing_is_lost_and_then_all_is_run(autojump_clock):
    async with in_house() as house:

        async def in_trouble(request, inner):
            if trio.current_time() < 1800:
                raise StoreError("disk full")
            return await inner.call(endpoints.CLAIM_FLOW_RUN, request)

        runner = await house.serving(client=Meddler(house.client, in_trouble), limit=1)
        run = await house.run_of(audit())
        await trio.sleep(60)
        assert not runner.health["Claiming runs"].is_well
        with trio.fail_after(1830 - 60):
            await house.wait_state(run, "Completed")
        await trio.testing.wait_all_tasks_blocked()

        assert runner.health["Claiming runs"].is_well
        assert runner._terms.limiter.in_use == 0


def losing_answers(count: int):
    """The first claims are granted, but nobody hears of it."""
    lost: list[object] = []

    async def meddle(request, inner):
        answer = await inner.call(endpoints.CLAIM_FLOW_RUN, request)
        if len(lost) < count:
            lost.append(answer)
            raise StoreError("the answer was lost")
        return answer

    return meddle


@pytest.mark.promise("P8", "P3")
async def test_a_run_that_was_claimed_although_the_store_said_otherwise_is_run_nevertheless(autojump_clock):
    async with in_house() as house:
        runner = await house.serving(client=Meddler(house.client, losing_answers(3)), limit=2)
        runs = [await house.run_of(audit()) for _ in range(3)]
        await house.wait_count("Completed", 3)
        await trio.testing.wait_all_tasks_blocked()

        assert [await house.history(run) for run in runs] == [
            ["Scheduled", "Pending", "Running", "Completed"]
        ] * 3
        assert (runner._terms.limiter.in_use, await house.leases()) == (0, 0)
        assert opened(runner).claims.unanswered == []


@pytest.mark.promise("P8", "P9")
@pytest.mark.parametrize("is_granted", [True, False])
async def test_a_runner_that_ends_gives_back_what_it_may_have_claimed_unheard(autojump_clock, is_granted):
    async def meddle(request, inner):
        if is_granted or trio.current_time() > 1:
            answer = await inner.call(endpoints.CLAIM_FLOW_RUN, request)
        if trio.current_time() <= 1:
            raise StoreError("the answer was lost")
        return answer

    async with in_house() as house:
        async with trio.open_nursery() as nursery:
            here = House(house.client, house.stage, nursery)
            await here.serving(client=Meddler(house.client, meddle))
            run = await house.run_of(audit())
            await trio.sleep(2)
            nursery.cancel_scope.cancel()

        assert (await house.read(run)).state.name == "Scheduled"
        assert await house.leases() == 0


# --- processes that do not come up, supervision that fails


@pytest.mark.behaviour("RL-13", "PR-08", "PR-10")
async def test_a_process_that_does_not_start_crashes_its_run_and_the_runner_goes_on(autojump_clock):
    async with in_house() as house:
        house.stage.fails_to_start = 1
        runner = await house.serving(limit=1)
        bad = await house.run_of(audit(), at=-1)
        good = await house.run_of(audit())
        await house.wait_state(good, "Completed")

        assert (await house.read(bad)).state.message == "Flow run process could not be started"
        await trio.testing.wait_all_tasks_blocked()
        assert (runner._terms.limiter.in_use, await house.leases()) == (0, 0)


@pytest.mark.behaviour("RL-14")
async def test_the_state_of_a_single_run_that_did_not_start_is_returned_too(autojump_clock):
    async with in_house() as house:
        house.stage.fails_to_start = 1
        run = await house.run_of_nothing()
        state = await house.runner().execute_flow_run(run.id)

        assert (state.name, state.message) == ("Crashed", "Flow run process could not be started")


async def test_a_run_whose_supervision_fails_is_closed_by_the_watch(autojump_clock, monkeypatch):
    async def broken(run, place, **rest):
        await trio.lowlevel.checkpoint()
        raise ZeroDivisionError("a defect of ours")

    monkeypatch.setattr("trioflow.runner.claim.supervise", broken)
    async with in_house() as house:
        runner = await house.serving(limit=1)
        run = await house.run_of(audit())
        found = await house.wait_state(run, "Crashed")

        assert found.state.message == "Flow run process could not be watched to its end."
        await trio.testing.wait_all_tasks_blocked()
        assert (runner._terms.limiter.in_use, await house.leases()) == (0, 0)
        assert opened(runner).claims.strays == {}


# --- LM-03


@define(eq=False)
class Fates:
    """What becomes of each claim and of each process, as a test draws it."""

    claims: list[str]
    programs: list[str]
    unheard: set[object] = field(factory=set)
    """The transition ids of claims that were granted, or refused, and whose answer was lost."""
    taken: int = 0
    """How many runs another process has claimed; it never gives them back."""

    async def claim(self, request, inner):
        is_repeated = request.transition_id in self.unheard  # which gets its first answer: no rule is asked
        match self.claims.pop(0) if self.claims and not is_repeated else "granted":
            case "store error before":
                raise StoreError("before")
            case "store error after":
                self.unheard.add(request.transition_id)
                await inner.call(endpoints.CLAIM_FLOW_RUN, request)
                raise StoreError("after")
            case "rule error":
                raise RuleError("a custom rule raised")
            case "taken by another":
                self.taken += 1
                return await owned_by_another(request, inner)
            case "slow":
                await trio.sleep(3)
        return await inner.call(endpoints.CLAIM_FLOW_RUN, request)

    async def program(self, child: Child) -> int:
        match self.programs.pop(0) if self.programs else "succeeds":
            case "does not start":
                raise ProcessNotStarted("no")
            case "breaks the infrastructure":
                raise ZeroDivisionError("a defect")
            case "dies at once":
                return -9
            case "dies running":
                await child.say(Running())
                return 1
            case "lasts":
                return await lasting(20)(child)
            case "is deaf":
                return await deaf(child)
            case _:
                return await succeed(child)


FATES = st.builds(
    Fates,
    st.lists(
        st.sampled_from(
            ["granted", "store error before", "store error after", "rule error", "taken by another", "slow"]
        ),
        max_size=8,
    ),
    st.lists(
        st.sampled_from(
            [
                "succeeds",
                "does not start",
                "breaks the infrastructure",
                "dies at once",
                "dies running",
                "lasts",
                "is deaf",
            ]
        ),
        max_size=8,
    ),
)


@pytest.mark.behaviour("LM-03", "QK-01", "RL-11", "RL-12", "PR-10")
@pytest.mark.promise("P3")
@given(fates=FATES, limit=st.integers(1, 3), runs=st.integers(1, 6), data=st.data())
@settings(max_examples=60)
def test_every_slot_comes_back_whatever_becomes_of_claims_and_processes(fates, limit, runs, data):
    cancelled = data.draw(st.sets(st.integers(0, runs - 1)), label="cancelled runs")
    at = data.draw(st.floats(0, 30), label="cancelled at")
    stopped = data.draw(st.sampled_from(["stopped", "cancelled", "neither"]), label="the runner")

    async def live(house: House) -> None:
        runner = house.runner(client=Meddler(house.client, fates.claim), limit=limit)
        await runner.add_deployment(audit())
        made = [await house.run_of(audit()) for _ in range(runs)]
        limiter = runner._terms.limiter

        async def watch() -> None:
            while True:
                in_hand = opened(runner).claims.in_hand if runner._opened else {}
                assert limiter.in_use == len(in_hand) <= limit
                assert len(house.stage.alive) <= limit
                await trio.sleep(0.5)

        async with trio.open_nursery() as nursery:
            await nursery.start(runner.start)
            nursery.start_soon(watch)
            await trio.sleep(at)
            for number in cancelled:
                await house.cancel(made[number])
            await trio.sleep(2)
            if stopped == "stopped":
                runner.stop()
                await trio.sleep(60)
            elif stopped == "neither":
                await trio.sleep(200)
            nursery.cancel_scope.cancel()

        assert limiter.in_use == 0
        assert house.stage.alive == {}
        found = await house.states()
        assert found["Running"] == 0
        assert await house.leases() == found["Pending"] + found["Cancelling"] <= fates.taken

    async def test() -> None:
        async with in_house(fates.program) as house:
            await live(house)

    virtually(test, seconds=600)
