"""Cancellation: somebody asks for a run's end, its code is cancelled, cleans up, and the run is CANCELLED."""

from __future__ import annotations

import pytest
import trio

from trioflow import current_flow_run, flow, result_of, task
from trioflow.core.states import Cancelling, StateType
from trioflow.errors import CancelledRun


async def cancel(books, run):
    """Ask as `trioflow flow-run cancel` does."""
    await books.propose(run, Cancelling())


@pytest.mark.promise("P2")
async def test_a_run_that_is_asked_to_end_is_cancelled_with_its_tasks_and_subflows(books, autojump_clock):
    hooked = []

    async def hook(flow, flow_run, state):
        hooked.append((flow.name, state.name))

    @task
    async def sleeps():
        await trio.sleep_forever()

    @flow(on_cancellation=[hook])
    async def inner():
        await sleeps()

    @flow(on_cancellation=[hook])
    async def outer():
        inner.submit()
        sleeps.submit()
        await trio.sleep(1)
        await cancel(books, current_flow_run())
        await trio.sleep_forever()

    with pytest.raises(CancelledRun, match="Cancelled; its clean-up has finished"):
        await outer()

    assert trio.current_time() == 1
    assert {run.state.type for run in await books.flow_runs()} == {StateType.CANCELLED}
    assert {run.state.type for run in (await books.task_runs()).values()} == {StateType.CANCELLED}
    assert sorted(hooked) == [("inner", "Cancelled"), ("outer", "Cancelled")]
    run = await books.flow_run()
    assert await books.history(run.id) == ["Pending", "Running", "Cancelling", "Cancelled"]


@pytest.mark.promise("P7")
async def test_clean_up_is_given_its_time_before_the_run_is_over(books, autojump_clock):
    log = []

    @flow
    async def cleans_up():
        try:
            await cancel(books, current_flow_run())
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(3)
                log.append((await books.flow_run()).state.name)

    state = await cleans_up(return_state=True)

    assert (log, state.name, trio.current_time()) == (["Cancelling"], "Cancelled", 3)


async def test_code_that_does_not_care_and_completes_is_cancelled_all_the_same(books):
    @flow
    async def ignores():
        await cancel(books, current_flow_run())
        return 5

    state = await ignores(return_state=True)

    assert state.type is StateType.CANCELLED
    with pytest.raises(CancelledRun):
        result_of(state)


async def test_a_run_that_waits_for_its_retry_is_cancelled_at_once(books, autojump_clock):
    @flow(retries=1, retry_delay_seconds=100)
    async def fails():
        raise ValueError

    async def operator():
        await trio.sleep(10)
        await cancel(books, await books.flow_run())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(operator)
        state = await fails(return_state=True)

    assert (state.type, trio.current_time()) == (StateType.CANCELLED, 10)


async def test_a_subflow_may_be_cancelled_alone(books, autojump_clock):
    @flow
    async def inner():
        await cancel(books, current_flow_run())
        await trio.sleep_forever()

    @flow
    async def outer():
        state = await inner(return_state=True)
        return state.name

    assert await outer() == "Cancelled"
    outer_run, inner_run = await books.flow_runs()
    assert (outer_run.state.type, inner_run.state.type) == (StateType.COMPLETED, StateType.CANCELLED)


async def test_an_exception_out_of_the_clean_up_does_not_undo_the_cancellation(books, autojump_clock):
    @flow
    async def breaks():
        try:
            await cancel(books, current_flow_run())
            await trio.sleep_forever()
        finally:
            raise ValueError("clean-up")

    state = await breaks(return_state=True)

    assert state.type is StateType.CANCELLED


async def test_other_runs_go_on(books, autojump_clock):
    @flow
    async def waits(seconds):
        await trio.sleep(seconds)
        return seconds

    results = []

    async def run(seconds):
        results.append((await waits(seconds, return_state=True)).name)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run, 5)
        nursery.start_soon(run, 9)
        await trio.sleep(1)
        (longer,) = [run for run in await books.flow_runs() if run.parameters == {"seconds": 9}]
        await cancel(books, longer)

    assert sorted(results) == ["Cancelled", "Completed"]
