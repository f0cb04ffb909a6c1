"""`StoreMachine`: what every store promises, tried by Hypothesis in any order on a store of yours.

The store remembers a ledger of names. Beside it stands the plainest model there is: a list of the names that were
answered for, and the number of the newest change. Nothing may be in the one that is not in the other.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from threading import Event, Thread
from typing import ClassVar, TypeVar, final

import trio
from attrs import define, field
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from trioflow.errors import ConstraintViolated, ReadOnlyTransaction, StoreClosed, TrioflowBug
from trioflow.store.migrate import Migration
from trioflow.store.sqlite import open_memory, open_sqlite
from trioflow.store.store import Durability, Store, Tx

T = TypeVar("T")

LEDGER = (
    Migration(
        1,
        "ledger",
        """
        CREATE TABLE feed (number INTEGER NOT NULL) STRICT;
        INSERT INTO feed VALUES (0);
        CREATE TABLE ledger (position INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
        """,
    ),
)
"""The schema, for SQLite; other databases have theirs."""

_NAMES = st.lists(st.text("abc", min_size=1, max_size=3), min_size=1, max_size=4, unique=True)
_DURABILITY = st.sampled_from(Durability)


class Refused(Exception):
    """A function does not want to go on."""


@final
@define(eq=False)
class _Loop:
    """A ``trio.run`` on a thread of its own, for functions of this one to be run in, one after the other."""

    _thread: Thread = field(init=False)
    _token: trio.lowlevel.TrioToken | None = field(default=None, init=False)
    _ready: Event = field(factory=Event, init=False)
    _over: trio.Event | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._thread = Thread(target=trio.run, args=(self._wait,), name="store machine", daemon=True)
        self._thread.start()
        self._ready.wait()

    def run(self, fn: Callable[..., Awaitable[T]], *args: object) -> T:
        """What it returned, or raised."""
        return trio.from_thread.run(fn, *args, trio_token=self._token)

    def end(self) -> None:
        """Nothing is run any more."""
        if self._over is not None:
            trio.from_thread.run_sync(self._over.set, trio_token=self._token)
        self._thread.join()

    async def _wait(self) -> None:
        self._token, self._over = trio.lowlevel.current_trio_token(), trio.Event()
        self._ready.set()
        await self._over.wait()


def _enter(tx: Tx, names: Sequence[str]) -> Sequence[int]:
    """A judge: writes each name, and answers with its change number."""
    tx.executemany("INSERT INTO ledger (name) VALUES (?)", [(name,) for name in names])
    first = tx.take_numbers(len(names))
    return range(first, first + len(names))


def _entered(tx: Tx) -> list[str]:
    return [name for (name,) in tx.execute("SELECT name FROM ledger ORDER BY position")]


class StoreMachine(RuleBasedStateMachine):
    """A state machine for Hypothesis: transactions, batches, failures, cancellations, readers, reopenings.

    Give it a store in a subclass, and let pytest collect its ``TestCase``::

        class PostgresMachine(StoreMachine):
            async def open_store(self) -> Store: ...

        TestPostgres = PostgresMachine.TestCase

    Attributes:
        lasts: whether what was answered is there again when the store is closed and opened anew.
    """

    lasts: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__()
        self._names: list[str] = []
        self._newest = 0
        self._loop = _Loop()
        self._store: Store | None = None

    async def open_store(self) -> Store:
        """The store: empty the first time, with a table ``ledger`` and a ``feed`` as `LEDGER` makes them."""
        raise TrioflowBug(f"{type(self).__name__} does not say which store it is for")

    @property
    def store(self) -> Store:
        """The store, open."""
        if self._store is None:
            raise TrioflowBug("the store is not open")
        return self._store

    @initialize()
    def open(self) -> None:
        """It is opened."""
        self._store = self._loop.run(self.open_store)

    @rule(names=_NAMES, durability=_DURABILITY)
    def transact(self, names: list[str], durability: Durability) -> None:
        """One function writes several names: all of them, or none if one is there already."""
        new = not set(names) & set(self._names)

        async def transact() -> Sequence[int]:
            return await self.store.transact(lambda tx: _enter(tx, names), durability=durability)

        if new:
            assert list(self._loop.run(transact)) == self._take(names)
        else:
            self._raises(ConstraintViolated, transact)

    @rule(names=_NAMES)
    def fail(self, names: list[str]) -> None:
        """A function that raises changes nothing, and its caller gets what it raised."""

        def enter_and_refuse(tx: Tx) -> None:
            tx.executemany("INSERT OR IGNORE INTO ledger (name) VALUES (?)", [(name,) for name in names])
            tx.take_numbers(1)
            raise Refused

        async def fail() -> None:
            await self.store.transact(enter_and_refuse)

        self._raises(Refused, fail)

    @rule(names=_NAMES, durability=_DURABILITY)
    def coalesce(self, names: list[str], durability: Durability) -> None:
        """Items that arrive together are answered each for itself, in the order in which they take effect."""
        answers: dict[str, int | ConstraintViolated] = {}

        async def enter(name: str) -> None:
            try:
                answers[name] = await self.store.coalesce(_enter, name, durability=durability)
            except ConstraintViolated as error:
                answers[name] = error

        async def enter_all() -> None:
            async with trio.open_nursery() as nursery:
                for name in names:
                    nursery.start_soon(enter, name)

        self._loop.run(enter_all)
        old = {name for name, answer in answers.items() if isinstance(answer, ConstraintViolated)}
        assert old == set(names) & set(self._names)
        numbered = {answer: name for name, answer in answers.items() if isinstance(answer, int)}
        assert sorted(numbered) == self._take([numbered[number] for number in sorted(numbered)])

    @rule(names=_NAMES)
    def cancel(self, names: list[str]) -> None:
        """A call that is cancelled before it begins does nothing."""

        async def cancelled() -> bool:
            with trio.CancelScope() as scope:
                scope.cancel()
                await self.store.transact(lambda tx: _enter(tx, names))
            return scope.cancelled_caught

        assert self._loop.run(cancelled)

    @rule(names=_NAMES)
    def write_as_a_reader(self, names: list[str]) -> None:
        """A reader cannot write."""

        async def write() -> None:
            await self.store.read(lambda tx: _enter(tx, names))

        self._raises(ReadOnlyTransaction, write)

    @precondition(lambda self: self._newest)
    @rule(behind=st.integers(1, 5))
    def hear_of_changes(self, behind: int) -> None:
        """Who has not heard of the newest change is told at once."""

        async def hear() -> int:
            return await self.store.wait_for_change(max(0, self._newest - behind))

        assert self._loop.run(hear) == self._newest

    @precondition(lambda self: self.lasts)
    @rule()
    def reopen(self) -> None:
        """What was answered is there again."""
        self._close()
        self.open()

    @invariant()
    def what_was_answered_is_there_and_nothing_else(self) -> None:
        """In the order in which it took effect, with the number of its newest change."""
        if self._store is not None:

            async def look() -> list[str]:
                return await self.store.read(_entered)

            assert self._loop.run(look) == self._names
            assert self.store.last_change() == self._newest

    def teardown(self) -> None:
        """A closed store refuses everything."""
        try:
            if self._store is not None:
                self._close()
        finally:
            self._loop.end()

    def _close(self) -> None:
        store, self._store = self.store, None

        async def use() -> None:
            await store.aclose()
            await store.aclose()
            await store.read(_entered)

        self._raises(StoreClosed, use)

    def _take(self, names: Sequence[str]) -> list[int]:
        """They took effect: the numbers that they must have got."""
        first = self._newest + 1
        self._names += names
        self._newest += len(names)
        return list(range(first, first + len(names)))

    def _raises(self, error: type[Exception], fn: Callable[[], Awaitable[object]]) -> None:
        try:
            self._loop.run(fn)
        except error:
            return
        raise AssertionError(f"this did not raise {error.__name__}")


class MemoryStoreMachine(StoreMachine):
    """The contract, on SQLite in memory."""

    async def open_store(self) -> Store:
        """A store in memory."""
        await trio.lowlevel.checkpoint()
        return open_memory(migrations=LEDGER)


class SqliteStoreMachine(StoreMachine):
    """The contract, on SQLite in a file."""

    lasts = True

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.mkdtemp(prefix="trioflow-")

    async def open_store(self) -> Store:
        """The store in the file."""
        return await open_sqlite(Path(self._folder) / "ledger.db", migrations=LEDGER)

    def teardown(self) -> None:
        """The file goes too."""
        super().teardown()
        shutil.rmtree(self._folder)
