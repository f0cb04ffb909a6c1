"""What a run's engine does next: the one loop that drives a flow run or a task run from its start to its end.

Theory of operation. An engine does only four things for a run: it proposes a state, it sleeps, it calls the
user's code, it stops. Each is a value here, and each value knows what may follow once the engine reports
how it went. So the step itself is the whole state of the lifecycle; no object beside it could disagree:

    ============  ===============================  =================================================
    step          the engine reports               what may follow
    ============  ===============================  =================================================
    `Propose`     ``heard(verdict)``               `Call` (only after an accepted RUNNING), `Sleep`,
                                                   `Propose` (the end of a cancelling run), `Stop`
    `Sleep`       ``awoke()``                      `Propose`
    `Call`        ``ended(state)``                 `Propose`
    `Stop`        nothing: it has no method        nothing
    ============  ===============================  =================================================

The engine is a loop over that table::

    step = start()
    while not isinstance(step, Stop):
        match step:
            case Propose(state):
                step = step.heard(await propose(state))
            case Sleep():
                await sleep(step)
                step = step.awoke()
            case Call(state):
                step = step.ended(await call(state))

How the verdicts read. *Accept*: the run is in that state; RUNNING is called, everything else is an end.
*Reject*: it is in another one, and that one says what to do. A final state ends the run here too, whoever
chose it; SCHEDULED (AwaitingRetry, usually) is slept out and run again; PAUSED is waited for; CANCELLING
asks for the last word, CANCELLED; SUSPENDED, and RUNNING under somebody else, are no longer this engine's
business. *Wait*: ask the same again later, in this loop and never by recursion. *Abort*: that was all.
"""

from __future__ import annotations

from datetime import datetime

from attrs import frozen

from trioflow.core.states import Cancelled, Running, State, StateType
from trioflow.core.verdicts import Abort, Accept, Reject, Verdict, Wait

PAUSE_POLL_SECONDS = 10.0
"""How long a paused run waits for the change feed before it asks on its own."""


@frozen
class Propose:
    """Ask the orchestrator for this state, and report the answer to `heard`."""

    state: State

    def heard(self, verdict: Verdict) -> Step:
        """The step that follows the orchestrator's answer."""
        match verdict:
            case Accept(state) if state.type is StateType.RUNNING:
                return Call(state)
            case Accept(state):
                return Stop(state)
            case Wait(delay, reason):
                return Sleep(then=self, seconds=delay, or_change=True, reason=reason)
            case Abort(reason, state):
                return Stop(state, reason)
            case Reject(state, reason):
                return self._instead(state, reason) if state else Stop(None, reason)

    def _instead(self, state: State, reason: str) -> Step:
        """The step that follows when the run is in ``state``, and not in the proposed one."""
        again = Propose(Running())
        match state.type:
            case StateType.SCHEDULED:
                return Sleep(then=again, until=state.details.scheduled_time, reason=reason)
            case StateType.PENDING if self.state.type is not StateType.RUNNING:
                return again
            case StateType.PAUSED:
                return Sleep(then=self, seconds=PAUSE_POLL_SECONDS, or_change=True, reason=reason)
            case StateType.CANCELLING if self.state.type is not StateType.CANCELLED:
                return Propose(Cancelled(message=f"Cancelled; {self._how_far()}.", cause="cancel_requested"))
            case _:
                return Stop(state, reason)

    def _how_far(self) -> str:
        if self.state.type is StateType.RUNNING:
            return "its code was not called"
        return f"its code had already ended in {self.state}"


@frozen(kw_only=True)
class Sleep:
    """Do nothing until an instant, or for some seconds; then report to `awoke`.

    With neither, do not sleep at all.
    """

    then: Propose
    until: datetime | None = None
    """The wall-clock instant (UTC) at which to go on; past ones are over already."""
    seconds: float = 0.0
    or_change: bool = False
    """Whether news of the run, its flow run or its concurrency slots is worth waking up for."""
    reason: str = ""

    def awoke(self) -> Propose:
        """The step that follows the sleep."""
        return self.then


@frozen
class Call:
    """Call the user's code, the run being in ``state`` (RUNNING); then report to `ended`."""

    state: State

    def ended(self, state: State) -> Propose:
        """The step that follows the call: how it ended, for the orchestrator to judge."""
        return Propose(state)


@frozen
class Stop:
    """Nothing more to do here.

    ``state`` is what the run is in; ``reason`` says why, when that is not what was asked for.
    """

    state: State | None
    reason: str | None = None


Step = Propose | Sleep | Call | Stop


def start(state: State | None = None) -> Propose:
    """The first step of a run: ask to be RUNNING, or whatever else it should begin with (`NotReady`)."""
    return Propose(state or Running())
