"""One flow run with what is under it, and the orchestrator that judges what is asked about it.

Every request is put to `trioflow.orchestrator.judging.answer`, on a `Desk` that holds all there is: the production
tables, the lease arithmetic, reaping and closing are the real ones. A request changes one flow run and what is under
it, and of the other sees no more than the slot; so it is judged once for each such situation, and remembered.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, NamedTuple
from uuid import UUID

from attrs import evolve

from tests.property.model.exploring import Unsafe
from trioflow.core.bookkeeping import HOLD_SLOTS
from trioflow.core.leases import Lease, Owner, lease_end
from trioflow.core.runs import FlowRun, RetryPolicy, TaskRun
from trioflow.core.states import State, StateType
from trioflow.core.tables import FLOW_RUNS, TASK_RUNS
from trioflow.core.verdicts import Abort, Accept, Reject, Verdict, Wait
from trioflow.errors import RunNotFound
from trioflow.orchestrator import endings, judging
from trioflow.orchestrator.desk import Desk
from trioflow.wire import requests

NOW = datetime(2026, 7, 1, tzinfo=UTC)
LAPSED = NOW - timedelta(seconds=1)
TAG = "database"
FLOW, FLOW_RUN, TASK_RUN, OTHER, OTHER_LEASE, TRANSITION = (UUID(int=n) for n in range(1, 7))
NOBODY = 0
"""The pid of an owner who has died."""

RETRIES = RetryPolicy(retries=1, on_crash=True)


class Part(NamedTuple):
    """A flow run, its task, its lease, and whether the task holds a slot. Times and messages are left out."""

    flow: tuple[Any, ...]
    """State, epoch, attempt, retries used."""
    task: tuple[Any, ...] | None
    """State, attempt, retries used, the flow run's attempt; None before it is begun."""
    owner: int | None
    """The pid of who has the lease."""
    lives: bool
    """Whether the lease has not lapsed."""
    holds: bool

    @property
    def state(self) -> State:
        return self.flow[0]

    @property
    def epoch(self) -> int:
        return self.flow[1]

    @property
    def task_type(self) -> StateType | None:
        return self.task[0].type if self.task else None


class Kind(Enum):
    CLAIM = "claim"
    PROPOSE = "propose"
    BEGIN = "begin task"
    PROPOSE_TASK = "propose task"
    CLOSE = "close"
    LEAVE = "end lease"
    CANCEL = "cancel"
    REAP = "reap"


class Asked(NamedTuple):
    """A request about one flow run."""

    kind: Kind
    state: State | None = None
    epoch: int | None = None
    owner: int = NOBODY
    answered: Verdict | None = None
    """What was written for its transition id before."""


class Judged(NamedTuple):
    """What came of a request."""

    part: Part
    verdict: Verdict | None
    epoch: int
    """The token that a claim brings."""


class NoRows:
    """The transaction of a desk that holds everything already."""

    def execute(self, sql, parameters=()):
        return []


class Judge:
    """The orchestrator, as far as one flow run goes."""

    def __init__(self, retry: RetryPolicy = RETRIES) -> None:
        self.retry = retry
        self._known: dict[tuple[Part, bool, Asked], Judged] = {}

    def __call__(self, part: Part, others: bool, asked: Asked) -> Judged:
        """Judge a request; ``others`` says whether the other run's task holds the slot."""
        key = part, others, asked
        if key not in self._known:
            self._known[key] = self._judge(part, others, asked)
        return self._known[key]

    def _judge(self, part: Part, others: bool, asked: Asked) -> Judged:
        desk = self.desk(part, others)
        if asked.answered is not None:
            desk.answered[TRANSITION] = asked.answered
        verdict, epoch = self.answer(desk, asked)
        judged = Judged(self.part(desk), verdict, epoch)
        check_step(part, judged.part, asked)
        return judged

    def answer(self, desk: Desk, asked: Asked) -> tuple[Verdict | None, int]:
        if asked.kind is Kind.REAP:
            endings.reap(NoRows(), desk, desk.leases[FLOW_RUN])
            return None, 0
        try:
            reply = judging.answer(NoRows(), desk, request_of(asked))
        except RunNotFound as error:
            return Abort(str(error)), 0
        return plain_verdict(getattr(reply, "verdict", None)), getattr(
            getattr(reply, "run", None), "epoch", 0
        )

    def desk(self, part: Part, others: bool) -> Desk:
        """All there is, laid out."""
        desk = Desk(NOW, FLOW_RUNS, TASK_RUNS)
        state, epoch, attempt, used = part.flow
        desk.flow_runs[FLOW_RUN] = FlowRun(
            id=FLOW_RUN,
            flow_id=FLOW,
            name="run",
            root_id=FLOW_RUN,
            state=state,
            epoch=epoch,
            attempt=attempt,
            retries_used=used,
            retry=self.retry,
            deployment_id=OTHER,
        )
        if part.task is not None:
            state, attempt, used, flow_run_attempt = part.task
            desk.task_runs[TASK_RUN] = TaskRun(
                id=TASK_RUN,
                task_key="task",
                dynamic_key="0",
                name="task-0",
                flow_run_id=FLOW_RUN,
                root_id=FLOW_RUN,
                tags=frozenset({TAG}),
                state=state,
                attempt=attempt,
                retries_used=used,
                flow_run_attempt=flow_run_attempt,
            )
            desk.calls[FLOW_RUN, "task", "0"] = TASK_RUN
        if part.owner is not None:
            expires = lease_end(NOW) if part.lives else LAPSED
            desk.leases[FLOW_RUN] = Lease(
                run_id=FLOW_RUN, epoch=part.epoch, owner=owner(part.owner), expires=expires
            )
        desk.limits[TAG] = 1
        if part.holds:
            desk.holders[TAG][TASK_RUN] = FLOW_RUN
        if others:
            desk.holders[TAG][OTHER] = OTHER_LEASE
        return desk

    def part(self, desk: Desk) -> Part:
        """What there is now."""
        run, task, lease = (
            desk.flow_runs[FLOW_RUN],
            desk.task_runs.get(TASK_RUN),
            desk.leases.get(FLOW_RUN),
        )
        if lease is not None and lease.epoch != run.epoch:
            raise Unsafe(f"the lease is of epoch {lease.epoch}, and the run in epoch {run.epoch}")
        return Part(
            (plain(run.state), run.epoch, run.attempt, run.retries_used),
            (plain(task.state), task.attempt, task.retries_used, task.flow_run_attempt) if task else None,
            lease.owner.pid if lease else None,
            lease is not None and not lease.expired(NOW),
            TASK_RUN in desk.holders[TAG],
        )


def owner(pid: int) -> Owner:
    return Owner(host="another host", pid=pid, started=1)


def plain(state: State) -> State:
    """The state without what tells no situations apart."""
    return evolve(state, id=None, timestamp=NOW, message=None)


def plain_verdict(verdict: Verdict | None) -> Verdict | None:
    match verdict:
        case Accept(state):
            return Accept(plain(state))
        case Reject(state, _, written):
            return Reject(plain(state) if state else None, "because", written)
        case Wait():
            return Wait(1.0, "because")
        case Abort(_, state):
            return Abort("because", plain(state) if state else None)
        case None:
            return None


def request_of(asked: Asked) -> object:
    common: dict[str, Any] = {"run_id": FLOW_RUN, "transition_id": TRANSITION}
    match asked.kind:
        case Kind.CLAIM:
            return requests.ClaimFlowRun(owner=owner(asked.owner), **common)
        case Kind.PROPOSE | Kind.CANCEL:
            return requests.ProposeFlowRunState(state=asked.state, epoch=asked.epoch, **common)
        case Kind.PROPOSE_TASK:
            common["run_id"] = TASK_RUN
            return requests.ProposeTaskRunState(state=asked.state, epoch=asked.epoch, **common)
        case Kind.CLOSE:
            return requests.CloseFlowRun(state=asked.state, epoch=asked.epoch, **common)
        case Kind.LEAVE:
            return requests.EndLease(run_id=FLOW_RUN, epoch=asked.epoch)
        case _:
            return requests.BeginTaskRun(
                id=TASK_RUN,
                task_key="task",
                dynamic_key="0",
                name="task-0",
                state=asked.state,
                transition_id=TRANSITION,
                flow_run_id=FLOW_RUN,
                root_id=FLOW_RUN,
                tags=frozenset({TAG}),
                epoch=asked.epoch,
            )


# --- what must hold


def check_step(before: Part, after: Part, asked: Asked) -> None:
    """Look at what one request has changed.

    Raises:
        Unsafe: it may not.
    """
    if asked.epoch is not None and asked.epoch < before.epoch and after != before:
        raise Unsafe(f"an owner of epoch {asked.epoch} changed a run of epoch {before.epoch}")
    if before.state.is_final and after.state != before.state:
        raise Unsafe(f"{before.state.type} was left for {after.state.type}")
    if before.state.type is StateType.CANCELLING and after.state.type not in {
        StateType.CANCELLING,
        StateType.CANCELLED,
    }:
        raise Unsafe(f"a run that was to be cancelled is {after.state.type}")
    if before.task and before.task[0].data is not None and after.task[0] != before.task[0]:
        raise Unsafe("a task whose result is recorded ran again")
    if after.epoch > before.epoch and after.owner is not None and after.owner != asked.owner:
        raise Unsafe("a claim gave the run to somebody else")
    if before.owner is not None and before.lives and after.owner not in {before.owner, None}:
        raise Unsafe("a run was taken from an owner whose lease had not lapsed")


def check_part(part: Part) -> None:
    """Look at one flow run.

    Raises:
        Unsafe: it may not be so.
    """
    if part.holds and part.owner is None:
        raise Unsafe("a slot is held without a lease")
    if part.holds and part.task_type not in HOLD_SLOTS:
        raise Unsafe(f"a slot is held by a task that is {part.task_type}")
    if part.task_type is StateType.RUNNING and part.owner is not None and not part.holds:
        raise Unsafe("a task runs without a slot")
    if part.state.is_final and part.owner is not None:
        raise Unsafe("a run is over, and has a lease")
