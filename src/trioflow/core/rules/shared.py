"""Rules that judge flow runs and task runs alike, and how a rule refuses."""

from __future__ import annotations

from trioflow.core.decisions import Answer, Edit, Proposal, rule
from trioflow.core.retries import next_try
from trioflow.core.states import AwaitingRetry, State
from trioflow.core.verdicts import Abort, Reject, Wait


def refuse(state: State | None, reason: str) -> Reject | Abort:
    """The run stays in ``state``; a run without one has nothing to stay in, so its proposal is aborted."""
    return Reject(state, reason) if state else Abort(reason)


def await_retry(proposal: Proposal) -> Reject:
    """The run is not over: it awaits its next try, the message and the data of this one kept (RT-01)."""
    at = next_try(proposal.run, proposal.now, proposal.draw)
    retry = AwaitingRetry(at, message=proposal.state.message, data=proposal.state.data)
    return Reject(retry, "Retrying", written=True)


@rule()
def copy_scheduled_time(proposal: Proposal) -> Answer:
    """A claimed run keeps the time that it is due, unless the claim brings another one (OR-09)."""
    current = proposal.run.state
    if current is None or proposal.state.details.scheduled_time:
        return None
    return Edit(state=proposal.state.with_details(scheduled_time=current.details.scheduled_time))


@rule()
def wait_for_scheduled_time(proposal: Proposal) -> Answer:
    """Nothing starts before it is due: wait for the seconds that are left (OR-10, RT-05).

    Whole seconds, to the nearest: a sleeper whose clock runs some milliseconds ahead is not sent back for one more.
    """
    current = proposal.run.state
    due = current.details.scheduled_time if current else None
    if due is None:
        return None
    delay = round((due - proposal.now).total_seconds())
    return Wait(delay, "Scheduled time is in the future.") if delay > 0 else None


@rule()
def take_a_new_name_while_pending(proposal: Proposal) -> Answer:
    """A pending run may say what it waits for (Submitting, NotReady); claiming it twice is refused (OR-07)."""
    current = proposal.run.state
    if current is None or proposal.state.name in {current.name, "Pending"}:
        return Abort("This run is PENDING already and cannot be claimed again.", current)
    if proposal.state.details.scheduled_time:
        return None
    return Edit(state=proposal.state.with_details(scheduled_time=current.details.scheduled_time))
