"""Who waits for changes hears of them: of those that it asked for, from whichever process."""

from __future__ import annotations

from pathlib import Path

import trio
from trio.testing import wait_all_tasks_blocked

from tests.orchestrator.conftest import Desk
from trioflow.core.states import Cancelling, StateType
from trioflow.orchestrator.orchestrator import Orchestrator
from trioflow.store.sqlite import open_sqlite
from trioflow.wire.filters import ChangeFilter
from trioflow.wire.replies import Changes


async def test_a_listener_hears_of_its_run_and_of_no_other(desk: Desk, nursery: trio.Nursery) -> None:
    mine, other = await desk.start(), await desk.start()
    heard: list[Changes] = []

    async def listen() -> None:
        after = desk.orchestrator.store.last_change()
        which = ChangeFilter(root_ids=frozenset({mine.id}), flow_runs_only=True)
        heard.append(await desk.orchestrator.changes.wait(after, which))

    nursery.start_soon(listen)
    await wait_all_tasks_blocked()
    await desk.propose(other.id, Cancelling())
    await desk.begin(mine)
    await wait_all_tasks_blocked()
    assert heard == []
    await desk.propose(mine.id, Cancelling())
    with trio.fail_after(5):
        while not heard:
            await trio.lowlevel.checkpoint()
    (changes,) = heard
    assert [(change.run_id, change.type) for change in changes.items] == [(mine.id, StateType.CANCELLING)]
    assert changes.last == desk.orchestrator.store.last_change()


async def test_what_happened_before_one_listens_is_not_missed(desk: Desk) -> None:
    before = desk.orchestrator.store.last_change()
    run = await desk.start()
    await wait_all_tasks_blocked()
    changes = await desk.orchestrator.changes.wait(before, ChangeFilter(root_ids=frozenset({run.id})))
    assert [change.name for change in changes.items] == ["Pending", "Running"]


async def test_another_orchestrator_on_the_same_home_is_heard(tmp_path: Path, nursery: trio.Nursery) -> None:
    ours, theirs = [await open_sqlite(tmp_path / "trioflow.db") for _ in range(2)]
    orchestrator, other = Orchestrator(ours), Desk(Orchestrator(theirs))
    await orchestrator.open()
    nursery.start_soon(orchestrator.changes.pump)
    await wait_all_tasks_blocked()
    run = await other.start()
    with trio.fail_after(5):
        changes = await orchestrator.changes.wait(0, ChangeFilter(root_ids=frozenset({run.id})))
    assert [change.run_id for change in changes.items][:1] == [run.id]
    nursery.cancel_scope.cancel()
    with trio.CancelScope(shield=True):
        await ours.aclose()
        await theirs.aclose()
