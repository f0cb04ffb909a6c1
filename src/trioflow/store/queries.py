"""The SELECTs that rows are found with. Statement texts are few and fixed, so that every one is prepared once."""

from __future__ import annotations

from functools import cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from trioflow.store import deployment_rows, rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from trioflow.store.rows import Row
    from trioflow.store.store import Tx

_MOST_AT_ONCE = 256


def _select(columns: Sequence[str], table: str) -> str:
    return f"SELECT {', '.join(columns)} FROM {table}"


FLOW_RUNS = _select(rows.FLOW_RUN_COLUMNS, "flow_runs")
TASK_RUNS = _select(rows.TASK_RUN_COLUMNS, "task_runs")
LEASES = _select(rows.LEASE_COLUMNS, "leases")
CACHE = _select(rows.CACHE_COLUMNS, "cache")
STATES = "SELECT run_id, reason, type, name, message, details, at, id FROM states"
SLOTS = "SELECT tag, task_run_id, lease_id FROM slots"
LIMITS = "SELECT tag, max_slots FROM concurrency_limits"
FLOWS = "SELECT name, id FROM flows"
DEPLOYMENTS = (
    f"SELECT {', '.join(f'deployments.{column}' for column in deployment_rows.DEPLOYMENT_COLUMNS)}, flows.name"
    " FROM deployments JOIN flows ON flows.id = deployments.flow_id"
)
SCHEDULES = _select(deployment_rows.SCHEDULE_COLUMNS, "schedules")

PLANNED = (
    "(state_type = 'SCHEDULED' AND fire_key IS NOT NULL AND epoch = 0 AND attempt = 0"
    " AND next_scheduled_start = expected_start)"
)
"""A flow run that its schedule planned, and that nobody has claimed, moved or rerun since: an intention."""


def select_in(tx: Tx, select: str, column: str, values: Iterable[Any]) -> Sequence[Row]:
    """The rows whose ``column`` is one of ``values``; one statement for each 256 of them, a handful of texts in all."""
    wanted = list(dict.fromkeys(values))
    if not wanted:
        return ()
    condition = f"{select} WHERE {column}"
    if len(wanted) <= _MOST_AT_ONCE:
        return _select_some(tx, condition, wanted)
    found: list[Row] = []
    for start in range(0, len(wanted), _MOST_AT_ONCE):
        found += _select_some(tx, condition, wanted[start : start + _MOST_AT_ONCE])
    return found


def _select_some(tx: Tx, condition: str, some: list[Any]) -> Sequence[Row]:
    room = 1 << (len(some) - 1).bit_length()
    return tx.execute(_in(condition, room), some + some[-1:] * (room - len(some)))


@cache
def _in(condition: str, room: int) -> str:
    return f"{condition} IN ({', '.join('?' * room)})"


def insert(table: str, columns: Sequence[str]) -> str:
    """The statement that adds a row."""
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"


def upsert(table: str, columns: Sequence[str]) -> str:
    """The statement that adds a row, or overwrites the one with the same key (the first column)."""
    key, *others = columns
    changes = ", ".join(f"{column} = excluded.{column}" for column in others)
    return f"{insert(table, columns)} ON CONFLICT ({key}) DO UPDATE SET {changes}"


def update(table: str, columns: Sequence[str], fixed: frozenset[str]) -> tuple[str, Callable[[Row], Row]]:
    """The statement that changes a row's columns but the ``fixed`` ones, and what picks its parameters from a row.

    The key is the first column.
    """
    changing = [column for column in columns if column not in fixed]
    sets = ", ".join(f"{column} = ?" for column in changing)
    pick = itemgetter(*(columns.index(column) for column in (*changing, columns[0])))
    return f"UPDATE {table} SET {sets} WHERE {columns[0]} = ?", pick
