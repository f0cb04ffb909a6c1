"""Scheduling: which of Trio's runnable tasks comes next is drawn from a seed, and is the same again for the same seed.

Theory of operation. Trio asks one random number generator of its own for the order of each batch, and sorts the batch
first when it is told to be deterministic. Both are private names of `trio._core._run`, put in place for the time of a
`trio.run` and put back afterwards; a test fails loudly when Trio renames them. The order in which tasks are sorted is
that of their making, so that neither addresses nor hash seeds show.

The garbage collector runs at no moment of its own: what it finds may wake tasks. It is called every so many batches.
"""

# pyright: reportPrivateUsage=false
# (see the contract: scheduling is private to Trio)

from __future__ import annotations

import gc
import random
from collections.abc import Callable, Generator
from contextlib import contextmanager
from enum import Enum
from typing import Any, Protocol, final

import trio
from attrs import define, field

_COLLECT_EACH = 20_000
"""Batches between two collections."""
_PCT_CHANGES = 8
_PCT_BATCHES = 20_000

Keep = Callable[["list[trio.lowlevel.Task]"], None]
"""Takes out of a batch the tasks that are not to run now, and keeps them."""


class Strategy(Enum):
    """How the order of runnable tasks is drawn."""

    RANDOM = "random"
    FIFO = "fifo"
    """Who was made first comes first."""
    LIFO = "lifo"
    PCT = "pct"
    """Strict priorities, drawn for each task, that change at a few drawn moments: finds rare orders of few steps."""


class _Private(Protocol):
    """What Trio keeps to itself, and this needs."""

    _r: Any
    _ALLOW_DETERMINISTIC_SCHEDULING: bool
    GLOBAL_RUN_CONTEXT: Any


def private_trio() -> _Private:
    """The module of Trio's that owns scheduling.

    Raises:
        AttributeError: this Trio names things otherwise.
    """
    from trio._core import _run

    for name in ("_r", "_ALLOW_DETERMINISTIC_SCHEDULING", "GLOBAL_RUN_CONTEXT", "CancelStatus", "Deadlines"):
        getattr(_run, name)
    return _run


@final
@define(eq=False)
class Order:
    """Stands in for Trio's random number generator: the order of each batch, from a seed.

    Trio takes tasks from the end of the list.
    """

    strategy: Strategy
    _chance: random.Random
    keep: Keep | None = None
    """Asked first, while there is somebody."""
    batches: int = 0
    _batch: list[trio.lowlevel.Task] = field(factory=list["trio.lowlevel.Task"])
    """What Trio works on: the tasks of it that did not run yet."""
    _priorities: dict[int, float] = field(factory=dict[int, float])
    _changes: frozenset[int] = field(init=False)

    def __attrs_post_init__(self) -> None:
        is_pct = self.strategy is Strategy.PCT
        drawn = self._chance.sample(range(1, _PCT_BATCHES), _PCT_CHANGES) if is_pct else []
        self._changes = frozenset(drawn)

    def uniform(self, low: float, _high: float) -> float:
        """Trio draws the beginning of its own clock, which is not used."""
        return low

    def random(self) -> float:
        """A number from [0, 1)."""
        return self._chance.random()

    def shuffle(self, batch: list[trio.lowlevel.Task]) -> None:
        """Put a batch, sorted by the tasks' age, into the order that is to be."""
        self.batches += 1
        self._batch = batch
        if self.batches % _COLLECT_EACH == 0:
            gc.collect()
        if self.keep is not None:
            self.keep(batch)
        if len(batch) < 2:
            return
        match self.strategy:
            case Strategy.RANDOM:
                self._chance.shuffle(batch)
            case Strategy.FIFO:
                batch.reverse()
            case Strategy.LIFO:
                pass
            case Strategy.PCT:
                self._by_priority(batch)

    def drop(self, is_held: Callable[[trio.lowlevel.Task], bool]) -> None:
        """Take the tasks that are held out of the batch that is being worked on."""
        self._batch[:] = [task for task in self._batch if not is_held(task)]

    def _by_priority(self, batch: list[trio.lowlevel.Task]) -> None:
        for task in batch:
            self._priorities.setdefault(number_of(task), self._chance.random() + 1)
        batch.sort(key=lambda task: self._priorities[number_of(task)])
        if self.batches in self._changes:
            self._priorities[number_of(batch[-1])] = self._chance.random()


def number_of(task: trio.lowlevel.Task) -> int:
    """The task's number, counted up in the order in which the process has made tasks."""
    number: int = task._counter
    return number


@contextmanager
def ordered(order: Order) -> Generator[None]:
    """Within the block, a `trio.run` takes tasks in this order."""
    private = private_trio()
    before = private._r, private._ALLOW_DETERMINISTIC_SCHEDULING
    private._r, private._ALLOW_DETERMINISTIC_SCHEDULING = order, True
    collected = gc.isenabled()
    try:
        with frozen_heap():
            gc.collect()
            gc.disable()
            yield
    finally:
        private._r, private._ALLOW_DETERMINISTIC_SCHEDULING = before
        if collected:
            gc.enable()


@contextmanager
def frozen_heap() -> Generator[None]:
    """Within the block, the garbage collector passes over what is there already: all modules, for the most part.

    Around many simulations it saves each of them a walk through the whole heap.
    """
    if gc.get_freeze_count():
        yield
        return
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@contextmanager
def deterministic(seed: int | None, strategy: Strategy | str = Strategy.RANDOM) -> Generator[None]:
    """Within the block, a `trio.run` takes tasks in an order that the seed says; `Strategy.FIFO` needs none."""
    from trioflow.testing.simulation.cancellation import cancelled_in_order  # It knows this module.

    with ordered(Order(Strategy(strategy), random.Random(seed or 0))), cancelled_in_order():
        yield
