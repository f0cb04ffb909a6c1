"""Claims that are refused, or whose answer is lost, and processes that do not come up: nothing stays behind."""

from __future__ import annotations

import logging

import pytest
import trio
import trio.testing
from attrs import evolve

from tests.runner.house import START, House, audit, in_house
from tests.runner.meddling import Meddler, opened, owned_by_another
from trioflow.core.states import Running, Scheduled
from trioflow.core.verdicts import Accept, Reject
from trioflow.errors import RuleError, RunNotFound, StoreError
from trioflow.wire import endpoints

# --- refusals


def answering(change):
    """A claim that is answered otherwise than the store did."""

    async def meddle(request, inner):
        return change(await inner.call(endpoints.CLAIM_FLOW_RUN, request))

    return meddle


async def finding_nothing(request, inner):
    """It had been planned, and its schedule was paused."""
    raise RunNotFound


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
        (finding_nothing, "Aborted submission of flow run '{}': it is gone"),
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
