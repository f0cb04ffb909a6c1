"""The virtual world: a wall clock that goes with Trio's virtual time, ids and chance from one seed."""

from __future__ import annotations

import random
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import final
from uuid import UUID

import trio
from attrs import define, field

_VERSION_7 = 0x7 << 76
_VARIANT = 0x2 << 62


@final
@define(eq=False)
class VirtualWorld:
    """See `trioflow.clock.World`. The wall clock can be set, Trio's own time cannot."""

    start: datetime
    """What the wall clock shows when the simulation begins; aware."""
    _seed: str
    _zero: datetime = field(init=False)
    """What the wall clock showed at Trio's time 0."""
    _zero_seconds: float = field(init=False)
    """The same, in seconds since 1970."""
    _ids: random.Random = field(init=False)
    _chance: random.Random = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._set(self.start.astimezone(UTC))
        self._ids = self.stream("ids")
        self._chance = self.stream("draws")

    def stream(self, purpose: str) -> random.Random:
        """Chance for one purpose: what others draw does not change it."""
        return random.Random(f"{self._seed}/{purpose}")

    def now(self) -> datetime:
        """The wall clock: aware, in UTC."""
        return self._zero + timedelta(seconds=trio.current_time())

    def new_id(self) -> UUID:
        """A UUIDv7 of the virtual millisecond; the rest is drawn."""
        milliseconds = int((self._zero_seconds + trio.current_time()) * 1000)
        chance = self._ids.getrandbits(74)
        return UUID(
            int=milliseconds << 80 | _VERSION_7 | (chance >> 62) << 64 | _VARIANT | chance & (1 << 62) - 1
        )

    def draw(self) -> float:
        """A number from [0, 1)."""
        return self._chance.random()

    def jump(self, seconds: float) -> None:
        """Set the wall clock forward, or back: nobody's sleep gets shorter or longer."""
        self._set(self._zero + timedelta(seconds=seconds))

    def _set(self, zero: datetime) -> None:
        self._zero, self._zero_seconds = zero, zero.timestamp()


@contextmanager
def seeded_random(seed: str) -> Generator[None]:
    """Within the block, ``random``'s own functions, which flows may call, draw from the seed."""
    before = random.getstate()
    random.seed(f"{seed}/random")
    try:
        yield
    finally:
        random.setstate(before)
