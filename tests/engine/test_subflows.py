"""Subflows: how a flow run within another one is begun, told of, and found again."""

from __future__ import annotations

import pytest
import trio

from trioflow import NurseryTaskRunner, allow_failure, current_flow_run, flow, result_of, task
from trioflow.core.states import StateType
from trioflow.errors import ParameterError, UnfinishedRun


@task
async def give(x):
    return x


@flow
async def double(x: int) -> int:
    return 2 * x


@flow
async def breaks():
    raise ValueError("sub")


def once_broken(calls):
    """A task that fails at its first call and tells every call."""

    @task
    async def fragile():
        calls.append("fragile")
        if calls.count("fragile") == 1:
            raise ValueError("first")

    return fragile


@pytest.mark.behaviour("SF-01", "SF-02", "SF-05", "SF-12")
async def test_a_task_run_stands_for_the_subflow_in_its_parent(books):
    @flow
    async def outer():
        return await double(give.submit(4))

    assert await outer() == 8

    outer_run, child = await books.flow_runs()
    runs = await books.task_runs()
    mirror = runs["double-0"]
    assert (mirror.flow_run_id, mirror.dynamic_key, child.parent_task_run_id) == (
        outer_run.id,
        "0",
        mirror.id,
    )
    assert mirror.inputs == {"x": [{"input_type": "task_run", "id": str(runs["give-0"].id)}]}
    assert child.parameters == {"x": 4}
    assert mirror.state.details.child_flow_run_id == child.id
    assert await books.history(mirror.id) == ["Pending", "Pending", "Running", "Completed"]
    assert f"Created subflow run '{child.name}' for flow 'double'" in await books.said()


@pytest.mark.behaviour("SF-11")
async def test_the_exception_of_a_subflow_is_raised_in_the_parent_and_its_state_is_not(client):
    @flow
    async def outer():
        state = await breaks(return_state=True)
        with pytest.raises(ValueError, match=r"^sub$"):
            await breaks()
        with pytest.raises(ValueError, match=r"^sub$"):
            await breaks.submit()
        return state.name

    assert await outer() == "Failed"


@pytest.mark.behaviour("SF-06", "QK-15")
async def test_a_subflow_with_invalid_parameters_fails_without_being_called(books):
    hooked = []

    async def hook(flow, flow_run, state):
        hooked.append(state.name)

    @flow(on_failure=[hook])
    async def never(x: int):
        raise AssertionError("called")

    @flow
    async def outer():
        state = await never("one", return_state=True)
        with pytest.raises(ParameterError):
            await never("two")
        return state.message

    assert await outer() == "Validation of flow parameters failed with error: x: 'one' is not int"
    assert hooked == ["Failed", "Failed"]
    assert {name: run.state.type for name, run in (await books.task_runs()).items()} == {
        "never-0": StateType.FAILED,
        "never-1": StateType.FAILED,
    }


@pytest.mark.behaviour("FO-01", "FO-02")
async def test_a_subflow_whose_upstream_failed_is_not_ready_and_never_runs(books):
    @task
    async def fails():
        raise ValueError

    @flow
    async def outer():
        upstream = fails.submit()
        states = [
            await double(upstream, return_state=True),
            await double(1, wait_for=[upstream], return_state=True),
        ]
        with pytest.raises(UnfinishedRun):
            result_of(states[0])
        await double(1, wait_for=[allow_failure(upstream)])
        return [state.name for state in states]

    assert await outer() == ["NotReady", "NotReady"]
    failed = (await books.task_runs())["fails-0"].id
    message = f"Upstream task run '{failed}' did not reach a 'COMPLETED' state."
    _, first, second, third = await books.flow_runs()
    assert [(run.state.name, run.state.message) for run in (first, second)] == [("NotReady", message)] * 2
    assert await books.history(first.id) == ["Pending", "NotReady"]
    assert third.state.type is StateType.COMPLETED


@pytest.mark.behaviour("SF-07")
async def test_a_subflow_places_its_tasks_by_its_own_task_runner(client, autojump_clock):
    @task
    async def slow():
        await trio.sleep(1)

    @flow(task_runner=NurseryTaskRunner(max_workers=1))
    async def narrow():
        for _ in range(3):
            slow.submit()

    @flow
    async def outer():
        narrow.submit()
        narrow.submit()
        for _ in range(3):
            slow.submit()

    await outer()

    assert trio.current_time() == 3


async def test_a_subflow_called_by_a_task_under_a_limit_of_one_completes(client):
    @flow
    async def inner():
        return await give(1)

    @task
    async def calls():
        return await inner() + await give.submit(1)

    @flow(task_runner=NurseryTaskRunner(max_workers=1))
    async def outer():
        return await calls.submit()

    assert await outer() == 2


@pytest.mark.behaviour("SF-08")
async def test_a_subflow_records_as_its_parent_does_unless_it_says_otherwise(books):
    @flow
    async def outer():
        await double(1)
        await double.with_options(result_serializer="json")(1)

    await outer.with_options(result_serializer="pickle")()

    _, first, second = await books.flow_runs()
    assert (first.state.data.serializer, second.state.data.serializer) == ("pickle", "json")


@pytest.mark.behaviour("SF-03")
@pytest.mark.promise("P12")
async def test_a_retrying_parent_does_not_run_a_completed_subflow_again(books):
    calls = []
    fragile = once_broken(calls)

    @flow
    async def inner():
        calls.append("inner")
        return current_flow_run().name

    @flow(retries=1)
    async def outer():
        name = await inner()
        await fragile()
        return name

    name = await outer()

    assert calls == ["inner", "fragile", "fragile"]
    _, child = await books.flow_runs()
    assert child.name == name


@pytest.mark.behaviour("SF-04")
async def test_a_subflow_that_no_other_process_could_load_begins_anew(books):
    calls = []
    fragile = once_broken(calls)

    @flow
    async def inner():
        await fragile()
        return current_flow_run().attempt

    @flow(retries=1)
    async def outer():
        return await inner()

    assert await outer() == 1

    _, first, second = await books.flow_runs()
    assert (first.state.type, second.state.type) == (StateType.FAILED, StateType.COMPLETED)
    assert first.parent_task_run_id == second.parent_task_run_id


CALLS = []
fragile_one = once_broken(CALLS)


@task
async def costly():
    CALLS.append("costly")


@flow
async def continued():
    await costly()
    await fragile_one()
    return current_flow_run().attempt


@flow(retries=1)
async def continues():
    return await continued()


@pytest.mark.behaviour("SF-04")
@pytest.mark.promise("P12")
async def test_a_retrying_parent_continues_a_subflow_that_did_not_complete(books):
    """Not in a new run, as in Prefect: what its tasks have recorded would be computed again."""
    CALLS.clear()

    assert await continues() == 2

    assert CALLS == ["costly", "fragile", "fragile"]
    _, child = await books.flow_runs()
    assert await books.history(child.id) == [
        "Pending",
        "Running",
        "Failed",
        "Scheduled",
        "Running",
        "Completed",
    ]
    assert (await books.task_runs())["continued-0"].state.type is StateType.COMPLETED
