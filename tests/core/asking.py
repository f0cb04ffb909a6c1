"""Runs to ask about, and one way to ask."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from attrs import evolve

from trioflow.core.decisions import NO_FACTS, Decision, Facts, Fence, Proposal
from trioflow.core.recorded import RecordedResult
from trioflow.core.runs import FlowRun, Run, TaskRun
from trioflow.core.states import Running, State
from trioflow.core.tables import FLOW_RUNS, TASK_RUNS, Table, decide

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
BEFORE = NOW - timedelta(seconds=90)
RUN, FLOW, TASK, DEPLOYMENT, TRANSITION = (UUID(int=n) for n in range(1, 6))
RESULT = RecordedResult(serializer="json", inline="1")
LEASED = Facts(fence=Fence(epoch=1, leased=True))


def flow_run(state: State | None = None, **fields: Any) -> FlowRun:
    """A root flow run in ``state`` since 90 s."""
    run = FlowRun(id=RUN, flow_id=FLOW, name="brave-otter", root_id=RUN, state=_since(state))
    return evolve(run, **fields)


def task_run(state: State | None = None, **fields: Any) -> TaskRun:
    """A task run of the flow run that `running_flow` gives, in ``state`` since 90 s."""
    given = {"flow_run_id": FLOW, "root_id": FLOW, **fields}
    return TaskRun(id=RUN, task_key="flows.add", dynamic_key="0", name="add-0", state=_since(state), **given)


def in_flow(state: State | None = None, attempt: int = 1, **facts: Any) -> Facts:
    """The facts for a task run whose flow run is in ``state``: RUNNING, if nothing else is said."""
    parent = FlowRun(
        id=FLOW, flow_id=FLOW, name="flow", root_id=FLOW, state=state or Running(), attempt=attempt
    )
    return Facts(parent=parent, **facts)


def ask(
    run: Run, state: State, facts: Facts = NO_FACTS, *, table: Table | None = None, **asked: Any
) -> Decision:
    """Propose ``state`` for the run, now."""
    proposal = Proposal(run=run, state=state, now=NOW, transition_id=TRANSITION, facts=facts, **asked)
    return decide(table or (FLOW_RUNS if isinstance(run, FlowRun) else TASK_RUNS), proposal)


def written(state: State, **changes: Any) -> State:
    """The state as it is written by `ask`."""
    return evolve(state, id=TRANSITION, timestamp=NOW, **changes)


def _since(state: State | None) -> State | None:
    return evolve(state, id=UUID(int=99), timestamp=BEFORE) if state else None
