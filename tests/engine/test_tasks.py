"""Tasks: how calls of one are made, inside and outside of a flow run."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from trioflow import (
    NurseryTaskRunner,
    SequentialTaskRunner,
    State,
    flow,
    tags,
    task,
)
from trioflow.core.states import StateType
from trioflow.errors import OutsideFlow


@task
async def add(x, y):
    return x + y


@task
async def fail(message="no"):
    raise ValueError(message)


async def in_flow(function, **options):
    """What a flow made of this function returns."""
    return await flow(**options)(function)()


@pytest.mark.behaviour("TA-01")
async def test_a_call_outside_of_a_flow_is_a_task_run_of_its_own(books):
    assert await add(1, 2) == 3

    (run,) = (await books.task_runs()).values()
    assert (run.state.type, run.flow_run_id, run.root_id) == (StateType.COMPLETED, None, run.id)
    assert await books.flow_runs() == []
    assert await books.said() == ["Finished in state Completed()"]


async def test_two_calls_outside_of_a_flow_are_two_runs(books):
    assert [await add(1, 2), await add(2, 2)] == [3, 4]
    assert len(await books.task_runs()) == 2


@pytest.mark.behaviour("TA-01")
@pytest.mark.parametrize("method", ["submit", "map"])
def test_submitting_outside_of_a_flow_names_what_to_do_instead(method):
    with pytest.raises(
        OutsideFlow, match=r"'add' can only be submitted from within a flow run;.*\.delay\(\)"
    ):
        getattr(add, method)([1], [2])


@pytest.mark.behaviour("TA-05")
async def test_a_call_gives_a_future_at_once_or_waits_for_a_result_or_a_state(client):
    async def calls():
        future = add.submit(1, 1)
        before = future.state.name
        return before, await future, await add(1, 2), type(await add(1, 3, return_state=True)).__name__

    assert await in_flow(calls) == ("Pending", 2, 3, State.__name__)


@pytest.mark.behaviour("TA-04")
async def test_submissions_proceed_at_once(books, autojump_clock):
    @task
    async def slow(n):
        await trio.sleep(1)
        return n

    async def submits():
        futures = [slow.submit(n) for n in range(50)]
        return [await future for future in futures], trio.current_time()

    assert await in_flow(submits) == (list(range(50)), 1)


@pytest.mark.behaviour("TA-08", "TA-09")
async def test_runs_are_named_after_the_task_and_which_call_of_it_they_are(books):
    other = task(name="other")(add.fn)

    async def calls():
        for _ in range(2):
            await add(1, 1)
        add.submit(1, 1)
        await other(1, 1)

    await in_flow(calls)

    runs = await books.task_runs()
    assert {name: run.dynamic_key for name, run in runs.items()} == {
        "add-0": "0",
        "add-1": "1",
        "add-2": "2",
        "other-3": "3",
    }


async def test_calls_within_a_task_are_counted_by_the_run_that_makes_them(books, autojump_clock):
    """So that a rerun finds each of them again, in whichever order concurrent tasks get along."""

    @task
    async def parent(wait):
        await trio.sleep(wait)
        await add(1, 1)
        await add(1, 1)

    async def calls():
        parent.submit(2)
        parent.submit(1)

    await in_flow(calls)

    keys = {run.dynamic_key for run in (await books.task_runs()).values() if run.name.startswith("add")}
    assert keys == {"parent-0.0", "parent-0.1", "parent-1.0", "parent-1.1"}


@pytest.mark.behaviour("TA-10")
async def test_a_failure_within_a_task_is_that_tasks_affair(client):
    @task
    async def copes():
        fail.submit()

    async def calls():
        copes.submit()

    assert await in_flow(calls) is None


@pytest.mark.behaviour("TA-07")
@pytest.mark.parametrize(("runner", "seconds"), [(None, 1), (NurseryTaskRunner(max_workers=2), 3)])
async def test_a_calls_own_task_runner_overrides_that_of_the_flow(client, autojump_clock, runner, seconds):
    @task(task_runner=runner)
    async def slow():
        await trio.sleep(1)

    async def submits():
        for _ in range(6):
            slow.submit()

    await in_flow(submits, task_runner=None)
    assert trio.current_time() == seconds

    await in_flow(submits, task_runner=SequentialTaskRunner())
    assert trio.current_time() == seconds + (6 if runner is None else seconds)


@pytest.mark.behaviour("TA-11", "FL-18")
async def test_a_sequential_task_runner_runs_tasks_one_at_a_time_in_order(client, autojump_clock):
    order = []

    @task
    async def slow(n):
        order.append((n, trio.current_time()))
        await trio.sleep(1)

    async def submits():
        for n in range(4):
            slow.submit(n)

    await in_flow(submits, task_runner=SequentialTaskRunner())

    assert order == [(0, 0), (1, 1), (2, 2), (3, 3)]


@pytest.mark.behaviour("FL-20")
@pytest.mark.parametrize(
    ("runner", "told"),
    [
        (None, "Starting 'NurseryTaskRunner'; submitted tasks will be run concurrently..."),
        (
            NurseryTaskRunner(max_workers=2),
            "Starting 'NurseryTaskRunner'; submitted tasks will be run concurrently, at most 2 at a time...",
        ),
        (
            SequentialTaskRunner(),
            "Starting 'SequentialTaskRunner'; submitted tasks will be run sequentially...",
        ),
    ],
    ids=["default", "limited", "sequential"],
)
async def test_a_task_runner_that_starts_says_how_it_runs_tasks(client, caplog, runner, told):
    async def submits():
        add.submit(1, 1)
        add.submit(1, 2)

    with caplog.at_level("DEBUG", "trioflow.flow_runs"):
        await in_flow(submits, task_runner=runner)

    said = [(record.levelname, record.message) for record in caplog.records if "Starting" in record.message]
    assert said == [("DEBUG", told)]


async def test_a_task_that_waits_its_turn_has_not_begun(books, autojump_clock):
    @task
    async def looks():
        return len(await books.task_runs())

    async def submits():
        return [await future for future in [looks.submit() for _ in range(3)]]

    assert await in_flow(submits, task_runner=SequentialTaskRunner()) == [1, 2, 3]


async def test_tasks_within_tasks_complete_under_a_limit_of_one(client):
    @task
    async def dive(depth):
        return depth if depth == 50 else await dive.submit(depth + 1)

    async def dives():
        return await dive(1)

    assert await in_flow(dives, task_runner=NurseryTaskRunner(max_workers=1)) == 50


@pytest.mark.behaviour("TA-18", "NM-03")
async def test_tags_around_a_call_are_added_to_its_run(books):
    @task(tags=["own"])
    async def tagged():
        pass

    @flow
    async def inner():
        await tagged()

    @flow
    async def outer():
        with tags("b"):
            await tagged()
            tagged.submit()
            await inner()

    with tags("a"):
        await outer()
        with tags("c"):
            await tagged()

    runs = await books.task_runs()
    by_name = {name: run.tags for name, run in runs.items() if run.flow_run_id}
    assert by_name["tagged-1"] == {"own", "a", "b"}
    assert by_name["inner-0"] == {"a", "b"}
    assert {frozenset(run.tags) for run in runs.values() if run.flow_run_id is None} == {
        frozenset({"own", "a", "c"})
    }
    assert [run.tags for run in await books.flow_runs()] == [{"a"}, {"a", "b"}]
