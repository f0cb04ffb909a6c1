"""Pools: the few values that differ for a rule, from which strategies draw. One draw each, and the plainest first."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any
from uuid import UUID

from attrs import evolve

from trioflow.core.decisions import Fence, TagLimit
from trioflow.core.leases import LEASE_EXPIRED
from trioflow.core.recorded import RecordedResult
from trioflow.core.runs import NO_RETRIES, FlowRun, RetryPolicy, Run, RunTimes, TaskRun
from trioflow.core.states import NO_DETAILS, State, StateDetails, StateType
from trioflow.core.tables import FLOW_RUNS, Table

NOW = datetime(2026, 7, 1, tzinfo=UTC)
"""When every drawn proposal is judged: a Wednesday, midnight in UTC."""

BEFORE = NOW - timedelta(seconds=5)
SOON = NOW + timedelta(hours=1)
RUN, FLOW, OTHER, MIRROR, TRANSITION = (UUID(int=n) for n in range(1, 6))
RESULT = RecordedResult(serializer="json", inline="1", size=1)
TAGS = ("a", "b")
KEY = "key"

_NAMES = {
    StateType.SCHEDULED: ("Scheduled", "Late", "AwaitingRetry", "Resuming"),
    StateType.PENDING: ("Pending", "NotReady", "Submitting"),
    StateType.RUNNING: ("Running", "Retrying"),
    StateType.PAUSED: ("Paused", "NotReady"),
    StateType.SUSPENDED: ("Suspended", "NotReady"),
}


def _details(type_: StateType) -> list[StateDetails]:
    """The details that a rule may look at in a state of this type, one by one."""
    match type_:
        case StateType.SCHEDULED | StateType.PENDING:
            instants = (BEFORE, NOW, NOW + timedelta(seconds=0.4), SOON)
            return [StateDetails(scheduled_time=at) for at in instants]
        case StateType.RUNNING | StateType.COMPLETED:
            return [StateDetails(cache_key=KEY, refresh_cache=refresh) for refresh in (None, True, False)]
        case StateType.PAUSED | StateType.SUSPENDED:
            both = product((None, "1", "2"), (None, BEFORE, SOON))
            return [StateDetails(pause_key=key, pause_timeout=timeout) for key, timeout in both]
        case StateType.FAILED:
            return [StateDetails(retriable=retriable) for retriable in (True, False)]
        case StateType.CRASHED:
            return [StateDetails(cause=LEASE_EXPIRED)]
        case _:
            return []


STATES: Mapping[StateType, list[State]] = {
    type_: [
        State(type=type_, name=name, details=details, data=data)
        for name, details, data in product(
            _NAMES.get(type_, (type_.capitalize(),)),
            (NO_DETAILS, *_details(type_)),
            (None, RESULT) if type_ is StateType.COMPLETED else (None,),
        )
    ]
    for type_ in StateType
}
"""Every state that a client may ask for and that some rule tells from another, by type."""

POLICIES = [
    NO_RETRIES,
    *(
        RetryPolicy(retries=retries, delays=delays, jitter=jitter, on_crash=on_crash)
        for retries, delays, jitter, on_crash in product(
            (1, 3), ((), (10.0,), (0.5, 9.0)), (None, 0.5), (False, True)
        )
    ),
]
TIMES = [RunTimes(expected_start=BEFORE), RunTimes(expected_start=BEFORE, started=BEFORE, running=2.0)]
HOLDERS = [frozenset[UUID](), frozenset({RUN}), frozenset({OTHER}), frozenset({RUN, OTHER})]
LIMITS = [
    tuple(
        TagLimit(tag=tag, limit=limit, holders=holders)
        for tag, (limit, holders) in zip(TAGS, chosen, strict=True)
    )
    for chosen in product(product((0, 1, 2), HOLDERS), repeat=2)
]
PARENTS = [
    FlowRun(id=FLOW, flow_id=FLOW, name="parent", root_id=FLOW, state=state, attempt=attempt)
    for state, attempt in product((None, *(STATES[type_][0] for type_ in StateType)), (0, 1, 2))
]
RUNNING_PARENTS = [parent for parent in PARENTS if parent.state is STATES[StateType.RUNNING][0]]
FENCES = [Fence(epoch=epoch, leased=leased) for epoch, leased in product((0, 1), (False, True))]

FLAGS: list[dict[str, Any]] = [
    {"epoch": epoch, "force": force, "rerun": rerun, "new_owner": new_owner}
    for epoch, force, rerun, new_owner in product((None, 0, 1), (False, True), (False, True), (False, True))
]
"""What a proposal carries about who asks, and how."""

COUNTERS: list[dict[str, Any]] = [
    {"version": 4, "attempt": attempt, "retries_used": used, "retry": policy, "times": times}
    for (attempt, used), policy, times in product(((0, 0), (1, 0), (3, 2)), POLICIES, TIMES)
]
"""What a run has behind it."""

FLOW_RUN = FlowRun(id=RUN, flow_id=FLOW, name="run", root_id=RUN)
TASK_RUN = TaskRun(id=RUN, task_key="task", dynamic_key="0", name="task-0")

_ROLES: list[dict[str, Any]] = [
    {"root_id": RUN, "deployment_id": None, "entrypoint": None},
    {"root_id": RUN, "deployment_id": None, "entrypoint": "flows.py:f"},
    {"root_id": RUN, "deployment_id": OTHER, "infrastructure_pid": "host:1"},
    {"root_id": OTHER, "parent_task_run_id": MIRROR},
]
_FLOW_RUNS: list[Run] = [
    evolve(FLOW_RUN, **role, pause_keys=keys, resuming=resuming, epoch=2)
    for role, keys, resuming in product(_ROLES, (frozenset[str](), frozenset({"1"})), (False, True))
]
_TASK_RUNS: list[Run] = [
    evolve(TASK_RUN, flow_run_id=flow, flow_run_attempt=attempt, tags=frozenset(tags))
    for (flow, attempt), tags in product(((FLOW, 0), (FLOW, 1), (None, 0)), ("", "a", "ab"))
]


def runs_of(table: Table) -> list[Run]:
    """The runs that a table's rules tell from each other, without a state and with nothing behind them."""
    return _FLOW_RUNS if table.name == FLOW_RUNS.name else _TASK_RUNS
