"""Bookkeeping: what is written down about a run when its next state was decided. The one place that does.

A rule says which state; what that makes of the run's times, counters, names and keys, and what has to happen beside it
(slots, cache, lease, the parent's view of a subflow), follows from the state that the run was in and the one that it
is in now. Nothing here objects.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from trioflow.core.decisions import (
    Decision,
    Effect,
    EndLease,
    MirrorToParent,
    Proposal,
    ReleaseSlots,
    RememberResult,
)
from trioflow.core.runs import FlowRun, Run, RunTimes, TaskRun, changed
from trioflow.core.states import AWAITING_RETRY, State, StateType
from trioflow.core.verdicts import Accept, Reject

FOR_EDITS = frozenset({"infrastructure_pid", "inputs", "name", "parameters", "retry"})
"""The fields of a run that a rule's edit may change; all others say what the run is, and are written here."""

PAUSES = frozenset({StateType.PAUSED, StateType.SUSPENDED})

HOLD_SLOTS = frozenset({StateType.RUNNING, StateType.CANCELLING})
"""The types in which a task's code may be at work."""


def write_down(
    proposal: Proposal, state: State, *, chosen: str | None = None, effects: tuple[Effect, ...] = ()
) -> Decision:
    """Put the run into ``state``, and everything that follows from it beside it.

    Args:
        proposal: what was asked; its run carries what the rules edited.
        state: the proposed state, or the one that a rule chose in its place.
        chosen: why a rule chose another state; None for the proposed one.
        effects: what the rules asked for.
    """
    run = proposal.run
    retried = chosen is not None and state.name == AWAITING_RETRY
    match run:
        case FlowRun():
            name, counted = state.name, _flow_run(run, state, retried=retried, new_owner=proposal.new_owner)
        case _:
            name, counted = _name(run, state), _task_run(run, state, proposal.facts.parent, retried=retried)
    written = State(
        type=state.type,
        name=name,
        message=state.message,
        details=state.details,
        data=state.data,
        id=proposal.transition_id,
        timestamp=proposal.now,
    )
    after: Run = changed(run, state=written, version=run.version + 1, times=_times(run, written), **counted)
    verdict = Accept(written) if chosen is None else Reject(written, chosen, written=True)
    return Decision(verdict=verdict, run=after, effects=(*effects, *_effects(after, written)))


def _flow_run(run: FlowRun, state: State, *, retried: bool, new_owner: bool) -> dict[str, Any]:
    """What changes in the counters and the pauses of a flow run that enters ``state``."""
    runs = state.type is StateType.RUNNING
    paused = run.state is not None and run.state.type is StateType.PAUSED
    resumes = run.resuming or paused
    keys, resuming = _pauses(run, state, retried=retried)
    return {
        "attempt": run.attempt + (runs and not resumes),
        "retries_used": 0 if _is_over(run) else run.retries_used + retried,
        "resuming": resuming,
        "pause_keys": keys,
        "epoch": run.epoch + new_owner,
    }


def _pauses(run: FlowRun, state: State, *, retried: bool) -> tuple[frozenset[str], bool]:
    """The keys of the pauses that happened, and whether the run is on its way out of one; a new attempt has none."""
    if retried or _is_over(run):
        return frozenset(), False
    match state.type:
        case StateType.PAUSED | StateType.SUSPENDED if key := state.details.pause_key:
            return run.pause_keys | {key}, run.resuming
        case StateType.SCHEDULED if run.state and run.state.type in PAUSES:
            return run.pause_keys, True
        case type_:
            there = type_ is StateType.RUNNING or type_.is_final
            return run.pause_keys, run.resuming and not there


def _task_run(run: TaskRun, state: State, parent: FlowRun | None, *, retried: bool) -> dict[str, Any]:
    """What changes in the counters of a task run that enters ``state``."""
    if state.type is not StateType.RUNNING:
        return {"retries_used": run.retries_used + retried}
    flow_run_attempt = parent.attempt if parent else 0
    return {
        "attempt": run.attempt + 1,
        "retries_used": run.retries_used if flow_run_attempt == run.flow_run_attempt else 0,
        "flow_run_attempt": flow_run_attempt,
    }


def _name(run: TaskRun, state: State) -> str:
    """A task run that runs once more says so (RT-06)."""
    if state.type is not StateType.RUNNING or run.state is None:
        return state.name
    if _is_over(run):
        return "Retrying"
    if run.attempt == 0:
        return state.name
    return "Retrying" if run.state.name == AWAITING_RETRY else "Rerunning"


def _times(run: Run, state: State) -> RunTimes:
    """When it was due, is due, started and ended, and how long it ran (OR-14)."""
    times, now = run.times, state.timestamp
    due = state.details.scheduled_time if state.type is StateType.SCHEDULED else None
    return RunTimes(
        expected_start=times.expected_start or due or now,
        next_scheduled_start=due,
        started=times.started or (now if state.type is StateType.RUNNING else None),
        ended=now if state.is_final else None,
        running=times.running + _seconds_run(run.state, now),
    )


def _seconds_run(left: State | None, now: datetime | None) -> float:
    if left is None or left.type is not StateType.RUNNING or left.timestamp is None or now is None:
        return 0.0
    return max(0.0, (now - left.timestamp).total_seconds())


def _is_over(run: Run) -> bool:
    return run.state is not None and run.state.is_final


def _is_outermost(run: Run) -> bool:
    match run:
        case FlowRun():
            return run.id == run.root_id
        case TaskRun():
            return run.flow_run_id is None


def _effects(run: Run, state: State) -> Iterator[Effect]:
    """What else the step brings about: nothing here is a choice."""
    if isinstance(run, FlowRun) and run.parent_task_run_id:
        yield MirrorToParent(run.parent_task_run_id)
    if isinstance(run, TaskRun) and run.tags and state.type not in HOLD_SLOTS:
        yield ReleaseSlots()
    key = state.details.cache_key
    if isinstance(run, TaskRun) and key and state.is_completed and state.data is not None:
        yield RememberResult(key, state.details.cache_expiration)
    if state.is_final and _is_outermost(run):
        yield EndLease()
