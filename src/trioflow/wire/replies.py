"""What is answered. Runs, states and verdicts of the core travel as they are; here is what goes around them."""

from __future__ import annotations

from uuid import UUID

from attrs import frozen

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
