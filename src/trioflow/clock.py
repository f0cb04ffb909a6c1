"""The world's time, ids and chance: the one place that asks for them, so that a simulation can put its own here."""

from __future__ import annotations

import os
import random
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Generator

_VERSION_7 = 0x7 << 76
_VARIANT = 0x2 << 62
_CHANCE = random.Random(os.urandom(16))


class World(Protocol):
    """Where time, ids and chance come from."""

    def now(self) -> datetime:
        """The wall clock: aware, in UTC."""
        ...

    def new_id(self) -> UUID:
        """A fresh UUIDv7."""
        ...

    def draw(self) -> float:
        """A number from [0, 1)."""
        ...


class RealWorld:
    """The system's clock and randomness."""

    def now(self) -> datetime:
        """The wall clock: aware, in UTC."""
        return datetime.now(UTC)

    def new_id(self) -> UUID:
        """A fresh UUIDv7; ids of one process sort by the time of their making, to a quarter of a microsecond."""
        milliseconds, rest = divmod(time.time_ns(), 1_000_000)
        fraction = (rest << 12) // 1_000_000
        return UUID(int=milliseconds << 80 | _VERSION_7 | fraction << 64 | _VARIANT | _CHANCE.getrandbits(62))

    def draw(self) -> float:
        """A number from [0, 1)."""
        return _CHANCE.random()


_world: World = RealWorld()
_is_steady = False


def now() -> datetime:
    """What time it is: aware, in UTC."""
    return _world.now()


def new_id() -> UUID:
    """A fresh UUIDv7."""
    return _world.new_id()


def draw() -> float:
    """A number from [0, 1)."""
    return _world.draw()


def is_steady() -> bool:
    """Whether the wall clock here is never set: who sleeps until an instant need not look at it meanwhile."""
    return _is_steady


@contextmanager
def use(world: World, *, steady: bool = False) -> Generator[None]:
    """Within the block, time, ids and chance come from ``world``. For simulations: it holds for the whole process.

    A ``steady`` one's wall clock is never set: it goes as Trio's clock does.
    """
    global _world, _is_steady
    before = _world, _is_steady
    _world, _is_steady = world, steady
    try:
        yield
    finally:
        _world, _is_steady = before


def _reseed_after_fork() -> None:
    _CHANCE.seed(os.urandom(16))


os.register_at_fork(after_in_child=_reseed_after_fork)
