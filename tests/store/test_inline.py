"""What the event loop runs itself: a few relaxed items of judges, and never what may wait for a disk or for a lock."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import threading
from functools import partial

import pytest
import trio
import trio.testing

from tests.store.disk import quick, slow
from tests.store.ledger import LEDGER, enter, enter_for_good, entered, entering, wide
from trioflow.errors import StoreClosed, TrioflowBug
from trioflow.store.lock import FairLock
from trioflow.store.sqlite import open_sqlite
from trioflow.store.store import Durability

LOOP = "MainThread"
WRITER = "trioflow-store-writer"
PAGE = 4096 + 24  # with its head in the log


def whose_thread(_tx, items):
    return [threading.current_thread().name] * len(items)


NAMES = itertools.count()


def enter_and_tell(tx, items):
    for _ in items:
        entering(f"item {next(NAMES)}")(tx)
    return whose_thread(tx, items)


async def where(store, count=1, durability=Durability.RELAXED, judge=whose_thread):
    """The threads that so many items of one tick are judged in."""
    threads = set()

    async def ask(item):
        threads.add(await store.coalesce(judge, item, durability=durability))

    async with trio.open_nursery() as nursery:
        for item in range(count):
            nursery.start_soon(ask, item)
    return threads


@pytest.mark.parametrize(
    ("count", "durability", "thread"),
    [
        (1, Durability.RELAXED, LOOP),
        (8, Durability.RELAXED, LOOP),
        (9, Durability.RELAXED, WRITER),
        (1, Durability.SYNCED, WRITER),
    ],
)
async def test_a_few_relaxed_items_of_judges_are_run_on_the_loop(file_store, count, durability, thread):
    await file_store.transact(entering("a"))
    assert await where(file_store, count, durability) == {thread}


async def test_a_disk_that_syncs_quickly_is_waited_for_on_the_loop_when_nobody_else_asks(path):
    store = await open_sqlite(path, migrations=LEDGER, tuning=quick())
    await store.transact(entering("a"))
    assert await where(store, 1, Durability.SYNCED, enter_and_tell) == {LOOP}
    assert await where(store, 2, Durability.SYNCED, enter_and_tell) == {WRITER}
    assert await store.transact(lambda tx: whose_thread(tx, "a")) == [WRITER]
    await store.aclose()


async def test_a_single_function_is_anybodys_and_never_run_on_the_loop(file_store):
    await file_store.transact(entering("a"))
    answer = await file_store.transact(lambda tx: whose_thread(tx, "a"), durability=Durability.RELAXED)
    assert answer == [WRITER]


async def test_a_log_that_begins_is_the_threads_for_its_first_commit_waits_for_the_disk(path):
    store = await open_sqlite(path, migrations=LEDGER)
    await store.aclose()
    store = await open_sqlite(path, migrations=LEDGER)
    other = await open_sqlite(path, migrations=LEDGER, tuning=slow(1))
    assert await where(store) == {WRITER}
    await store.coalesce(enter, "a", durability=Durability.RELAXED)
    assert await where(store) == {LOOP}
    await other.transact(entering("b"))
    await other.aclose()  # by then, it has merged the log
    assert await where(store) == {WRITER}
    await store.aclose()


async def test_the_loop_never_syncs_whatever_is_asked_of_it(path, watched_disk):
    """With a log that is merged again and again, so that it begins anew, too."""
    store = await open_sqlite(path, migrations=LEDGER, vfs=watched_disk.name, tuning=slow(30))
    syncing, judging = [], []
    watched_disk.on_sync = lambda: syncing.append(threading.current_thread().name)

    def judge(tx, names):
        judging.append(threading.current_thread().name)
        return (enter_for_good if names[0].endswith("0") else enter)(tx, names)

    for number in range(300):
        await store.coalesce(judge, f"{number}", durability=Durability.RELAXED)
    assert set(syncing) == {WRITER}
    assert judging.count(LOOP) > judging.count(WRITER) > 0
    assert await store.read(entered) == [f"{number}" for number in range(300)]
    await store.aclose()


async def test_however_much_is_relaxed_the_log_stays_short(path):
    store = await open_sqlite(path, migrations=LEDGER, tuning=slow(50))
    for number in range(300):
        await store.coalesce(enter, f"{number}", durability=Durability.RELAXED)
    assert path.with_name(f"{path.name}-wal").stat().st_size < 60 * PAGE
    await store.aclose()


async def test_the_log_is_merged_as_soon_as_it_is_long_though_nothing_more_comes(path, watched_disk):
    store = await open_sqlite(path, migrations=LEDGER, vfs=watched_disk.name, tuning=slow(50))
    await store.transact(entering("a"))
    token, merging = trio.lowlevel.current_trio_token(), trio.Event()
    watched_disk.on_sync = lambda: token.run_sync_soon(merging.set)

    def judge(tx, names):
        assert whose_thread(tx, names) == [LOOP]
        return [wide(name, 50 * 4096)(tx) for name in names]

    await store.coalesce(judge, "b", durability=Durability.RELAXED)
    await merging.wait()
    await store.aclose()


async def test_a_reader_that_stays_keeps_the_log_long_but_not_the_loop_from_running_items(path):
    store = await open_sqlite(path, migrations=LEDGER, tuning=slow(50))
    await store.transact(entering("a"))
    wal = path.with_name(f"{path.name}-wal")
    reading, threads = trio.Event(), []

    def stay(tx):
        assert entered(tx) == ["a"]
        trio.from_thread.run_sync(reading.set)
        trio.from_thread.run(ended.wait)
        return entered(tx)

    def judge(tx, names):
        threads.append(threading.current_thread().name)
        return enter(tx, names)

    async def write(count):
        for _ in range(count):
            await store.coalesce(judge, f"{len(threads)}", durability=Durability.RELAXED)

    async with trio.open_nursery() as nursery:
        ended = trio.Event()
        nursery.start_soon(store.read, stay)
        await reading.wait()
        await write(200)
        assert wal.stat().st_size > 200 * PAGE
        assert threads.count(LOOP) > 150
        ended.set()
    await write(100)
    length = wal.stat().st_size
    await write(200)
    assert wal.stat().st_size == length
    await store.aclose()


@pytest.fixture
async def stuck(path, watched_disk):
    """A store whose disk is not done with a sync, what waits for it, and how to let it go on."""
    store = await open_sqlite(path, migrations=LEDGER, vfs=watched_disk.name)
    await store.transact(entering("a"))
    token, syncing, go_on = trio.lowlevel.current_trio_token(), trio.Event(), threading.Event()

    def hold():
        token.run_sync_soon(syncing.set)
        assert go_on.wait(60)

    watched_disk.on_sync = hold
    yield store, syncing, go_on
    go_on.set()
    await store.aclose()


async def test_what_waits_only_for_the_disk_can_no_longer_be_withdrawn_and_the_loop_goes_on(stuck):
    store, syncing, go_on = stuck
    answers = []

    async def ask(name):
        with scope:
            answers.append(await store.coalesce(enter_for_good, name, durability=Durability.RELAXED))

    async with trio.open_nursery() as nursery:
        scope = trio.CancelScope()
        nursery.start_soon(ask, "b")
        await syncing.wait()
        scope.cancel()
        await trio.testing.wait_all_tasks_blocked()
        assert (answers, store.last_change()) == ([], 1)
        go_on.set()
    assert (answers, store.last_change()) == ([2], 2)
    assert not scope.cancelled_caught


async def test_what_comes_later_is_run_after_it_and_all_is_answered_before_the_store_closes(stuck):
    store, syncing, go_on = stuck
    answers = []

    async def ask(judge, name):
        answers.append(await store.coalesce(judge, name, durability=Durability.RELAXED))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask, enter_for_good, "b")
        await syncing.wait()
        nursery.start_soon(ask, enter, "c")
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(store.aclose)
        await trio.testing.wait_all_tasks_blocked()
        assert answers == []
        go_on.set()
    assert set(answers) == {2, 3}


async def test_closing_does_not_wait_for_ever_to_sync_what_was_committed(path, autojump_clock):
    store = await open_sqlite(path, migrations=LEDGER)
    await store.transact(entering("a"))

    def enter_and_queue(tx, names):
        fcntl.flock(another._queue, fcntl.LOCK_EX)  # another process is next, before the thread
        return enter_for_good(tx, names)

    async def ask():
        with pytest.raises(StoreClosed):
            await store.coalesce(enter_and_queue, "b", durability=Durability.RELAXED)

    with contextlib.closing(FairLock.beside(str(path))) as another:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await trio.testing.wait_all_tasks_blocked()
            await store.aclose()
    store._writer._thread.join(60)
    assert not store._writer._thread.is_alive()
    store = await open_sqlite(path, migrations=LEDGER)
    assert await store.read(entered) == ["a", "b"]
    await store.aclose()


@pytest.mark.parametrize("broken", ["run_begun", "sync"])
async def test_a_bug_of_ours_fails_loudly_and_leaves_nobody_waiting(path, caplog, monkeypatch, broken):
    store = await open_sqlite(path, migrations=LEDGER)
    await store.transact(entering("a"))
    monkeypatch.setattr(f"trioflow.store.writer.{broken}", lambda connection, what: 1 // 0)
    ask = partial(store.coalesce, enter_for_good, durability=Durability.RELAXED)

    async def refused(name):
        with pytest.raises(TrioflowBug, match="ZeroDivisionError"):
            await ask(name)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(refused, "b")
        nursery.start_soon(refused, "c")
    await store._writer._ended.wait()
    with pytest.raises(StoreClosed):
        await ask("d")
    assert "writer has failed" in caplog.text
    await store.aclose()
