"""Mark late: say of a run that is due, and that nobody has claimed, that it is late (OR-08)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from trioflow import clock
from trioflow.core.states import Late
from trioflow.core.verdicts import Accept
from trioflow.orchestrator import facts
from trioflow.store.rows import instant_text

if TYPE_CHECKING:
    from trioflow.orchestrator.desk import Desk
    from trioflow.store.store import Tx

LATE_AFTER = timedelta(seconds=15)
"""A run has so long to be claimed."""
MOST_AT_ONCE = 100
"""Runs that are marked in one transaction: others want to write too."""

_WAITING = (
    "FROM flow_runs WHERE state_type = 'SCHEDULED' AND state_name = 'Scheduled'"
    " AND NOT EXISTS (SELECT 1 FROM leases WHERE leases.run_id = flow_runs.root_id)"
)
LATE = f"SELECT id {_WAITING} AND next_scheduled_start <= ? LIMIT {MOST_AT_ONCE}"
NEXT = f"SELECT next_scheduled_start {_WAITING} AND next_scheduled_start > ? ORDER BY 1 LIMIT 1"


def mark_late(tx: Tx, desk: Desk) -> bool:
    """Mark the runs that are late, some of them at least; whether there may be more."""
    found = tx.execute(LATE, (instant_text(desk.now - LATE_AFTER),))
    ids = [UUID(bytes=id_) for (id_,) in found]
    facts.load_flow_runs(tx, desk, ids)
    marked = [_mark(desk, id_) for id_ in ids]
    return any(marked) and len(marked) == MOST_AT_ONCE


def is_late(tx: Tx, now: datetime) -> bool:
    """Whether there is a run to mark."""
    return bool(tx.execute(LATE, (instant_text(now - LATE_AFTER),)))


def next_late(tx: Tx, now: datetime) -> datetime | None:
    """When the first of the other runs will be late."""
    for (due,) in tx.execute(NEXT, (instant_text(now - LATE_AFTER),)):
        return datetime.fromisoformat(due) + LATE_AFTER
    return None


def _mark(desk: Desk, run_id: UUID) -> bool:
    run = desk.flow_run(run_id)
    due = run.times.next_scheduled_start or desk.now
    return isinstance(desk.judge(run, Late(due), clock.new_id()), Accept)
