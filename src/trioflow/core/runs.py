"""Runs: one execution of a flow or a task, as an immutable record with its current state on it.

A run is made anew by each of its transitions, most of it as before. So runs have a dict, not slots: `changed` copies
that in one go, which takes a fifth of the time that `attrs.evolve` needs for two dozen fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from attrs import field, frozen

from trioflow.core.states import State, StateType


@frozen(kw_only=True)
class RetryPolicy:
    """How often, and after how many seconds each time, a failed run is tried again.

    ``delays`` holds one delay for each retry; the last one serves all further retries. ``jitter`` stretches
    or shrinks a delay at random by up to that factor, around the delay itself. ``on_crash`` extends the policy to
    runs whose process died.
    """

    retries: int = 0
    delays: tuple[float, ...] = ()
    jitter: float | None = None
    on_crash: bool = False


NO_RETRIES = RetryPolicy()


@frozen(kw_only=True)
class RunTimes:
    """When things happened to a run: aware instants in UTC, written by bookkeeping alone."""

    expected_start: datetime | None = None
    """When the run was first due."""
    next_scheduled_start: datetime | None = None
    """When it is due next; None unless it is SCHEDULED."""
    started: datetime | None = None
    ended: datetime | None = None
    running: float = 0.0
    """Seconds spent in RUNNING, over all attempts, up to the last transition."""


NO_TIMES = RunTimes()


@frozen(kw_only=True, slots=False)
class FlowRun:
    """One execution of a flow."""

    id: UUID
    flow_id: UUID
    name: str
    root_id: UUID
    """The outermost flow run: its lease is the one that this run stands under. Its own id for a root run."""
    state: State | None = None
    version: int = 0
    """Transitions accepted so far; equals the number of rows in the history."""
    epoch: int = 0
    """Rises with every change of owner; a proposal that carries an older one is refused."""
    attempt: int = 0
    """How often RUNNING was entered, resuming aside. Never resets."""
    retries_used: int = 0
    """Retries spent since the run was last scheduled by hand."""
    retry: RetryPolicy = NO_RETRIES
    times: RunTimes = NO_TIMES
    parameters: Mapping[str, Any] = field(factory=dict[str, Any])
    tags: frozenset[str] = frozenset()
    parent_task_run_id: UUID | None = None
    deployment_id: UUID | None = None
    infrastructure_pid: str | None = None
    pause_keys: frozenset[str] = frozenset()
    """Keys of pauses that have happened already: the same key never pauses twice."""
    resuming: bool = False
    """Set on the way out of a pause, so that the next RUNNING is not counted as an attempt."""
    entrypoint: str | None = None
    """``path.py:function``, so that another process can load the flow; None when it cannot be imported."""
    flow_version: str | None = None
    fire_key: str | None = None
    """Which fire of which schedule it is the run of; at most one run has it. None for a run that somebody asked for."""
    hooked: frozenset[StateType] = frozenset()
    """The final states that its flow has hooks for: entered, somebody owes those hooks a call."""
    timeout: float | None = None
    """Seconds that an attempt may take. Who supervises its process ends one that does not heed it."""
    created: datetime | None = None


@frozen(kw_only=True, slots=False)
class TaskRun:
    """One execution of a task; ``flow_run_id`` is None for a task that was called outside of any flow."""

    id: UUID
    task_key: str
    dynamic_key: str
    """Which call of this task within its flow run: equal on a rerun, so that recorded results are found."""
    name: str
    flow_run_id: UUID | None = None
    root_id: UUID | None = None
    """The flow run whose lease this task run stands under."""
    state: State | None = None
    version: int = 0
    attempt: int = 0
    retries_used: int = 0
    flow_run_attempt: int = 0
    """The attempt of the flow run under which this task run last entered RUNNING."""
    retry: RetryPolicy = NO_RETRIES
    times: RunTimes = NO_TIMES
    tags: frozenset[str] = frozenset()
    inputs: Mapping[str, Any] = field(factory=dict[str, Any])
    """Parameter name -> the task runs whose values went into it (lineage)."""
    created: datetime | None = None


Run = FlowRun | TaskRun

R = TypeVar("R", bound=Run)


def changed(run: R, **fields: Any) -> R:
    """The run with some of its fields changed; what `attrs.evolve` gives, if all of these are fields of it."""
    after = object.__new__(type(run))
    after.__dict__.update(run.__dict__)
    after.__dict__.update(fields)
    return after
