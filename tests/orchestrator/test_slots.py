"""Concurrency limits: as many as allowed, given back on every path, tied to the lease."""

from __future__ import annotations

import pytest
import trio

from tests.orchestrator.conftest import DEAD, Desk
from trioflow.core.runs import RetryPolicy
from trioflow.core.states import Cancelled, Completed, Crashed, Failed, Running, StateType
from trioflow.core.verdicts import Abort, Accept, Wait
from trioflow.wire.replies import TaskRunAnswer

TAGGED = {"tags": frozenset({"db"})}


@pytest.mark.behaviour("LM-01", "LM-03", "OR-12")
async def test_as_many_run_at_once_as_the_limit_allows(desk: Desk) -> None:
    await desk.limit("db", 2)
    run = await desk.start()
    answers: list[TaskRunAnswer] = []

    async def begin(call: int) -> None:
        answers.append(await desk.begin(run, call, **TAGGED))

    async with trio.open_nursery() as nursery:
        for call in range(10):
            nursery.start_soon(begin, call)
    kinds = [type(answer.verdict) for answer in answers]
    assert (kinds.count(Accept), kinds.count(Wait)) == (2, 8)
    assert len(await desk.rows("SELECT * FROM slots")) == 2


@pytest.mark.behaviour("OR-12")
@pytest.mark.parametrize("end", [Completed(), Failed(), Crashed(), Cancelled()], ids=lambda state: state.name)
async def test_a_slot_comes_back_however_the_task_ends(desk: Desk, end: object) -> None:
    await desk.limit("db", 1)
    run = await desk.start()
    first = await desk.begin(run, 0, **TAGGED)
    assert isinstance((await desk.begin(run, 1, **TAGGED)).verdict, Wait)
    await desk.end(first, end, epoch=run.epoch)  # type: ignore[arg-type]
    assert await desk.rows("SELECT * FROM slots") == []
    assert isinstance((await desk.begin(run, 1, **TAGGED)).verdict, Accept)


@pytest.mark.behaviour("OR-12")
async def test_a_task_that_waits_for_its_retry_holds_no_slot(desk: Desk) -> None:
    await desk.limit("db", 1)
    run = await desk.start()
    task = await desk.begin(run, retry=RetryPolicy(retries=1, delays=(60.0,)), **TAGGED)
    await desk.end(task, Failed(), epoch=run.epoch)
    assert await desk.rows("SELECT * FROM slots") == []


@pytest.mark.promise("P3")
async def test_slots_leave_with_the_lease_of_a_dead_owner(desk: Desk) -> None:
    await desk.limit("db", 1)
    await desk.begin(await desk.start(DEAD), **TAGGED)
    assert len(await desk.rows("SELECT * FROM slots")) == 1
    await desk.orchestrator.open()
    assert await desk.rows("SELECT * FROM slots") == []
    assert isinstance((await desk.begin(await desk.start(), **TAGGED)).verdict, Accept)


@pytest.mark.behaviour("OR-12")
async def test_a_limit_of_zero_is_refused_rather_than_waited_for(desk: Desk) -> None:
    await desk.limit("db", 0)
    assert isinstance((await desk.begin(await desk.start(), **TAGGED)).verdict, Abort)


@pytest.mark.behaviour("OR-12")
async def test_two_tags_are_taken_together_or_not_at_all(desk: Desk) -> None:
    await desk.limit("db", 1)
    await desk.limit("net", 1)
    run = await desk.start()
    await desk.begin(run, 0, **TAGGED)
    waiting = await desk.begin(run, 1, tags=frozenset({"db", "net"}))
    assert isinstance(waiting.verdict, Wait)
    assert isinstance((await desk.begin(run, 2, tags=frozenset({"net"}))).verdict, Accept)


async def test_a_limit_that_is_taken_away_limits_nobody(desk: Desk) -> None:
    await desk.limit("db", 0)
    await desk.limit("db", None)
    assert isinstance((await desk.begin(await desk.start(), **TAGGED)).verdict, Accept)


@pytest.mark.promise("P3")
async def test_a_task_of_a_run_that_nobody_owns_can_hold_no_slot_and_is_told_so(desk: Desk) -> None:
    await desk.limit("db", 1)
    run = (await desk.create()).run
    run = (await desk.propose(run.id, Running())).run
    limited, free = await desk.begin(run, 0, **TAGGED), await desk.begin(run, 1)

    reason = "A slot of db is tied to a lease, and no process owns this task's flow run."
    assert (limited.verdict, limited.run.state.type) == (Abort(reason, limited.run.state), StateType.PENDING)
    assert isinstance(free.verdict, Accept)
    assert await desk.rows("SELECT * FROM slots") == []
