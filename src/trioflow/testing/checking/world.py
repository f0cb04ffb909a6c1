"""A small world: one flow run, its tasks, the tags that they need, and what the tables make of what is proposed.

The naive model of an orchestrator: facts are looked up in plain dicts, a decision's effects are done at once, nothing
is batched. What the real one answers is compared with it (`trioflow.testing.checking.replay`). After each decision it
checks what must hold whatever the rules say, and it remembers each step.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import Enum
from typing import final
from uuid import UUID

from attrs import define, evolve, field, frozen

from trioflow.core.decisions import (
    Effect,
    EndLease,
    Facts,
    Fence,
    Proposal,
    ReleaseSlots,
    RememberResult,
    TagLimit,
    TakeSlots,
)
from trioflow.core.leases import LEASE_EXPIRED, state_after_reaping
from trioflow.core.runs import FlowRun, Run, TaskRun
from trioflow.core.states import Cancelled, Crashed, Pending, Scheduled, State, StateType
from trioflow.core.tables import FLOW_RUNS, TASK_RUNS, Table, decide
from trioflow.core.verdicts import Accept, Verdict
from trioflow.errors import TrioflowBug
from trioflow.testing.checking.birth import ROOT_ID, Birth, Role, flow_run_of, task_run_of
from trioflow.testing.checking.properties import Broken
from trioflow.testing.checking.soundness import check_effects, check_final, check_slots

FLOW = 0
"""The number of the flow run; its tasks are numbered from 1."""

FIRST_TRANSITION = 1_000


class Asker(Enum):
    """Who proposes."""

    OWNER = "its owner"
    OPERATOR = "an operator"
    FORMER_OWNER = "a former owner"


class Call(Enum):
    """Which request an orchestrator gets for it."""

    CREATE = "create"
    CLAIM = "claim"
    RERUN = "rerun"
    BEGIN = "begin"
    END_LEASE = "end lease"
    PROPOSE = "propose"


@frozen(kw_only=True)
class How:
    """By whom something is proposed, and with which flags; see `Proposal`."""

    by: Asker = Asker.OWNER
    force: bool = False
    rerun: bool = False
    new_owner: bool = False
    draw: float = 0.5


PLAINLY = How()
AS_OPERATOR = How(by=Asker.OPERATOR)
AS_REAPER = How(new_owner=True)


@frozen
class Asked:
    """One step: what was proposed to which run, and what came of it."""

    number: int
    proposal: Proposal
    verdict: Verdict | None
    """None if there is no answer: judging it broke a property."""
    run: Run
    """As it is afterwards."""

    @property
    def heard(self) -> Verdict:
        """The answer, which there is unless judging it broke a property."""
        if self.verdict is None:
            raise TrioflowBug(f"nothing was answered to {self.proposal}")
        return self.verdict

    @property
    def is_written(self) -> bool:
        """Whether the run has another state than before."""
        return self.run.state is not self.proposal.run.state


@final
@define(eq=False)
class World:
    """What there is, and what has been asked.

    Attributes:
        now: what time it is.
        runs: the flow run (0) and its tasks (1, 2, ...), as they are.
        leases: root run -> the epoch of its lease. Owners here live, and renew.
        holders: tag -> the task runs that hold a slot of its limit.
        cache: cache key -> the completed state that is remembered under it.
        steps: all that was asked, in order.
        calls: the requests that an orchestrator would have got, each with the last step that it led to.
    """

    birth: Birth
    flow_table: Table = FLOW_RUNS
    task_table: Table = TASK_RUNS
    now: datetime = field(init=False)
    runs: dict[int, Run] = field(init=False)
    leases: dict[UUID, int] = field(factory=dict[UUID, int], init=False)
    holders: dict[str, set[UUID]] = field(factory=dict[str, set[UUID]], init=False)
    cache: dict[str, State] = field(factory=dict[str, State], init=False)
    steps: list[Asked] = field(factory=list[Asked], init=False)
    calls: list[tuple[Call, Asked]] = field(factory=list[tuple[Call, Asked]], init=False)
    _asked: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self.now = self.birth.start
        self.runs = {FLOW: flow_run_of(self.birth)}
        if self.birth.role is Role.SUBFLOW:
            self.leases[ROOT_ID] = 1
        for number, tags in enumerate(self.birth.tasks, 1):
            alone = self.birth.lonely and number == len(self.birth.tasks)
            self.runs[number] = task_run_of(self.birth, number, tags, None if alone else self.flow)

    def copy(self) -> World:
        """The same world, to try something in it."""
        twin = World(self.birth, self.flow_table, self.task_table)
        twin.now, twin.runs, twin.leases = self.now, dict(self.runs), dict(self.leases)
        twin.holders = {tag: set(held) for tag, held in self.holders.items()}
        twin.cache, twin.steps, twin.calls = dict(self.cache), list(self.steps), list(self.calls)
        twin._asked = self._asked
        return twin

    @property
    def flow(self) -> FlowRun:
        """The flow run."""
        match self.runs[FLOW]:
            case FlowRun() as run:
                return run
            case TaskRun(id=id_):
                raise TrioflowBug(f"task run {id_} stands where the flow run should")

    def table_of(self, number: int) -> Table:
        """The table that judges this run."""
        return self.flow_table if number == FLOW else self.task_table

    def is_leased(self, number: int) -> bool:
        """Whether somebody runs this run's code."""
        return _root(self.runs[number]) in self.leases

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)

    # --- what is asked

    def propose(self, number: int, state: State, how: How = PLAINLY) -> Asked:
        """Ask for this run to be in ``state``; a run that there is not yet is made in it.

        Raises:
            Broken: the decision breaks what must hold of each.
        """
        run = self.runs[number]
        match run:
            case FlowRun(state=None):
                is_subflow = self.birth.role is Role.SUBFLOW
                owned = self.birth.owned and not is_subflow
                by = Asker.OWNER if is_subflow else Asker.OPERATOR
                asked = self._judge(number, state, evolve(how, by=by, new_owner=owned))
                if owned:
                    self._grant()
                self.calls.append((Call.CREATE, asked))
            case TaskRun(state=None):
                asked = self._begin(number, state, how)
                self.calls.append((Call.BEGIN, asked))
            case _:
                asked = self._judge(number, state, how)
                self.calls.append((Call.PROPOSE, asked))
        return asked

    def claim(self, *, rerun: bool = False) -> Asked:
        """Make somebody the owner of the flow run, which nobody owns: PENDING, in a new epoch.

        Raises:
            Broken: a decision breaks what must hold of each.
        """
        again = rerun and self.flow.state is not None and self.flow.state.is_final
        if again:
            self._judge(FLOW, Scheduled(self.now), How(by=Asker.OPERATOR, rerun=True, new_owner=True))
        asked = self._judge(FLOW, Pending(), How(by=Asker.OPERATOR, new_owner=True))
        if isinstance(asked.verdict, Accept):
            self._grant()
        self.calls.append((Call.RERUN if rerun else Call.CLAIM, asked))
        return asked

    def reap(self) -> None:
        """The owner of the flow run is gone: its tasks end, it ends or may be claimed again, and its lease is over.

        Raises:
            Broken: a decision breaks what must hold of each.
        """
        target = state_after_reaping(self.flow, self.now)
        for number, run in self.runs.items():
            if (
                target is not None
                and number != FLOW
                and _root(run) == self.flow.root_id
                and _is_going_on(run)
            ):
                self._judge(number, _end_of(run, self.flow), PLAINLY)
        if target is not None:
            self._judge(FLOW, target, AS_REAPER)
        else:
            self.runs[FLOW] = evolve(self.flow, epoch=self.flow.epoch + 1)
        self._end_lease(self.flow)

    def leave(self) -> None:
        """The process of the flow run is done with it: nobody owns it any more."""
        if self.flow.id in self.leases:
            self._end_lease(self.flow)
            self.calls.append((Call.END_LEASE, evolve(self.steps[-1], number=FLOW, run=self.flow)))

    def facts(self, run: Run, state: State) -> Facts:
        """All that a rule may be told when this run is asked to be in ``state``, whatever it declares."""
        is_inside = isinstance(run, TaskRun) and run.flow_run_id is not None
        return Facts(
            fence=self._fence(run),
            parent=self.flow if is_inside and self.flow.state else None,
            cached=self._cached(state),
            limits=tuple(
                TagLimit(tag=tag, limit=limit, holders=frozenset(self.holders.get(tag, ())))
                for tag, limit in sorted(self.birth.limits.items())
                if tag in run.tags
            ),
        )

    def _begin(self, number: int, state: State, how: How) -> Asked:
        run = self.runs[number]
        if run.root_id == run.id:
            self.leases[run.id] = 1
        first = self._judge(number, Pending(), how, transition_id=run.id)
        if not first.is_written or (state.type is StateType.PENDING and self.runs[number].version == 1):
            return first
        return self._judge(number, state, evolve(how, draw=0.5))

    def _judge(self, number: int, state: State, how: How, transition_id: UUID | None = None) -> Asked:
        run = self.runs[number]
        facts = self.facts(run, state)
        self._asked += 1
        proposal = Proposal(
            run=run,
            state=state,
            now=self.now,
            transition_id=transition_id or UUID(int=FIRST_TRANSITION + self._asked),
            facts=facts,
            epoch=_epoch(how.by, facts.fence),
            force=how.force,
            rerun=how.rerun,
            new_owner=how.new_owner,
            draw=how.draw,
        )
        self.steps.append(Asked(number, proposal, None, run))
        try:
            asked = self.steps[-1] = self._decide(number, proposal)
            self._check(number, proposal)
        except Broken as broken:
            broken.steps = self.steps
            raise
        return asked

    def _check(self, number: int, proposal: Proposal) -> None:
        check_final(self.table_of(number), proposal, self.runs[number])
        owned = [run for run in self.runs.values() if _root(run) in self.leases]
        check_slots(owned, self.holders, self.birth.limits)

    # --- what comes of it

    def _decide(self, number: int, proposal: Proposal) -> Asked:
        decision = decide(self.table_of(number), proposal)
        if decision.run is not None:
            check_effects(decision.run, decision.effects, proposal.facts.limits)
            self.runs[number] = decision.run
            for effect in decision.effects:
                self._do(effect, decision.run)
        return Asked(number, proposal, decision.verdict, self.runs[number])

    def _do(self, effect: Effect, run: Run) -> None:
        match effect:
            case TakeSlots(tags):
                for tag in tags:
                    self.holders.setdefault(tag, set()).add(run.id)
            case ReleaseSlots():
                for held in self.holders.values():
                    held.discard(run.id)
            case RememberResult(key, _) if run.state:
                self.cache[key] = run.state
            case EndLease():
                self._end_lease(run)
            case _:
                pass

    def _end_lease(self, run: Run) -> None:
        """Slots go with the lease that they were taken under."""
        self.leases.pop(run.id, None)
        below = {other.id for other in self.runs.values() if _root(other) == run.id}
        for held in self.holders.values():
            held.difference_update(below)

    def _grant(self) -> None:
        if self.flow.state is not None and not self.flow.state.is_final:
            self.leases[self.flow.id] = self.flow.epoch

    def _fence(self, run: Run) -> Fence:
        root = _root(run)
        epoch = self.flow.epoch if root == self.flow.id else self.leases.get(root, 0)
        return Fence(epoch=epoch, leased=root in self.leases)

    def _cached(self, state: State) -> State | None:
        cached = self.cache.get(state.details.cache_key or "")
        expiration = cached.details.cache_expiration if cached else None
        return cached if expiration is None or expiration > self.now else None


def _epoch(by: Asker, fence: Fence) -> int | None:
    """The token that a proposal carries."""
    match by:
        case Asker.OWNER:
            return fence.epoch
        case Asker.FORMER_OWNER:
            return fence.epoch - 1
        case Asker.OPERATOR:
            return None


def _root(run: Run) -> UUID:
    return run.root_id or run.id


def _is_going_on(run: Run) -> bool:
    return run.state is not None and not run.state.is_final


def _end_of(run: Run, flow: FlowRun) -> State:
    """How a task run ends whose process is gone."""
    ending = any(each.state and each.state.type is StateType.CANCELLING for each in (run, flow))
    return Cancelled(cause=LEASE_EXPIRED) if ending else Crashed(cause=LEASE_EXPIRED)
