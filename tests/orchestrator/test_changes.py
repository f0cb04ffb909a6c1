"""Who waits for changes hears of them: of those that it asked for, from whichever process."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.orchestrator.conftest import Desk
from trioflow.core.states import Cancelling, StateType
from trioflow.errors import DiskFailed, StoreClosed
from trioflow.orchestrator.orchestrator import Orchestrator
from trioflow.store.sqlite import open_memory, open_sqlite
from trioflow.store.store import Store
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


async def test_what_happened_while_the_store_could_not_be_read_is_heard_afterwards(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store = open_memory()
    ours, theirs = Desk(Orchestrator(store)), Desk(Orchestrator(store))
    heard: list[Changes] = []

    async def fail(*_: object) -> None:
        await trio.lowlevel.checkpoint()
        raise DiskFailed

    async def listen() -> None:
        heard.append(await ours.orchestrator.changes.wait(0, ChangeFilter()))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ours.orchestrator.changes.pump)
        nursery.start_soon(listen)
        await wait_all_tasks_blocked()
        with monkeypatch.context() as patched, caplog.at_level(logging.ERROR):
            patched.setattr(type(store), "read", fail)
            await theirs.start()
            await trio.sleep(60)
        assert heard == []
        await trio.sleep(2)
        nursery.cancel_scope.cancel()
    assert [[change.name for change in changes.items] for changes in heard] == [["Pending", "Running"]]
    assert len(caplog.records) == 1


async def test_nobody_hears_of_a_store_that_is_closed(store: Store) -> None:
    orchestrator = Orchestrator(store)
    async with trio.open_nursery() as nursery:

        async def pump() -> None:
            with pytest.raises(StoreClosed):
                await orchestrator.changes.pump()

        nursery.start_soon(pump)
        await wait_all_tasks_blocked()
        await store.aclose()
