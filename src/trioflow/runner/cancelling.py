"""Cancelling: runs in hand that somebody asked to end, runs in hand that another process took away, and strays."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, final
from uuid import UUID

from attrs import define, field

from trioflow import clock
from trioflow.core.runs import FlowRun
from trioflow.core.states import Cancelled, State, StateType
from trioflow.errors import RunNotFound
from trioflow.loops import Bell
from trioflow.runner.exits import NO_PROCESS, state_after_exit
from trioflow.wire.endpoints import CLOSE_FLOW_RUN, END_LEASE, READ_FLOW_RUN
from trioflow.wire.requests import CloseFlowRun, EndLease, ReadFlowRun

if TYPE_CHECKING:
    from trioflow.runner.claim import Claims
    from trioflow.runner.delays import Delays
    from trioflow.runner.hand import Hand
    from trioflow.wire.replies import Change

logger = logging.getLogger("trioflow.runner")

RETRY_SECONDS = 1.0
"""After which a run that could not be asked to end is asked again."""


@final
@define(eq=False)
class Cancelling:
    """Ends what has to end; the end itself, and its record, are the supervision's."""

    _claims: Claims
    _delays: Delays
    bell: Bell
    """Brings on a turn."""
    _heard: set[UUID] = field(factory=set[UUID], init=False)
    """Runs in hand of which there is news."""

    def hear(self, change: Change) -> None:
        """Something has happened to a run."""
        if change.run_id in self._claims.in_hand and _matters(change.type):
            self.look_at(change.run_id)

    def look_at(self, run_id: UUID) -> None:
        """Have the next turn look at this run."""
        self._heard.add(run_id)
        self.bell.ring()

    async def turn(self) -> None:
        """Look at the runs in hand of which there is news, at all of them if nobody has called, and at strays (CN-01).

        Raises:
            StoreError: the database cannot do it.
        """
        heard, self._heard = self._heard, set()
        called = bool(heard or self._claims.strays)
        hands = [hand for hand in self._claims.in_hand.values() if not called or hand.run_id in heard]
        try:
            found = [(hand, await self._read(hand.run_id)) for hand in hands]
        except BaseException:
            self._heard |= heard
            raise
        self._end_those_that_must(found)
        await self.close_strays()

    def _end_those_that_must(self, found: Iterable[tuple[Hand, FlowRun | None]]) -> None:
        taken = [(hand, run) for hand, run in found if run is not None]
        asked = [(hand, run) for hand, run in taken if _is_cancelling(run) and not hand.cancelling]
        if asked:
            logger.info("Found %d flow runs awaiting cancellation.", len(asked))
        for hand, run in asked:
            self._cancel(hand, run)
        for hand, run in taken:
            hand.tell(run)

    def _cancel(self, hand: Hand, run: FlowRun) -> None:
        """Ask the process to end. It is asked again when that fails: the run would be CANCELLING for ever (QK-04)."""
        hand.cancelling = True
        try:
            hand.request_cancel((run.state and run.state.message) or "Cancellation was requested.")
        except Exception:
            logger.exception(
                "Encountered exception while killing process for flow run '%s'. Flow run may not be cancelled.",
                run.id,
            )
            hand.cancelling = False
            self._delays.call_later(RETRY_SECONDS, partial(self.look_at, run.id))

    async def close_strays(self) -> None:
        """Close the runs that nobody supervises any more. The next turn tries again what cannot be closed.

        Raises:
            StoreError: the database cannot do it.
        """
        for run_id, stray in list(self._claims.strays.items()):
            run = await self._read(run_id)
            if run is not None and run.epoch == stray.run.epoch:
                await self._close(run, stray.wish)
            del self._claims.strays[run_id]

    async def _close(self, run: FlowRun, wish: State | None) -> None:
        state = state_after_exit(run, None, Cancelled(message=NO_PROCESS) if _is_cancelling(run) else wish)
        client = self._claims.place.client
        if state is None:
            await client.call(END_LEASE, EndLease(run_id=run.id, epoch=run.epoch))
            return
        request = CloseFlowRun(
            run_id=run.id, epoch=run.epoch, state=state, transition_id=clock.new_id(), draw=clock.draw()
        )
        await client.call(CLOSE_FLOW_RUN, request)

    async def _read(self, run_id: UUID) -> FlowRun | None:
        try:
            return await self._claims.place.client.call(READ_FLOW_RUN, ReadFlowRun(run_id=run_id))
        except RunNotFound:
            return None


def _is_cancelling(run: FlowRun) -> bool:
    return run.state is not None and run.state.type is StateType.CANCELLING


def _matters(type_: StateType) -> bool:
    """Whether a run in hand that enters such a state may have to be ended: it was cancelled, or reaped by somebody."""
    return type_.is_final or type_ in {StateType.CANCELLING, StateType.SCHEDULED}
