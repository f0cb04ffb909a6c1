"""Strategies: states, runs, proposals, limits and retry policies, valid by construction, for Hypothesis.

They shrink to the plain: a run without tags or retries, a state without details. A run that is drawn here may be in
any state, with anything behind it; `histories` are what proposals have really led to.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Generic, TypeVar

from attrs import evolve, frozen
from hypothesis import strategies as st

from trioflow.core.decisions import Facts, Proposal, TagLimit
from trioflow.core.retries import MAX_DELAYS
from trioflow.core.runs import FlowRun, RetryPolicy, Run, TaskRun
from trioflow.core.states import State, StateType
from trioflow.core.tables import FLOW_RUNS, ROWS, TASK_RUNS, Row, Table
from trioflow.testing import pools

T = TypeVar("T")

_DAY_SECONDS = 86_400.0


@frozen(repr=False)
class _Pool(Generic[T]):
    """Values by their number; shown without them, for Hypothesis shows strategies, and complains when that is long."""

    values: Sequence[T]

    def __call__(self, number: int) -> T:
        return self.values[number]

    def __repr__(self) -> str:
        return f"<one of {len(self.values)}>"


def drawn(pool: Sequence[T]) -> st.SearchStrategy[T]:
    """One of these values; the first is the plainest."""
    return st.integers(0, len(pool) - 1).map(_Pool(pool))


def states(types: Iterable[StateType] = StateType) -> st.SearchStrategy[State]:
    """States as a client proposes them: of these types, with the names and details that rules look at.

    Args:
        types: which; all ten by default.
    """
    wanted = set(types)
    return drawn([state for type_ in StateType if type_ in wanted for state in pools.STATES[type_]])


def retry_policies() -> st.SearchStrategy[RetryPolicy]:
    """Policies of up to 10 retries, delays of up to a day (in seconds), a jitter of up to 1."""
    return st.builds(
        RetryPolicy,
        retries=st.integers(0, 10),
        delays=st.lists(st.floats(0, _DAY_SECONDS), max_size=MAX_DELAYS // 10).map(tuple),
        jitter=st.none() | st.floats(0, 1, exclude_min=True),
        on_crash=st.booleans(),
    )


def limits() -> st.SearchStrategy[tuple[TagLimit, ...]]:
    """What may be known of the limits on the tags ``a`` and ``b``, each with who holds its slots; or of none."""
    return drawn([(), *pools.LIMITS])


def flow_runs(current: Iterable[Row] = ROWS) -> st.SearchStrategy[FlowRun]:
    """Flow runs in a state of these types (None: in no state yet): scripts', deployed ones, subflows."""
    return _runs(FLOW_RUNS, current).filter(lambda run: isinstance(run, FlowRun))  # type: ignore[return-value]


def task_runs(current: Iterable[Row] = ROWS) -> st.SearchStrategy[TaskRun]:
    """Task runs in a state of these types (None: in no state yet): of a flow run or alone, with tags or without."""
    return _runs(TASK_RUNS, current).filter(lambda run: isinstance(run, TaskRun))  # type: ignore[return-value]


def facts() -> st.SearchStrategy[Facts]:
    """Any facts about a run: its fence, the flow run above it, a cached state, limits."""
    return st.builds(
        Facts,
        fence=drawn(pools.FENCES),
        parent=drawn([None, *pools.PARENTS, *pools.RUNNING_PARENTS * 6]),
        cached=drawn([None, *pools.STATES[StateType.COMPLETED]]),
        limits=limits(),
    )


def proposals(
    table: Table = FLOW_RUNS,
    *,
    current: Iterable[Row] = ROWS,
    to: Iterable[StateType] = StateType,
) -> st.SearchStrategy[Proposal]:
    """Any proposal to the table: any run in these types, any state of those, any facts, by anybody.

    Judged at `pools.NOW`, under the transition id `pools.TRANSITION`.

    Args:
        table: of flow runs or of task runs.
        current: the types that the run is in; None is a run without a state.
        to: the types that are proposed.
    """
    return st.builds(
        _proposal,
        run=_runs(table, current),
        state=states(to),
        facts=facts(),
        flags=drawn(pools.FLAGS),
        draw=st.floats(0, 1, exclude_max=True),
    )


def _runs(table: Table, current: Iterable[Row]) -> st.SearchStrategy[Run]:
    wanted = set(current)
    before = [
        evolve(state, id=pools.OTHER, timestamp=pools.BEFORE)
        for type_ in StateType
        if type_ in wanted
        for state in pools.STATES[type_]
    ]
    return st.builds(
        _run,
        run=drawn(pools.runs_of(table)),
        state=drawn([None, *before] if None in wanted else before),
        counters=drawn(pools.COUNTERS),
    )


def _run(*, run: Run, state: State | None, counters: dict[str, Any]) -> Run:
    return evolve(run, state=state, **counters)


def _proposal(*, flags: dict[str, Any], **given: Any) -> Proposal:
    return Proposal(now=pools.NOW, transition_id=pools.TRANSITION, **flags, **given)
