"""The database: one in memory, and how each simulated process sees it.

Theory of operation. There is one connection. Each process has a `View`: a `Store` of its own, which runs what its
process asks for in one tick as one batch, as a writer's thread would. After each commit the database shows what it has
come to to its observers, before anybody is answered. A view asks for nothing in the name of a process that is dead.

What is run periodically is run by a task of the process, at its time. While nobody holds a lease it rests: what is
periodic here minds leases, and a year without one takes no time.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from threading import Lock
from typing import Any, Protocol, TypeVar, cast, final

import trio
from attrs import define, field

from trioflow.core.leases import Owner
from trioflow.errors import StoreClosed, StoreError
from trioflow.store.batch import Request, call, newest_number, run_batch
from trioflow.store.feed import Feed
from trioflow.store.periodic import Periodic, Timetable, report_failures
from trioflow.store.sqlite import memory_connection
from trioflow.store.sqlite_connection import SqliteConnection
from trioflow.store.store import Durability, Item, Judge, Result, Store, Tx
from trioflow.testing.simulation.faults import Faults
from trioflow.testing.simulation.journal import Journal
from trioflow.testing.simulation.machine import Process

R = TypeVar("R")

_HAS_LEASES = "SELECT EXISTS (SELECT 1 FROM leases)"
_HEARD_WITHIN = 0.05
"""Seconds until a process hears of what another one has committed, at most."""


class Observer(Protocol):
    """Looks at the database after each commit. What it raises halts the simulation."""

    def committed(self, tx: Tx, writer: Owner | None) -> None:
        """Something was committed, by this process; None is somebody outside."""
        ...


@final
@define(eq=False)
class Database:
    """What all views share."""

    journal: Journal
    chance: random.Random
    faults: Faults
    """Of now: they end before the simulation does."""
    halt: Callable[[BaseException], object]
    """Ends the simulation."""
    observers: list[Observer] = field(factory=list[Observer])
    hear: Callable[[object], object] = lambda _: None
    """Told each answer that is given."""
    outage_until: float = 0.0
    leased: trio.Event = field(factory=trio.Event)
    """Set while there are leases, if anybody asks."""
    is_asked: bool = False
    """Somebody does."""
    connection: SqliteConnection = field(factory=memory_connection)
    feed: Feed = field(init=False)
    last_writer: View | None = None

    def __attrs_post_init__(self) -> None:
        self.feed = Feed(newest_number(self.connection))

    def commit(self, view: View, requests: list[Request]) -> None:
        """Run this batch, and show what came of it."""
        newest = run_batch(self.connection, requests)
        self.last_writer = view
        self._show(view)
        self.feed.publish(newest)

    def look(self, fn: Callable[[Tx], R]) -> R:
        """What ``fn`` returns, looking at what is committed. Nobody writes meanwhile: there is one thread."""
        return fn(cast("Tx", self.connection))

    def _show(self, view: View) -> None:
        if self.is_asked:
            self._look_for_leases()
        try:
            for observer in self.observers:
                observer.committed(cast("Tx", self.connection), view.owner)
        except Exception as error:  # noqa: BLE001 - whatever it is, it ends the simulation, and no process of it
            self.observers.clear()
            self.halt(error)

    def _look_for_leases(self) -> None:
        ((has_leases,),) = self.connection.execute(_HAS_LEASES)
        if bool(has_leases) == self.leased.is_set():
            return
        if has_leases:
            self.leased.set()
        else:
            self.leased = trio.Event()

    def close(self) -> None:
        """Forget everything."""
        self.connection.close()


@final
@define(eq=False)
class View(Store):
    """The store of one simulated process."""

    _database: Database
    _process: Process | None
    """None is somebody outside, who meets no faults."""
    _timetable: Timetable = field(factory=lambda: Timetable(trio.current_time, Lock()))
    _added: trio.Event = field(factory=trio.Event)
    """Something periodic was added."""
    _queue: list[tuple[Request, trio.Event]] = field(factory=list[tuple[Request, trio.Event]])
    """What is asked for in this tick."""
    _waits: list[trio.CancelScope] = field(factory=list[trio.CancelScope])
    """Around those who wait for a change: closing ends them."""
    _closed: bool = False

    @property
    def owner(self) -> Owner | None:
        """Whose it is."""
        return self._process.owner if self._process else None

    async def transact(self, fn: Callable[[Tx], R], *, durability: Durability = Durability.SYNCED) -> R:
        """See `Store.transact`."""
        return cast("R", await self._ask(Request(call, fn, durability)))

    async def coalesce(
        self, judge: Judge[Item, Result], item: Item, *, durability: Durability = Durability.SYNCED
    ) -> Result:
        """See `Store.coalesce`."""
        return cast("Result", await self._ask(Request(judge, item, durability)))

    async def read(self, fn: Callable[[Tx], R]) -> R:
        """See `Store.read`."""
        await trio.lowlevel.checkpoint()
        self._check_open()
        await self._take_time()
        return self._database.connection.snapshot(fn)

    async def wait_for_change(self, after: int) -> int:
        """See `Store.wait_for_change`."""
        self._check_open()
        newest = await self._hear(after)
        if self._database.last_writer is not self and self._slow:
            await trio.sleep(self._database.chance.uniform(0, _HEARD_WITHIN))
            newest = self._database.feed.newest
        self._check_open()
        return newest

    def last_change(self) -> int:
        """See `Store.last_change`."""
        return self._database.feed.newest

    def every(
        self, seconds: float, fn: Callable[[Tx], object], *, durability: Durability = Durability.RELAXED
    ) -> Periodic:
        """See `Store.every`."""
        self._check_open()
        self._added.set()
        return self._timetable.add(seconds, fn, durability)

    async def aclose(self) -> None:
        """See `Store.aclose`."""
        await trio.lowlevel.cancel_shielded_checkpoint()
        self._closed = True
        for wait in self._waits:
            wait.cancel()

    async def _hear(self, after: int) -> int:
        """The newest change number that everybody's feed has, once it is greater than ``after``."""
        with trio.CancelScope() as wait:
            self._waits.append(wait)
            try:
                return await self._database.feed.wait(after)
            finally:
                self._waits.remove(wait)
        raise StoreClosed

    # --- writing

    async def _ask(self, request: Request) -> Any:
        await trio.lowlevel.checkpoint_if_cancelled()
        self._check_open()
        await self._take_time()
        self._check_open()
        self._fail(self._faults.lost_requests, "a request is lost")
        await self._join(request)
        self._database.hear(request.answer)
        self._fail(self._faults.lost_answers, "an answer is lost")
        if request.error is not None:
            raise request.error
        return request.answer

    async def _join(self, request: Request) -> None:
        """Returns when it was committed, with all that is asked for in this tick: who comes first commits for all."""
        entry = (request, trio.Event())
        self._queue.append(entry)
        if len(self._queue) > 1:
            try:
                await entry[1].wait()
            except trio.Cancelled:
                self._queue.remove(entry)
                raise
            return
        await trio.lowlevel.cancel_shielded_checkpoint()
        queue, self._queue = self._queue, []
        self._database.commit(self, [request for request, _ in queue])
        for _, answered in queue:
            answered.set()

    async def tick(self) -> None:
        """Run what is periodic, until cancelled. A task of the process."""
        self._database.is_asked = True
        await self._added.wait()
        while True:
            await self._database.leased.wait()
            await trio.sleep(self._timetable.seconds_left() or 0.0)
            due = self._timetable.take_due()
            if due and not self._closed:
                self._database.commit(self, due)
                report_failures(due)

    # --- faults

    @property
    def _faults(self) -> Faults:
        return self._database.faults

    @property
    def _slow(self) -> bool:
        return self._process is not None and self._faults.latency > 0

    async def _take_time(self) -> None:
        database = self._database
        if self._process is None:
            return
        if database.outage_until > trio.current_time():
            raise StoreError("the database does not answer: an outage of the simulation")
        if self._slow:
            await trio.sleep(database.chance.uniform(0, self._faults.latency))

    def _fail(self, chance: float, what: str) -> None:
        if self._process is None or not chance or self._database.chance.random() >= chance:
            return
        self._database.journal.fault(f"{what} ({self._process.name})")
        raise StoreError(f"{what}: a fault of the simulation")

    def _check_open(self) -> None:
        if self._closed or (self._process is not None and self._process.is_dead):
            raise StoreClosed
