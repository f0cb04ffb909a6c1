"""Crashed runs: what ends a run that is not its own code's doing is reported, and goes on as itself."""

from __future__ import annotations

import pytest
import trio

from trioflow import current_flow_run, flow, task
from trioflow.core.states import Cancelling


@pytest.mark.behaviour("CR-01", "CR-02", "CR-03", "CR-06", "FO-11")
async def test_a_run_whose_host_is_cancelled_has_crashed_and_the_cancellation_goes_on(books, autojump_clock):
    hooked = []

    @task
    async def sleeps():
        await trio.sleep_forever()

    async def hook(flow, flow_run, state):
        hooked.append(state.name)

    @flow(on_crashed=[hook])
    async def waits():
        sleeps.submit()
        await sleeps()

    with trio.move_on_after(1) as host:
        await waits()

    message = "Execution was cancelled by the runtime environment."
    assert host.cancelled_caught
    assert str((await books.flow_run()).state) == f"Crashed({message!r})"
    assert set((await books.task_states()).values()) == {f"Crashed({message!r})"}
    assert hooked == ["Crashed"]
    assert f"Crash detected! {message}" in await books.said()


@pytest.mark.behaviour("CR-01", "CR-06", "QK-17")
@pytest.mark.parametrize(
    ("error", "message"),
    [
        (KeyboardInterrupt, "Execution was aborted by an interrupt signal."),
        (SystemExit, "Execution was aborted by Python system exit call."),
    ],
)
@pytest.mark.parametrize("where", ["flow", "task", "submitted task"])
async def test_an_interrupt_or_an_exit_crashes_the_run_and_goes_on_as_itself(books, error, message, where):
    @task
    async def raises():
        raise error

    @flow
    async def calls():
        match where:
            case "flow":
                raise error
            case "task":
                await raises()
            case _:
                raises.submit()

    with pytest.raises(error):
        await calls()

    assert str((await books.flow_run()).state) == f"Crashed({message!r})"
    assert set((await books.task_states()).values()) <= {f"Crashed({message!r})"}


@pytest.mark.behaviour("CR-04")
async def test_the_crash_of_the_flow_and_of_its_task_are_both_proposed(books, client, autojump_clock):
    @task
    async def sleeps():
        await trio.sleep_forever()

    @flow
    async def waits():
        await sleeps()

    with trio.move_on_after(1):
        await waits()

    proposed = [name for name in client.asked if name.startswith("propose")]
    assert proposed == ["propose_flow_run_state", "propose_task_run_state", "propose_flow_run_state"]
    runs = [await books.flow_run(), (await books.task_runs())["sleeps-0"]]
    assert [await books.history(each.id) for each in runs] == [["Pending", "Running", "Crashed"]] * 2


async def test_user_groups_stay_groups_and_our_nurseries_add_none(client):
    @flow
    async def raises_two():
        raise ExceptionGroup("both", [ValueError(1), TypeError(2)])

    with pytest.raises(ExceptionGroup, match="both") as raised:
        await raises_two()

    assert [type(error) for error in raised.value.exceptions] == [ValueError, TypeError]


@pytest.mark.behaviour("HK-05")
@pytest.mark.parametrize("end", ["Crashed", "Cancelled"])
async def test_of_the_hooks_only_those_of_the_end_are_called_when_something_else_ended_it(
    books, autojump_clock, end
):
    hooked = []

    async def hook(flow, flow_run, state):
        hooked.append(state.name)

    @flow(on_completion=[hook], on_failure=[hook], on_cancellation=[hook], on_crashed=[hook])
    async def waits():
        if end == "Cancelled":
            await books.propose(current_flow_run(), Cancelling())
        await trio.sleep_forever()

    with trio.move_on_after(1):
        await waits(return_state=True)

    assert hooked == [end]
