"""Ends of sync code: a thread cannot be interrupted, and no run is over before its thread is."""

from __future__ import annotations

import threading

import pytest
import trio
import trio.testing
from attrs import define, field

import trioflow
from trioflow import current_flow_run, flow, task
from trioflow.core.states import Cancelling, StateType
from trioflow.errors import CancelledRun


@define(eq=False)
class Hold:
    """Where sync code stands until it is let go."""

    arrived: trio.Event = field(factory=trio.Event)
    let_go: threading.Event = field(factory=threading.Event)

    def stand(self):
        trio.from_thread.run_sync(self.arrived.set)
        assert self.let_go.wait(10)


@task
def nothing():
    pass


@task
async def nothing_async():
    pass


@pytest.mark.behaviour("QK-18", "TM-05")
@pytest.mark.promise("P7")
async def test_a_sync_task_that_times_out_is_over_when_its_thread_is(books, mock_clock):
    hold = Hold()

    @task(timeout_seconds=1)
    def holds_on():
        hold.stand()
        return "too late"

    @flow
    async def waits():
        future = holds_on.submit()
        await hold.arrived.wait()
        mock_clock.jump(5)
        await trio.testing.wait_all_tasks_blocked()
        before = await books.task_states()
        hold.let_go.set()
        await future.wait()
        future.allow_failure()
        return before

    assert await waits() == {"holds_on-0": "Running()"}
    assert await books.task_states() == {"holds_on-0": "TimedOut('Task run exceeded timeout of 1 seconds')"}


@pytest.mark.behaviour("TM-02", "TA-02", "QK-18")
@pytest.mark.promise("P7")
@pytest.mark.parametrize(
    "call", [nothing, nothing.submit, nothing_async.submit], ids=["plainly", "submit", "other"]
)
async def test_a_sync_flow_whose_time_is_over_ends_at_its_next_task_call(books, mock_clock, call):
    hold = Hold()
    raised = []

    @flow(timeout_seconds=1)
    def holds_on():
        hold.stand()
        try:
            call()
        except BaseException as error:
            raised.append(error)
            raise

    async with trio.open_nursery() as nursery:

        async def lets_time_go_by():
            await hold.arrived.wait()
            mock_clock.jump(5)
            await trio.testing.wait_all_tasks_blocked()
            assert (await books.flow_run()).state.type is StateType.RUNNING
            hold.let_go.set()

        nursery.start_soon(lets_time_go_by)
        with pytest.raises(TimeoutError, match="Flow run exceeded timeout of 1 seconds"):
            await trioflow.run(holds_on)

    assert [str(error) for error in raised] == ["Flow run timed out"]
    assert isinstance(raised[0], TimeoutError)
    assert (await books.flow_run()).state.name == "TimedOut"
    assert await books.task_runs() == {}


async def cancelled(books, hold):
    """Cancels the run at its hold, and lets it go when that is known."""
    await hold.arrived.wait()
    await books.propose(await books.flow_run(), Cancelling())
    await trio.testing.wait_all_tasks_blocked()
    hold.let_go.set()


@pytest.mark.promise("P2")
@pytest.mark.parametrize("call", [nothing, nothing.submit], ids=["plainly", "submit"])
async def test_a_sync_flow_that_is_cancelled_ends_at_its_next_task_call(books, call):
    hold = Hold()
    log = []

    @flow
    def holds_on():
        hold.stand()
        try:
            call()
            log.append("went on")
        finally:
            log.append("clean-up")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(cancelled, books, hold)
        with pytest.raises(CancelledRun):
            await trioflow.run(holds_on)

    run = await books.flow_run()
    assert (log, await books.history(run.id)) == (
        ["clean-up"],
        ["Pending", "Running", "Cancelling", "Cancelled"],
    )


@pytest.mark.promise("P2", "P7")
async def test_a_sync_flow_that_calls_nothing_more_is_cancelled_when_its_thread_ends(books):
    hold = Hold()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(cancelled, books, hold)
        state = await trioflow.run(flow(hold.stand).with_options(name="holds-on"), return_state=True)

    assert state.type is StateType.CANCELLED


async def test_a_sync_flow_that_waits_for_a_future_is_cancelled_at_once(books):
    waits = trio.Event()

    @task
    async def sleeps():
        waits.set()
        await trio.sleep_forever()

    @flow
    def waits_for_it():
        sleeps.submit().result()

    async with trio.open_nursery() as nursery:

        async def cancels():
            await waits.wait()
            await books.propose(await books.flow_run(), Cancelling())

        nursery.start_soon(cancels)
        with pytest.raises(CancelledRun):
            await trioflow.run(waits_for_it)

    assert {run.state.type for run in (await books.task_runs()).values()} == {StateType.CANCELLED}


async def test_code_that_ignores_the_end_of_its_time_does_not_complete(books, mock_clock):
    """Even if it never calls a task again."""
    hold = Hold()

    @flow(timeout_seconds=1)
    def ignores():
        hold.stand()
        return 5

    async with trio.open_nursery() as nursery:

        async def lets_time_go_by():
            await hold.arrived.wait()
            mock_clock.jump(5)
            hold.let_go.set()

        nursery.start_soon(lets_time_go_by)
        state = await trioflow.run(ignores, return_state=True)

    assert str(state) == "TimedOut('Flow run exceeded timeout of 1 seconds')"


async def test_a_sync_task_that_exits_crashes_its_run(books):
    @flow
    def exits():
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        await trioflow.run(exits)

    assert (
        str((await books.flow_run()).state) == "Crashed('Execution was aborted by Python system exit call.')"
    )


async def test_a_sync_flow_is_taken_up_where_its_records_end(books):
    called = []

    @task
    def step(name):
        called.append(name)
        return name

    @flow
    def day():
        run = current_flow_run()
        step("morning")
        if run.attempt == 1:
            raise ConnectionError(run.id)
        return step("evening")

    with pytest.raises(ConnectionError) as raised:
        await trioflow.run(day)

    assert await trioflow.rerun(day, raised.value.args[0]) == "evening"
    assert called == ["morning", "evening"]
