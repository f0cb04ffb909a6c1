"""What a client may ask. One frozen class a request; ids and transition ids are drawn by the asker.

A request may be sent again after a lost answer: a run is created once for its id, and a transition id gets the
answer that was written for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from attrs import field, frozen, validators

from trioflow.core.deployments import DeploymentSchedule, OnShutdown, PausedBy
from trioflow.core.leases import Owner
from trioflow.core.runs import NO_RETRIES, RetryPolicy
from trioflow.core.states import State, StateType
from trioflow.wire.filters import PAGE, DeploymentFilter, FlowRunFilter, LogFilter, TaskRunFilter


@frozen(kw_only=True)
class CreateFlowRun:
    """A new flow run in ``state``; with an ``owner`` it is claimed in the same transaction (epoch 1, leased).

    A subflow names the task run that stands for it and the root run whose lease it shares, and brings no owner.
    """

    id: UUID
    flow_name: str
    name: str
    state: State
    transition_id: UUID
    parameters: Mapping[str, Any] = field(factory=dict[str, Any])
    tags: frozenset[str] = frozenset()
    retry: RetryPolicy = NO_RETRIES
    entrypoint: str | None = None
    flow_version: str | None = None
    owner: Owner | None = None
    parent_task_run_id: UUID | None = None
    root_id: UUID | None = None
    deployment_id: UUID | None = None
    epoch: int | None = None
    """A subflow's: the root run's."""
    hooked: frozenset[StateType] = frozenset()
    timeout: float | None = None


@frozen(kw_only=True)
class ClaimFlowRun:
    """Make ``owner`` the one that runs this SCHEDULED run: PENDING, a new epoch and a lease, or a refusal.

    With ``rerun`` it may be over already: it is scheduled for its next attempt in the same transaction.
    ``retry`` is the policy of its flow, for a run that has none of its own.
    """

    run_id: UUID
    owner: Owner
    transition_id: UUID
    rerun: bool = False
    retry: RetryPolicy = NO_RETRIES


@frozen(kw_only=True)
class ProposeFlowRunState:
    """Ask for a flow run to be in ``state``."""

    run_id: UUID
    state: State
    transition_id: UUID
    epoch: int | None = None
    force: bool = False
    rerun: bool = False
    draw: float = 0.5
    """A number from [0, 1) for rules that randomise (retry jitter)."""


@frozen(kw_only=True)
class BeginTaskRun:
    """Create a task run as PENDING and propose ``state`` (RUNNING, as a rule) in the same transaction.

    When the flow run has a task run with this task key and dynamic key already, that one is taken up instead: a
    recorded result is the answer (Reject, with the COMPLETED state), otherwise it runs again.
    A task called outside of any flow brings an ``owner`` and gets a lease of its own.
    """

    id: UUID
    task_key: str
    dynamic_key: str
    name: str
    state: State
    transition_id: UUID
    flow_run_id: UUID | None = None
    root_id: UUID | None = None
    retry: RetryPolicy = NO_RETRIES
    tags: frozenset[str] = frozenset()
    inputs: Mapping[str, Any] = field(factory=dict[str, Any])
    epoch: int | None = None
    owner: Owner | None = None


@frozen(kw_only=True)
class ProposeTaskRunState:
    """Ask for a task run to be in ``state``."""

    run_id: UUID
    state: State
    transition_id: UUID
    epoch: int | None = None
    force: bool = False
    draw: float = 0.5


@frozen(kw_only=True)
class RenameRun:
    """Give a flow run or a task run another name; history and rules do not see it."""

    run_id: UUID
    name: str


@frozen(kw_only=True)
class PrepareFlowRun:
    """What the flow that was loaded for a run says of it, written to the run before its function is called."""

    run_id: UUID
    epoch: int
    retry: RetryPolicy
    flow_version: str | None
    hooked: frozenset[StateType]
    timeout: float | None


@frozen(kw_only=True)
class CloseFlowRun:
    """The process of this run is gone: what is unfinished under it ends, then it is in ``state``, and its lease ends.

    A run that is over already stays as it is. Its policy may have it tried again: then it is SCHEDULED, and claimable.
    """

    run_id: UUID
    epoch: int
    state: State
    transition_id: UUID
    draw: float = 0.5


@frozen(kw_only=True)
class EndLease:
    """The owner will not run this run's code any more (it was suspended, or never started)."""

    run_id: UUID
    epoch: int


@frozen(kw_only=True)
class ApplyDeployment:
    """Make this the deployment of that name of that flow; one that is there keeps its id.

    Schedules that stay keep how they stand (paused, and by whom; settled up to when); a new one begins as it is given.
    Planned runs of schedules that go, go with them.
    """

    id: UUID
    """For a new one."""
    flow_name: str
    name: str
    entrypoint: str
    parameters: Mapping[str, Any] = field(factory=dict[str, Any])
    parameter_schema: Mapping[str, Any] = field(factory=dict[str, Any])
    enforce_parameter_schema: bool = True
    tags: frozenset[str] = frozenset()
    description: str | None = None
    version: str | None = None
    schedules: tuple[DeploymentSchedule, ...] = ()
    triggers: tuple[Mapping[str, Any], ...] = ()
    retry: RetryPolicy = NO_RETRIES
    hooked: frozenset[StateType] = frozenset()
    on_shutdown: OnShutdown = OnShutdown.CANCEL


@frozen(kw_only=True)
class DeleteDeployment:
    """Forget a deployment, its schedules and the runs that they had planned; runs that have begun stay."""

    deployment_id: UUID


@frozen(kw_only=True)
class PauseSchedules:
    """Pause all schedules of a deployment that are not; their planned runs go.

    The operator's word weighs more: it also holds for schedules that the runner has paused.
    """

    deployment_id: UUID
    by: PausedBy = PausedBy.OPERATOR


@frozen(kw_only=True)
class ResumeSchedules:
    """Resume the schedules of a deployment: all of them for the operator, for the runner those that it has paused."""

    deployment_id: UUID
    by: PausedBy = PausedBy.OPERATOR
    makes_up: bool = False
    """Whether what the pause left out is made up for, as after a downtime."""


@frozen(kw_only=True)
class CreateDeploymentRun:
    """A new run of a deployment, with its parameters under the given ones; due now, or at ``scheduled_time``."""

    id: UUID
    deployment_id: UUID
    transition_id: UUID
    name: str
    parameters: Mapping[str, Any] = field(factory=dict[str, Any])
    tags: frozenset[str] = frozenset()
    scheduled_time: datetime | None = None


@frozen(kw_only=True)
class FindReadyRuns:
    """The runs of these deployments that may be started, if they are due before an instant; the first ones first.

    Runs that their schedule's overlap policy drops are dropped, and those that it cancels asked to end.
    """

    deployment_ids: frozenset[UUID]
    before: datetime
    limit: int = field(default=PAGE, validator=validators.and_(validators.ge(1), validators.le(PAGE)))


@frozen(kw_only=True)
class TakeOwedHooks:
    """The hooks that ``owner`` is to call: those that it holds already, and those whose holder is gone.

    Of runs of these deployments, and of runs that these entry points load.
    """

    owner: Owner
    deployment_ids: frozenset[UUID] = frozenset()
    entrypoints: frozenset[str] = frozenset()
    busy: frozenset[UUID] = frozenset()
    """Runs that are left alone: their own process still lives and calls their hooks, or ``owner`` is about it."""


@frozen(kw_only=True)
class SettleHooks:
    """The hooks of the final state that is the run's ``version``-th have been called."""

    run_id: UUID
    version: int


@frozen(kw_only=True)
class ReadDeployment:
    """One deployment by its id."""

    deployment_id: UUID


@frozen(kw_only=True)
class FindDeployments:
    """Deployments that fit the filter, by flow and name."""

    filter: DeploymentFilter


@frozen(kw_only=True)
class ReadFlowRun:
    """One flow run by its id."""

    run_id: UUID


@frozen(kw_only=True)
class ReadTaskRun:
    """One task run by its id."""

    run_id: UUID


@frozen(kw_only=True)
class ReadHistory:
    """Every state that a run was in, oldest first."""

    run_id: UUID


@frozen(kw_only=True)
class FindFlowRuns:
    """Flow runs that fit the filter, newest first."""

    filter: FlowRunFilter


@frozen(kw_only=True)
class FindTaskRuns:
    """Task runs that fit the filter, oldest first."""

    filter: TaskRunFilter


@frozen(kw_only=True)
class FindLogs:
    """Log records that fit the filter, oldest first."""

    filter: LogFilter


@frozen(kw_only=True)
class LogRecord:
    """One line that a run said."""

    flow_run_id: UUID | None
    task_run_id: UUID | None
    logger: str
    level: int
    """As in the standard library: 20 is INFO."""
    message: str
    at: datetime


@frozen(kw_only=True)
class AppendLogs:
    """Keep these records, in this order."""

    records: tuple[LogRecord, ...]


@frozen(kw_only=True)
class SetConcurrencyLimit:
    """At most ``limit`` task runs with this tag at once; None takes the limit away.

    A lower limit ends no run: it holds as soon as enough of them have ended.
    """

    tag: str
    limit: int | None


@frozen
class FindConcurrencyLimits:
    """Every concurrency limit that there is, by tag."""
