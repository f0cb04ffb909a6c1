"""Rules that judge task runs only."""

from __future__ import annotations

from attrs import evolve

from trioflow.core.decisions import Answer, Edit, Fact, Proposal, TagLimit, TakeSlots, rule
from trioflow.core.leases import LEASE_EXPIRED
from trioflow.core.retries import retries_left
from trioflow.core.rules.shared import await_retry, refuse
from trioflow.core.runs import FlowRun, TaskRun
from trioflow.core.states import NO_DETAILS, NOT_READY, State, StateDetails, StateType
from trioflow.core.verdicts import Abort, Reject, Wait

SLOT_WAIT_SECONDS = 30.0
"""The fallback for a run that waits for a slot; the change feed wakes it sooner."""

PAUSE_WAIT_SECONDS = 10.0
"""The fallback for a failure that waits for its paused flow to go on."""


# --- entering RUNNING


@rule()
def keep_recorded_result(proposal: Proposal) -> Answer:
    """A task whose result is recorded has run: the answer is its COMPLETED state, and nothing is run (P12)."""
    current = proposal.run.state
    if current is None or current.data is None:
        return None
    return Reject(current, "This run is already completed.")


@rule(Fact.PARENT)
def reopen_for_newer_flow_attempt(proposal: Proposal) -> Answer:
    """A task that is over runs again only when its flow does (OR-03)."""
    if _is_from_an_older_attempt(proposal.task_run, proposal.facts.parent):
        return None
    return refuse(proposal.run.state, "This run is over, and its flow run is still in the same attempt.")


@rule(Fact.PARENT)
def take_over_from_older_flow_attempt(proposal: Proposal) -> Answer:
    """A RUNNING task is started once more only by a newer attempt of its flow: its process must be gone."""
    if _is_from_an_older_attempt(proposal.task_run, proposal.facts.parent):
        return None
    return refuse(proposal.run.state, "This run is RUNNING already.")


def _is_from_an_older_attempt(run: TaskRun, parent: FlowRun | None) -> bool:
    return parent is not None and run.flow_run_attempt < parent.attempt


@rule(Fact.CACHED)
def answer_from_the_cache(proposal: Proposal) -> Answer:
    """A live cache entry is the answer, before any slot is asked for; a refresh asks for none (CA-02, 03, 05)."""
    cached = proposal.facts.cached
    if cached is None or proposal.state.details.refresh_cache:
        return None
    fresh = evolve(cached, name="Cached", details=NO_DETAILS, id=None, timestamp=None)
    return Reject(fresh, "Retrieved state from cache.", written=True)


@rule(Fact.PARENT)
def run_only_while_the_flow_runs(proposal: Proposal) -> Answer:
    """A task starts only in a running flow; in a paused one it is NotReady, as long as the pause (OR-11, PA-22)."""
    if proposal.task_run.flow_run_id is None:
        return None
    parent = proposal.facts.parent
    flow_state = parent.state if parent else None
    match flow_state.type if flow_state else None:
        case StateType.RUNNING:
            return None
        case StateType.PAUSED | StateType.SUSPENDED if flow_state:
            return _not_ready(proposal.run.state, flow_state)
        case _:
            return Abort("The enclosing flow must be running to begin task execution.", proposal.run.state)


def _not_ready(current: State | None, flow_state: State) -> Reject:
    reason = "The flow is paused, new tasks can execute after resuming it."
    if current and (current.type, current.name) == (flow_state.type, NOT_READY):
        return Reject(current, reason)
    details = StateDetails(pause_timeout=flow_state.details.pause_timeout)
    return Reject(State(type=flow_state.type, name=NOT_READY, details=details), reason, written=True)


@rule(Fact.LIMITS)
def take_a_slot_of_every_tag(proposal: Proposal) -> Answer:
    """All of the run's limited tags give it a slot, or none does and it waits; a limit of 0 is final (OR-12)."""
    limits = [limit for limit in proposal.facts.limits if limit.tag in proposal.task_run.tags]
    for limit in limits:
        if limit.limit <= 0:
            reason = (
                f'The concurrency limit on tag "{limit.tag}" is 0 and will deadlock if the task tries again.'
            )
            return Abort(reason, proposal.run.state)
    missing = [limit for limit in limits if proposal.run.id not in limit.holders]
    full = [limit.tag for limit in missing if _is_full(limit)]
    if full:
        return Wait(
            SLOT_WAIT_SECONDS, f"Concurrency limit for the {', '.join(sorted(full))} tag has been reached."
        )
    if missing:
        return Edit(effects=(TakeSlots(frozenset(limit.tag for limit in missing)),))
    return None


def _is_full(limit: TagLimit) -> bool:
    return len(limit.holders) >= limit.limit


# --- failing


@rule(Fact.PARENT)
def retry_failed_task(proposal: Proposal) -> Answer:
    """A failed task with retries left is tried again, unless its retry condition says no (RT-01, RT-03)."""
    return None if proposal.state.details.retriable is False else _retry(proposal)


@rule(Fact.PARENT)
def retry_crashed_task(proposal: Proposal) -> Answer:
    """So is a crashed one whose policy says so, if the process that drives its flow lives on."""
    reaped = proposal.state.details.cause == LEASE_EXPIRED
    return _retry(proposal) if proposal.run.retry.on_crash and not reaped else None


def _retry(proposal: Proposal) -> Answer:
    """Try again while the flow runs; wait for a paused one to decide; let it end in one that is ending."""
    if not retries_left(proposal.run):
        return None
    parent = proposal.facts.parent
    flow_state = parent.state.type if parent and parent.state else None
    if flow_state is StateType.PAUSED:
        return Wait(PAUSE_WAIT_SECONDS, "The flow is paused; when it goes on, the task is tried again.")
    if proposal.task_run.flow_run_id and flow_state is not StateType.RUNNING:
        return None
    return await_retry(proposal)
