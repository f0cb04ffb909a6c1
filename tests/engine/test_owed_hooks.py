"""Hooks that are owed: an engine that has called them says so; one may be told to call them for another's run."""

from __future__ import annotations

import shutil

import pytest
import trio

from tests.engine.children import claimed
from trioflow import clock, flow
from trioflow.core.states import Crashed, Running, Scheduled, StateType
from trioflow.engine.served import Claimed, serve_hooks, serve_run
from trioflow.processes import this_process
from trioflow.wire import endpoints, requests


@pytest.fixture
def told():
    return []


@pytest.fixture
def main(told):
    """A flow that tells of each of its ends."""

    async def tell(flow, flow_run, state):
        told.append((state.name, flow_run.state.name))

    @flow(on_completion=[tell], on_failure=[tell], on_crashed=[tell], on_cancellation=[tell])
    async def main(end: str = "well"):
        if end == "badly":
            raise ValueError(end)

    return main


@pytest.fixture
async def deployment(client):
    request = requests.ApplyDeployment(
        id=clock.new_id(), flow_name="main", name="nightly", entrypoint="flows.py:main"
    )
    return await client.call(endpoints.APPLY_DEPLOYMENT, request)


async def owed(client, deployment):
    """What is owed for runs of the deployment: states, by name, and how often somebody set out to tell of them."""
    request = requests.TakeOwedHooks(owner=this_process(), deployment_ids=frozenset({deployment.id}))
    answer = await client.call(endpoints.TAKE_OWED_HOOKS, request)
    return [(item.state.name, item.version, item.tries) for item in answer.items]


async def serve(client, run, flow):
    return await serve_run(client, Claimed(run_id=run.id, epoch=run.epoch, entrypoint="-"), lambda _: flow)


async def call_hooks(client, run, version, flow):
    await serve_hooks(
        client, Claimed(run_id=run.id, epoch=run.epoch, entrypoint="-"), version, lambda _: flow
    )


async def crashed(books, deployment):
    """A run that its process left behind RUNNING, and that is CRASHED now."""
    run = await claimed(books, deployment_id=deployment.id, hooked=frozenset({StateType.CRASHED}))
    await books.propose(run, Running(), epoch=run.epoch)
    request = requests.CloseFlowRun(
        run_id=run.id, epoch=run.epoch, state=Crashed(message="It was killed."), transition_id=clock.new_id()
    )
    await books.client.call(endpoints.CLOSE_FLOW_RUN, request)
    return run


# --- by the engine that ended the run


@pytest.mark.behaviour("HK-06")
@pytest.mark.parametrize(("end", "name"), [("well", "Completed"), ("badly", "Failed")])
async def test_an_engine_that_has_called_them_settles_them(books, deployment, main, end, name):
    run = await claimed(books, deployment_id=deployment.id, parameters={"end": end})

    state = await serve(books.client, run, main)

    assert state.name == name
    assert await owed(books.client, deployment) == []


@pytest.mark.behaviour("HK-06")
async def test_a_run_in_the_programs_own_process_settles_them_too(client, main, told):
    await main()

    assert told == [("Completed", "Completed")]
    assert client.asked.count("settle_hooks") == 1


@pytest.mark.behaviour("HK-06")
async def test_parameters_that_do_not_fit_are_told_of_once(client, main, told):
    await main(end=[], return_state=True)

    assert told == [("Failed", "Failed")]
    assert client.asked.count("settle_hooks") == 1


async def test_an_engine_that_owes_nothing_settles_nothing(client):
    @flow
    async def quiet():
        pass

    await quiet()

    assert "settle_hooks" not in client.asked


@pytest.mark.behaviour("HK-06")
async def test_hooks_that_are_interrupted_are_not_called_once_more(client, told):
    async def interrupts(flow, flow_run, state):
        told.append(state.name)
        raise KeyboardInterrupt

    @flow(on_completion=[interrupts], on_crashed=[interrupts])
    async def main():
        pass

    with pytest.raises(KeyboardInterrupt):
        await main()

    assert told == ["Completed"]


# --- by a process that is started for them


@pytest.mark.behaviour("HK-06")
@pytest.mark.promise("P10")
async def test_they_are_called_for_a_run_whose_process_was_killed(books, deployment, main, told):
    run = await crashed(books, deployment)
    before = await owed(books.client, deployment)

    await call_hooks(books.client, run, 3, main)

    assert before == [("Crashed", 3, 1)]
    assert told == [("Crashed", "Crashed")]
    assert await owed(books.client, deployment) == []
    assert [line for line in await books.said() if "hook" in line.lower()] == [
        "Running hook 'tell' in response to entering state 'Crashed'",
        "Hook 'tell' finished running successfully",
    ]


async def test_a_result_that_is_lost_keeps_them_from_nothing(books, home, told):
    async def tell(flow, flow_run, state):
        told.append(state.data)

    @flow(on_completion=[tell])
    async def main():
        return "long" * 10_000

    run = await claimed(books)
    await serve(books.client, run, main)
    shutil.rmtree(home / "results")

    await call_hooks(books.client, run, 3, main)

    assert told[1] is None


async def test_they_are_told_of_the_state_that_they_are_owed_for(books, deployment, main, told):
    run = await crashed(books, deployment)
    await books.propose(run, Scheduled(clock.now()), rerun=True)

    await call_hooks(books.client, run, 3, main)

    assert told == [("Crashed", "Scheduled")]


async def test_a_state_that_the_run_is_in_still_has_its_data(books):
    raised = []

    async def hook(flow, flow_run, state):
        raised.append(repr(state.data.exception))

    @flow(on_failure=[hook])
    async def main():
        raise ValueError("broken")

    run = await claimed(books)
    await serve(books.client, run, main)

    await call_hooks(books.client, run, 3, main)

    assert raised == ["ValueError('broken')", "FailedRun('ValueError: broken')"]


@pytest.mark.promise("P10")
async def test_hooks_that_are_cut_short_are_owed_still(books, deployment, autojump_clock):
    async def hangs(flow, flow_run, state):
        await trio.sleep_forever()

    @flow(on_crashed=[hangs])
    async def main():
        pass

    run = await crashed(books, deployment)
    await owed(books.client, deployment)

    with trio.move_on_after(1):
        await call_hooks(books.client, run, 3, main)

    assert await owed(books.client, deployment) == [("Crashed", 3, 2)]


@pytest.mark.promise("P10")
async def test_a_hook_that_hangs_or_raises_has_been_called(books, deployment, autojump_clock):
    async def hangs(flow, flow_run, state):
        await trio.sleep_forever()

    async def breaks(flow, flow_run, state):
        raise ValueError

    @flow(on_crashed=[hangs, breaks])
    async def main():
        pass

    run = await crashed(books, deployment)
    await owed(books.client, deployment)

    await call_hooks(books.client, run, 3, main)

    assert await owed(books.client, deployment) == []
