"""Turns: at most so many calls at a time, in the order in which they were asked for.

A call that waits for another one lends its turn out meanwhile, so that calls within calls, however deep, never
starve under a limit, be it 1.
"""

from __future__ import annotations

from collections import deque
from contextvars import ContextVar
from typing import TYPE_CHECKING, TypeVar, final

import trio
from attrs import define, field

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")


@final
@define(eq=False)
class Turn:
    """One call's place: in the line until ``come`` is set, then a turn that counts."""

    turns: Turns
    come: trio.Event = field(factory=trio.Event)
    lent: int = 0
    """For how many waits at once it is lent out; given back at the first, asked for again after the last."""

    async def run(self, call: Callable[[], Awaitable[T]]) -> T:
        """Wait for the turn, and make the call in it."""
        held = _held.set(self)
        try:
            await self.come.wait()
            return await call()
        finally:
            _held.reset(held)
            self.turns.give_back(self)


@final
@define(eq=False)
class Turns:
    """``free`` turns to give now. While any call is in ``line``, none is free."""

    free: int
    line: deque[Turn] = field(factory=deque[Turn])

    def ask(self) -> Turn:
        """A place in the line, taken at once; `Turn.wait` waits for its turn."""
        turn = Turn(self)
        self.line_up(turn)
        return turn

    def line_up(self, turn: Turn) -> None:
        """Put ``turn`` at the end of the line; it may be its turn at once."""
        turn.come = trio.Event()
        self.line.append(turn)
        self._call_next()

    def give_back(self, turn: Turn) -> None:
        """``turn`` is over, or its caller does not want it any more."""
        if turn.come.is_set():
            self.free += 1
        else:
            self.line.remove(turn)
        self._call_next()

    def _call_next(self) -> None:
        while self.free and self.line:
            self.free -= 1
            self.line.popleft().come.set()


_held: ContextVar[Turn | None] = ContextVar("trioflow turn", default=None)


async def turnless(call: Callable[[], Awaitable[T]]) -> T:
    """Make the call where no turns are counted; a turn that its context comes with is not its own."""
    held = _held.set(None)
    try:
        return await call()
    finally:
        _held.reset(held)


@final
@define(eq=False)
class lending:  # noqa: N801 - read as a sentence: async with lending()
    """Within the block, which waits for another call, the turn that the code around holds is lent out."""

    _turn: Turn | None = field(factory=_held.get, init=False)

    async def __aenter__(self) -> None:
        turn = self._turn
        if turn is None:
            return
        turn.lent += 1
        if turn.lent == 1:
            turn.turns.give_back(turn)

    async def __aexit__(self, *exc: object) -> None:
        turn = self._turn
        if turn is None:
            return
        turn.lent -= 1
        if turn.lent == 0:
            turn.turns.line_up(turn)
            await turn.come.wait()
