"""Futures: what stands for the outcome of a run that was submitted and goes on by itself."""

from __future__ import annotations

import enum
from collections.abc import Generator
from typing import Any, Generic, Literal, TypeVar, cast, final, overload
from uuid import UUID

import trio
from attrs import define, field

from trioflow.core.states import Pending, State
from trioflow.engine.blocking import current_portal
from trioflow.engine.results import result_of
from trioflow.errors import WrongColour
from trioflow.task_runners.turns import lending

R_co = TypeVar("R_co", covariant=True)

_PENDING = Pending()


class Attention(enum.IntEnum):
    """How far the code that started a run has looked at its outcome."""

    NONE = 0
    LOOKED = 1
    """It took the state into its hands."""
    DEALT_WITH = 2
    """The exception was raised into it, or it said `allow_failure`; it went on all the same."""


@final
@define(eq=False)
class Future(Generic[R_co]):
    """A submitted task or flow. ``await future`` gives its result, or raises what it raised.

    In sync code ``future.result()`` does the same.

    ``name`` is that of its run. A future may be awaited any number of times, by any number of tasks, and given to
    other tasks in place of its value.
    """

    name: str
    run_id: UUID | None = None
    """The id of its run, as soon as there is one."""
    attention: Attention = Attention.NONE
    """Only ever rises."""
    _state: State = _PENDING
    _ended: trio.Event = field(factory=trio.Event)

    @property
    def state(self) -> State:
        """What its run is in: PENDING until it is over here. Its ``data`` is live."""
        self._look(Attention.LOOKED)
        return self._state

    @property
    def outcome(self) -> State:
        """As `state`, for the engine: it is not looking."""
        return self._state

    @property
    def ended_well(self) -> bool:
        """Whether its run is over here, and completed."""
        return self._state.is_completed

    @property
    def is_done(self) -> bool:
        """Whether its run is over here."""
        return self._ended.is_set()

    async def wait(self) -> State:
        """The state that its run ended in; never raises for it."""
        await self.ended()
        return self.state

    async def ended(self) -> State:
        """As `wait`, for the engine: waiting is not looking."""
        if self._ended.is_set():
            await trio.lowlevel.checkpoint()
            return self._state
        async with lending():
            await self._ended.wait()
        return self._state

    def __await__(self) -> Generator[Any, Any, R_co]:
        return self._result().__await__()

    async def _result(self) -> R_co:
        await self.ended()
        return self.result_nowait()

    @overload
    def result(self, *, return_state: Literal[False] = ...) -> R_co: ...

    @overload
    def result(self, *, return_state: Literal[True]) -> State: ...

    def result(self, *, return_state: bool = False) -> Any:
        """In sync code: what ``await`` would give, or with ``return_state`` what `wait` would.

        Raises:
            UnfinishedRun: this thread cannot wait for the run, and that is not over.
            WrongColour: this is async code.
            BaseException: what the run raised, unless its state is asked for.
        """
        if trio.lowlevel.in_trio_run():
            raise WrongColour("result() is for sync code: in async code, await the future itself")
        portal = current_portal()
        if portal.is_open():
            return portal.call(self.wait if return_state else self._result)
        return self.state if return_state else self.result_nowait()

    def result_nowait(self) -> R_co:
        """What ``await`` would give; its run must be over.

        Raises:
            UnfinishedRun: it is not.
            BaseException: what the run raised.
        """
        self._look(Attention.DEALT_WITH)
        return cast("R_co", result_of(self._state))

    def allow_failure(self) -> None:
        """Whatever becomes of it is no failure of the run that started it."""
        self._look(Attention.DEALT_WITH)

    def end(self, state: State) -> None:
        """Its run is over here, in ``state``. Later calls change nothing."""
        if not self._ended.is_set():
            self._state = state
            self._ended.set()

    def _look(self, attention: Attention) -> None:
        self.attention = max(self.attention, attention)
