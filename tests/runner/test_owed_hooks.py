"""Owed hooks: called in a process of their own, in time, at least once; whatever they do, no state changes."""

from __future__ import annotations

import pytest
import trio
from attrs import evolve

from tests.infrastructure.trees import alive
from tests.runner.conftest import Programs
from trioflow.core.states import StateType
from trioflow.processes import this_process
from trioflow.runner import child
from trioflow.runner.hooks import call_owed
from trioflow.wire import endpoints, requests

HOOKED = """
def tell(flow, flow_run, state):
    print("told of", flow_run.name, state.name)

@flow(on_crashed=[tell])
async def f():
    os.kill(os.getpid(), 9)
"""


@pytest.fixture
def owed(start, books):
    """Has a run of this code crash: what is owed then."""

    async def make(code):
        watched = await start(code, deployment_id=await books.deployed())
        assert (await watched.wait()).type is StateType.CRASHED
        return watched, await take(books, watched)

    return make


async def take(books, watched):
    deployments = frozenset({watched.run.deployment_id})
    request = requests.TakeOwedHooks(owner=this_process(), deployment_ids=deployments)
    return (await books.ask(endpoints.TAKE_OWED_HOOKS, request)).items


@pytest.mark.promise("P10")
@pytest.mark.behaviour("HK-06")
async def test_the_hooks_of_a_run_whose_process_was_killed_are_called_once_it_is_over(
    start, books, owed, place
):
    watched, (item,) = await owed(HOOKED)
    await call_owed(item, place, entrypoint=watched.entrypoint)

    assert await books.said(watched.run.id, "stdout") == ["told of brave-otter Crashed"]
    assert await take(books, watched) == ()
    assert (await books.run(watched.run.id)).state.type is StateType.CRASHED


BREAKS = HOOKED.replace('print("told of", flow_run.name, state.name)', "raise LookupError('the hook broke')")
DIES = HOOKED.replace('print("told of", flow_run.name, state.name)', "os._exit(3)")
HANGS = HOOKED.replace("def tell", "async def tell").replace(
    'print("told of", flow_run.name, state.name)', "time.sleep(60)"
)


@pytest.mark.promise("P10")
@pytest.mark.behaviour("HK-03")
async def test_a_hook_that_raises_has_been_called(books, owed, place):
    watched, (item,) = await owed(BREAKS)
    await call_owed(item, place, entrypoint=watched.entrypoint)

    assert any(
        "An error was encountered while running hook" in text for text in await books.said(watched.run.id)
    )
    assert await take(books, watched) == ()


@pytest.mark.promise("P10")
async def test_a_hook_that_takes_its_process_down_stays_owed_and_changes_nothing(books, owed, place):
    watched, (item,) = await owed(DIES)
    await call_owed(item, place, entrypoint=watched.entrypoint)

    assert "The process of the hooks exited with status code: 3." in await books.said(
        watched.run.id, "runner"
    )
    (again,) = await take(books, watched)
    assert (again.tries, again.state) == (item.tries + 1, item.state)
    assert (await books.run(watched.run.id)).state == item.state


@pytest.mark.promise("P10", "P6")
async def test_a_hook_that_blocks_its_process_is_ended_when_its_own_time_and_the_grace_are_over(
    books, owed, place
):
    watched, (item,) = await owed(HANGS)
    hasty = evolve(place, settings=evolve(place.settings, hook_seconds=0.5))
    with trio.fail_after(20):
        await call_owed(item, hasty, entrypoint=watched.entrypoint)

    assert alive(watched.mark) == {}
    assert (await books.run(watched.run.id)).state == item.state
    assert (await books.said(watched.run.id, "runner"))[-1] == (
        "The hooks took too long; their process was ended."
    )


TWO = """
def first(flow, flow_run, state):
    time.sleep(2)

async def second(flow, flow_run, state):
    time.sleep(2)

@flow(on_crashed=[first, second])
async def f():
    os.kill(os.getpid(), 9)
"""


@pytest.mark.promise("P10")
async def test_each_of_several_hooks_has_its_own_time_even_if_it_blocks_the_loop(
    books, owed, place, monkeypatch
):
    monkeypatch.setattr(child, "HOOK_LATE_SECONDS", 0.5)
    watched, (item,) = await owed(TWO)
    hasty = evolve(place, settings=evolve(place.settings, hook_seconds=3.0, log_level=40))
    await call_owed(item, hasty, entrypoint=watched.entrypoint)

    assert await take(books, watched) == ()


@pytest.mark.promise("P10")
async def test_hooks_that_cannot_be_loaded_change_nothing(books, owed, place, tmp_path):
    watched, (item,) = await owed(HOOKED)
    await call_owed(item, place, entrypoint=f"{tmp_path}/gone.py:f")

    assert (await books.run(watched.run.id)).state == item.state
    assert len(await take(books, watched)) == 1


async def test_a_process_of_hooks_that_does_not_start_harms_nobody(books, owed, place):
    watched, (item,) = await owed(HOOKED)
    nowhere = evolve(place, infrastructure=Programs(("/no/such/interpreter",)))
    await call_owed(item, nowhere)

    (*_, said) = await books.said(watched.run.id, "runner")
    assert said.startswith("The hooks could not be called. ")
