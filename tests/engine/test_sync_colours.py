"""Colours: where flows and tasks of either kind are called, how, and what the wrong call is told."""

from __future__ import annotations

import contextvars
import inspect
import threading

import pytest
import trio

import trioflow
from trioflow import Future, State, SyncFlow, SyncTask, flow, task
from trioflow.core.states import StateType
from trioflow.errors import InvalidReturnState, OutsideFlow, ParameterError, WrongColour


@task
def add(x, y):
    return x + y


@task
async def add_async(x, y):
    await trio.lowlevel.checkpoint()
    return x + y


@flow
def double(x):
    return add(x, x)


@flow
async def double_async(x):
    return await add_async(x, x)


KINDS = ["flow", "task"]


def in_thread(function):
    """What a thread that nobody of ours knows makes of it."""
    outcome = []

    def call():
        try:
            outcome.append(function())
        except Exception as error:  # noqa: BLE001 - it is handed on
            outcome.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    return outcome[0]


# --- in a script


@pytest.mark.behaviour("FL-03", "TA-03")
def test_a_script_calls_sync_flows_and_tasks_plainly(home):
    assert double(2) == 4
    assert add(1, 2) == 3
    assert isinstance(double, SyncFlow)
    assert isinstance(add, SyncTask)


@pytest.mark.behaviour("FL-03", "TA-03")
async def test_an_async_call_gives_an_awaitable(client):
    calls = [double_async(2), add_async(1, 2)]

    assert [inspect.isawaitable(call) for call in calls] == [True, True]
    assert [await call for call in calls] == [4, 3]


@pytest.mark.behaviour("FL-03")
def test_a_sync_call_raises_what_its_function_raises_or_gives_the_state(home):
    @flow
    def fails():
        raise ValueError("no")

    with pytest.raises(ValueError, match=r"^no$"):
        fails()

    state = fails(return_state=True)
    assert (state.type, state.message) == (
        StateType.FAILED,
        "Flow run encountered an exception. ValueError: no",
    )


def test_a_sync_call_checks_its_arguments_before_anything_runs():
    with pytest.raises(ParameterError, match=r"^flow 'double' takes \(x\)"):
        double()
    with pytest.raises(InvalidReturnState):
        add(1, 2, return_state="yes")


def test_a_plain_thread_is_a_script_of_its_own(home):
    assert in_thread(lambda: double(2)) == 4


# --- the wrong colour


@pytest.mark.behaviour("FL-04", "TA-03")
def test_an_async_call_in_a_script_names_trio_run():
    with pytest.raises(
        WrongColour, match=r"^flow 'double_async' is async: start it with trio.run\(double_async"
    ):
        double_async(2)
    with pytest.raises(WrongColour, match=r"^task 'add_async' is async: start it with trio.run\(add_async"):
        add_async(1, 2)


@pytest.mark.behaviour("FL-04", "TA-03")
@pytest.mark.parametrize("call", [lambda: double_async(2), lambda: add_async(1, 2)], ids=KINDS)
async def test_an_async_call_in_a_sync_flow_names_submit(client, call):
    @flow
    def calls():
        call()

    with pytest.raises(
        WrongColour, match=r"is async: from sync code, call \w+_async\.submit\(\.\.\.\)\.result\(\)$"
    ):
        await trioflow.run(calls)


@pytest.mark.behaviour("FL-04", "TA-03")
@pytest.mark.parametrize("call", [lambda: double(2), lambda: add(1, 2)], ids=KINDS)
async def test_a_sync_call_in_an_async_flow_names_submit(books, call):
    @flow
    async def calls():
        call()

    with pytest.raises(WrongColour, match=r"is sync: from async code, call `await \w+\.submit\(\.\.\.\)`$"):
        await calls()

    assert await books.task_runs() == {}


@pytest.mark.behaviour("FL-04", "TA-03")
@pytest.mark.parametrize("call", [lambda: double(2), lambda: add(1, 2)], ids=KINDS)
async def test_a_sync_call_in_a_trio_program_names_run(call):
    with pytest.raises(
        WrongColour, match=r"is sync: call it plainly in a script, or `await trioflow\.run\(\w+, "
    ):
        call()


@pytest.mark.behaviour("FL-04")
def test_trio_run_of_a_sync_flow_names_run():
    with pytest.raises(WrongColour, match=r"await trioflow\.run\(double, \.\.\.\)"):
        trio.run(double, 2)


@pytest.mark.behaviour("FL-04")
async def test_waiting_for_a_future_as_sync_code_does_never_blocks_the_loop(client):
    @flow
    async def calls():
        add.submit(1, 2).result()

    with pytest.raises(WrongColour, match="in async code, await the future itself"):
        await calls()


@pytest.mark.behaviour("FL-04")
async def test_a_sync_function_that_returns_a_coroutine_is_refused(client):
    @task
    def disguised():
        return add_async.fn(1, 2)

    with pytest.raises(WrongColour, match="returned a coroutine: define it with `async def`"):
        await trioflow.run(disguised)


@pytest.mark.parametrize(
    "call",
    [lambda: add(1, 2), lambda: add.submit(1, 2), lambda: add.map([1], [2])],
    ids=["plainly", "submit", "map"],
)
async def test_a_thread_that_the_run_does_not_know_of_cannot_call_into_it(client, call):
    @flow
    def copies_its_context():
        context = contextvars.copy_context()
        raise in_thread(lambda: context.run(call))

    with pytest.raises(OutsideFlow, match="this thread is unknown to the run that its context comes from"):
        await trioflow.run(copies_its_context)


# --- either colour from either


@pytest.mark.behaviour("TA-03")
async def test_a_sync_flow_calls_and_submits_either_colour(books):
    @flow
    def calls():
        return [
            add(1, 1),
            add.submit(1, 2).result(),
            add_async.submit(1, 3).result(),
            double(2),
            double.submit(3).result(),
            double_async.submit(4).result(),
            [future.result() for future in add_async.map([1, 2], 1)],
            add(add_async.submit(1, 2), 2, wait_for=[add.submit(0, 0)]),
        ]

    assert await trioflow.run(calls) == [2, 3, 4, 4, 6, 8, [2, 3], 5]
    parents = [run.parent_task_run_id is not None for run in await books.flow_runs()]
    assert parents == [False, True, True, True]


@pytest.mark.behaviour("TA-03")
async def test_an_async_flow_submits_either_colour(client):
    @flow
    async def submits():
        return [await add.submit(1, 2), await double.submit(2), await add_async.submit(1, 3)]

    assert await submits() == [3, 4, 4]


async def test_run_takes_either_colour(client):
    calls = [(add, 1, 2), (add_async, 1, 2), (double, 2), (double_async, 2)]

    assert [await trioflow.run(called, *args) for called, *args in calls] == [3, 3, 4, 4]


async def test_sync_tasks_call_tasks(books):
    @task
    def sums(n):
        return n + sums(n - 1) if n else add_async.submit(0, 0).result()

    @flow
    def calls():
        return sums(3)

    assert await trioflow.run(calls) == 3 + 2 + 1
    assert sorted(run.dynamic_key for run in (await books.task_runs()).values()) == [
        "0",
        "sums-0.0",
        "sums-sums-0.0.0",
        "sums-sums-sums-0.0.0.0",
        "sums-sums-sums-sums-0.0.0.0.0",
    ]


async def test_a_future_gives_sync_code_the_result_or_the_state(client):
    @task
    async def fails():
        raise ValueError("no")

    @flow
    def calls():
        future = fails.submit()
        state = future.result(return_state=True)
        with pytest.raises(ValueError, match="no"):
            future.result()
        return state.name

    assert await trioflow.run(calls) == "Failed"


def test_a_future_outlives_its_run(home):
    kept = []

    @flow
    def keeps():
        kept.append(add.submit(1, 2))

    keeps()

    (future,) = kept
    assert isinstance(future, Future)
    assert isinstance(future.result(return_state=True), State)
    assert future.result() == 3


async def test_a_failure_that_a_sync_flow_never_looked_at_fails_it(client):
    @task
    def fails():
        raise ValueError("no")

    @flow
    def ignores():
        fails.submit()
        return 1

    with pytest.raises(ValueError, match="no"):
        await trioflow.run(ignores)
