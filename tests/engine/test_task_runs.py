"""Task runs: what is proposed for a call of a task, from its inputs to its end, and what is made of the answers."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from trioflow import (
    clock,
    current_task_run,
    flow,
    get_run_logger,
    result_of,
    tags,
    task,
)
from trioflow.core.states import Completed, StateType
from trioflow.engine.context import innermost
from trioflow.errors import CrashedRun, UnfinishedRun
from trioflow.wire.endpoints import PROPOSE_TASK_RUN_STATE, SET_CONCURRENCY_LIMIT
from trioflow.wire.requests import ProposeTaskRunState, SetConcurrencyLimit


@task
async def add(x, y):
    return x + y


@task
async def fail(message="no"):
    raise ValueError(message)


async def in_flow(function, **options):
    """What a flow made of this function returns."""
    return await flow(**options)(function)()


def flaky(failures):
    """A function that raises so many times, and tells the attempts it was called in."""
    attempts = []

    async def tries():
        attempts.append(current_task_run().attempt)
        if len(attempts) <= failures:
            raise ValueError(f"try {len(attempts)}")
        return attempts

    return tries


# --- proposing


@pytest.mark.behaviour("TO-06", "TO-19")
async def test_a_task_that_goes_well_takes_two_requests(client, books):
    @flow
    async def calls():
        client.asked.clear()
        await add(1, 2)
        asked.extend(client.asked)

    asked = []
    await calls()

    assert asked == ["begin_task_run", "propose_task_run_state"]
    run = (await books.task_runs())["add-0"]
    assert await books.history(run.id) == ["Pending", "Running", "Completed"]


@pytest.mark.behaviour("TO-01", "IN-01")
async def test_parameters_are_resolved_before_any_state_is_proposed(books, autojump_clock):
    @task
    async def slow():
        await trio.sleep(5)
        return 1

    async def submits():
        first = slow.submit()
        second = add.submit(first, 1)
        await trio.sleep(4)
        begun = set(await books.task_runs())
        return begun, await second

    assert await in_flow(submits) == ({"slow-0"}, 2)


@pytest.mark.behaviour("TO-02", "TO-01")
async def test_wait_for_holds_a_task_back_and_a_failure_in_it_for_good(books, autojump_clock):
    @task
    async def slow():
        await trio.sleep(5)

    async def submits():
        waits = add.submit(1, 1, wait_for=[slow.submit()])
        failing = fail.submit()
        never = add.submit(1, 1, wait_for=[failing])
        await failing.wait()
        await waits
        state = await never.wait()
        with pytest.raises(UnfinishedRun):
            await never
        return trio.current_time(), state.name

    assert await in_flow(submits) == (5, "NotReady")
    run = (await books.task_runs())["add-1"]
    failed = (await books.task_runs())["fail-0"].id
    assert (run.attempt, run.state.type) == (0, StateType.PENDING)
    assert run.state.message == f"Upstream task run '{failed}' did not reach a 'COMPLETED' state."


@pytest.mark.behaviour("TO-10", "TO-18", "RT-01", "RT-02", "RT-06")
async def test_a_task_with_retries_is_called_again_with_a_context_of_its_own(books, autojump_clock):
    begun = []

    @task(retries=2, retry_delay_seconds=[1, 10])
    async def tries():
        begun.append((current_task_run().attempt, innermost().start_time.second))
        if len(begun) < 3:
            raise ValueError

    async def calls():
        await tries()

    await in_flow(calls)

    assert begun == [(1, 0), (2, 1), (3, 11)]
    run = (await books.task_runs())["tries-0"]
    assert await books.history(run.id) == [
        "Pending",
        "Running",
        "AwaitingRetry",
        "Retrying",
        "AwaitingRetry",
        "Retrying",
        "Completed",
    ]
    assert [
        text for text in await books.said() if text.startswith("Received non-final state 'AwaitingRetry'")
    ]


@pytest.mark.behaviour("TO-16", "RT-03", "RT-04")
@pytest.mark.parametrize(
    ("condition", "attempts"), [(True, 3), (False, 1), ("async", 3), ("raises", 1)], ids=str
)
async def test_a_retry_condition_may_forbid_further_attempts(books, autojump_clock, condition, attempts):
    asked = []

    async def says_yes(task, task_run, state):
        return True

    def says(task, task_run, state):
        asked.append((task.name, task_run.name, state.name))
        if condition == "raises":
            raise RuntimeError("broken condition")
        return condition

    fn = says_yes if condition == "async" else says
    fragile = task(retries=2, retry_condition_fn=fn)(fail.fn)

    async def calls():
        return (await fragile(return_state=True)).name

    assert await in_flow(calls) == "Failed"
    run = (await books.task_runs())["fail-0"]
    assert (run.attempt, run.state.details.retriable) == (attempts, attempts == 3)
    if condition is True:
        assert asked == [("fail", "fail-0", "Failed")] * 3


@pytest.mark.behaviour("TO-13")
async def test_an_exception_fails_the_task_and_says_so(books):
    async def calls():
        return str(await fail("gone", return_state=True))

    told = "Failed('Task run encountered an exception ValueError: gone')"
    assert await in_flow(calls) == told
    assert await books.task_states() == {"fail-0": told}


@pytest.mark.behaviour("TO-14", "TM-05")
@pytest.mark.promise("P11")
async def test_a_task_that_takes_too_long_has_timed_out(books, autojump_clock):
    @task(timeout_seconds=1)
    async def sleeps():
        await trio.sleep(60)

    async def calls():
        state = await sleeps(return_state=True)
        with pytest.raises(TimeoutError, match=r"^Task run exceeded timeout of 1 seconds$") as raised:
            result_of(state)
        assert isinstance(raised.value.__cause__, trio.Cancelled)
        return state.name, state.message, trio.current_time()

    assert await in_flow(calls) == ("TimedOut", "Task run exceeded timeout of 1 seconds", 1)


@pytest.mark.behaviour("TO-14", "TO-12")
async def test_a_task_that_its_caller_cancels_has_crashed_and_the_flow_goes_on(books, autojump_clock):
    @task
    async def sleeps():
        await trio.sleep(60)

    async def calls():
        with trio.move_on_after(1):
            await sleeps()

    assert (await flow(calls)(return_state=True)).name == "Completed"
    assert await books.task_states() == {
        "sleeps-0": "Crashed('Execution was cancelled by the runtime environment.')"
    }


async def test_the_result_of_a_cancelled_call_is_an_error_and_no_cancellation(client, autojump_clock):
    futures = []

    @task
    async def sleeps():
        await trio.sleep(60)

    @flow(timeout_seconds=1)
    async def calls():
        futures.append(sleeps.submit())

    await calls(return_state=True)

    with pytest.raises(CrashedRun, match=r"^Execution was cancelled by the runtime environment\.$"):
        await futures[0]


@pytest.mark.behaviour("TO-12")
async def test_a_tasks_time_is_its_own(books, autojump_clock):
    @task(timeout_seconds=2)
    async def sleeps(seconds):
        await trio.sleep(seconds)
        return seconds

    async def calls():
        futures = [sleeps.submit(1), sleeps.submit(3), sleeps.submit(1.5)]
        return [(await future.wait()).name for future in futures]

    assert await in_flow(calls) == ["Completed", "TimedOut", "Completed"]


@pytest.mark.parametrize("option", ["cache_key_fn", "task_run_name"])
async def test_an_exception_in_what_comes_before_the_call_fails_the_task(books, option):
    def broken(*_):
        raise RuntimeError(f"broken {option}")

    async def calls():
        with pytest.raises(RuntimeError, match=f"broken {option}"):
            await add.with_options(**{option: broken})(1, 2)

    await in_flow(calls)

    message = f"Failed('Task run encountered an exception RuntimeError: broken {option}')"
    assert await books.task_states() == {"add-0": message}


@pytest.mark.behaviour("TO-11", "NM-01")
async def test_a_custom_name_is_given_once(books, autojump_clock):
    named = []

    def name():
        named.append("named")
        return "my-name"

    async def calls():
        await task(retries=1, task_run_name=name)(flaky(1))()
        await add.with_options(task_run_name="{x} and {y}")(1, 2)

    await in_flow(calls)

    assert set(await books.task_runs()) == {"my-name", "1 and 2"}
    assert named == ["named"]


@pytest.mark.behaviour("TO-17", "HK-01", "HK-02")
async def test_hooks_are_called_for_the_state_that_was_answered(client):
    called = []

    def hook(task, task_run, state):
        called.append((task.name, task_run.name, state.name))

    async def async_hook(task, task_run, state):
        called.append("async")

    async def calls():
        hooks = {"on_completion": [hook, async_hook], "on_failure": [hook]}
        await task(retries=1, **hooks)(flaky(1))()
        await task(name="other", **hooks)(flaky(1))(return_state=True)

    with pytest.raises(ValueError, match="try 1"):
        await in_flow(calls)

    assert called == [("tries", "tries-0", "Completed"), "async", ("other", "other-1", "Failed")]


@pytest.mark.behaviour("TO-19")
async def test_a_task_says_how_it_finished_and_its_logger_is_its_own(books, caplog):
    @task
    async def talks():
        get_run_logger().info("at work")

    async def calls():
        await talks()
        await fail(return_state=True)

    await flow(calls)(return_state=True)

    told = [
        (r.task_run_name, r.levelname, r.getMessage())
        for r in caplog.records
        if r.name == "trioflow.task_runs"
    ]
    assert told == [
        ("talks-0", "INFO", "at work"),
        ("talks-0", "INFO", "Finished in state Completed()"),
        ("fail-0", "ERROR", "Encountered exception during execution:"),
        ("fail-0", "ERROR", "Finished in state Failed('Task run encountered an exception ValueError: no')"),
    ]


# --- refusals


@pytest.mark.behaviour("TA-16")
async def test_an_abort_stays_with_the_task(books, client, caplog):
    """A limit of 0 is final: the task is never run, and the flow is told the state that it stays in."""
    await client.call(SET_CONCURRENCY_LIMIT, SetConcurrencyLimit(tag="closed", limit=0))

    async def calls():
        with tags("closed"):
            return (await add(1, 2, return_state=True)).type.value

    assert await in_flow(calls) == "PENDING"
    run = (await books.task_runs())["add-0"]
    (warning,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert warning.startswith(f"Task run '{run.id}' received abort during orchestration: ")
    assert warning.endswith("Task run is in PENDING state.")


@pytest.mark.behaviour("TA-16")
async def test_a_run_that_is_over_already_is_not_ended_again(books, client, caplog):
    @task
    async def overtaken():
        run = current_task_run()
        request = ProposeTaskRunState(
            run_id=run.id, state=Completed(message="by somebody else"), transition_id=clock.new_id(), epoch=1
        )
        await client.call(PROPOSE_TASK_RUN_STATE, request)
        raise KeyboardInterrupt

    async def calls():
        await overtaken()

    with pytest.raises(KeyboardInterrupt):
        await in_flow(calls)

    assert await books.task_states() == {"overtaken-0": "Completed('by somebody else')"}


@pytest.mark.behaviour("OR-12")
async def test_a_task_waits_for_a_slot_and_is_woken_when_one_is_free(client, autojump_clock):
    await client.call(SET_CONCURRENCY_LIMIT, SetConcurrencyLimit(tag="narrow", limit=2))

    @task(tags=["narrow"])
    async def slow():
        await trio.sleep(1)

    async def submits():
        for _ in range(6):
            slow.submit()

    await in_flow(submits)

    assert trio.current_time() == 3
