"""What every store promises, shown on the file and on memory."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from tests.store.ledger import Refused, enter, entered, entering
from trioflow.errors import ConstraintViolated, ReadOnlyTransaction, StatementRefused, StoreClosed


async def test_a_transaction_is_there_once_it_is_answered(store):
    assert await store.transact(entering("a", "b")) == [1, 2]
    assert await store.read(entered) == ["a", "b"]
    assert await store.coalesce(enter, "c") == 3
    assert await store.read(entered) == ["a", "b", "c"]


async def test_a_function_that_raises_changes_nothing_and_its_caller_gets_what_it_raised(store):
    await store.transact(entering("a"))
    with pytest.raises(Refused, match="bad"):
        await store.transact(entering("b", "bad"))
    with pytest.raises(Refused, match="bad"):
        await store.coalesce(enter, "bad")
    assert await store.read(entered) == ["a"]
    assert store.last_change() == 1
    assert await store.transact(entering("c")) == [2]


async def test_even_what_is_no_ordinary_exception_changes_nothing(store):
    def leave(tx):
        enter(tx, ["a"])
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        await store.transact(leave)
    assert await store.read(entered) == []


async def test_a_judge_must_answer_each_item(store):
    def forget(tx, names):
        return enter(tx, names)[1:]

    with pytest.raises(ValueError, match="shorter"):
        await store.coalesce(forget, "a")
    assert await store.read(entered) == []


async def test_a_broken_constraint_is_an_error_of_ours(store):
    await store.transact(entering("a"))
    with pytest.raises(ConstraintViolated, match=r"ledger\.name"):
        await store.transact(entering("b", "a"))
    assert await store.read(entered) == ["a"]


@pytest.mark.parametrize(
    ("sql", "parameters"),
    [("SELEKT 1", ()), ("SELECT name FROM nowhere", ()), ("SELECT ?", ()), ('SELECT "x"', ())],
)
async def test_a_statement_that_makes_no_sense_is_an_error_of_ours(store, sql, parameters):
    with pytest.raises(StatementRefused):
        await store.transact(lambda tx: tx.execute(sql, parameters))


async def test_a_reader_cannot_write_and_does_not_spoil_the_next_writer(store):
    with pytest.raises(ReadOnlyTransaction, match="transact"):
        await store.read(entering("a"))
    await store.transact(entering("b"))
    assert await store.read(entered) == ["b"]


async def test_what_a_reader_raises_reaches_its_caller(store):
    def refuse(tx):
        raise Refused

    with pytest.raises(Refused):
        await store.read(refuse)


async def test_numbers_are_fresh_and_follow_each_other(store):
    taken = [await store.transact(lambda tx, count=count: tx.take_numbers(count)) for count in (1, 3, 2)]
    assert taken == [1, 2, 5]
    assert store.last_change() == 6
    with pytest.raises(ValueError, match="0 change numbers"):
        await store.transact(lambda tx: tx.take_numbers(0))


async def test_who_waits_for_a_change_hears_of_the_newest_one(store):
    heard = []

    async def listen(after):
        heard.append(await store.wait_for_change(after))

    async with trio.open_nursery() as nursery:
        for after in (0, 1, 4):
            nursery.start_soon(listen, after)
        await trio.testing.wait_all_tasks_blocked()
        await store.transact(entering("a"))
        await trio.testing.wait_all_tasks_blocked()
        assert heard == [1]
        await store.transact(entering("b", "c", "d", "e"))
    assert heard == [1, 5, 5]
    assert await store.wait_for_change(4) == 5


async def test_a_change_that_was_undone_wakes_nobody(store):
    heard = []

    async def listen():
        heard.append(await store.wait_for_change(0))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(listen)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(Refused):
            await store.transact(entering("a", "bad"))
        await trio.testing.wait_all_tasks_blocked()
        assert (heard, store.last_change()) == ([], 0)
        await store.transact(entering("a"))
    assert heard == [1]


async def test_a_call_that_is_cancelled_before_it_begins_does_nothing(store):
    for call in (
        lambda: store.transact(entering("a")),
        lambda: store.coalesce(enter, "a"),
        lambda: store.read(entered),
        lambda: store.wait_for_change(-1),
    ):
        with trio.CancelScope() as scope:
            scope.cancel()
            await call()
        assert scope.cancelled_caught
    assert await store.read(entered) == []


async def test_a_closed_store_refuses_everything_and_can_be_closed_again(store):
    async def outlive():
        with pytest.raises(StoreClosed):
            await store.wait_for_change(0)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(outlive)
        await trio.testing.wait_all_tasks_blocked()
        await store.aclose()
    await store.aclose()
    for call in (
        lambda: store.transact(entering("a")),
        lambda: store.coalesce(enter, "a"),
        lambda: store.read(entered),
        lambda: store.wait_for_change(0),
    ):
        with pytest.raises(StoreClosed):
            await call()
    with pytest.raises(StoreClosed):
        store.every(1, entered)


async def test_a_cancelled_scope_closes_the_store_all_the_same(store):
    with trio.CancelScope() as scope:
        scope.cancel()
        await store.aclose()
    with pytest.raises(StoreClosed):
        await store.transact(entering("a"))


async def test_a_period_must_be_positive(store):
    with pytest.raises(ValueError, match="positive"):
        store.every(0, entered)
