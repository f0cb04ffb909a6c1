"""Sometimes: what must happen in one or another of many simulations; what never does is not shown to go well."""

from __future__ import annotations

from collections.abc import Iterator

from trioflow.core.leases import LEASE_EXPIRED
from trioflow.core.verdicts import Abort, Reject, Wait
from trioflow.testing.simulation.seen import Seen, Step
from trioflow.wire.replies import FlowRunAnswer, TaskRunAnswer

_REASONS = {
    "Run is owned by process": "a claim is refused, for the run has an owner",
    "This comes from epoch": "an owner of the past is refused",
    "This run is being executed by another process": "a stranger is refused",
    "This run is already completed": "a recorded result is given again",
    "Nobody runs this flow run": "a run that nobody owns is cancelled at once",
    "Concurrency limit for the": "a task waits for a slot",
    "Run is already in terminal state": "a word for a run comes when it is over",
    "Cannot transition flows that are cancelling": "a run that is to be cancelled says something else",
}
"""By how the reason begins."""
_STEPS = {
    "TimedOut": "a run takes longer than it may",
    "Late": "a run is late",
    "AwaitingRetry": "a run is put off to be tried again",
}
"""By the state's name."""
_CANCELLED = {
    "PENDING": "a run is cancelled before it has begun",
    "RUNNING": "a run is cancelled while it runs",
}
"""By what it was in when its end was asked for."""
REAPED = "an owner dies, and its run is reaped"
CLAIMED_AGAIN = "a run is claimed again"
WENT_ON = "a run goes on after a pause"
RERUN = "a run that is over is begun again"
KILLED_AT_WORK = "a runner is killed with a run in hand"
HOOKS_ALONE = "hooks are called in a process of their own"
REPEATED = "a request is repeated"
OVERTAKEN = "a request is overtaken by a later one"
LINK_CUT = "a link is cut while its run goes on"
CLOCK_SET = "the clock is set while a run goes on"
_OTHERS = {
    *(REAPED, CLAIMED_AGAIN, WENT_ON, RERUN, KILLED_AT_WORK),
    *(HOOKS_ALONE, REPEATED, OVERTAKEN, LINK_CUT, CLOCK_SET),
}
SOMETIMES = frozenset({*_REASONS.values(), *_STEPS.values(), *_CANCELLED.values(), *_OTHERS})
"""All that must happen sometimes."""


def in_step(step: Step, before: Seen) -> Iterator[str]:
    """What happens when a run that was so takes this step."""
    if step.name in _STEPS:
        yield _STEPS[step.name]
    if step.details.get("cause") == LEASE_EXPIRED:
        yield REAPED
    match step.type:
        case "CANCELLING" if before.type in _CANCELLED:
            yield _CANCELLED[before.type]
        case "PENDING" if before.is_flow_run and before.claims:
            yield CLAIMED_AGAIN
        case "RUNNING" if before.is_flow_run and before.is_held:
            yield WENT_ON
        case "SCHEDULED" if before.is_flow_run and before.is_over:
            yield RERUN
        case _:
            pass


def in_answer(answer: object) -> Iterator[str]:
    """What happens when the database gives this answer."""
    match answer:
        case (
            FlowRunAnswer(verdict=Abort(reason) | Wait(reason=reason) | Reject(reason=reason))
            | TaskRunAnswer(verdict=Abort(reason) | Wait(reason=reason) | Reject(reason=reason))
        ):
            yield from (what for begin, what in _REASONS.items() if reason.startswith(begin))
        case _:
            pass
