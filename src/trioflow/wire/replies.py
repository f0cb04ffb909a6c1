"""What is answered. Runs, states and verdicts of the core travel as they are; here is what goes around them."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from attrs import frozen

from trioflow.core.deployments import Deployment
from trioflow.core.runs import FlowRun, TaskRun
from trioflow.core.states import State, StateType
from trioflow.core.verdicts import Verdict
from trioflow.wire.requests import LogRecord


@frozen
class FlowRunAnswer:
    """The verdict on a proposal, and the flow run as it is now. Its ``epoch`` is the owner's token."""

    verdict: Verdict
    run: FlowRun


@frozen
class TaskRunAnswer:
    """The verdict on a proposal, and the task run as it is now."""

    verdict: Verdict
    run: TaskRun


@frozen
class Done:
    """It is done."""


@frozen
class FlowRuns:
    """A page of flow runs with the names of their flows, in the same order."""

    runs: tuple[FlowRun, ...]
    flow_names: tuple[str, ...]


@frozen
class ReadyRuns:
    """Runs that may be started, in the order in which they are due."""

    runs: tuple[FlowRun, ...]
    next_due: datetime | None
    """When the first run that is not among them, because it is too early, is due."""


@frozen
class Deployments:
    """A page of deployments."""

    deployments: tuple[Deployment, ...]
    next_due: tuple[datetime | None, ...]
    """When the next run of each is due, in the same order."""


@frozen(kw_only=True)
class OwedHooks:
    """The hooks that are owed for one final state of a flow run."""

    run: FlowRun
    state: State
    """The final state; its run may have been rerun since."""
    version: int
    tries: int
    """How often somebody has set out to call them, this time included."""


@frozen
class HooksToCall:
    """What a runner is to call, the oldest first."""

    items: tuple[OwedHooks, ...]


@frozen
class TaskRuns:
    """A page of task runs."""

    runs: tuple[TaskRun, ...]
    total: int
    """How many fit the filter, over all pages."""


@frozen
class History:
    """The states that a run was in, oldest first. Results are not repeated here."""

    states: tuple[State, ...]


@frozen
class Logs:
    """A page of log records, with their change numbers."""

    records: tuple[LogRecord, ...]
    numbers: tuple[int, ...]


@frozen(kw_only=True)
class ConcurrencyLimit:
    """How many task runs with this tag may run at once, and how many do."""

    tag: str
    limit: int
    in_use: int
    """Slots that are taken; more than ``limit`` for a while when it was lowered."""


@frozen
class ConcurrencyLimits:
    """Every limit, by tag."""

    limits: tuple[ConcurrencyLimit, ...]


@frozen(kw_only=True)
class Change:
    """One committed transition."""

    number: int
    run_id: UUID
    root_id: UUID
    is_flow_run: bool
    type: StateType
    name: str


@frozen
class Changes:
    """What happened after a number, oldest first; ``last`` is where to go on from."""

    last: int
    items: tuple[Change, ...]
