"""Served runs, as a task: which flow is loaded, what the run is told of it, and what becomes of the run."""

from __future__ import annotations

from datetime import timedelta

import pytest
import trio

from tests.engine.children import claimed
from tests.engine.conftest import START, VirtualWorld
from trioflow import clock, flow
from trioflow.core.runs import RetryPolicy
from trioflow.core.states import Cancelling, Scheduled, StateType
from trioflow.engine.crashes import TERMINATED
from trioflow.engine.served import Claimed, serve_run
from trioflow.engine.sessions import CANCEL_REQUESTED
from trioflow.errors import EntrypointError, RunAborted, RunNotFound
from trioflow.processes import this_process
from trioflow.wire import endpoints, requests

HOUR = 3600.0


@pytest.fixture
def calls():
    return []


async def serve(client, run, flow, entrypoint="flows.py:main", epoch=None):
    """Serve the run as a runner's child does; the entry points that were loaded, and the state."""
    loaded = []

    def load(entrypoint):
        loaded.append(entrypoint)
        if isinstance(flow, Exception):
            raise flow
        return flow

    order = Claimed(run_id=run.id, epoch=run.epoch if epoch is None else epoch, entrypoint=entrypoint)
    return loaded, await serve_run(client, order, load)


# --- which flow


async def deployed(client, **fields):
    """A deployment of main, at deployed.py:main."""
    request = requests.ApplyDeployment(
        id=clock.new_id(), flow_name="main", name="nightly", entrypoint="deployed.py:main", **fields
    )
    return await client.call(endpoints.APPLY_DEPLOYMENT, request)


@pytest.mark.behaviour("SP-02")
async def test_the_flow_is_where_the_runner_says_or_else_its_deployment_or_else_the_run(books):
    @flow
    async def main():
        pass

    deployment = await deployed(books.client)
    loaded = [
        (await serve(books.client, run, main, entrypoint))[0]
        for entrypoint, run in [
            ("told.py:main", await claimed(books, deployment_id=deployment.id, entrypoint="own.py:main")),
            (None, await claimed(books, deployment_id=deployment.id, entrypoint="own.py:main")),
            (None, await claimed(books, entrypoint="own.py:main")),
        ]
    ]

    assert loaded == [["told.py:main"], ["deployed.py:main"], ["own.py:main"]]


@pytest.mark.behaviour("SP-02")
async def test_a_run_whose_deployment_was_deleted_knows_its_flow_itself(books):
    @flow
    async def main():
        pass

    deployment = await deployed(books.client)
    run = await claimed(books, deployment_id=deployment.id, entrypoint="own.py:main")
    await books.client.call(
        endpoints.DELETE_DEPLOYMENT, requests.DeleteDeployment(deployment_id=deployment.id)
    )

    loaded, _ = await serve(books.client, run, main, None)

    assert loaded == ["own.py:main"]


@pytest.mark.behaviour("SP-03")
@pytest.mark.parametrize("source", ["entrypoint", "deployment"])
async def test_a_flow_that_cannot_be_loaded_fails_the_run_which_is_not_tried_again(books, source):
    deployment = await deployed(books.client, retry=RetryPolicy(retries=3))
    run = await claimed(books, deployment_id=deployment.id, retry=RetryPolicy(retries=3))
    entrypoint = "flows.py:main" if source == "entrypoint" else None

    _, state = await serve(books.client, run, EntrypointError("there is no file flows.py"), entrypoint)

    assert str(state) == f"Failed('Flow could not be retrieved from {source}. there is no file flows.py')"
    assert await books.history(run.id) == ["Pending", "Failed"]
    assert (await books.said())[0].startswith(f"Flow could not be retrieved from {source}.\n")


# --- what the run is told


@pytest.mark.behaviour("SP-04")
async def test_the_run_has_what_the_flow_says_before_it_is_running(books):
    found = []

    def hook(flow, flow_run, state):
        """Nobody calls it."""

    async def looks(flow, flow_run, state):
        found.append(flow_run)

    @flow(
        retries=2,
        retry_delay_seconds=5,
        version="7",
        timeout_seconds=60,
        on_running=[looks],
        on_failure=[hook],
        on_crashed=[hook],
    )
    async def main():
        pass

    await serve(books.client, await claimed(books), main)

    (run,) = found
    assert run.state.type is StateType.RUNNING
    assert run.retry == RetryPolicy(retries=2, delays=(5.0,))
    assert (run.flow_version, run.timeout) == ("7", 60.0)
    assert run.hooked == {StateType.FAILED, StateType.CRASHED}


@pytest.mark.behaviour("SP-06")
async def test_defaults_are_filled_in_under_the_parameters_that_are_given(books, calls):
    @flow
    async def main(x: int, y: int = 2, z: int = 3):
        calls.append((x, y, z))

    _, state = await serve(books.client, await claimed(books, parameters={"x": "1", "z": 30}), main)

    assert (state.name, calls) == ("Completed", [(1, 2, 30)])


@pytest.mark.behaviour("SP-05")
@pytest.mark.parametrize(
    ("parameters", "why"),
    [
        ({"x": "seven"}, "x: "),
        ({}, "flow 'main' takes (x): x is missing"),
        ({"x": 1, "y": 2}, "flow 'main' takes (x): y is unknown"),
    ],
    ids=["value", "missing", "unknown"],
)
async def test_parameters_that_do_not_fit_fail_the_run_and_its_hooks_are_called(
    books, calls, parameters, why
):
    async def hook(flow, flow_run, state):
        calls.append(state.name)

    @flow(retries=3, on_failure=[hook])
    async def main(x: int):
        raise AssertionError

    run = await claimed(books, parameters=parameters)

    _, state = await serve(books.client, run, main)

    assert state.message.startswith(f"Validation of flow parameters failed with error: {why}")
    assert await books.history(run.id) == ["Pending", "Failed"]
    assert calls == ["Failed"]


# --- what becomes of it


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        (CANCEL_REQUESTED, "Cancelled('Cancelled; its clean-up has finished.')"),
        (TERMINATED, "Crashed('Execution was aborted by a termination signal.')"),
    ],
)
async def test_a_run_that_is_ended_before_it_has_begun_says_so(books, reason, said):
    @flow
    async def main():
        raise AssertionError

    run = await claimed(books)

    with trio.CancelScope() as scope:
        scope.cancel(reason)
        await serve(books.client, run, main)

    assert str((await books.flow_run()).state) == said


async def test_a_run_that_is_cancelling_already_is_cancelled_and_its_function_is_not_called(books):
    @flow
    async def main():
        raise AssertionError

    run = await claimed(books)
    await books.propose(run, Cancelling())

    _, state = await serve(books.client, run, main)

    assert str(state) == "Cancelled('Cancelled; its code was not called.')"


async def test_a_run_that_another_process_owns_is_not_touched(books):
    @flow
    async def main():
        raise AssertionError

    run = await claimed(books)

    with pytest.raises(RunAborted):
        await serve(books.client, run, main, epoch=run.epoch - 1)

    assert await books.history(run.id) == ["Pending"]


async def test_a_run_that_there_is_not_is_not_found(books):
    order = Claimed(run_id=clock.new_id(), epoch=1)

    with pytest.raises(RunNotFound):
        await serve_run(books.client, order)


async def test_a_failed_run_is_tried_again_in_the_same_process(books, autojump_clock):
    @flow(retries=2, retry_delay_seconds=600)
    async def main():
        raise ValueError

    run = await claimed(books)

    _, state = await serve(books.client, run, main)

    assert state.name == "Failed"
    assert await books.history(run.id) == [
        "Pending",
        *["Running", "AwaitingRetry", "Running", "AwaitingRetry", "Running", "Failed"],
    ]
    assert trio.current_time() == pytest.approx(1200, abs=1)


@pytest.mark.parametrize("early", [timedelta(hours=1), timedelta(seconds=1), timedelta(milliseconds=400)])
async def test_a_run_that_is_claimed_before_it_is_due_waits_for_its_time(books, autojump_clock, early):
    called_at = []

    @flow
    async def main():
        called_at.append(clock.now())

    await serve(books.client, await due(books, START + early), main)

    assert called_at == [START + early]


async def due(books, at):
    """A run that is due then, and was claimed before."""
    run = await claimed(books, state=Scheduled(at), owner=None, entrypoint="flows.py:main")
    claim = requests.ClaimFlowRun(run_id=run.id, owner=this_process(), transition_id=clock.new_id())
    return (await books.client.call(endpoints.CLAIM_FLOW_RUN, claim)).run


class SetForward(VirtualWorld):
    """After a minute somebody sets the wall clock forward by an hour."""

    def now(self):
        return super().now() + timedelta(seconds=HOUR if trio.current_time() > 60 else 0)


async def test_a_retry_is_waited_for_by_the_wall_clock(books, autojump_clock):
    called_at = []

    @flow(retries=1, retry_delay_seconds=2 * HOUR)
    async def main():
        called_at.append(trio.current_time())
        raise ValueError

    run = await claimed(books)

    with clock.use(SetForward()):
        await serve(books.client, run, main)

    assert called_at == pytest.approx([0, HOUR], abs=31)


async def test_the_time_that_a_run_is_due_is_waited_for_by_the_wall_clock(books, autojump_clock):
    called_at = []

    @flow
    async def main():
        called_at.append(trio.current_time())

    with clock.use(SetForward()):
        await serve(books.client, await due(books, START + timedelta(hours=2)), main)

    assert called_at == pytest.approx([HOUR], abs=31)
