"""Hooks that are owed for final states: who is to call them, and that they were called."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from attrs import frozen

from trioflow import processes
from trioflow.core.leases import Owner
from trioflow.store import rows
from trioflow.store.queries import FLOW_RUNS, select_in
from trioflow.wire.replies import Done, HooksToCall, OwedHooks

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from trioflow.core.runs import FlowRun
    from trioflow.core.states import State
    from trioflow.store.store import Tx
    from trioflow.wire.requests import SettleHooks, TakeOwedHooks

MOST_TRIES = 3
"""So often somebody sets out to call the hooks of a state; then they are owed no more."""
HELD_ELSEWHERE = timedelta(minutes=10)
"""So long after the state a holder on another host is waited for: nobody here can tell whether it lives."""

_OWED = (
    "SELECT owed_hooks.run_id, owed_hooks.version, owed_hooks.tries, host, pid, owed_hooks.started,"
    " deployment_id, entrypoint, states.type, states.name, message, details, states.at, states.id"
    " FROM owed_hooks JOIN flow_runs ON flow_runs.id = owed_hooks.run_id"
    " JOIN states ON states.run_id = owed_hooks.run_id AND states.version = owed_hooks.version"
    " ORDER BY states.number"
)
_KEY = "WHERE run_id = ? AND version = ?"
_TAKE = f"UPDATE owed_hooks SET host = ?, pid = ?, started = ?, tries = ? {_KEY}"  # noqa: S608 - texts of ours
_FORGET = f"DELETE FROM owed_hooks {_KEY}"  # noqa: S608 - texts of ours


@frozen(kw_only=True)
class _Owed:
    """A row, with what it takes to tell whose it is."""

    run_id: UUID
    version: int
    tries: int
    holder: Owner | None
    is_deployed: bool
    state: State

    def is_for(self, request: TakeOwedHooks, now: datetime) -> bool:
        """Whether the asker is to call them.

        For a run of no deployment that has ended in its own process, it does so without being asked.
        """
        match self.holder:
            case None:
                return True
            case holder if holder == request.owner:
                return self.is_deployed or self.tries > 0
            case holder if holder.host == request.owner.host:
                return processes.is_gone(holder)
            case _:
                return self.state.timestamp is not None and now - self.state.timestamp > HELD_ELSEWHERE


def hooks_for(tx: Tx, request: TakeOwedHooks, now: datetime) -> Sequence[_Owed]:
    """What the asker is to call, the oldest first; as the store has it, before it is taken."""
    return [owed for owed in _owed(tx, request) if owed.is_for(request, now)]


def take_owed_hooks(tx: Tx, request: TakeOwedHooks, now: datetime) -> HooksToCall:
    """Make the asker the holder of what it is to call. What was tried often enough is owed no more."""
    taken: list[_Owed] = []
    for owed in hooks_for(tx, request, now):
        key = owed.run_id.bytes, owed.version
        if owed.tries >= MOST_TRIES:
            tx.execute(_FORGET, key)
            continue
        owner = request.owner
        tx.execute(_TAKE, (owner.host, owner.pid, owner.started, owed.tries + 1, *key))
        taken.append(owed)
    found = select_in(tx, FLOW_RUNS, "id", (owed.run_id.bytes for owed in taken))
    runs = {run.id: run for run in map(rows.flow_run_from, found)}
    return HooksToCall(tuple(_to_call(owed, runs[owed.run_id]) for owed in taken))


def settle_hooks(tx: Tx, request: SettleHooks) -> Done:
    """They were called: nobody owes them any more."""
    tx.execute(_FORGET, (request.run_id.bytes, request.version))
    return Done()


def _owed(tx: Tx, request: TakeOwedHooks) -> Iterator[_Owed]:
    """What is owed for runs that the asker can load, and has not in hand."""
    for row in tx.execute(_OWED):
        run_id, deployment_id = UUID(bytes=row[0]), row[6] and UUID(bytes=row[6])
        known = deployment_id in request.deployment_ids or row[7] in request.entrypoints
        if known and run_id not in request.busy:
            yield _Owed(
                run_id=run_id,
                version=row[1],
                tries=row[2],
                holder=Owner(host=row[3], pid=row[4], started=row[5]) if row[3] else None,
                is_deployed=deployment_id is not None,
                state=rows.history_state_from(row[8:]),
            )


def _to_call(owed: _Owed, run: FlowRun) -> OwedHooks:
    """The state with its result, if the run is still in it."""
    state = run.state if run.state and run.version == owed.version else owed.state
    return OwedHooks(run=run, state=state, version=owed.version, tries=owed.tries + 1)
