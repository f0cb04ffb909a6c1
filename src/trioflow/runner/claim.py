"""Claims: the runs that a runner has in hand, how one gets there, and that its slot comes back on every path."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, final
from uuid import UUID

from attrs import define, field, frozen

from trioflow import clock
from trioflow.core.runs import FlowRun
from trioflow.core.states import Scheduled, State, StateType
from trioflow.core.verdicts import Abort, Accept
from trioflow.errors import ProcessNotStarted, RunnerIsFull, RunNotFound, StoreError, TrioflowError
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


@frozen
class Stray:
    """A run that was claimed and has no process, and nobody sees to it."""

    run: FlowRun
    """As it was claimed."""
    wish: State | None = None
    """What it is to be closed with; crashed unless given."""


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
    _freed: Callable[[Hand], None]
    """Told when a run that was claimed has given its slot back."""
    in_hand: dict[UUID, Hand] = field(factory=dict[UUID, Hand], init=False)
    strays: dict[UUID, Stray] = field(factory=dict[UUID, Stray], init=False)
    """By their runs' ids; nobody has closed them yet."""
    _unanswered: dict[UUID, ClaimFlowRun] = field(factory=dict[UUID, ClaimFlowRun], init=False)
    """Claims that ended in an error of the store: perhaps they were granted, and only the answer was lost."""

    @property
    def unanswered(self) -> list[UUID]:
        """The runs whose claims are to be asked again, under the same transition id, before any other."""
        return list(self._unanswered)

    async def claim(self, run_id: UUID) -> Hand:
        """Take a slot, claim the run, and have its process started. A refusal is on the hand, and in the log.

        Raises:
            RunnerIsFull: no slot is free, or the run is in hand already.
            StoreError: the database cannot do it, or cannot tell whether it has; the claim is `unanswered`.
        """
        hand = self.take_nowait(run_id)
        await self.pursue(hand)
        return hand

    def take_nowait(self, run_id: UUID) -> Hand:
        """Take a slot for the run. Whoever does has to `pursue` its claim.

        Raises:
            RunnerIsFull: no slot is free, or the run is in hand already.
        """
        if run_id in self.in_hand:
            raise RunnerIsFull(f"the runner has flow run '{run_id}' in hand already")
        if not self.limiter.take_nowait(run_id):
            raise RunnerIsFull(
                f"the runner has {self.limiter.in_use} runs in hand, as many as its limit allows"
            )
        logger.info("Runner '%s' submitting flow run '%s'", self.place.runner_name, run_id)
        self.in_hand[run_id] = Hand(run_id)
        return self.in_hand[run_id]

    async def pursue(self, hand: Hand) -> None:
        """Claim a run that has a slot, and have its process started; refused, its slot is free again.

        Raises:
            StoreError: the database cannot do it, or cannot tell whether it has; the claim is `unanswered`.
        """
        try:
            run = await self._ask(hand)
            if run is not None:
                # No checkpoint since the answer: a run that was claimed is supervised, whoever is cancelled.
                self._nursery.start_soon(self._own, hand, run, name=f"flow run {run.name}")
                hand.run = run
                self.served.take_on(run)
        finally:
            if hand.run is None:
                self._let_go(hand)

    async def give_up_unanswered(self) -> None:
        """Ask again what became of the claims that are unanswered; runs that are ours by now are to be scheduled again.

        Raises:
            StoreError: the database still cannot do it.
        """
        for run_id in self.unanswered:
            hand = Hand(run_id)
            run = await self._ask(hand)
            if run is not None:
                self.strays[run_id] = Stray(run, Scheduled(clock.now()))

    async def wait_none(self) -> None:
        """Returns when no run is in hand."""
        while self.in_hand:
            await next(iter(self.in_hand.values())).over.wait()

    async def _ask(self, hand: Hand) -> FlowRun | None:
        """The run, if the claim is granted; None if it is refused, and why is on the hand, and in the log."""
        run_id = hand.run_id
        request = self._unanswered.pop(run_id, None) or ClaimFlowRun(
            run_id=run_id, owner=this_process(), transition_id=clock.new_id()
        )
        try:
            answer = await self.place.client.call(CLAIM_FLOW_RUN, request)
        except StoreError:
            self._unanswered[run_id] = request
            raise
        except RunNotFound:
            # Its schedule was paused or deleted since, and the runs that it had planned went with that.
            hand.refusal = ": it is gone"
            logger.info("Aborted submission of flow run '%s'%s", run_id, hand.refusal)
            return None
        except TrioflowError as error:
            hand.refusal = f": {error}"
            logger.exception("Failed to claim flow run '%s'", run_id)
            return None
        hand.refusal = _refusal(answer)
        if hand.refusal:
            logger.info("Aborted submission of flow run '%s'%s", run_id, hand.refusal)
            return None
        return answer.run

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
            self.strays[run.id] = Stray(run)
        finally:
            self._let_go(hand)
            self._freed(hand)

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
