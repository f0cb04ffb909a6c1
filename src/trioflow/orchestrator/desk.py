"""The desk: what lies on the table while one batch is judged.

Loaded with all that the batch's requests may need, changed by each decision in turn, so that a later one sees what
an earlier one did, and written out at the end. It holds no policy.
"""

# pyright: reportUnknownVariableType=false
# (a batch makes two dozen collections, and `dict[str, UUID]` takes ten times as long as `dict` to make one)

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TypedDict, Unpack, final
from uuid import UUID

from attrs import define, evolve, field, frozen

from trioflow import clock
from trioflow.core.decisions import (
    Decision,
    Effect,
    EndLease,
    Fact,
    Facts,
    Fence,
    MirrorToParent,
    Proposal,
    ReleaseSlots,
    RememberResult,
    TagLimit,
    TakeSlots,
)
from trioflow.core.leases import Lease, Owner
from trioflow.core.runs import FlowRun, Run, TaskRun, changed
from trioflow.core.states import State
from trioflow.core.tables import Table, decide
from trioflow.core.verdicts import Abort, Reject, Verdict
from trioflow.errors import RunNotFound, TrioflowBug
from trioflow.orchestrator.decoded import Decoded
from trioflow.wire.requests import LogRecord

DOWNTIME = timedelta(seconds=60)
"""How long schedules may usually go without a look."""

Call = tuple["UUID | None", str, str]
"""What a task run is found by on a rerun: flow run, task key, dynamic key."""


@frozen
class Transition:
    """One line of the history: ``run`` as it is after it."""

    run: Run
    state: State
    reason: str | None


@frozen
class Owed:
    """The hooks that are owed for a final state: ``holder`` is who runs the run's code, and so will call them."""

    run: FlowRun
    state: State
    holder: Owner | None


class Asked(TypedDict, total=False):
    """What else a `Proposal` may carry; see there."""

    epoch: int | None
    force: bool
    rerun: bool
    new_owner: bool
    draw: float


@final
@define(eq=False)
class Desk:
    """The runs, leases, slots and cache entries that one batch touches; what is in a ``changed`` is to be written."""

    now: datetime
    flow_table: Table
    task_table: Table
    downtime: timedelta = DOWNTIME
    """Longer than this without a look at a schedule is a downtime."""
    decoded: Decoded = field(factory=Decoded)

    flows: dict[str, UUID] = field(factory=dict)
    new_flows: dict[str, UUID] = field(factory=dict)

    flow_runs: dict[UUID, FlowRun] = field(factory=dict)
    task_runs: dict[UUID, TaskRun] = field(factory=dict)
    stored: set[UUID] = field(factory=set)
    """Runs that have a row already: they are updated, all others inserted."""
    runs_changed: set[UUID] = field(factory=set)
    calls: dict[Call, UUID] = field(factory=dict)

    leases: dict[UUID, Lease] = field(factory=dict)
    leases_changed: set[UUID] = field(factory=set)

    answered: dict[UUID, Verdict] = field(factory=dict)
    limits: dict[str, int] = field(factory=dict)
    holders: defaultdict[str, dict[UUID, UUID]] = field(factory=lambda: defaultdict(dict))
    """Tag -> task run that holds a slot -> the lease that the slot was taken under."""
    slots_changed: dict[tuple[str, UUID], UUID | None] = field(factory=dict)
    """(tag, task run) -> the lease of a slot that was taken; None for one that was given back."""
    cached: dict[str, State] = field(factory=dict)
    cache_changed: set[str] = field(factory=set)

    history: list[Transition] = field(factory=list)
    owed: list[Owed] = field(factory=list)
    logs: list[LogRecord] = field(factory=list)

    def flow_run(self, run_id: UUID) -> FlowRun:
        """The flow run with this id.

        Raises:
            RunNotFound: there is none.
        """
        try:
            return self.flow_runs[run_id]
        except KeyError:
            raise RunNotFound(f"there is no flow run {run_id}") from None

    def task_run(self, run_id: UUID) -> TaskRun:
        """The task run with this id.

        Raises:
            RunNotFound: there is none.
        """
        try:
            return self.task_runs[run_id]
        except KeyError:
            raise RunNotFound(f"there is no task run {run_id}") from None

    def flow_id(self, name: str) -> UUID:
        """The id of the flow with this name; it gets one the first time that it is heard of."""
        if name not in self.flows:
            self.flows[name] = self.new_flows[name] = clock.new_id()
        return self.flows[name]

    def put(self, run: Run) -> None:
        """``run`` is how it is now."""
        match run:
            case FlowRun():
                self.flow_runs[run.id] = run
            case TaskRun():
                self.task_runs[run.id] = run
                self.calls[run.flow_run_id, run.task_key, run.dynamic_key] = run.id
        self.runs_changed.add(run.id)

    def put_lease(self, lease: Lease) -> None:
        """Grant it, or renew it."""
        self.leases[lease.run_id] = lease
        self.leases_changed.add(lease.run_id)

    def end_lease(self, run_id: UUID) -> None:
        """Nobody runs this run's code any more. Its slots go with the lease, in the store by themselves."""
        if self.leases.pop(run_id, None) is None:
            return
        self.leases_changed.add(run_id)
        for holders in self.holders.values():
            for holder in [holder for holder, lease_id in holders.items() if lease_id == run_id]:
                del holders[holder]

    def disown(self, root_id: UUID) -> None:
        """Nobody is left to call the hooks that are owed for the run under this root: whoever comes first may."""
        self.owed = [evolve(owed, holder=None) if owed.run.root_id == root_id else owed for owed in self.owed]

    def judge(self, run: Run, state: State, transition_id: UUID, **asked: Unpack[Asked]) -> Verdict:
        """Decide whether ``run`` may be in ``state``, and take what was decided onto the desk."""
        table = self.flow_table if isinstance(run, FlowRun) else self.task_table
        decision = decide(
            table,
            Proposal(
                run=run,
                state=state,
                now=self.now,
                transition_id=transition_id,
                facts=self._facts(table, run, state, transition_id),
                **asked,
            ),
        )
        decision = self._tied_to_a_lease(decision, run)
        self._take(decision)
        return decision.verdict

    def _tied_to_a_lease(self, decision: Decision, run: Run) -> Decision:
        """The same, unless it gives slots to a run that nobody owns: nobody could ever give them back in its place."""
        tags = {tag for effect in decision.effects if isinstance(effect, TakeSlots) for tag in effect.tags}
        if not tags or (run.root_id or run.id) in self.leases:
            return decision
        reason = f"A slot of {', '.join(sorted(tags))} is tied to a lease, and no process owns this task's flow run."
        return Decision(verdict=Abort(reason, run.state))

    def _facts(self, table: Table, run: Run, state: State, transition_id: UUID) -> Facts:
        read = table.facts(run.state.type if run.state else None, state.type)
        parent = isinstance(run, TaskRun) and run.flow_run_id
        key = state.details.cache_key
        return Facts(
            fence=self._fence(run),
            answered=self.answered.get(transition_id),
            parent=self.flow_runs.get(parent) if parent and Fact.PARENT in read else None,
            cached=self._live_entry(key) if key and Fact.CACHED in read else None,
            limits=tuple(self._limits(run.tags)) if run.tags and Fact.LIMITS in read else (),
        )

    def _fence(self, run: Run) -> Fence:
        owner_id = run.root_id or run.id
        lease = self.leases.get(owner_id)
        root = self.flow_runs.get(owner_id)
        epoch = root.epoch if root else lease.epoch if lease else 0
        return Fence(epoch=epoch, leased=lease is not None)

    def _limits(self, tags: frozenset[str]) -> Iterable[TagLimit]:
        for tag in sorted(tags & self.limits.keys()):
            yield TagLimit(tag=tag, limit=self.limits[tag], holders=frozenset(self.holders[tag]))

    def _live_entry(self, key: str) -> State | None:
        state = self.cached.get(key)
        if state is None:
            return None
        expiration = state.details.cache_expiration
        return state if expiration is None or expiration > self.now else None

    def _take(self, decision: Decision) -> None:
        run = decision.run
        if run is None:
            return
        self.put(run)
        if run.state is None:
            return
        reason = decision.verdict.reason if isinstance(decision.verdict, Reject) else None
        self.history.append(Transition(run, run.state, reason))
        if isinstance(run, FlowRun) and run.state.is_final and run.state.type in run.hooked:
            lease = self.leases.get(run.root_id)
            self.owed.append(Owed(run, run.state, lease.owner if lease else None))
        for effect in decision.effects:
            self._apply(effect, run, run.state)

    def _apply(self, effect: Effect, run: Run, state: State) -> None:
        match effect, run:
            case TakeSlots(tags), TaskRun():
                for tag in tags:
                    self.holders[tag][run.id] = self.slots_changed[tag, run.id] = run.root_id or run.id
            case ReleaseSlots(), TaskRun():
                self._release_slots(run)
            case RememberResult(key, _), _:
                self.cached[key] = state
                self.cache_changed.add(key)
            case MirrorToParent(task_run_id), FlowRun():
                self._mirror(run, state, task_run_id)
            case EndLease(), _:
                self.end_lease(run.id)
            case _:
                raise TrioflowBug(f"{effect} is not for {type(run).__name__}")

    def _release_slots(self, run: TaskRun) -> None:
        for tag in run.tags:
            if self.holders[tag].pop(run.id, None) is not None:
                self.slots_changed[tag, run.id] = None

    def _mirror(self, child: FlowRun, state: State, task_run_id: UUID) -> None:
        parent = self.task_run(task_run_id)
        shown = evolve(state, id=clock.new_id()).with_details(child_flow_run_id=child.id)
        mirrored = changed(
            parent, state=shown, version=parent.version + 1, times=child.times, attempt=child.attempt
        )
        self.put(mirrored)
        self.history.append(Transition(mirrored, shown, None))
