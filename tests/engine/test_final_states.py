"""Final states: what a function returns, and what became of all that it started, decide how its run ends."""

from __future__ import annotations

import pytest
import trio

from trioflow import (
    Cancelled,
    Completed,
    Failed,
    allow_failure,
    flow,
    result_of,
    task,
)
from trioflow.core.states import StateType
from trioflow.engine.results import Raised
from trioflow.errors import FailedRun, NotSerializable


@task
async def give(x=1):
    return x


@task
async def fail(message="no"):
    raise ValueError(message)


@flow
async def sub_gives():
    return 1


@flow
async def sub_fails():
    raise ValueError("sub")


async def ended(function, **options):
    """How a flow made of this function ends."""
    return await flow(**options)(function)(return_state=True)


# --- nothing returned


@pytest.mark.behaviour("FO-13")
async def test_a_flow_that_started_nothing_and_returns_nothing_is_completed_with_none(client):
    async def nothing():
        pass

    state = await ended(nothing)

    assert (str(state), result_of(state)) == ("Completed()", None)


@pytest.mark.behaviour("FO-13", "ST-08")
async def test_with_nothing_returned_all_completed_children_complete_the_flow(client):
    async def starts():
        give.submit()
        await give()
        await sub_gives()

    state = await ended(starts)

    assert (str(state), result_of(state)) == ("Completed('All states completed.')", None)


@pytest.mark.behaviour("FO-13", "ST-08")
async def test_with_nothing_returned_a_failed_task_that_nobody_awaited_fails_the_flow(client):
    async def starts():
        give.submit()
        fail.submit("lost")

    state = await ended(starts)

    assert str(state) == "Failed('1/2 states failed.')"
    with pytest.raises(ValueError, match=r"^lost$"):
        result_of(state)


@pytest.mark.behaviour("FO-13", "SF-10", "SF-11")
async def test_with_nothing_returned_a_subflow_whose_state_was_only_taken_fails_the_flow(client):
    async def starts():
        await sub_fails(return_state=True)
        await sub_gives()

    assert str(await ended(starts)) == "Failed('1/2 states failed.')"


@pytest.mark.behaviour("FO-13", "IN-04", "ST-08")
async def test_a_task_that_waits_for_a_failed_one_is_not_final_and_fails_the_flow(books):
    async def starts():
        give.submit(fail.submit())

    state = await ended(starts)

    assert str(state) == "Failed('1/2 states are not final.')"
    (message,) = [text for name, text in (await books.task_states()).items() if name == "give-0"]
    failed = (await books.task_runs())["fail-0"].id
    assert message == f"NotReady(\"Upstream task run '{failed}' did not reach a 'COMPLETED' state.\")"


async def test_a_failure_that_was_raised_into_the_flow_and_dealt_with_is_no_failure_of_the_flow(client):
    async def deals_with_it():
        with pytest.raises(ValueError, match="direct"):
            await fail("direct")
        with pytest.raises(ValueError, match="later"):
            await fail.submit("later")
        with pytest.raises(ValueError, match="sub"):
            await sub_fails()

    assert str(await ended(deals_with_it)) == "Completed()"


@pytest.mark.behaviour("IN-03")
async def test_a_failure_that_is_allowed_is_no_failure_of_the_flow(client):
    got = []

    @task
    async def takes(x, ys):
        got.append((x, ys))

    async def allows():
        failed = fail.submit("allowed")
        await takes.submit(allow_failure(failed), allow_failure([failed, 1]))

    assert str(await ended(allows)) == "Completed('All states completed.')"
    ((x, ys),) = got
    assert (str(x), ys) == ("allowed", [x, 1])


# --- a value returned


async def test_a_returned_value_does_not_hide_a_failure_that_nobody_looked_at(client):
    async def hides():
        fail.submit("hidden")
        return 5

    state = await ended(hides)

    assert str(state) == "Failed('1/1 states failed.')"
    with pytest.raises(ValueError, match=r"^hidden$"):
        result_of(state)


async def test_a_returned_value_completes_a_flow_that_looked_at_what_failed(client):
    async def looks():
        state = await fail(return_state=True)
        other = fail.submit()
        await other.wait()
        return state.name

    state = await ended(looks)

    assert (str(state), result_of(state)) == ("Completed()", "Failed")


# --- states and futures returned


@pytest.mark.behaviour("ST-07")
async def test_a_state_made_by_hand_is_meant_as_it_is(client):
    async def completed():
        fail.submit()
        return Completed(message="well done", data=[1])

    async def failed():
        return Failed(message="I say so")

    async def failed_with():
        return Failed(message="I say so", data=KeyError("k"))

    async def cancelled():
        return Cancelled(message="not needed")

    well = await ended(completed)
    assert (str(well), result_of(well)) == ("Completed('well done')", [1])
    badly = await ended(failed)
    assert str(badly) == "Failed('I say so')"
    with pytest.raises(FailedRun, match=r"^I say so$"):
        result_of(badly)
    with pytest.raises(KeyError):
        result_of(await ended(failed_with))
    assert str(await ended(cancelled)) == "Cancelled('not needed')"


@pytest.mark.behaviour("FO-14", "ST-07")
@pytest.mark.parametrize("collection", [list, tuple, set])
async def test_returned_futures_stand_for_their_states_and_then_for_their_values(client, collection):
    async def returns():
        return collection([give.submit(1), give.submit(2)])

    state = await ended(returns)

    assert (str(state), result_of(state)) == ("Completed('All states completed.')", collection([1, 2]))


@pytest.mark.behaviour("FO-14", "ST-07")
async def test_one_returned_future_or_state_decides_too(client):
    async def future():
        return give.submit(3)

    async def state():
        return await fail("mine", return_state=True)

    assert result_of(await ended(future)) == 3
    assert str(await ended(state)) == "Failed('1/1 states failed.')"


@pytest.mark.behaviour("FO-14", "ST-08", "ST-10")
async def test_a_failed_one_among_returned_futures_fails_the_flow_with_its_exception(client):
    async def returns():
        return [give.submit(), fail.submit("first"), fail.submit("second")]

    state = await ended(returns)

    assert str(state) == "Failed('2/3 states failed.')"
    with pytest.raises(ValueError, match=r"^first$"):
        result_of(state)


async def test_returned_futures_do_not_hide_another_one_that_failed(client):
    async def returns():
        fail.submit("hidden")
        return [give.submit()]

    assert str(await ended(returns)) == "Failed('1/2 states failed.')"


async def test_futures_within_other_data_are_replaced_by_their_values(client):
    async def returns():
        return {"answer": give.submit(42), "constant": 1}

    async def breaks():
        return {"answer": fail.submit(), "constant": 1}

    state = await ended(returns)
    assert (str(state), result_of(state)) == ("Completed()", {"answer": 42, "constant": 1})
    assert str(await ended(breaks)) == "Failed('1/1 states failed.')"


@pytest.mark.behaviour("ST-08")
async def test_a_cancelled_one_among_them_cancels_the_flow(client):
    @task
    async def gives_up():
        return Cancelled()

    async def returns():
        return [give.submit(), gives_up.submit(), fail.submit()]

    state = await ended(returns)

    assert (state.type, state.message) == (StateType.CANCELLED, "1/3 states cancelled.")


@pytest.mark.behaviour("ST-07")
async def test_a_generator_is_made_a_list(client):
    async def counts():
        return (x * x for x in range(3))

    @task
    async def task_counts():
        return (x * x for x in range(3))

    assert result_of(await ended(counts)) == [0, 1, 4]
    assert await task_counts() == [0, 1, 4]


@pytest.mark.behaviour("ST-07")
async def test_a_task_may_say_its_state_too(books):
    @task
    async def says():
        return Failed(message="not today")

    @flow
    async def asks():
        return str(await says(return_state=True))

    assert await asks() == "Failed('not today')"
    assert await books.task_states() == {"says-0": "Failed('not today')"}


# --- recording


@pytest.mark.behaviour("FO-16")
async def test_the_store_gets_the_recorded_result_and_the_caller_the_value_itself(books):
    made = {"a": [1, 2]}

    async def returns():
        return made

    state = await ended(returns)

    assert result_of(state) is made
    recorded = (await books.flow_run()).state.data
    assert (recorded.serializer, recorded.inline) == ("json", '{"a":[1,2]}')


async def test_a_result_that_cannot_be_recorded_fails_the_run_and_is_not_retried(books, autojump_clock):
    @task(retries=3)
    async def opens():
        return object()

    async def calls():
        await opens()

    with pytest.raises(NotSerializable, match="persist_result=False"):
        result_of(await ended(calls))

    (run,) = (await books.task_runs()).values()
    assert (run.state.name, run.attempt, run.state.details.retriable) == ("Failed", 1, False)


async def test_a_result_that_is_not_to_be_kept_may_be_anything(books):
    @task(persist_result=False)
    async def opens():
        return here

    here = object()

    async def calls():
        return await opens() is here

    assert result_of(await ended(calls)) is True
    assert (await books.task_runs())["opens-0"].state.data is None


async def test_an_exception_is_recorded_as_text(books):
    state = await ended(fail.fn)

    assert isinstance(state.data, Raised)
    assert '"message":"no"' in (await books.flow_run()).state.data.inline


async def test_a_large_result_is_recorded_in_a_file(books, home):
    text = "x" * 100_000

    @task
    async def large():
        return text

    async def calls():
        return len(await large())

    assert result_of(await ended(calls)) == 100_000
    recorded = (await books.task_runs())["large-0"].state.data
    assert (home / "results" / recorded.reference).exists()


# --- what was started, nested


@pytest.mark.promise("P7")
async def test_no_run_in_a_tree_ends_before_what_it_started(books, autojump_clock):
    @task
    async def leaf(seconds):
        await trio.sleep(seconds)

    @task
    async def branch():
        leaf.submit(7)

    @flow
    async def inner():
        branch.submit()

    @flow
    async def outer():
        inner.submit()
        await branch()

    await outer()

    flow_runs = {run.id: run for run in await books.flow_runs()}
    task_runs = (await books.task_runs()).values()
    assert {run.state.type for run in (*flow_runs.values(), *task_runs)} == {StateType.COMPLETED}
    assert [run.name for run in task_runs if run.times.ended > flow_runs[run.flow_run_id].times.ended] == []
    assert trio.current_time() == 7
