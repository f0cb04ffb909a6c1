"""Flow runs: the order of what is proposed, called, logged and hooked, through retries and waits."""

from __future__ import annotations

import pytest
import trio

from trioflow import clock, current_flow_run, flow, result_of, task
from trioflow.core.leases import Owner
from trioflow.core.states import Completed, Crashed, StateType
from trioflow.engine.call import FlowTimedOut
from trioflow.errors import RunAborted
from trioflow.settings import Settings, use_settings
from trioflow.wire.endpoints import CLAIM_FLOW_RUN
from trioflow.wire.requests import ClaimFlowRun

ELSEWHERE = Owner(host="another host", pid=1, started=1)


def flaky(failures):
    """A function that raises so many times, and tells the attempt it is called in."""
    attempts = []

    async def tries():
        attempts.append(current_flow_run().attempt)
        if len(attempts) <= failures:
            raise ValueError(f"try {len(attempts)}")
        return attempts

    return tries


@pytest.mark.behaviour("FO-03", "FO-05", "FO-19", "RT-01", "RT-05")
async def test_a_flow_with_retries_is_called_again_after_its_delay(books, autojump_clock):
    attempts = await flow(retries=2, retry_delay_seconds=[10, 20])(flaky(2))()

    run = await books.flow_run()
    assert attempts == [1, 2, 3]
    assert trio.current_time() == 30
    assert await books.history(run.id) == [
        "Pending",
        "Running",
        "AwaitingRetry",
        "Running",
        "AwaitingRetry",
        "Running",
        "Completed",
    ]
    again = (
        "Received non-final state 'AwaitingRetry' when proposing final state 'Failed' and will attempt to "
    )
    assert (await books.said()).count(f"{again}run again...") == 2


@pytest.mark.behaviour("RT-01")
async def test_a_flow_that_has_used_up_its_retries_fails(books, autojump_clock):
    state = await flow(retries=1)(flaky(2))(return_state=True)

    assert state.message == "Flow run encountered an exception. ValueError: try 2"
    assert (await books.flow_run()).attempt == 2


@pytest.mark.behaviour("FO-04", "FO-18")
async def test_hooks_see_the_returned_state_and_retries_call_none(client):
    called = []

    def hook(flow, flow_run, state):
        called.append((flow.name, flow_run.state.name, state.name))

    hooks = {name: [hook] for name in ("on_running", "on_completion", "on_failure")}

    await flow(retries=1, **hooks)(flaky(1))()
    with pytest.raises(ValueError, match="try 1"):
        await flow(**hooks)(flaky(1))()

    assert called == [
        ("tries", "Running", "Running"),
        ("tries", "Completed", "Completed"),
        ("tries", "Running", "Running"),
        ("tries", "Failed", "Failed"),
    ]


@pytest.mark.behaviour("FO-03", "FO-17", "FO-18")
async def test_a_run_that_somebody_ended_before_it_began_is_not_called(books):
    """FO-17: the state that the orchestrator answers is the run's, and the hooks see that one."""
    hooked = []

    @flow(on_completion=[lambda flow, flow_run, state: hooked.append(state.message)])
    async def overtaken():
        run = current_flow_run()
        await books.propose(run, Completed(message="by an operator"), epoch=run.epoch)
        await trio.sleep_forever()

    state = await overtaken(return_state=True)

    assert (state.message, hooked) == ("by an operator", ["by an operator"])


@pytest.mark.behaviour("FO-06", "LG-01")
async def test_a_custom_name_is_given_once_however_often_the_flow_is_tried(books, autojump_clock):
    named = []

    def name():
        named.append("named")
        return "my-run"

    @flow(flow_run_name=name, retries=1)
    async def tries():
        if len(await books.history(current_flow_run().id)) < 4:
            raise ValueError
        return current_flow_run().name

    assert await tries() == "my-run"

    assert named == ["named"]
    assert (await books.flow_run()).name == "my-run"
    (renamed,) = [text for text in await books.said() if text.startswith("Renamed")]
    assert renamed.endswith("to 'my-run'")


@pytest.mark.behaviour("NM-01", "NM-02")
async def test_a_name_may_speak_of_the_parameters_and_a_wrong_one_fails_the_run(books):
    @flow(flow_run_name="import-{day}")
    async def imports(day: str):
        return current_flow_run().name

    assert await imports("monday") == "import-monday"

    with pytest.raises(TypeError, match="returned type int but a string is required"):
        await imports.with_options(flow_run_name=lambda: 5)("monday")
    assert (await books.flow_runs())[-1].state.name == "Failed"


@pytest.mark.behaviour("FO-07")
@pytest.mark.parametrize(
    ("debug", "line"), [(False, "Beginning execution..."), (True, "Executing add(1, y=2)")]
)
async def test_the_call_is_told_at_debug(books, home, caplog, debug, line):
    caplog.set_level("DEBUG", "trioflow")

    @flow
    async def add(x, *, y):
        return x + y

    with use_settings(Settings(home=home, debug=debug)):
        await add(1, y=2)

    told = [record.getMessage() for record in caplog.records if record.levelname == "DEBUG"]
    name = (await books.flow_run()).name
    begin = told.index(f"Executing flow 'add' for flow run '{name}'...")
    assert told[begin + 1] == line


@pytest.mark.behaviour("FO-20")
async def test_in_debug_mode_a_state_of_another_type_is_told_and_not_stored(books, home, caplog):
    caplog.set_level("DEBUG", "trioflow")

    with use_settings(Settings(home=home, debug=True, log_level=10)):
        await flow(retries=1)(flaky(1))()

    (line,) = [text for text in caplog.messages if text.startswith("Received new state")]
    message = "('Flow run encountered an exception. ValueError: try 1')"
    assert line == f"Received new state AwaitingRetry{message} when proposing final state Failed{message}"
    assert line not in await books.said()


# --- timeouts


@pytest.mark.behaviour("FO-10", "TM-01", "TM-05")
@pytest.mark.promise("P11")
async def test_a_flow_that_takes_too_long_has_timed_out(books, autojump_clock):
    @flow(timeout_seconds=1)
    async def sleeps():
        await trio.sleep(60)

    state = await sleeps(return_state=True)

    assert (state.type, state.name, state.message) == (
        StateType.FAILED,
        "TimedOut",
        "Flow run exceeded timeout of 1 seconds",
    )
    assert trio.current_time() == 1
    with pytest.raises(TimeoutError, match=r"^Flow run exceeded timeout of 1 seconds$") as raised:
        result_of(state)
    assert isinstance(raised.value.__cause__, trio.Cancelled)


@pytest.mark.behaviour("FO-10", "TM-05")
async def test_the_tasks_of_a_flow_count_towards_its_time_and_crash_when_it_is_over(books, autojump_clock):
    @task
    async def sleeps():
        await trio.sleep(60)

    @flow(timeout_seconds=1)
    async def submits():
        sleeps.submit()

    state = await submits(return_state=True)

    assert (state.name, trio.current_time()) == ("TimedOut", 1)
    assert await books.task_states() == {
        "sleeps-0": "Crashed('Execution was cancelled by the runtime environment.')"
    }


@pytest.mark.behaviour("TA-02", "TM-02")
async def test_no_task_begins_in_a_flow_whose_time_is_over(books, autojump_clock):
    @task
    async def cleans_up():
        raise AssertionError("called")

    refused = []

    @flow(timeout_seconds=1)
    async def holds_on():
        with trio.CancelScope(shield=True):
            await trio.sleep(2)
            for begin in (cleans_up, cleans_up.submit):
                try:
                    await begin()
                except TimeoutError as error:
                    refused.append(str(error))
            await cleans_up()

    state = await holds_on(return_state=True)

    assert refused == ["Flow run timed out"] * 2
    assert (state.name, state.message) == ("TimedOut", "Flow run exceeded timeout of 1 seconds")
    assert isinstance(state.data.exception.__cause__, FlowTimedOut)
    assert await books.task_runs() == {}


async def test_an_exception_raised_while_time_runs_out_is_the_outcome_and_comes_as_itself(
    client, autojump_clock
):
    async def breaks_late():
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("late")

    @flow(timeout_seconds=1)
    async def has_a_nursery():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            nursery.start_soon(breaks_late)

    with pytest.raises(ValueError, match=r"^late$"):
        await has_a_nursery()


@pytest.mark.behaviour("TM-05", "TA-02")
async def test_a_subflow_has_no_more_time_than_its_parent(books, autojump_clock):
    @flow(timeout_seconds=50)
    async def inner():
        await trio.sleep_forever()

    @flow(timeout_seconds=3)
    async def outer():
        await inner()

    state = await outer(return_state=True)

    assert (state.message, trio.current_time()) == ("Flow run exceeded timeout of 3 seconds", 3)
    outer_run, inner_run = await books.flow_runs()
    assert (outer_run.state.name, inner_run.state.type) == ("TimedOut", StateType.CRASHED)


async def test_the_time_of_a_flow_is_that_of_one_attempt(client, autojump_clock):
    calls = []

    @flow(timeout_seconds=2, retries=1, retry_delay_seconds=60)
    async def slow_at_first():
        calls.append(trio.current_time())
        await trio.sleep(100 if len(calls) == 1 else 1)

    assert await slow_at_first() is None

    assert calls == [0, 62]


# --- verdicts


@pytest.mark.behaviour("ST-05")
async def test_the_local_state_takes_id_and_timestamp_from_the_answer(books):
    @flow
    async def gives():
        return 1

    state = await gives(return_state=True)

    stored = (await books.flow_run()).state
    assert (state.id, state.timestamp) == (stored.id, stored.timestamp)


async def given_to_somebody_else(books):
    """Make another process the owner of the run around; shielded, so that no news of it comes in between."""
    with trio.CancelScope(shield=True):
        run = current_flow_run()
        await books.propose(run, Crashed(message="by whoever owned it"), epoch=run.epoch)
        claim = ClaimFlowRun(run_id=run.id, owner=ELSEWHERE, transition_id=clock.new_id(), rerun=True)
        await books.client.call(CLAIM_FLOW_RUN, claim)


async def test_a_run_that_another_process_took_over_is_given_up(books, autojump_clock):
    @flow
    async def loses_it():
        await given_to_somebody_else(books)
        await trio.sleep_forever()

    with pytest.raises(RunAborted, match="cannot go on here"):
        await loses_it()

    assert (await books.flow_run()).state.type is StateType.PENDING


async def test_a_task_in_a_run_that_another_process_took_over_ends_the_code_that_asked(books, autojump_clock):
    """Without news of it: the task's refusal is the first that this process hears."""
    went_on = []

    @task
    async def work():
        raise AssertionError("called")

    @flow
    async def loses_it():
        with trio.CancelScope(shield=True):  # Deaf to the change feed.
            await given_to_somebody_else(books)
            try:
                await work()
            except RunAborted:
                went_on.append("in the shield")
        await trio.lowlevel.checkpoint()
        went_on.append("after")

    with pytest.raises(RunAborted):
        await loses_it()

    assert went_on == ["in the shield"]
