"""Hooks of a final state are owed from the transaction that writes it until somebody says that they were called."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.orchestrator.conftest import DEAD, ELSEWHERE, Desk, World, evolve
from trioflow import clock
from trioflow.core.leases import Owner
from trioflow.core.recorded import RecordedResult
from trioflow.core.runs import FlowRun, RetryPolicy
from trioflow.core.states import Cancelled, Cancelling, Completed, Crashed, Failed, Running, StateType
from trioflow.processes import this_process
from trioflow.wire import endpoints, requests
from trioflow.wire.replies import Done, OwedHooks

HOOKED = frozenset({StateType.COMPLETED, StateType.CRASHED, StateType.CANCELLED})
DEPLOYMENT = clock.new_id()
OTHER = evolve(ELSEWHERE, host="a third host")


async def start(desk: Desk, owner: Owner | None = None, **fields: Any) -> FlowRun:
    return await desk.start(owner, **{"deployment_id": DEPLOYMENT, "hooked": HOOKED, **fields})


async def take(desk: Desk, owner: Owner | None = None, **fields: Any) -> list[OwedHooks]:
    given = {"owner": owner or this_process(), "deployment_ids": frozenset({DEPLOYMENT}), **fields}
    taken = await desk.ask(endpoints.TAKE_OWED_HOOKS, requests.TakeOwedHooks(**given))
    return list(taken.items)


async def settle(desk: Desk, owed: OwedHooks) -> None:
    request = requests.SettleHooks(run_id=owed.run.id, version=owed.version)
    assert await desk.ask(endpoints.SETTLE_HOOKS, request) == Done()


async def rows(desk: Desk) -> list[tuple[Any, ...]]:
    return await desk.rows("SELECT state_type, pid, tries FROM owed_hooks ORDER BY state_type DESC")


@pytest.mark.promise("P10")
@pytest.mark.behaviour("HK-06")
async def test_the_hooks_of_a_final_state_are_owed_by_who_runs_the_run_until_they_were_called(
    desk: Desk,
) -> None:
    run = await start(desk)
    data = RecordedResult(serializer="json", inline="1", size=1)
    ended = (await desk.propose(run.id, Completed(data=data), epoch=run.epoch)).run
    assert await rows(desk) == [("COMPLETED", this_process().pid, 0)]

    (owed,) = await take(desk)
    assert owed == OwedHooks(run=ended, state=ended.state, version=3, tries=1)
    await settle(desk, owed)
    assert await rows(desk) == []
    assert await take(desk) == []


async def test_only_final_states_that_have_hooks_owe_any(desk: Desk) -> None:
    failed, none = await start(desk), await start(desk, hooked=frozenset())
    await desk.propose(failed.id, Failed(), epoch=failed.epoch)
    await desk.propose(none.id, Crashed(), epoch=none.epoch)
    retried = await start(desk, retry=RetryPolicy(retries=1, on_crash=True))
    await desk.propose(retried.id, Crashed(), epoch=retried.epoch)
    assert await rows(desk) == []


async def test_what_the_reaper_and_what_a_runner_ends_is_owed_by_whoever_comes_first(desk: Desk) -> None:
    reaped, closed = await start(desk, DEAD), await start(desk)
    await desk.orchestrator.store.transact(desk.orchestrator._reap_the_dead)
    await desk.close(closed, Cancelled())
    assert await rows(desk) == [("CRASHED", None, 0), ("CANCELLED", None, 0)]

    assert [owed.run.id for owed in await take(desk, ELSEWHERE)] == [reaped.id, closed.id]
    assert await take(desk, OTHER) == []


async def test_so_is_what_nobody_ran(desk: Desk) -> None:
    deployment = await desk.deploy(hooked=HOOKED)
    run = (await desk.run_deployment(deployment)).run
    await desk.propose(run.id, Cancelling())
    assert [owed.state.name for owed in await take(desk, deployment_ids=frozenset({deployment.id}))] == [
        "Cancelled"
    ]


async def test_the_hooks_of_a_subflow_are_owed_by_who_runs_its_root(desk: Desk) -> None:
    run = await start(desk)
    mirror = await desk.begin(run)
    below = {"parent_task_run_id": mirror.run.id, "root_id": run.id, "epoch": run.epoch}
    child = (await desk.create(state=Running(), hooked=HOOKED, **below)).run
    await desk.propose(child.id, Completed(), epoch=run.epoch)
    assert await rows(desk) == [("COMPLETED", this_process().pid, 0)]

    await desk.close(run, Crashed())
    assert await rows(desk) == [("CRASHED", None, 0), ("COMPLETED", this_process().pid, 0)]


@pytest.mark.promise("P10")
async def test_who_has_died_holds_nothing(desk: Desk) -> None:
    run = await start(desk, DEAD)
    await desk.propose(run.id, Completed(), epoch=run.epoch)
    assert await take(desk, ELSEWHERE) == [], "on another host nobody can tell"
    assert [owed.run.id for owed in await take(desk)] == [run.id]
    assert await rows(desk) == [("COMPLETED", this_process().pid, 1)]


async def test_a_holder_elsewhere_is_waited_for_but_not_for_ever(desk: Desk, world: World) -> None:
    run = await start(desk, ELSEWHERE)
    await desk.propose(run.id, Completed(), epoch=run.epoch)
    world.at += timedelta(minutes=10)
    assert await take(desk) == []
    world.at += timedelta(seconds=1)
    assert [owed.run.id for owed in await take(desk)] == [run.id]


async def test_what_is_busy_or_of_others_is_left_alone(desk: Desk) -> None:
    run = await start(desk, entrypoint="flows.py:audit")
    await desk.close(run, Crashed())
    for which in (
        {"busy": frozenset({run.id})},
        {"deployment_ids": frozenset({clock.new_id()})},
        {"deployment_ids": frozenset(), "entrypoints": frozenset({"flows.py:other"})},
    ):
        assert await take(desk, **which) == []
    assert await rows(desk) == [("CRASHED", None, 0)]
    by_entrypoint = {"deployment_ids": frozenset(), "entrypoints": frozenset({"flows.py:audit"})}
    assert [owed.run.id for owed in await take(desk, **by_entrypoint)] == [run.id]


async def test_what_a_process_has_just_ended_in_a_run_of_its_own_it_is_not_told_of(desk: Desk) -> None:
    """A runner that lives in the same process as a flow that was called does not call that one's hooks as well."""
    run = await start(desk, deployment_id=None, entrypoint="flows.py:audit")
    await desk.propose(run.id, Completed(), epoch=run.epoch)
    which = {"deployment_ids": frozenset(), "entrypoints": frozenset({"flows.py:audit"})}
    assert await take(desk, **which) == []

    await desk.orchestrator.store.transact(
        lambda tx: tx.execute("UPDATE owed_hooks SET pid = ?, started = ?", (DEAD.pid, DEAD.started))
    )
    assert [owed.tries for owed in await take(desk, **which)] == [1]
    assert [owed.tries for owed in await take(desk, **which)] == [2]


async def test_after_three_tries_they_are_owed_no_more(desk: Desk) -> None:
    run = await start(desk)
    await desk.close(run, Crashed())
    tries = [[owed.tries for owed in await take(desk)] for _ in range(5)]
    assert tries == [[1], [2], [3], [], []]
    assert await rows(desk) == []


async def test_what_is_given_up_is_in_nobody_s_way(desk: Desk) -> None:
    given_up, younger = await start(desk), await start(desk)
    await desk.close(given_up, Crashed())
    for _ in range(3):
        await take(desk)
    await desk.close(younger, Crashed())
    assert [owed.run.id for owed in await take(desk)] == [younger.id]


async def test_the_state_is_told_as_it_was_when_its_run_has_gone_on_since(desk: Desk) -> None:
    run = await start(desk, entrypoint="flows.py:audit")
    crashed = (await desk.close(run, Crashed(message="why", cause="exit"))).run
    await desk.claim(run.id, rerun=True)

    (owed,) = await take(desk)
    assert (owed.state, owed.version) == (crashed.state, crashed.version)
    assert (owed.run.state.name, owed.run.version) == ("Pending", crashed.version + 2)


async def test_the_oldest_are_told_first(desk: Desk) -> None:
    runs = [await start(desk) for _ in range(3)]
    for run in reversed(runs):
        await desk.close(run, Crashed())
    assert [owed.run.id for owed in await take(desk)] == [run.id for run in reversed(runs)]
