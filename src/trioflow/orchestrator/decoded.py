"""Decoded: values for rows that were seen or written a moment ago.

Most rows that a batch loads are those that the batch before wrote. Comparing a row with the one that a value was
made of, or became, is much cheaper than decoding it again; and a row that somebody else has changed compares unequal.
A run that is over is loaded by nobody any more, so it is not kept: memory is a matter of the runs that go on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, final

from attrs import define, field

from trioflow.core.leases import Lease
from trioflow.core.runs import FlowRun, TaskRun
from trioflow.core.states import State
from trioflow.store import rows

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T", FlowRun, TaskRun, Lease)

_MOST = 4096
"""Values kept of each kind: a batch's worth several times over, and little memory."""


@final
@define(eq=False)
class Decoded:
    """Rows by their first column, the key, with the values that stand in them. Used by one thread at a time."""

    _flow_runs: dict[bytes, tuple[rows.Row, FlowRun]] = field(factory=dict[bytes, Any])
    _task_runs: dict[bytes, tuple[rows.Row, TaskRun]] = field(factory=dict[bytes, Any])
    _leases: dict[bytes, tuple[rows.Row, Lease]] = field(factory=dict[bytes, Any])

    def flow_run(self, row: rows.Row) -> FlowRun:
        """The flow run in this row."""
        return _value(self._flow_runs, row, rows.flow_run_from)

    def task_run(self, row: rows.Row) -> TaskRun:
        """The task run in this row."""
        return _value(self._task_runs, row, rows.task_run_from)

    def lease(self, row: rows.Row) -> Lease:
        """The lease in this row."""
        return _value(self._leases, row, rows.lease_from)

    def flow_run_row(self, run: FlowRun) -> rows.Row:
        """The row of a flow run that is about to be written."""
        row = rows.flow_run_row(run)
        _keep(self._flow_runs, row, run)
        if _is_over(run):
            self._leases.pop(row[0], None)
        return row

    def task_run_row(self, run: TaskRun) -> rows.Row:
        """The row of a task run that is about to be written."""
        row = rows.task_run_row(run)
        _keep(self._task_runs, row, run)
        return row


def _value(known: dict[bytes, tuple[rows.Row, T]], row: rows.Row, decode: Callable[[rows.Row], T]) -> T:
    kept = known.get(row[0])
    if kept is not None and kept[0] == row:
        return kept[1]
    value = decode(row)
    _keep(known, row, value)
    return value


def _is_over(value: FlowRun | TaskRun | Lease) -> bool:
    match value:
        case FlowRun(state=State() as state) | TaskRun(state=State() as state):
            return state.is_final
        case _:
            return False


def _keep(known: dict[bytes, tuple[rows.Row, T]], row: rows.Row, value: T) -> None:
    if _is_over(value):
        known.pop(row[0], None)
        return
    if len(known) >= _MOST:
        known.clear()  # what is still in use comes back at its next use
    known[row[0]] = row, value
