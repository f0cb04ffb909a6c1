"""The two grids of the state machine, and `decide`, which asks them.

Knows: which rules judge which pair of types, and in what order.
May import: the rules, core's values, bookkeeping.
Never: a policy of its own; what a cell's rules do not say is accepted.
"""

from __future__ import annotations

from typing import TypedDict

from trioflow.core.tables.flow_runs import FLOW_RUNS
from trioflow.core.tables.grid import COLUMNS, NONE, OK, ROWS, Cell, Closed, Row, Table, table
from trioflow.core.tables.task_runs import TASK_RUNS
from trioflow.core.tables.walk import decide

__all__ = [
    "COLUMNS",
    "FLOW_RUNS",
    "NONE",
    "OK",
    "ROWS",
    "TASK_RUNS",
    "Cell",
    "Closed",
    "Row",
    "Table",
    "Tables",
    "decide",
    "table",
]


class Tables(TypedDict, total=False):
    """The tables that judge the runs of a home: the standard one, for each that is not given."""

    flow_table: Table
    task_table: Table
