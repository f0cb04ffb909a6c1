"""A wall clock that jumps: set by an operator, by a time server, or after a computer has slept."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import final
from uuid import UUID

from attrs import define, field

from trioflow.clock import RealWorld, World


@final
@define(eq=False)
class JumpingClock:
    """A `trioflow.clock.World` over another one, whose wall clock can be set; `trioflow.clock.use` puts it in place.

    Ids and chance are the other one's. Trio's own clock, by which everybody sleeps, does not jump.
    """

    inner: World = field(factory=RealWorld)
    offset: timedelta = timedelta()
    """How far it is ahead of the other one's clock."""

    def jump(self, seconds: float) -> None:
        """Set the clock: forward, or with a negative number back."""
        self.offset += timedelta(seconds=seconds)

    def now(self) -> datetime:
        """The wall clock: aware, in UTC."""
        return self.inner.now() + self.offset

    def new_id(self) -> UUID:
        """A fresh id of the other world's."""
        return self.inner.new_id()

    def draw(self) -> float:
        """A number from [0, 1)."""
        return self.inner.draw()
