"""Reaping: nothing of a dead owner is left, whatever it ran and however many of it there are."""

from __future__ import annotations

import pytest

from tests.orchestrator.conftest import DEAD, Desk
from trioflow import clock
from trioflow.core.states import Running
from trioflow.wire.endpoints import BEGIN_TASK_RUN
from trioflow.wire.requests import BeginTaskRun

DB = frozenset({"db"})


async def left(desk: Desk) -> tuple[int, int]:
    """How many leases and slots there are."""
    ((leases,),) = await desk.rows("SELECT count(*) FROM leases")
    ((slots,),) = await desk.rows("SELECT count(*) FROM slots")
    return leases, slots


@pytest.mark.promise("P1", "P3")
async def test_a_task_that_stood_alone_leaves_neither_lease_nor_slot(desk: Desk) -> None:
    await desk.limit("db", 1)
    run_id = clock.new_id()
    request = BeginTaskRun(
        id=run_id,
        task_key="check",
        dynamic_key=run_id.hex,
        name="check",
        state=Running(),
        transition_id=clock.new_id(),
        root_id=run_id,
        epoch=1,
        owner=DEAD,
        tags=DB,
    )
    await desk.ask(BEGIN_TASK_RUN, request)
    assert await left(desk) == (1, 1)

    await desk.orchestrator.open()

    assert await left(desk) == (0, 0)


@pytest.mark.promise("P1", "P3")
async def test_of_several_dead_owners_nothing_is_left_at_once(desk: Desk) -> None:
    await desk.limit("db", 9)
    for _ in range(3):
        await desk.begin(await desk.start(DEAD), tags=DB)
    assert await left(desk) == (3, 3)

    await desk.orchestrator.open()

    assert await left(desk) == (0, 0)


@pytest.mark.promise("P1")
async def test_a_lease_on_a_run_that_is_not_there_is_in_nobody_s_way(desk: Desk) -> None:
    await desk.start(DEAD)
    await desk.orchestrator.store.transact(lambda tx: tx.execute("DELETE FROM flow_runs"))
    other = await desk.start(DEAD)

    await desk.orchestrator.open()

    assert await left(desk) == (0, 0)
    assert await desk.names(other.id) == ["Pending", "Running", "Crashed"]
