"""Loops: a turn that is taken again and again, whatever happens to a single one.

A turn that ends because the other side is in trouble (the store, the network) is remembered, and the loop goes on,
the slower the longer that lasts. One that ends in any other way is a defect: it is logged, and the loop starts over
at once. Where that does not help, its error ends the loop, and so the nursery that it is in: nobody is alive and idle.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TypeAlias, final

import trio
from attrs import define, evolve, field, frozen

from trioflow import clock
from trioflow.core.retries import clamped_poisson
from trioflow.errors import SchemaTooNew, StoreClosed, StoreError, StoreForked, StoreGone

logger = logging.getLogger("trioflow.loops")

Turn: TypeAlias = Callable[[], Awaitable[datetime | None]]
"""Does what is to be done now, and tells at which instant there is more, if it is known."""

ROUND = 3
"""After so many failures in a row, each time, they are summed up, and the pauses get longer."""
LEAST_SECONDS = 1.0
"""How long a loop that nothing holds up pauses after a failure."""
MOST_SECONDS = 20.0
"""The longest pause after a failure: with all its jitter, a loop is back half a minute after its trouble is over."""
MOST_DEFECTS = 5
"""A loop that has failed so often in a row, with no turn between that went well, is beyond help."""
RESTART_SECONDS = 0.25
"""How long a loop pauses after its first defect; twice that after the next."""
BEYOND_HELP = (StoreClosed, StoreForked, StoreGone, SchemaTooNew)
"""What no turn mends, however often it is taken."""
LOOK_SECONDS = 10.0
"""The wall clock may be set, and the machine suspended, while a loop sleeps."""


@final
@define(eq=False)
class Bell:
    """Wakes a loop that sleeps; rung during a turn, it brings on another one. However often it rings, it is once."""

    _rung: trio.Event = field(factory=trio.Event, init=False)

    def ring(self) -> None:
        """There is something to do."""
        self._rung.set()

    def rung(self) -> bool:
        """Whether it rang since it was silenced."""
        return self._rung.is_set()

    def silence(self) -> None:
        """What it rang for is being done."""
        if self._rung.is_set():
            self._rung = trio.Event()

    async def wait(self) -> None:
        """Waits until it rings."""
        await self._rung.wait()


@frozen(kw_only=True)
class Health:
    """How a loop is."""

    failures: int = 0
    """Turns that failed since one went well."""
    error: str | None = None
    """Why the last one did."""
    since: datetime | None = None
    """When the first of them did."""

    @property
    def is_well(self) -> bool:
        """Whether its last turn went well."""
        return self.failures == 0


WELL = Health()


@final
@define(eq=False)
class Loop:
    """One supervised loop."""

    name: str
    """What it does, as the log is to say it: ``Claiming runs``."""
    _turn: Turn
    seconds: float
    """Between two turns when nothing wakes it and nothing is due."""
    jitter: float = 0.3
    """By which fraction of them the seconds are stretched or shrunk at random (SL-04)."""
    bell: Bell = field(factory=Bell)
    look_seconds: float = LOOK_SECONDS
    """How often it looks at the wall clock, while it sleeps until an instant."""
    health: Health = field(default=WELL, init=False)
    _round: Counter[str] = field(factory=Counter[str], init=False)
    """The failures that were not summed up yet, by what the log is to say of them."""
    _pause: float = field(default=0.0, init=False)
    """How long it waits after a failure."""
    _defects: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self._pause = self._shortest_pause()

    async def run_once(self) -> None:
        """Take one turn (SL-05), and raise what it raises."""
        await self._turn()

    async def keep_going(self) -> None:
        """Take turns until cancelled.

        Raises:
            Exception: what a turn has raised that nothing can mend, or what the fifth one in a row has raised that
                nobody expects to go away by itself.
        """
        while True:
            self.bell.silence()
            try:
                due = await self._turn()
            except Exception as error:  # noqa: BLE001 - raised again by `_failed`, or logged
                await trio.sleep(self._failed(error))
            else:
                self._went_well()
                await self._sleep_until(due)

    # --- going well

    def _went_well(self) -> None:
        if self._pause > self._shortest_pause():
            logger.info("%s works again.", self.name)
        self.health = WELL
        self._pause = self._shortest_pause()
        self._defects = 0
        self._round.clear()

    async def _sleep_until(self, due: datetime | None) -> None:
        """Returns after the loop's seconds, at ``due`` by the wall clock, or when the bell rings."""
        await trio.lowlevel.checkpoint()
        end = trio.current_time() + self._jittered(self.seconds)
        while not self.bell.rung():
            left = end - trio.current_time()
            if due is not None:
                left = min(left, (due - clock.now()).total_seconds())
            if left <= 0:
                return
            looks = due is not None and not clock.is_steady()
            with trio.move_on_after(min(left, self.look_seconds) if looks else left):
                await self.bell.wait()

    # --- failing

    def _failed(self, error: Exception) -> float:
        """Remember a failure, and tell after how many seconds the next turn may be taken.

        Raises:
            Exception: ``error``, when it is one defect too many.
        """
        text = f"{type(error).__name__}: {error}"
        since = self.health.since or clock.now()
        self.health = evolve(self.health, failures=self.health.failures + 1, error=text, since=since)
        if may_pass(error):
            return self._pause_after(type(error).__name__)
        if isinstance(error, BEYOND_HELP):
            logger.critical("%s is given up: %s", self.name, error)
            raise error
        self._defects += 1
        if self._defects == MOST_DEFECTS:
            logger.critical("%s: failed %d times in a row, and is given up.", self.name, self._defects)
            raise error
        logger.error("%s: a turn failed, and is tried again.", self.name, exc_info=error)
        return RESTART_SECONDS * 2.0 ** (self._defects - 1)

    def _pause_after(self, kind: str) -> float:
        self._round[kind] += 1
        if self._round.total() == ROUND:
            self._sum_up()
        return self._jittered(self._pause)

    def _sum_up(self) -> None:
        """One line for each kind of error (SL-02), one for what becomes of it (SL-03)."""
        for kind, count in self._round.items():
            logger.warning("%s: %d of the last %d attempts failed with %s.", self.name, count, ROUND, kind)
        self._round.clear()
        self._pause = min(self._pause * 2, MOST_SECONDS)
        logger.warning(
            "%s: Backing off due to consecutive errors, using increased interval of %g s. The last error: %s",
            self.name,
            self._pause,
            self.health.error,
        )

    def _shortest_pause(self) -> float:
        return min(max(self.seconds, LEAST_SECONDS), MOST_SECONDS)

    def _jittered(self, seconds: float) -> float:
        return clamped_poisson(seconds, self.jitter, clock.draw()) if self.jitter else seconds


def may_pass(error: BaseException) -> bool:
    """Whether it may go away by itself: trouble of the store or of the network, which others can mend (SL-01)."""
    match error:
        case error if isinstance(error, BEYOND_HELP):
            return False
        case StoreError() | OSError():
            return True
        case ExceptionGroup(exceptions=several):
            return all(may_pass(each) for each in several)
        case _:
            return False
