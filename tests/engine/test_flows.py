"""Flows: what a call of one means, and how its run ends."""

from __future__ import annotations

import pytest
import trio

from trioflow import State, current_flow_run, flow, get_run_logger, result_of, task
from trioflow.core.states import StateType
from trioflow.errors import InvalidReturnState, NotASubflow, ParameterError, WrongColour
from trioflow.settings import Settings, use_settings


@task
async def add(x, y):
    return x + y


@task
async def fails(message="no"):
    raise ValueError(message)


@flow
async def double(x: int) -> int:
    return 2 * x


@flow
async def breaks():
    raise ValueError("broken")


@pytest.mark.behaviour("FL-01", "FL-16")
async def test_a_call_outside_of_any_run_is_a_root_run_and_gives_its_result(books):
    assert await double(21) == 42

    run = await books.flow_run()
    assert (run.state.type, run.parameters, run.attempt, run.epoch) == (StateType.COMPLETED, {"x": 21}, 1, 1)
    assert await books.history(run.id) == ["Pending", "Running", "Completed"]


@pytest.mark.behaviour("FL-16")
async def test_return_state_gives_the_final_state(books):
    state = await double(21, return_state=True)

    assert isinstance(state, State)
    assert (state.name, result_of(state)) == ("Completed", 42)


@pytest.mark.behaviour("FL-16")
async def test_return_state_gives_the_state_of_a_failed_run_and_raises_nothing(books):
    state = await breaks(return_state=True)

    assert str(state) == "Failed('Flow run encountered an exception. ValueError: broken')"


@pytest.mark.behaviour("FL-16")
async def test_an_exception_reaches_the_caller_as_itself(books):
    with pytest.raises(ValueError, match=r"^broken$") as raised:
        await breaks()

    assert raised.value.__context__ is None


@pytest.mark.behaviour("FL-16", "TA-06")
@pytest.mark.parametrize(("call", "kind"), [(double, "flow"), (add, "task")])
async def test_any_other_return_kind_is_refused(client, call, kind):
    with pytest.raises(InvalidReturnState, match=f"^Invalid return type for {kind} engine 'maybe'.$"):
        await call(1, return_state="maybe")


@pytest.mark.behaviour("FL-07")
async def test_a_root_flow_cannot_wait_for_others(client):
    with pytest.raises(
        NotASubflow, match=r"^Only flows run as subflows can wait for dependencies\.$"
    ) as raised:
        await double(1, wait_for=[])

    assert isinstance(raised.value, ValueError)


async def test_arguments_that_do_not_fit_the_function_are_told_at_once_and_leave_no_run(books):
    with pytest.raises(
        ParameterError, match=r"^flow 'double' takes \(x\): missing a required argument: 'x'$"
    ):
        await double()

    assert await books.flow_runs() == []


@pytest.mark.parametrize("call", [double, add])
def test_an_async_call_where_nothing_can_await_it_names_the_right_one(call):
    with pytest.raises(WrongColour, match=rf"start it with trio.run\({call.name}, ...\)"):
        call(1, 2)


def test_trio_run_takes_a_flow(home):
    assert trio.run(double, 21) == 42


# --- parameters


@flow
async def total(xs: list[int], scale: float = 1.0) -> list[object]:
    return [xs, scale, current_flow_run().parameters]


@pytest.mark.behaviour("FL-10")
async def test_validated_parameters_reach_the_function_and_the_stored_run(books):
    xs, scale, _ = await total(["1", 2.0], scale=2)

    assert (xs, type(scale)) == ([1, 2], float)
    assert (await books.flow_run()).parameters == {"xs": [1, 2], "scale": 2.0}


@pytest.mark.behaviour("FL-13")
async def test_without_validation_the_raw_parameters_pass(books):
    xs, scale, _ = await total.with_options(validate_parameters=False)(["1", 2.0], scale="x")

    assert (xs, scale) == (["1", 2.0], "x")
    assert (await books.flow_run()).parameters == {"xs": ["1", 2.0], "scale": "x"}


@pytest.mark.behaviour("FL-11", "FL-12")
async def test_invalid_parameters_make_a_failed_run_that_never_calls_the_function(books):
    hooked = []

    @flow(on_failure=[lambda flow, flow_run, state: hooked.append((flow_run.name, state.name))])
    async def doubles(x: int):
        raise AssertionError("called")

    state = await doubles("one", return_state=True)

    run = await books.flow_run()
    message = "Validation of flow parameters failed with error: x: 'one' is not int"
    assert (state.name, state.message) == ("Failed", message)
    assert await books.history(run.id) == ["Failed"]
    assert hooked == [(run.name, "Failed")]
    told = await books.said()
    assert message in told
    assert f"Flow run '{run.name}' received invalid parameters and is marked as failed." in told
    with pytest.raises(ParameterError, match="x: 'one' is not int"):
        result_of(state)


async def test_a_parameter_that_json_cannot_bring_back_is_passed_and_not_stored(books):
    @flow
    async def takes(thing, count: int):
        return thing is here, count

    here = object()

    assert await takes(here, 3) == (True, 3)
    assert (await books.flow_run()).parameters == {"count": 3}


# --- what is said


@pytest.mark.behaviour("FL-14", "FL-23", "FL-24")
async def test_a_run_says_that_it_was_created_and_how_it_finished_and_all_is_stored_when_the_call_returns(
    books,
):
    @flow
    async def talks():
        get_run_logger().info("at work")

    await talks()

    name = (await books.flow_run()).name
    assert await books.said() == [
        f"Created flow run '{name}' for flow 'talks'",
        "at work",
        "Finished in state Completed()",
    ]


@pytest.mark.behaviour("FL-23", "FO-09")
async def test_a_failure_is_told_at_error_with_its_traceback(books, caplog):
    with pytest.raises(ValueError, match="broken"):
        await breaks()

    message = "Flow run encountered an exception. ValueError: broken"
    assert (await books.flow_run()).state.message == message
    errors = [record for record in caplog.records if record.levelname == "ERROR"]
    assert [record.getMessage() for record in errors] == [
        "Encountered exception during execution:",
        f"Finished in state Failed({message!r})",
    ]
    assert 'raise ValueError("broken")' in "\n".join(await books.said())


@pytest.mark.behaviour("FL-23")
async def test_in_debug_mode_a_run_says_its_final_state_in_full(books, home):
    with use_settings(Settings(home=home, debug=True)):
        await double(1)

    assert (await books.said())[-1].startswith("Finished in state State(type=<StateType.COMPLETED")


@pytest.mark.behaviour("FL-15")
async def test_where_the_run_can_be_viewed_is_said_and_not_stored(books, home, caplog):
    with use_settings(Settings(home=home, ui_url="http://localhost:4200")):
        await double(1)

    line = f"View at http://localhost:4200/flow-runs/flow-run/{(await books.flow_run()).id}"
    assert line in caplog.messages
    assert line not in await books.said()


# --- ends


@pytest.mark.behaviour("FL-21", "FO-15")
@pytest.mark.promise("P7")
@pytest.mark.parametrize("raises", [False, True])
async def test_a_run_ends_after_everything_that_it_started(books, autojump_clock, raises):
    log = []

    @task
    async def slow():
        await trio.sleep(5)
        log.append("task ends")

    @flow
    async def leaves_early():
        slow.submit()
        if raises:
            raise ValueError

    state = await leaves_early(return_state=True)
    log.append("flow ends")

    assert log == ["task ends", "flow ends"]
    assert state.name == ("Failed" if raises else "Completed")
    (slow_run,) = (await books.task_runs()).values()
    run = await books.flow_run()
    assert slow_run.times.ended <= run.times.ended


@pytest.mark.behaviour("FL-02", "FO-21", "SF-10")
async def test_a_call_inside_a_flow_run_is_a_subflow(books):
    @flow
    async def outer():
        return await double(4)

    assert await outer() == 8

    outer_run, child = await books.flow_runs()
    (mirror,) = (await books.task_runs()).values()
    assert (child.root_id, child.parent_task_run_id) == (outer_run.id, mirror.id)
    assert (mirror.name, mirror.state.type) == ("double-0", StateType.COMPLETED)


async def test_one_flow_may_run_many_times_at_once(books, autojump_clock):
    @flow
    async def sleeps(x):
        await add(x, 1)
        await trio.sleep(1)
        return x

    results = []

    async def run(x):
        results.append(await sleeps(x))

    async with trio.open_nursery() as nursery:
        for x in range(5):
            nursery.start_soon(run, x)

    assert (sorted(results), trio.current_time()) == (list(range(5)), 1)
    assert {run.state.type for run in await books.flow_runs()} == {StateType.COMPLETED}
