"""Strategies: any proposal that a table can be asked, reachable or not. Values come from pools: one draw each."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import product
from random import Random
from uuid import UUID

from attrs import evolve
from hypothesis import strategies as st

from trioflow.core.decisions import Facts, Fence, Proposal, TagLimit
from trioflow.core.leases import LEASE_EXPIRED
from trioflow.core.recorded import RecordedResult
from trioflow.core.runs import FlowRun, RetryPolicy, Run, RunTimes, TaskRun
from trioflow.core.states import NO_DETAILS, State, StateDetails, StateType
from trioflow.core.tables import FLOW_RUNS, Table

NOW = datetime(2026, 7, 1, tzinfo=UTC)
BEFORE = NOW - timedelta(seconds=5)
SOON = NOW + timedelta(hours=1)
RUN, FLOW, OTHER, MIRROR, TRANSITION = (UUID(int=n) for n in range(1, 6))
RESULT = RecordedResult(serializer="json", inline="1")
TAGS = ("a", "b")


def _details(type_: StateType) -> list[StateDetails]:
    """The details that a rule may look at in a state of this type, one by one."""
    match type_:
        case StateType.SCHEDULED | StateType.PENDING:
            return [
                StateDetails(scheduled_time=at) for at in (BEFORE, NOW, NOW + timedelta(seconds=0.4), SOON)
            ]
        case StateType.RUNNING | StateType.COMPLETED:
            return [StateDetails(cache_key="key", refresh_cache=refresh) for refresh in (None, True, False)]
        case StateType.PAUSED | StateType.SUSPENDED:
            keys, timeouts = (None, "1", "2"), (None, BEFORE, SOON)
            return [
                StateDetails(pause_key=key, pause_timeout=timeout) for key, timeout in product(keys, timeouts)
            ]
        case StateType.FAILED:
            return [StateDetails(retriable=retriable) for retriable in (True, False)]
        case StateType.CRASHED:
            return [StateDetails(cause=LEASE_EXPIRED)]
        case _:
            return []


NAMES = {
    StateType.SCHEDULED: ("Scheduled", "Late", "AwaitingRetry", "Resuming"),
    StateType.PENDING: ("Pending", "NotReady", "Submitting"),
    StateType.RUNNING: ("Running", "Retrying"),
    StateType.PAUSED: ("Paused", "NotReady"),
    StateType.SUSPENDED: ("Suspended", "NotReady"),
}

STATES = {
    type_: [
        State(type=type_, name=name, details=details, data=data)
        for name, details, data in product(
            NAMES.get(type_, (type_.capitalize(),)),
            (NO_DETAILS, *_details(type_)),
            (None, RESULT) if type_ is StateType.COMPLETED else (None,),
        )
    ]
    for type_ in StateType
}


def _of(types: frozenset[StateType]) -> list[State]:
    return [state for type_ in StateType if type_ in types for state in STATES[type_]]


ALL = frozenset(StateType)
POLICIES = [
    RetryPolicy(retries=retries, delays=delays, jitter=jitter, on_crash=on_crash)
    for retries, delays, jitter, on_crash in product(
        (0, 1, 3), ((), (10.0,), (0.5, 9.0)), (None, 0.5), (False, True)
    )
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
FLAGS = [
    {"epoch": epoch, "force": force, "rerun": rerun, "new_owner": new_owner}
    for epoch, force, rerun, new_owner in product((None, 0, 1), (False, True), (False, True), (False, True))
]
COUNTERS = [
    {"version": 4, "attempt": attempt, "retries_used": used, "retry": policy, "times": times}
    for (attempt, used), policy, times in product(((0, 0), (1, 0), (3, 2)), POLICIES, TIMES)
]
FLOW_RUN = FlowRun(id=RUN, flow_id=FLOW, name="run", root_id=RUN)
ROLES = [
    {"root_id": RUN, "deployment_id": None, "entrypoint": None},
    {"root_id": RUN, "deployment_id": None, "entrypoint": "flows.py:f"},
    {"root_id": RUN, "deployment_id": OTHER, "infrastructure_pid": "host:1"},
    {"root_id": OTHER, "parent_task_run_id": MIRROR},
]
FLOW_RUNS_IN_PAUSES = [
    evolve(FLOW_RUN, **role, pause_keys=keys, resuming=resuming, epoch=2)
    for role, keys, resuming in product(ROLES, (frozenset(), frozenset({"1"})), (False, True))
]
TASK_RUN = TaskRun(id=RUN, task_key="task", dynamic_key="0", name="task-0")
TASK_RUNS_IN_FLOWS = [
    evolve(TASK_RUN, flow_run_id=flow, flow_run_attempt=attempt, tags=frozenset(tags))
    for (flow, attempt), tags in product(((FLOW, 0), (FLOW, 1), (None, 0)), ("", "a", "ab"))
]

facts = st.builds(
    Facts,
    fence=st.sampled_from(FENCES),
    parent=st.sampled_from([None, *PARENTS, *RUNNING_PARENTS * 6]),
    cached=st.sampled_from([None, *STATES[StateType.COMPLETED]]),
    limits=st.sampled_from([(), *LIMITS]),
)


def proposals(
    table: Table, *, current: frozenset[StateType | None] = ALL | {None}, to: frozenset[StateType] = ALL
) -> st.SearchStrategy[Proposal]:
    """Any proposal to the table: any run in these types, any state of those, any facts, by anybody."""
    runs = FLOW_RUNS_IN_PAUSES if table.name == FLOW_RUNS.name else TASK_RUNS_IN_FLOWS
    states = [evolve(state, id=OTHER, timestamp=BEFORE) for state in _of(current - {None})]
    return st.builds(
        _proposal,
        run=st.sampled_from(runs),
        current=st.sampled_from([None, *states] if None in current else states),
        counters=st.sampled_from(COUNTERS),
        state=st.sampled_from(_of(to)),
        facts=facts,
        flags=st.sampled_from(FLAGS),
        draw=st.floats(0, 1, exclude_max=True),
    )


def _proposal(*, run: Run, current: State | None, counters: dict, flags: dict, **given) -> Proposal:
    """One proposal of its parts."""
    run = evolve(run, state=current, **counters)
    return Proposal(run=run, now=NOW, transition_id=TRANSITION, **flags, **given)


def sample(table: Table, current: StateType | None, to: StateType, count: int) -> Iterator[Proposal]:
    """The same ``count`` proposals for this pair of types every time, each by the run's owner."""
    pick = Random(f"{table.name} {current} {to}").choice
    runs = FLOW_RUNS_IN_PAUSES if table.name == FLOW_RUNS.name else TASK_RUNS_IN_FLOWS
    for _ in range(count):
        fence = pick(FENCES)
        yield _proposal(
            run=pick(runs),
            current=evolve(pick(STATES[current]), timestamp=BEFORE) if current else None,
            counters=pick(COUNTERS),
            state=pick(STATES[to]),
            facts=Facts(
                fence=fence,
                parent=pick([*PARENTS, *RUNNING_PARENTS * 9]),
                cached=pick([None, *STATES[StateType.COMPLETED]]),
                limits=pick(LIMITS),
            ),
            flags={**pick(FLAGS), "epoch": fence.epoch, "force": False},
        )
