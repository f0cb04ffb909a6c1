"""Cancelling: whoever has to end is asked to, once, in time; nobody stays CANCELLING for ever."""

from __future__ import annotations

import logging

import pytest
import trio
import trio.testing
from attrs import define

from tests.runner.house import Child, audit, deaf, in_house, lasting
from trioflow.core.leases import Owner
from trioflow.core.states import Cancelled, Crashed, Running, Scheduled
from trioflow.errors import RunnerError, StoreError
from trioflow.runner.hand import Hand
from trioflow.runner.runner import Runner
from trioflow.wire import endpoints
from trioflow.wire.filters import ChangeFilter
from trioflow.wire.requests import CloseFlowRun

SOMEBODY = Owner(host="another host", pid=7, started=1)


def found(caplog) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.getMessage().startswith("Found ")]


@define(eq=False)
class Wire:
    """A client that hears of no changes, or whose store is in trouble, when a test says so."""

    inner: object
    hears: bool = True
    trouble: Exception | None = None

    async def call(self, endpoint, request):
        if self.trouble is not None and endpoint is not endpoints.FIND_READY_RUNS:
            await trio.lowlevel.checkpoint()
            raise self.trouble
        return await self.inner.call(endpoint, request)

    async def changes(self, after, which):
        if not self.hears:
            await trio.sleep_forever()
        return await self.inner.changes(after, which)

    async def now(self):
        return await self.inner.now()


@pytest.mark.behaviour("CN-01", "CN-02", "CN-06", "RL-01")
async def test_runs_that_are_cancelled_are_asked_to_end_at_once(autojump_clock, caplog):
    async with in_house(lasting(1000)) as house:
        with caplog.at_level(logging.INFO, logger="trioflow.runner"):
            runner = await house.serving(limit=3)
            runs = [await house.run_of(audit()) for _ in range(3)]
            await house.stage.wait_alive(3)
            await trio.sleep(7)
            for run in runs[:2]:
                await house.cancel(run)
            await house.stage.wait_alive(1)

            assert trio.current_time() == 7
            for run in runs[:2]:
                ended = await house.wait_state(run, "Cancelled")
                assert ended.state.message == "no need"
            assert (await house.read(runs[2])).state.name == "Running"
            await trio.sleep(1)
            assert runner._terms.limiter.in_use == 1
            assert " ".join(found(caplog)) in {
                "Found 2 flow runs awaiting cancellation.",
                "Found 1 flow runs awaiting cancellation. Found 1 flow runs awaiting cancellation.",
            }


@pytest.mark.behaviour("CN-01")
async def test_a_runner_that_hears_of_nothing_finds_cancelled_runs_by_polling_half_as_often(
    autojump_clock,
):
    async with in_house(lasting(1000)) as house:
        wire = Wire(house.client)
        await house.serving(client=wire, query_seconds=10)
        run = await house.run_of(audit())
        await house.wait_state(run, "Running")
        wire.hears = False
        other = await house.run_of_nothing()  # wakes the call that listens still
        await trio.sleep(0.5)
        await house.cancel(run)
        await house.wait_state(run, "Cancelled")

        assert 13 <= trio.current_time() <= 26
        assert (await house.read(other)).state.name == "Scheduled"


@pytest.mark.behaviour("CN-01", "QK-05")
async def test_nothing_is_remembered_of_a_run_that_was_cancelled(autojump_clock, caplog):
    async with in_house(lasting(1000)) as house:
        runner = await house.serving()
        run = await house.run_of(audit())
        await house.wait_state(run, "Running")
        await house.cancel(run)
        await house.stage.wait_alive(0)
        await trio.testing.wait_all_tasks_blocked()

        assert runner._opened.claims.in_hand == {}
        assert runner._opened.cancelling._heard == set()


@pytest.mark.behaviour("CN-01")
async def test_a_run_of_somebody_else_is_none_of_its_business(autojump_clock, caplog):
    async with in_house(lasting(1000)) as house:
        with caplog.at_level(logging.INFO, logger="trioflow.runner"):
            await house.serving(limit=1)
            first = await house.run_of(audit())
            await house.wait_state(first, "Running")
            await house.cancel(await house.run_of_nothing(owner=SOMEBODY, state=Running()))
            await trio.sleep(25)

            assert found(caplog) == []
            assert (await house.read(first)).state.name == "Running"


@pytest.mark.promise("P2")
async def test_a_run_that_is_cancelled_before_its_process_has_started_ends_as_soon_as_there_is_one(
    autojump_clock,
):
    async with in_house(lasting(1000)) as house:
        house.stage.may_start = trio.Event()
        await house.serving()
        run = await house.run_of(audit())
        await house.wait_state(run, "Pending")
        await house.cancel(run)
        await trio.sleep(3)
        house.stage.may_start.set()
        await house.wait_state(run, "Cancelled")

        assert trio.current_time() <= 3 + 2 + house.stage.grace
        await trio.testing.wait_all_tasks_blocked()
        assert house.stage.alive == {}


@pytest.mark.promise("P2")
async def test_a_process_that_hears_nothing_is_gone_two_seconds_after_the_grace(autojump_clock):
    async with in_house(deaf) as house:
        await house.serving()
        run = await house.run_of(audit())
        await house.wait_state(run, "Running")
        await house.cancel(run)
        await house.wait_state(run, "Cancelled")

        assert trio.current_time() <= 2 + house.stage.grace
        assert house.stage.alive == {}


# --- what goes wrong


def refusing(runner: Runner, refusals: list[OSError]) -> Hand:
    """The run in hand, whose process cannot be asked to end at first."""
    (hand,) = runner._opened.claims.in_hand.values()
    supervised = hand.supervised

    class Refusing:
        told = staticmethod(supervised.told)
        request_end = staticmethod(supervised.request_end)

        def request_cancel(self, reason: str) -> None:
            if refusals:
                raise refusals.pop(0)
            supervised.request_cancel(reason)

    hand.supervised = Refusing()
    return hand


@pytest.mark.behaviour("LC-02", "LC-04", "CN-05")
async def test_a_process_that_is_to_be_asked_again_is_asked_at_once_when_the_runner_ends(autojump_clock):
    async with in_house(lasting(1000)) as house:
        runner = await house.serving()
        run = await house.run_of(audit())
        await house.wait_state(run, "Running")
        refusing(runner, [OSError("try")])
        await house.cancel(run)
        await trio.sleep(0.25)
        runner.stop()
        await house.wait_state(run, "Cancelled")

        assert trio.current_time() == 0.25


@pytest.mark.behaviour("CN-05", "QK-04")
async def test_a_process_that_cannot_be_asked_to_end_is_asked_again(autojump_clock, caplog):
    async with in_house(lasting(1000)) as house:
        runner = await house.serving()
        run = await house.run_of(audit())
        await house.wait_state(run, "Running")
        hand = refusing(runner, [OSError("try"), OSError("again")])
        await house.cancel(run)
        await house.wait_state(run, "Cancelled")
        await hand.over.wait()

        assert trio.current_time() == 2
        text = f"Encountered exception while killing process for flow run '{run.id}'. Flow run may not be cancelled."
        assert [r.getMessage() for r in caplog.records if "Encountered" in r.getMessage()] == [text] * 2


async def failing(run, place, *, entrypoint, task_status):
    await trio.sleep(5)
    raise ZeroDivisionError("a defect of ours")


@pytest.mark.behaviour("CN-03", "QK-04")
async def test_a_cancelled_run_that_nobody_knows_a_process_of_is_closed_with_the_reason(
    autojump_clock, monkeypatch
):
    monkeypatch.setattr("trioflow.runner.claim.supervise", failing)
    async with in_house() as house:
        await house.serving()
        run = await house.run_of(audit())
        await house.wait_state(run, "Pending")
        await house.cancel(run)
        ended = await house.wait_state(run, "Cancelled")

        assert (trio.current_time(), ended.state.message) == (
            5,
            "Could not find process ID for flow run and cancellation cannot be guaranteed.",
        )


@pytest.mark.behaviour("QK-04")
@pytest.mark.promise("P8")
async def test_a_stray_that_cannot_be_closed_now_is_closed_when_the_store_is_well_again(
    autojump_clock, monkeypatch
):
    monkeypatch.setattr("trioflow.runner.claim.supervise", failing)
    async with in_house() as house:
        wire = Wire(house.client)
        runner = await house.serving(client=wire)
        run = await house.run_of(audit())
        await house.wait_state(run, "Pending")
        wire.trouble = StoreError("disk full")
        await trio.sleep(120)
        assert not runner.health["Watching over runs"].is_well
        wire.trouble = None
        with trio.fail_after(30):
            await house.wait_state(run, "Crashed")
        await trio.testing.wait_all_tasks_blocked()

        assert await house.leases() == 0
        assert runner._opened.claims.strays == {}


@pytest.mark.promise("P13")
async def test_a_process_whose_run_another_one_has_taken_away_is_killed_at_once(autojump_clock, caplog):
    async with in_house(deaf) as house:
        runner = await house.serving(query_seconds=1000)
        run = await house.run_of(audit())
        mine = await house.wait_state(run, "Running")
        await trio.sleep(3)
        # As another process's reaper does when this one was stopped for too long.
        taken = CloseFlowRun(
            run_id=run.id,
            epoch=mine.epoch,
            state=Crashed(message="lost"),
            transition_id=run.root_id,
        )
        await house.ask(endpoints.CLOSE_FLOW_RUN, taken)
        await house.stage.wait_alive(0)

        assert trio.current_time() == 3
        assert await house.history(run) == ["Scheduled", "Pending", "Running", "Crashed"]
        await trio.testing.wait_all_tasks_blocked()
        assert runner._terms.limiter.in_use == 0


async def test_a_run_that_was_taken_away_to_be_run_elsewhere_is_left_to_its_new_owner(autojump_clock):
    async with in_house(deaf) as house:
        await house.serving(query_seconds=1000)
        run = await house.run_of(audit())
        mine = await house.wait_state(run, "Running")
        taken = CloseFlowRun(
            run_id=run.id,
            epoch=mine.epoch,
            state=Scheduled(mine.times.started),
            transition_id=run.root_id,
        )
        await house.ask(endpoints.CLOSE_FLOW_RUN, taken)
        await house.stage.wait_alive(0)
        await house.stage.wait_alive(1)

        assert (await house.read(run)).epoch > mine.epoch + 1
        assert len(house.stage.started) == 2


# --- asked by hand


@pytest.mark.behaviour("RL-15")
async def test_a_look_outside_of_a_started_runner_is_an_error():
    with pytest.raises(RuntimeError) as caught:
        await Runner().check_cancelled_runs()

    assert isinstance(caught.value, RunnerError)
    assert str(caught.value) == (
        "Runner is not set up. Please make sure you are running this runner as an async context manager."
    )


@pytest.mark.behaviour("RL-16")
async def test_a_look_with_nothing_to_watch_says_so(autojump_clock):
    told = []
    async with in_house(lasting(5)) as house, house.runner() as runner:
        await runner.check_cancelled_runs(lambda: told.append("nothing"))
        assert told == ["nothing"]

        run = await house.run_of_nothing()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(runner.execute_flow_run, run.id)
            await house.wait_state(run, "Running")
            await runner.check_cancelled_runs(lambda: told.append("a run"))
        await runner.add_deployment(audit())
        await runner.check_cancelled_runs(lambda: told.append("a deployment"))
        assert told == ["nothing"]


async def heeding(child: Child) -> int:
    """Ends in peace when it is told that it is CANCELLING, as an engine does by its own means."""
    await child.prepare()
    await child.say(Running())
    after = await child.client.now()
    await child.client.changes(after, ChangeFilter(root_ids=frozenset({child.run_id})))
    await child.say(Cancelled(message="in peace"))
    return 1


async def test_a_process_may_be_faster_than_the_runner(autojump_clock):
    async with in_house(heeding) as house:
        await house.serving()
        run = await house.run_of(audit())
        await house.wait_state(run, "Running")
        await trio.testing.wait_all_tasks_blocked()
        await house.cancel(run)
        ended = await house.wait_state(run, "Cancelled")

        assert ended.state.message == "in peace"
