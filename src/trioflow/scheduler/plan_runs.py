"""Plan runs: look at every schedule that fires, again and again, and keep its next runs planned.

A look costs what has changed: most schedules have enough runs ahead of them, and of those it is only written down
that somebody looked. That is what tells a downtime from a quiet hour.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from trioflow.orchestrator.planning import look_at
from trioflow.store.queries import SCHEDULES
from trioflow.store.rows import instant_text

if TYPE_CHECKING:
    from trioflow.orchestrator.desk import Desk
    from trioflow.store.store import Tx

MOST_AT_ONCE = 25
"""Schedules that are planned in one transaction: others want to write too."""

_TO_PLAN = (
    f"{SCHEDULES} WHERE paused_by IS NULL AND"
    f" (plan_at IS NULL OR plan_at <= ? OR looked IS NULL OR looked < ?) LIMIT {MOST_AT_ONCE}"
)
_LOOKED = "UPDATE schedules SET looked = ? WHERE paused_by IS NULL AND plan_at > ? AND looked BETWEEN ? AND ?"
_FIRST = "SELECT min(coalesce(plan_at, '')), min(coalesce(looked, '')) FROM schedules WHERE paused_by IS NULL"


def plan_runs(tx: Tx, desk: Desk) -> bool:
    """Plan the runs of the schedules that need it, some of them at least; whether there may be more."""
    now, since = instant_text(desk.now), instant_text(desk.now - desk.downtime)
    found = tx.execute(_TO_PLAN, (now, since))
    look_at(tx, desk, found)
    if len(found) == MOST_AT_ONCE:
        return True
    tx.execute(_LOOKED, (now, now, since, now))
    return False


def next_look(tx: Tx, each: timedelta) -> datetime | None:
    """When some schedule is to be looked at next, if each is looked at so often; None if none fires."""
    ((plan_at, looked),) = tx.execute(_FIRST)
    if plan_at is None:
        return None
    return min(_instant(plan_at), _instant(looked) + each)


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text) if text else datetime.fromisoformat("1970-01-01T00:00:00Z")
