"""The orchestrator: the only one who writes a run or a state.

Theory of operation. Every request that writes is an item of one judge, so that the store can hand over everything
that waits as one list, in one transaction (`Store.coalesce`). The judge lays out a `Desk`: it loads, in a few
SELECTs for the whole list, each run that the list names with what it stands under (parent, root, lease, limits,
cache entry, an answer given before). Then it goes through the requests in order. Each becomes a `Proposal`, the
core decides, and the desk takes the decision, so that the next request sees it. At the end the desk is written by
a few ``executemany``, and the change numbers are noted for those who listen. Nothing acts while it decides, and
nobody is answered before the commit.

What has to look at all runs of a deployment, and not only at those that a request names (a schedule is planned, paused,
looked at), has a transaction and a desk of its own (`Orchestrator.transact`), and so sees all that was written before.

A request that cannot be judged (it names a run that does not exist) is answered with the error as a value: raised,
it would undo its neighbours' work only to have it done again.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar, final

from attrs import define, field

from trioflow import clock, processes
from trioflow.core.leases import LEASE_SECONDS, lease_end
from trioflow.core.tables import FLOW_RUNS, TASK_RUNS
from trioflow.errors import (
    DeploymentNotFound,
    ParameterError,
    RunAborted,
    RunNotFound,
    StoreError,
    TrioflowError,
)
from trioflow.orchestrator import apply, deployments, facts, handlers, ready
from trioflow.orchestrator.changes import ChangeHub
from trioflow.orchestrator.decoded import Decoded
from trioflow.orchestrator.desk import DOWNTIME, Desk
from trioflow.orchestrator.endings import reap
from trioflow.orchestrator.handlers import owed_hooks
from trioflow.orchestrator.judging import answer
from trioflow.store import rows
from trioflow.store.queries import LEASES
from trioflow.store.store import Durability
from trioflow.wire.replies import HooksToCall, ReadyRuns
from trioflow.wire.requests import (
    AppendLogs,
    BeginTaskRun,
    FindReadyRuns,
    ProposeFlowRunState,
    ProposeTaskRunState,
    RenameRun,
    TakeOwedHooks,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from trioflow.core.tables import Table
    from trioflow.store.store import Store, Tx
    from trioflow.wire.endpoints import Endpoint

R = TypeVar("R")

_RENEWALS_A_LEASE = 3
_REFUSALS = (RunNotFound, DeploymentNotFound, ParameterError, RunAborted)


@final
@define(eq=False)
class Orchestrator:
    """Answers every endpoint, from one store. Custom rules come in with the tables."""

    store: Store
    flow_table: Table = FLOW_RUNS
    task_table: Table = TASK_RUNS
    downtime: timedelta = DOWNTIME
    """Longer than this without a look at a schedule is a downtime, for which its catch-up policy holds."""
    changes: ChangeHub = field(init=False)
    _decoded: Decoded = field(factory=Decoded, init=False)

    def __attrs_post_init__(self) -> None:
        self.changes = ChangeHub(self.store)

    async def open(self) -> None:
        """Reap whoever died before, and from now on keep this process's leases alive and reap the dead ones."""
        await self.store.transact(self._reap_the_dead)
        seconds = LEASE_SECONDS / _RENEWALS_A_LEASE
        self.store.every(seconds, _renew_own_leases)
        self.store.every(seconds, self._reap_the_dead, durability=Durability.SYNCED)

    async def handle(self, endpoint: Endpoint[Any, Any], request: Any) -> Any:
        """The reply to one request.

        Raises:
            RunNotFound: the request names a run that does not exist.
            StoreError: the database cannot do it; nothing has changed.
        """
        if (read := handlers.READS.get(endpoint.name)) is not None:
            return await self.store.read(lambda tx: read(tx, request))
        if (write := handlers.WRITES.get(endpoint.name)) is not None:
            return await self.store.transact(lambda tx: write(tx, request))
        if (judge := deployments.JUDGED.get(endpoint.name)) is not None:
            return await self.transact(lambda tx, desk: judge(tx, desk, request))
        match request:
            case FindReadyRuns():
                return await self._find_ready_runs(request)
            case TakeOwedHooks():
                return await self._take_owed_hooks(request)
            case _:
                return await self._propose(request)

    async def transact(self, fn: Callable[[Tx, Desk], R]) -> R:
        """What ``fn`` returned, after its transaction and all that it left on the desk was committed.

        Raises:
            StoreError: the database cannot do it; nothing has changed.
            Exception: what ``fn`` raised; nothing has changed.
        """

        def judged(tx: Tx) -> R:
            desk = self._desk()
            result = fn(tx, desk)
            self._write(tx, desk)
            return result

        try:
            return await self.store.transact(judged)
        except StoreError:
            self.changes.forget()
            raise

    async def _find_ready_runs(self, request: FindReadyRuns) -> ReadyRuns:
        """From a snapshot, as a rule; nothing is given out that a schedule's catch-up or overlap policy would drop."""

        def reply(tx: Tx) -> ReadyRuns | None:
            return ready.reply_at_once(tx, request, clock.now(), self.downtime)

        if (at_once := await self.store.read(reply)) is not None:
            return at_once
        await self.transact(lambda tx, desk: ready.look_after_downtime(tx, desk, request))
        return await self.transact(lambda tx, desk: ready.settle(tx, desk, request))

    async def _take_owed_hooks(self, request: TakeOwedHooks) -> HooksToCall:
        """Nothing is owed, as a rule, and nothing is written then."""
        if not await self.store.read(lambda tx: owed_hooks.hooks_for(tx, request, clock.now())):
            return HooksToCall(())
        return await self.store.transact(lambda tx: owed_hooks.take_owed_hooks(tx, request, clock.now()))

    async def _propose(self, request: Any) -> Any:
        try:
            reply = await self.store.coalesce(self._judge, request, durability=_durability(request))
        except StoreError:
            self.changes.forget()
            raise
        if isinstance(reply, TrioflowError):
            raise reply
        return reply

    def _judge(self, tx: Tx, requests: Sequence[Any]) -> Sequence[Any]:
        desk = self._desk()
        facts.load(tx, desk, requests)
        replies = [_answer(tx, desk, request) for request in requests]
        self._write(tx, desk)
        return replies

    def _desk(self) -> Desk:
        return Desk(clock.now(), self.flow_table, self.task_table, self.downtime, self._decoded)

    def _write(self, tx: Tx, desk: Desk) -> None:
        self.changes.note(apply.write(tx, desk))
        if any(line.state.is_final for line in desk.history):
            tx.require_sync()

    def _reap_the_dead(self, tx: Tx) -> None:
        desk = self._desk()
        for row in tx.execute(LEASES):
            lease = rows.lease_from(row)
            if lease.expired(desk.now) or processes.is_gone(lease.owner):
                reap(tx, desk, lease)
        self._write(tx, desk)


def _answer(tx: Tx, desk: Desk, request: Any) -> object:
    try:
        return answer(tx, desk, request)
    except _REFUSALS as error:
        return error


def _durability(request: Any) -> Durability:
    """What must not be lost in a power cut once it was answered; a run that is over never is (see `_write`)."""
    match request:
        case BeginTaskRun() | AppendLogs() | RenameRun():
            return Durability.RELAXED
        case ProposeTaskRunState(state=state) | ProposeFlowRunState(state=state) if not state.is_final:
            return Durability.RELAXED
        case _:
            return Durability.SYNCED


def _renew_own_leases(tx: Tx) -> None:
    owner = processes.this_process()
    expires = rows.instant_text(lease_end(clock.now()))
    tx.execute(
        "UPDATE leases SET expires = ? WHERE host = ? AND pid = ? AND started = ?",
        (expires, owner.host, owner.pid, owner.started),
    )
