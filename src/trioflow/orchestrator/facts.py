"""Loads a desk: every row that a batch of requests may need, in a fixed handful of SELECTs whatever its length."""

# pyright: reportUnknownVariableType=false
# (a batch makes two dozen collections, and `dict[str, UUID]` takes ten times as long as `dict` to make one)

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID

from attrs import define, field

from trioflow.core.states import State
from trioflow.core.verdicts import Accept, Reject
from trioflow.orchestrator.desk import Desk
from trioflow.store import rows
from trioflow.store.queries import (
    CACHE,
    FLOW_RUNS,
    FLOWS,
    LEASES,
    LIMITS,
    SLOTS,
    STATES,
    TASK_RUNS,
    select_in,
)
from trioflow.store.store import Tx
from trioflow.wire.requests import (
    BeginTaskRun,
    ClaimFlowRun,
    CloseFlowRun,
    CreateDeploymentRun,
    CreateFlowRun,
    EndLease,
    PrepareFlowRun,
    ProposeFlowRunState,
    ProposeTaskRunState,
    RenameRun,
)


@define(eq=False)
class _Wanted:
    """The keys that a batch names."""

    flow_names: set[str] = field(factory=set)
    flow_runs: set[UUID] = field(factory=set)
    task_runs: set[UUID] = field(factory=set)
    calls: set[tuple[UUID, str, str]] = field(factory=set)
    transitions: set[bytes] = field(factory=set)
    judged: set[UUID] = field(factory=set)
    """The runs that these transitions are of, as far as they are named; others are found by their call."""
    cache_keys: set[str] = field(factory=set)
    tags: set[str] = field(factory=set)

    def note(self, request: object) -> None:
        """Add what this request names."""
        match request:
            case BeginTaskRun():
                self._note_call(request)
            case ProposeTaskRunState():
                self.task_runs.add(request.run_id)
                self._note_step(request.run_id, request.transition_id, request.state)
            case ProposeFlowRunState() | CloseFlowRun():
                self.flow_runs.add(request.run_id)
                self._note_step(request.run_id, request.transition_id, request.state)
            case ClaimFlowRun():
                self.flow_runs.add(request.run_id)
                self._note_step(request.run_id, request.transition_id)
            case CreateFlowRun():
                self.flow_names.add(request.flow_name)
                self.flow_runs |= {request.id, request.root_id or request.id}
                self.task_runs |= {id_ for id_ in (request.parent_task_run_id,) if id_}
                self._note_step(request.id, request.transition_id, request.state)
            case RenameRun():
                self.flow_runs.add(request.run_id)
                self.task_runs.add(request.run_id)
            case CreateDeploymentRun():
                self.flow_runs.add(request.id)
                self._note_step(request.id, request.transition_id)
            case EndLease() | PrepareFlowRun():
                self.flow_runs.add(request.run_id)
            case _:
                pass

    def _note_call(self, request: BeginTaskRun) -> None:
        self.tags |= request.tags
        self._note_step(request.id, request.transition_id, request.state)
        if request.flow_run_id is None:
            self.task_runs.add(request.id)
        else:
            self.calls.add((request.flow_run_id, request.task_key, request.dynamic_key))
            self.flow_runs |= {request.flow_run_id, request.root_id or request.flow_run_id}

    def _note_step(self, run_id: UUID, transition_id: UUID, state: State | None = None) -> None:
        self.judged.add(run_id)
        self.transitions.add(transition_id.bytes)
        if state is not None and state.details.cache_key is not None:
            self.cache_keys.add(state.details.cache_key)


def load(tx: Tx, desk: Desk, requests: Sequence[object]) -> None:
    """Put onto the desk what these requests need."""
    wanted = _Wanted()
    for request in requests:
        wanted.note(request)
    load_flows(tx, desk, wanted.flow_names)
    load_task_runs(tx, desk, wanted.task_runs)
    _load_calls(tx, desk, wanted.calls)
    above = {id_ for run in desk.task_runs.values() for id_ in (run.flow_run_id, run.root_id) if id_}
    load_flow_runs(tx, desk, wanted.flow_runs | above)
    _load_answers(tx, desk, wanted)
    _load_cache(tx, desk, wanted.cache_keys)
    _load_limits(tx, desk, wanted.tags.union(*(run.tags for run in desk.task_runs.values())))


def load_flows(tx: Tx, desk: Desk, names: Iterable[str]) -> None:
    """Put the ids of the flows with these names onto the desk, as far as there are any."""
    desk.flows.update((name, UUID(bytes=id_)) for name, id_ in select_in(tx, FLOWS, "name", names))


def load_task_runs(tx: Tx, desk: Desk, ids: Iterable[UUID]) -> None:
    """Put these task runs onto the desk, as far as they exist and are not there yet."""
    missing = [id_.bytes for id_ in ids if id_ not in desk.task_runs]
    _put_task_runs(desk, select_in(tx, TASK_RUNS, "id", missing))


def load_flow_runs(tx: Tx, desk: Desk, ids: Iterable[UUID]) -> None:
    """Put these flow runs onto the desk with what they stand under: root, lease, and their mirror in a parent."""
    _put_flow_runs(desk, _by_id(tx, {id_ for id_ in ids if id_ not in desk.flow_runs}))
    _put_flow_runs(desk, _by_id(tx, {run.root_id for run in desk.flow_runs.values()} - desk.flow_runs.keys()))
    load_task_runs(
        tx, desk, {run.parent_task_run_id for run in desk.flow_runs.values() if run.parent_task_run_id}
    )
    alone = {run.id for run in desk.task_runs.values() if run.flow_run_id is None}
    holders = {run.root_id for run in desk.flow_runs.values()} | alone
    # One that has ended on the desk still stands in its row.
    unknown = holders - desk.leases.keys() - desk.leases_changed
    _put_leases(desk, select_in(tx, LEASES, "run_id", (id_.bytes for id_ in unknown)))


def load_tree(tx: Tx, desk: Desk, root_id: UUID) -> None:
    """Put a root run and every unfinished run under it onto the desk."""
    # A task that stands alone is a root too: its lease comes with the next line.
    load_task_runs(tx, desk, {root_id})
    load_flow_runs(tx, desk, {root_id})
    _put_flow_runs(desk, tx.execute(f"{FLOW_RUNS} WHERE root_id = ?", (root_id.bytes,)))
    of_flow_runs = [run.id.bytes for run in desk.flow_runs.values() if run.root_id == root_id]
    _put_task_runs(desk, select_in(tx, TASK_RUNS, "flow_run_id", of_flow_runs))
    _load_limits(tx, desk, set[str]().union(*(run.tags for run in desk.task_runs.values())))


def _by_id(tx: Tx, ids: Iterable[UUID]) -> Iterable[rows.Row]:
    return select_in(tx, FLOW_RUNS, "id", (id_.bytes for id_ in ids))


def _put_flow_runs(desk: Desk, found: Iterable[rows.Row]) -> None:
    for row in found:
        run = desk.decoded.flow_run(row)
        if run.id not in desk.flow_runs:
            desk.flow_runs[run.id] = run
            desk.stored.add(run.id)


def _put_task_runs(desk: Desk, found: Iterable[rows.Row]) -> None:
    for row in found:
        run = desk.decoded.task_run(row)
        if run.id not in desk.task_runs:
            desk.task_runs[run.id] = run
            desk.calls[run.flow_run_id, run.task_key, run.dynamic_key] = run.id
            desk.stored.add(run.id)


def _put_leases(desk: Desk, found: Iterable[rows.Row]) -> None:
    for row in found:
        lease = desk.decoded.lease(row)
        desk.leases[lease.run_id] = lease


def _load_calls(tx: Tx, desk: Desk, calls: set[tuple[UUID, str, str]]) -> None:
    for flow_run_id, task_key, dynamic_key in calls:
        key = (flow_run_id.bytes, task_key, dynamic_key)
        where = "flow_run_id = ? AND task_key = ? AND dynamic_key = ?"
        _put_task_runs(desk, tx.execute(f"{TASK_RUNS} WHERE {where}", key))


def _load_answers(tx: Tx, desk: Desk, wanted: _Wanted) -> None:
    """A transition is looked for in the history of the runs on the desk: it has no index of its own to pay for."""
    called = {desk.calls[call] for call in wanted.calls if call in desk.calls}
    judged = (wanted.judged | called) & desk.stored
    for row in select_in(tx, STATES, "run_id", (run_id.bytes for run_id in judged)):
        if row[7] in wanted.transitions:
            state, reason = rows.history_state_from(row[2:]), row[1]
            verdict = Accept(state) if reason is None else Reject(state, reason, written=True)
            desk.answered[UUID(bytes=row[7])] = verdict


def _load_cache(tx: Tx, desk: Desk, keys: set[str]) -> None:
    for row in select_in(tx, CACHE, "key", keys):
        state = rows.cached_state_from(row)
        if state is not None:
            desk.cached[row[0]] = state


def _load_limits(tx: Tx, desk: Desk, tags: set[str]) -> None:
    if not tags:
        return
    desk.limits.update(select_in(tx, LIMITS, "tag", tags))
    for tag, holder, lease_id in select_in(tx, SLOTS, "tag", desk.limits):
        desk.holders[tag][UUID(bytes=holder)] = UUID(bytes=lease_id)
