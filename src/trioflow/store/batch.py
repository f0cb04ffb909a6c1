"""One batch: all that waits, run in one transaction in the order of arrival, each fault kept to its own item.

Knows nothing of threads, of the event loop, nor of which database it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias, final

import trio
from attrs import define, frozen

from trioflow.errors import StoreError
from trioflow.store.connection import Connection
from trioflow.store.store import Durability, Row, Tx

AnyJudge: TypeAlias = Callable[[Tx, Sequence[Any]], Sequence[Any]]


def call(tx: Tx, functions: Sequence[Callable[[Tx], Any]]) -> Sequence[Any]:
    """The judge of single functions: its items are functions, and its answers are what they return."""
    return [function(tx) for function in functions]


@final
@define(eq=False)
class Request:
    """One item that waits for its judge, and then what came of it."""

    judge: AnyJudge
    item: Any
    durability: Durability
    task: trio.lowlevel.Task | None = None
    """Who waits for the answer; nobody yet, or nobody at all if it is a periodic function."""
    handed: bool = False
    """The event loop has given it to the writer's thread, which finds periodic functions by itself."""
    answered: bool = False
    begun: bool = False
    withdrawn: bool = False
    """Never both."""
    answer: Any = None
    error: BaseException | None = None


@final
@frozen(eq=False)
class Committed:
    """What became of a transaction: its requests have their answers, and do not know of them yet."""

    requests: Sequence[Request]
    newest: int = 0
    """The last change number that it took, 0 if it took none or was undone."""
    must_sync: bool = False
    """Nobody may be told before it is on the disk."""


@final
@define(eq=False)
class Transaction:
    """The `Tx` of one batch."""

    _connection: Connection
    newest: int = 0
    """The last change number that was taken, 0 if none was."""
    must_sync: bool = False

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        """See `Tx.execute`."""
        return self._connection.execute(sql, parameters)

    def executemany(self, sql: str, rows: Sequence[Sequence[object]]) -> None:
        """See `Tx.executemany`."""
        self._connection.executemany(sql, rows)

    def require_sync(self) -> None:
        """See `Tx.require_sync`."""
        self.must_sync = True

    def take_numbers(self, count: int) -> int:
        """See `Tx.take_numbers`."""
        if count < 1:
            raise ValueError(f"asked for {count} change numbers")
        # Two statements: SQLite makes a table for what RETURNING returns, which costs ten times as much.
        self.execute("UPDATE feed SET number = number + ?", (count,))
        self.newest = newest_number(self._connection)
        return self.newest - count + 1


def newest_number(connection: Connection) -> int:
    """The change number that was taken last by any process."""
    ((number,),) = connection.execute("SELECT number FROM feed")
    return int(number)


def run_batch(connection: Connection, requests: Sequence[Request]) -> int:
    """Gives each request its answer or its error. Returns the newest change number that it committed, or 0.

    If the transaction as a whole fails, then nothing has changed and every request gets that error. They get it too
    if all is committed, but what should be on the disk cannot be brought there.
    """
    durability = strictest(requests)
    try:
        connection.begin(durability)
    except StoreError as error:
        _fail(connection, requests, error)
        return 0
    committed = run_begun(connection, requests)
    if committed.must_sync and durability is Durability.RELAXED:
        return sync(connection, committed)
    return committed.newest


def run_begun(connection: Connection, requests: Sequence[Request]) -> Committed:
    """Does what `run_batch` does, in a transaction that was begun; but does not bring it to the disk."""
    tx = Transaction(connection)
    try:
        if _run(connection, tx, requests):
            connection.commit()
            return Committed(requests, tx.newest, tx.must_sync)
        connection.abandon()
    except StoreError as error:
        _fail(connection, requests, error)
    return Committed(requests)


def sync(connection: Connection, committed: Committed) -> int:
    """Brings it to the disk. Returns its change number, or gives its requests the error and returns 0."""
    try:
        connection.sync()
    except StoreError as error:
        _fail(connection, committed.requests, error)
        return 0
    return committed.newest


def _run(connection: Connection, tx: Transaction, requests: Sequence[Request]) -> bool:
    """Answers the requests; returns whether there is anything to commit."""
    match requests:
        case [alone]:  # without a savepoint, which would cost a third of the whole
            alone.error = _answer(tx, alone.judge, requests)
            return alone.error is None
        case _:
            for judge, group in _groups(requests):
                _run_group(connection, tx, judge, group)
            return True


def _fail(connection: Connection, requests: Sequence[Request], error: StoreError) -> None:
    connection.abandon()
    for request in requests:
        request.error = _same(error)


def _same(error: StoreError) -> StoreError:
    """An exception carries one traceback, so everyone who raises it needs one of his own."""
    copy = type(error)(*error.args)
    copy.__cause__ = error.__cause__
    return copy


def strictest(requests: Sequence[Request]) -> Durability:
    """The durability of a batch of these."""
    synced = any(request.durability is Durability.SYNCED for request in requests)
    return Durability.SYNCED if synced else Durability.RELAXED


def _groups(requests: Sequence[Request]) -> Iterator[tuple[AnyJudge, list[Request]]]:
    """Neighbours with the same judge; single functions stay single."""
    judge: AnyJudge = call
    group: list[Request] = []
    for request in requests:
        if group and (judge is call or request.judge != judge):
            yield judge, group
            group = []
        judge = request.judge
        group.append(request)
    if group:
        yield judge, group


def _run_group(connection: Connection, tx: Transaction, judge: AnyJudge, group: list[Request]) -> None:
    error = _attempt(connection, tx, judge, group)
    if error is None:
        return
    if len(group) == 1:
        group[0].error = error
        return
    for request in group:
        request.error = _attempt(connection, tx, judge, [request])


def _attempt(
    connection: Connection, tx: Transaction, judge: AnyJudge, group: Sequence[Request]
) -> BaseException | None:
    """Answers the whole group, or undoes what was done for it and returns what was raised."""
    newest, must_sync = tx.newest, tx.must_sync
    connection.save()
    error = _answer(tx, judge, group)
    if error is None:
        connection.keep()
    else:
        connection.undo()
        tx.newest, tx.must_sync = newest, must_sync
    return error


def _answer(tx: Tx, judge: AnyJudge, group: Sequence[Request]) -> BaseException | None:
    """Has the judge answer the whole group; returns what it raised."""
    try:
        answers = judge(tx, [request.item for request in group])
        for request, answer in zip(group, answers, strict=True):
            request.answer = answer
    except BaseException as error:  # noqa: BLE001 - it belongs to whoever asked, and is raised there
        return error
    return None
