"""Claims: the runs that a runner has in hand, how one gets there, and that its slot comes back on every path."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, final
from uuid import UUID

from attrs import define, field

from trioflow import clock
from trioflow.core.runs import FlowRun
from trioflow.core.states import StateType
from trioflow.core.verdicts import Abort, Accept
from trioflow.errors import ProcessNotStarted, RunnerIsFull, StoreError, TrioflowError
from trioflow.processes import this_process
from trioflow.runner.hand import Hand
from trioflow.runner.supervise import supervise
from trioflow.wire.endpoints import CLAIM_FLOW_RUN
from trioflow.wire.requests import ClaimFlowRun

if TYPE_CHECKING:
    import trio

    from trioflow.runner.limiter import Limiter
    from trioflow.runner.served import Served
    from trioflow.runner.supervise import Place
    from trioflow.wire.replies import FlowRunAnswer

logger = logging.getLogger("trioflow.runner")


@final
@define(eq=False)
class Claims:
    """Claims runs, and has each of them supervised by a task of its own.

    A run is in hand exactly as long as it has its slot.
    """

    place: Place
    limiter: Limiter
    served: Served
    _nursery: trio.Nursery
    """Of the supervising tasks."""
    _freed: Callable[[], None]
    """Told when a run that was claimed has given its slot back."""
    in_hand: dict[UUID, Hand] = field(factory=dict[UUID, Hand], init=False)
    strays: dict[UUID, FlowRun] = field(factory=dict[UUID, FlowRun], init=False)
    """Claimed runs whose supervision failed: they have no process any more, and nobody has closed them."""

    async def claim(self, run_id: UUID) -> Hand:
        """Take a slot, claim the run, and have its process started. A refusal is on the hand, and in the log.

        Raises:
            RunnerIsFull: no slot is free, or the run is in hand already.
            StoreError: the database cannot do it; nothing has changed.
        """
        hand = self._take(run_id)
        try:
            await self._claim(hand)
        finally:
            if hand.run is None:
                self._let_go(hand)
        return hand

    async def wait_none(self) -> None:
        """Returns when no run is in hand."""
        while self.in_hand:
            await next(iter(self.in_hand.values())).over.wait()

    def _take(self, run_id: UUID) -> Hand:
        if run_id in self.in_hand:
            raise RunnerIsFull(f"the runner has flow run '{run_id}' in hand already")
        if not self.limiter.take_nowait(run_id):
            raise RunnerIsFull(
                f"the runner has {self.limiter.in_use} runs in hand, as many as its limit allows"
            )
        self.in_hand[run_id] = Hand(run_id)
        return self.in_hand[run_id]

    async def _claim(self, hand: Hand) -> None:
        """Set the hand's run, and start its supervision, unless the claim is refused."""
        logger.info("Runner '%s' submitting flow run '%s'", self.place.runner_name, hand.run_id)
        request = ClaimFlowRun(run_id=hand.run_id, owner=this_process(), transition_id=clock.new_id())
        try:
            answer = await self.place.client.call(CLAIM_FLOW_RUN, request)
        except StoreError:
            raise
        except TrioflowError as error:
            hand.refusal = f": {error}"
            logger.exception("Failed to claim flow run '%s'", hand.run_id)
            return
        hand.refusal = _refusal(answer)
        if hand.refusal:
            logger.info("Aborted submission of flow run '%s'%s", hand.run_id, hand.refusal)
            return
        # No checkpoint since the answer: a run that was claimed is supervised, whoever is cancelled.
        self._nursery.start_soon(self._own, hand, answer.run, name=f"flow run {answer.run.name}")
        hand.run = answer.run

    async def _own(self, hand: Hand, run: FlowRun) -> None:
        """Supervise a claimed run to its end."""
        entrypoint = self.served.entrypoint_of(run)
        own = self.place.supervise or supervise
        try:
            hand.outcome = await own(run, self.place, entrypoint=entrypoint, task_status=hand)
        except ProcessNotStarted:
            return  # it was said, and the run is closed
        except Exception:
            logger.exception("The supervision of flow run '%s' failed.", run.id)
            self.strays[run.id] = run
        finally:
            self._let_go(hand)
            self._freed()

    def _let_go(self, hand: Hand) -> None:
        del self.in_hand[hand.run_id]
        self.limiter.give_back(hand.run_id)
        hand.over.set()


def _refusal(answer: FlowRunAnswer) -> str:
    """Why the answer to a claim does not make the run ours; empty if it does (RL-10)."""
    match answer.verdict:
        case Accept(state) if state.type is StateType.PENDING:
            return ""
        case Abort(reason):
            return f". Server sent an abort signal: {reason}"
        case _:
            name = answer.run.state.name if answer.run.state else None
            return f": Server returned a non-pending state '{name}'"
