"""The writer's thread: who shares a transaction, who may still withdraw, and what goes on while the loop is blocked."""

from __future__ import annotations

import contextlib
import logging
import threading
import time

import pytest
import trio
import trio.testing

from tests.store.ledger import LEDGER, Refused, enter, entered, entering
from trioflow.errors import StoreClosed, TrioflowBug
from trioflow.store.lock import FairLock
from trioflow.store.sqlite import open_memory, open_sqlite
from trioflow.store.store import Durability


async def test_all_that_waits_shares_one_transaction_in_the_order_of_arrival(file_store, elsewhere):
    lists, answers = [], {}

    def judge(tx, names):
        lists.append(list(names))
        return enter(tx, names)

    async def ask(name):
        answers[name] = await file_store.coalesce(judge, name)

    names = [f"{number:03}" for number in range(200)]
    async with trio.open_nursery() as nursery:
        with elsewhere:
            for name in names:
                nursery.start_soon(ask, name)
                await trio.testing.wait_all_tasks_blocked()
    assert lists == [names]
    assert answers == {name: place for place, name in enumerate(names, 1)}
    assert await file_store.read(entered) == names


async def test_a_long_queue_is_cut_into_batches(file_store, elsewhere):
    lengths = []

    def judge(tx, names):
        lengths.append(len(names))
        return names

    async with trio.open_nursery() as nursery:
        with elsewhere:
            for name in range(1201):
                nursery.start_soon(file_store.coalesce, judge, name)
            await trio.testing.wait_all_tasks_blocked()
    assert sum(lengths) == 1201
    assert max(lengths) == 500


async def test_one_that_raises_spoils_nothing_for_those_beside_it(file_store, elsewhere):
    faults = []

    async def ask(name):
        try:
            await file_store.transact(entering(name))
        except Refused as refused:
            faults.append(refused.args)

    async with trio.open_nursery() as nursery:
        with elsewhere:
            for name in ("a", "bad b", "c", "bad d"):
                nursery.start_soon(ask, name)
                await trio.testing.wait_all_tasks_blocked()
    assert sorted(faults) == [("bad b",), ("bad d",)]
    assert await file_store.read(entered) == ["a", "c"]


async def test_what_has_not_begun_can_be_withdrawn(file_store, elsewhere):
    async with trio.open_nursery() as nursery:
        with elsewhere:
            nursery.start_soon(file_store.coalesce, enter, "a")
            await trio.testing.wait_all_tasks_blocked()
            with trio.CancelScope() as scope:
                nursery.start_soon(file_store.coalesce, enter, "b")
                await trio.testing.wait_all_tasks_blocked()
                scope.cancel()
                await file_store.coalesce(enter, "withdrawn")
            assert scope.cancelled_caught
    assert await file_store.read(entered) == ["a", "b"]


async def test_what_is_withdrawn_in_the_tick_that_gathered_it_leaves_no_trace(file_store):
    """Which task comes first in a tick is Trio's choice, so there are many ticks."""

    async def withdraw(name):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(file_store.coalesce, enter, name)
            await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()

    for tick in range(50):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(file_store.coalesce, enter, f"kept {tick}")
            await withdraw(f"withdrawn {tick}")
        assert file_store._writer._handed == 0
    kept = [name for name in await file_store.read(entered) if name.startswith("kept")]
    assert kept == [f"kept {tick}" for tick in range(50)]


@pytest.mark.parametrize("kind", ["transact", "coalesce"])
async def test_relaxed_items_keep_their_faults_to_themselves_and_their_order(file_store, kind):
    """Few of them are run on the event loop: everything else that is promised holds there too."""
    faults = []

    async def ask(name):
        try:
            if kind == "transact":
                await file_store.transact(entering(name), durability=Durability.RELAXED)
            else:
                await file_store.coalesce(enter, name, durability=Durability.RELAXED)
        except Refused as refused:
            faults.append(refused.args)

    for group in (["a"], ["bad b"], ["c", "bad d", "e"], [f"{number}" for number in range(20)]):
        async with trio.open_nursery() as nursery:
            for name in group:
                nursery.start_soon(ask, name)
    assert sorted(faults) == [("bad b",), ("bad d",)]
    names = await file_store.read(entered)
    assert (names[0], set(names[1:3]), set(names[3:])) == (
        "a",
        {"c", "e"},
        {f"{number}" for number in range(20)},
    )
    assert file_store.last_change() == 23
    assert file_store._writer._handed == 0


async def test_while_another_process_holds_the_lock_even_the_only_one_can_be_withdrawn(file_store, elsewhere):
    with elsewhere, trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(file_store.transact, entering("withdrawn"))
            await trio.testing.wait_all_tasks_blocked()
            scope.cancel()
    assert scope.cancelled_caught
    assert await file_store.read(entered) == []


async def test_what_has_begun_is_answered_though_it_was_cancelled(file_store):
    begun, go_on = trio.Event(), threading.Event()
    token = trio.lowlevel.current_trio_token()

    def slow(tx):
        token.run_sync_soon(begun.set)
        assert go_on.wait(60)
        return enter(tx, ["a"])[0]

    answers = []
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def ask():
            with trio.CancelScope() as scope:
                nursery.start_soon(cancel, scope)
                answers.append(await file_store.transact(slow))
            answers.append(scope.cancelled_caught)

        async def cancel(scope):
            await begun.wait()
            scope.cancel()
            await trio.testing.wait_all_tasks_blocked()
            assert answers == []
            go_on.set()

    assert answers == [1, False]
    assert await file_store.read(entered) == ["a"]


async def test_a_reader_neither_waits_for_a_writer_nor_sees_it_half_done(file_store):
    await file_store.transact(entering("a"))
    written, seen = threading.Event(), threading.Event()

    def slow(tx):
        enter(tx, ["b"])
        written.set()
        assert seen.wait(60)

    def look_twice(tx):
        assert written.wait(60)
        first = entered(tx)
        seen.set()
        trio.from_thread.run(file_store.transact, entering("c"))
        return first, entered(tx)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(file_store.transact, slow)
        assert await file_store.read(look_twice) == (["a"], ["a"])
    assert await file_store.read(entered) == ["a", "b", "c"]


async def test_a_change_of_another_process_is_heard_of(file_store, path):
    other = await open_sqlite(path, migrations=LEDGER)
    heard = []

    async def listen():
        heard.append(await file_store.wait_for_change(0))

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(listen)
        await trio.testing.wait_all_tasks_blocked(0.01)
        await other.transact(entering("a", "b"))
    assert heard == [2, 2, 2]
    await other.transact(entering("c"))
    assert await file_store.wait_for_change(2) == 3
    await other.aclose()


async def test_a_store_opens_where_the_last_one_stopped(path):
    first = await open_sqlite(path, migrations=LEDGER)
    await first.transact(entering("a", "b"))
    await first.aclose()
    second = await open_sqlite(path, migrations=LEDGER)
    assert second.last_change() == 2
    assert await second.transact(entering("c")) == [3]
    await second.aclose()


async def test_closing_answers_what_was_asked_before(file_store, elsewhere):
    async with trio.open_nursery() as nursery:
        with elsewhere:
            for name in ("a", "b", "c"):
                nursery.start_soon(file_store.coalesce, enter, name)
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(file_store.aclose)
            await trio.testing.wait_all_tasks_blocked()
    assert "trioflow-store-writer" not in {thread.name for thread in threading.enumerate()}


def wait_at_the_lock(store):
    """Returns when the writer's thread stands there: ten virtual seconds are over before it wakes up."""
    while store._writer._lock._waiting_since is None:
        time.sleep(0.001)


async def test_closing_does_not_wait_for_ever_for_another_process(path, autojump_clock, caplog):
    store = await open_sqlite(path, migrations=LEDGER)
    refused = []

    async def ask(name):
        with pytest.raises(StoreClosed) as raised:
            await store.coalesce(enter, name)
        refused.append(raised.type)

    with contextlib.closing(FairLock.beside(str(path))) as another, another:
        async with trio.open_nursery() as nursery:
            for name in range(1000):
                nursery.start_soon(ask, str(name))
            await trio.testing.wait_all_tasks_blocked()
            wait_at_the_lock(store)
            await store.aclose()
    assert refused == [StoreClosed] * 1000
    assert "without its last writes: process" in caplog.text


async def test_what_is_periodic_is_run_while_the_loop_is_blocked(file_store):
    runs, enough = [], threading.Event()

    def renew(tx):
        runs.append(enter(tx, [f"{len(runs)}"])[0])
        if len(runs) == 3:
            enough.set()

    renewal = file_store.every(0.001, renew)
    assert enough.wait(60)
    renewal.cancel()
    count = len(runs)
    assert await file_store.transact(entered) == [f"{number}" for number in range(count)]
    assert len(runs) == count


async def test_what_is_periodic_wakes_who_waits_for_changes(file_store):
    renewal = file_store.every(0.001, lambda tx: tx.take_numbers(1))
    assert await file_store.wait_for_change(2) == 3
    renewal.cancel()


async def test_a_periodic_function_that_raises_is_logged_and_run_again(file_store, caplog):
    again = threading.Event()

    def fail(tx):
        if "a periodic function failed" in caplog.text:
            again.set()
        raise Refused

    failing = file_store.every(0.001, fail)
    assert again.wait(60)
    failing.cancel()
    assert await file_store.transact(entering("a")) == [1]


async def test_in_memory_what_is_periodic_is_run_before_the_next_transaction_once_it_is_due(
    mock_clock, caplog
):
    store = open_memory(migrations=LEDGER)
    runs = []
    early = store.every(10, lambda tx: runs.append(("early", trio.current_time())))
    late = store.every(15, lambda tx: runs.append(("late", trio.current_time())))
    failing = store.every(30, entering("bad"))
    start = trio.current_time()
    for seconds in (9, 1, 4, 1, 20, 0, 5):
        mock_clock.jump(seconds)
        await store.transact(entered)
    assert [(name, time - start) for name, time in runs] == [
        ("early", 10), ("late", 15), ("early", 35), ("late", 35)
    ]  # fmt: skip
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    early.cancel()
    failing.cancel()
    mock_clock.jump(100)
    await store.transact(entered)
    assert [name for name, _ in runs[4:]] == ["late"]
    late.cancel()
    await store.aclose()


async def test_a_bug_of_ours_in_the_writer_fails_loudly_and_leaves_nobody_waiting(path, caplog, monkeypatch):
    store = await open_sqlite(path, migrations=LEDGER)
    monkeypatch.setattr("trioflow.store.writer.run_batch", lambda connection, requests: 1 // 0)
    with pytest.raises(TrioflowBug, match="ZeroDivisionError"):
        await store.transact(entered)
    await store._writer._ended.wait()
    with pytest.raises(StoreClosed):
        await store.transact(entered)
    assert "writer has failed" in caplog.text
    await store.aclose()
