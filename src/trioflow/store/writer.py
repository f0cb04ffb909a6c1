"""The writer: the one thread of a process that writes a database, and what the event loop says to it.

It waits for the first arrival, takes the home's lock, and runs everything that has arrived by then in one
transaction; so the more there is to do, the more shares one fsync. All are answered in one hop to the event loop.
In between it runs the periodic functions that are due, and looks for other processes' changes if anyone waits for
one. Nothing that a user's code does to the event loop keeps it from that.

The event loop gathers what its tasks ask for in one tick, and hands it over together. A hop to a thread and back
costs several times what a small transaction does; so a few relaxed items of judges are run where they are, while the
thread has nothing to do and nobody is in the way, and so is a synced one that is alone, as long as this disk syncs more
quickly than a thread is woken (`pace`). What may wait for a lock, or long for a disk, never is: it, or what is left of
it, is handed over. All else that takes time, as merging the log, is the thread's too.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Sequence
from enum import Enum, auto
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Any, Final, TypeAlias, final

import trio
from attrs import define, field

from trioflow.errors import StoreClosed, StoreError, StoreForked, TrioflowBug
from trioflow.store.batch import AnyJudge, Committed, Request, call, run_batch, run_begun, strictest, sync
from trioflow.store.connection import Connection
from trioflow.store.feed import Feed
from trioflow.store.lock import FairLock
from trioflow.store.periodic import Periodic, Timetable, report_failures
from trioflow.store.store import Durability, Tx

BATCH_LENGTH: Final = 500
"""How many items share a transaction at most: what keeps the lock from being held for long."""

FEW: Final = 8
"""How many relaxed items the event loop runs itself: what takes it well under a millisecond or two."""

LOOK_SECONDS: Final = 0.05
"""How often the writer looks for other processes' changes while someone waits for one."""

CLOSE_SECONDS: Final = 10.0
"""How long closing waits for a lock that another process holds."""

BROKEN: Final = "the store's writer has failed, and the store is closed"

logger = logging.getLogger("trioflow.store")


class Signal(Enum):
    """What the event loop puts into the queue beside requests."""

    LOOK = auto()
    """The timetable, or who waits for changes, is not what it was: look again how long to wait."""
    STOP = auto()
    """Nothing comes after this."""


Arrival: TypeAlias = Request | Committed | Signal
"""What the thread is given: something to run, something that was run but is not on the disk yet, or news."""


@final
@define(eq=False)
class Writer:
    """Answers requests, in order, from a thread of its own. Made and used on the event loop."""

    _connection: Connection
    _lock: FairLock
    _feed: Feed
    _now: Callable[[], float]
    _token: trio.lowlevel.TrioToken = field(factory=trio.lowlevel.current_trio_token)
    _guard: Lock = field(factory=Lock)
    """Held to begin a request or to withdraw it, so that never both happen."""
    _busy: Lock = field(factory=Lock)
    """Held by whoever uses the connection: the thread, or the event loop for a few relaxed items."""
    _timetable: Timetable = field(init=False)
    _gathered: list[Request] = field(factory=list[Request])
    """Asked for in this tick of the event loop, and not handed over yet."""
    _handed: int = 0
    """How many requests the thread has, begun or not. Counted on the event loop."""
    _queue: SimpleQueue[Arrival] = field(factory=SimpleQueue[Arrival])
    _arrived: list[Request] = field(factory=list[Request])
    """Taken from the queue, but not begun yet."""
    _unsynced: list[Committed] = field(factory=list[Committed])
    """Taken from the queue, but not brought to the disk yet."""
    _next_look: float = 0.0
    _stopping: bool = False
    """The writer has met STOP."""
    _closing: bool = False
    """The event loop takes no new requests."""
    _ended: trio.Event = field(factory=trio.Event)
    _thread: Thread = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._timetable = Timetable(self._now, self._guard)
        # A daemon, so that a forgotten store holds no process up. What was answered is in the -wal file by then.
        self._thread = Thread(target=self._work, name="trioflow-store-writer", daemon=True)
        self._thread.start()

    # --- on the event loop

    @trio.lowlevel.enable_ki_protection  # an interrupt must not part a request from the task that waits for it
    async def ask(self, judge: AnyJudge, item: object, durability: Durability) -> Any:
        """The judge's answer; see `Store.coalesce`."""
        await trio.lowlevel.checkpoint_if_cancelled()
        self.check_open()
        request = Request(judge, item, durability)
        self._gathered.append(request)
        if len(self._gathered) == 1:
            await trio.lowlevel.cancel_shielded_checkpoint()  # let the others of this tick join
            self._send()
        if not request.answered:
            request.task = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(self._withdrawal(request))
        if request.error is None:
            return request.answer
        try:
            raise request.error
        finally:
            request.error = None  # or it would be kept alive by its own traceback

    @property
    def forked(self) -> bool:
        """This is a forked child's copy: the thread is the parent's."""
        return self._lock.forked

    def check_open(self) -> None:
        """Passes while anything can be asked.

        Raises:
            StoreClosed: it is closed.
            StoreForked: this is a forked child.
            StoreGone: its file is not there any more.
        """
        if self._lock.forked:
            raise StoreForked
        if self._closing:
            raise StoreClosed
        self._connection.check_in_place()

    def every(self, seconds: float, fn: Callable[[Tx], object], durability: Durability) -> Periodic:
        """See `Store.every`."""
        self.check_open()
        entry = self._timetable.add(seconds, fn, durability)
        self._queue.put(Signal.LOOK)
        return entry

    async def wait_for_change(self, after: int) -> int:
        """See `Store.wait_for_change`."""
        self.check_open()
        return await self._feed.wait(after, lambda: self._queue.put(Signal.LOOK))

    async def aclose(self) -> None:
        """Answers everything that waits, ends the thread, frees database and lock. Never raises.

        If another process keeps the lock for `CLOSE_SECONDS`, who waits is told that the store is closed; the thread
        ends when it can.
        """
        self._closing = True
        self._send()
        self._queue.put(Signal.STOP)
        with trio.move_on_after(CLOSE_SECONDS, shield=True):
            await self._ended.wait()
        if not self._ended.is_set():
            logger.warning(
                "the store is closed without its last writes: %s is in the way", self._lock.holder()
            )
            self._turn_away()

    def _send(self) -> None:
        """Runs what was gathered, or hands it over to the thread."""
        gathered = [request for request in self._gathered if not request.withdrawn]
        self._gathered = []
        if gathered and not (self._is_little(gathered) and self._run_here(gathered)):
            self._hand_over(gathered, *gathered)

    def _hand_over(self, requests: Sequence[Request], *arrivals: Arrival) -> None:
        self._handed += len(requests)
        for request in requests:
            request.handed = True
        for arrival in arrivals:
            self._queue.put(arrival)

    def _is_little(self, gathered: Sequence[Request]) -> bool:
        """Whether it can be run here without overtaking anything, and without taking long.

        Judges are ours and quick; a single function is anybody's.
        """
        most = FEW if strictest(gathered) is Durability.RELAXED else 1
        if self._handed or self._closing or len(gathered) > most:
            return False
        return all(request.judge is not call for request in gathered)

    def _run_here(self, gathered: Sequence[Request]) -> bool:
        """Runs it, unless connection or lock are taken, or there is something to wait for."""
        if not self._busy.acquire(blocking=False):
            return False
        try:
            committed = self._commit_here(gathered)
        finally:
            self._busy.release()
        if committed is None:
            return False
        if committed.must_sync and strictest(gathered) is Durability.RELAXED:
            self._hand_over(gathered, committed)
        else:
            self._deliver(gathered, committed.newest)
        if self._connection.log_is_long:
            self._queue.put(Signal.LOOK)
        return True

    def _commit_here(self, gathered: Sequence[Request]) -> Committed | None:
        if not self._lock.enter_nowait():
            return None
        try:
            if not self._connection.begin_at_once(strictest(gathered)):
                return None
            for request in gathered:
                request.begun = True
            return run_begun(self._connection, gathered)
        except BaseException as error:
            logger.critical(BROKEN, exc_info=True)
            self._closing = True
            self._queue.put(Signal.STOP)
            _blame(gathered, error)
            return Committed(gathered)
        finally:
            self._lock.leave()

    def _withdrawal(self, request: Request) -> Callable[[object], trio.lowlevel.Abort]:
        def withdraw(_raise_cancel: object) -> trio.lowlevel.Abort:
            with self._guard:
                request.withdrawn = not request.begun
            self._handed -= request.withdrawn and request.handed
            return trio.lowlevel.Abort.SUCCEEDED if request.withdrawn else trio.lowlevel.Abort.FAILED

        return withdraw

    def _deliver(self, batch: Sequence[Request], newest: int) -> None:
        self._feed.publish(newest)
        for request in batch:
            request.answered = True
            self._handed -= request.handed
            if request.task is not None:
                trio.lowlevel.reschedule(request.task)

    def _turn_away(self) -> None:
        """Tells everyone who was not begun that it is too late."""
        self._send()
        with self._guard:
            self._take_arrivals(self._queue.qsize())
            late = _requests_of(self._take_unsynced()) + self._begin_arrived()
        self._queue.put(Signal.STOP)  # one that was just taken would not have woken the thread
        for request in late:
            request.error = StoreClosed()
        self._deliver(late, 0)
        self._feed.close()

    def _over(self) -> None:
        self._closing = True
        self._turn_away()
        self._thread.join()
        self._ended.set()

    # --- in the writer's thread

    def _work(self) -> None:
        try:
            while not self._stopping:
                self._turn()
        except BaseException:
            logger.critical(BROKEN, exc_info=True)
        finally:
            self._connection.close()
            self._lock.close()
            self._hop(self._over)

    def _turn(self) -> None:
        self._wait()
        if self._arrived or self._unsynced or self._timetable.seconds_left() == 0:
            with self._busy, self._lock:
                unsynced, batch = self._begin()
                newest = self._run(unsynced, batch)
            report_failures(batch)
            self._hop(self._deliver, _requests_of(unsynced) + batch, newest)
        if self._connection.log_is_long and not self._stopping:
            # Only a log that nobody adds to while it is merged can begin anew.
            with self._busy, self._lock:
                self._connection.merge_log()
        self._look_elsewhere()

    def _wait(self) -> None:
        with contextlib.suppress(Empty):
            self._sort(self._queue.get(timeout=self._patience()))

    def _patience(self) -> float | None:
        """How long there is nothing to do if nothing arrives; None is for ever."""
        limits = [self._timetable.seconds_left()]
        if self._feed.wanted:
            limits.append(max(0.0, self._next_look - self._now()))
        return min((limit for limit in limits if limit is not None), default=None)

    def _sort(self, arrival: Arrival) -> None:
        match arrival:
            case Request():
                self._arrived.append(arrival)
            case Committed():
                self._unsynced.append(arrival)
            case Signal.STOP:
                self._stopping = True
            case Signal.LOOK:
                pass

    def _begin(self) -> tuple[list[Committed], list[Request]]:
        """What is synced and what is run now: it can no longer be withdrawn."""
        with self._guard:
            due = self._timetable.take_due()
            self._take_arrivals(min(self._queue.qsize(), BATCH_LENGTH - len(self._arrived)))
            return self._take_unsynced(), due + self._begin_arrived()

    def _take_arrivals(self, count: int) -> None:
        for _ in range(count):
            self._sort(self._queue.get_nowait())

    def _begin_arrived(self) -> list[Request]:
        begun = [request for request in self._arrived if not request.withdrawn]
        self._arrived.clear()
        for request in begun:
            request.begun = True
        return begun

    def _take_unsynced(self) -> list[Committed]:
        unsynced, self._unsynced = self._unsynced, []
        return unsynced

    def _run(self, unsynced: Sequence[Committed], batch: Sequence[Request]) -> int:
        try:
            newest = [sync(self._connection, committed) for committed in unsynced]
            if batch:
                newest.append(run_batch(self._connection, batch))
            return max(newest, default=0)
        except BaseException as error:
            everyone = _requests_of(unsynced) + list(batch)
            _blame(everyone, error)
            self._hop(self._deliver, everyone, 0)
            raise

    def _look_elsewhere(self) -> None:
        now = self._now()
        if not self._feed.wanted or now < self._next_look:
            return
        self._next_look = now + LOOK_SECONDS
        self._feed.calm_down()
        try:
            with self._busy:
                newest = self._connection.change_elsewhere()
        except StoreError as error:
            logger.warning("cannot look for other processes' changes: %s", error)
            self._next_look = now + CLOSE_SECONDS
        else:
            if newest:
                self._hop(self._feed.publish, newest)

    def _hop(self, fn: Callable[..., object], *args: object) -> None:
        """Has the event loop call it, if there still is one."""
        with contextlib.suppress(trio.RunFinishedError):
            self._token.run_sync_soon(fn, *args)


def _requests_of(unsynced: Sequence[Committed]) -> list[Request]:
    return [request for committed in unsynced for request in committed.requests]


def _blame(requests: Sequence[Request], error: BaseException) -> None:
    for request in requests:
        request.error = TrioflowBug(f"the store's writer has failed: {error!r}")
