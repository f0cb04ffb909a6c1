"""The tables that a file of rules makes, for whoever judges by them."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from trioflow.core.tables import FLOW_RUNS, TASK_RUNS, Table, Tables
from trioflow.engine.entrypoints import load_file, parts_of
from trioflow.errors import EntrypointError


def tables_of(file: Path) -> Tables:
    """What judges flow runs, and what judges task runs, by a file that is imported for it.

    Raises:
        EntrypointError: there is no such file, it cannot be imported, or makes no table with rules, or two for the
            same runs.
    """
    largest = largest_tables(load_file(parts_of(str(file))[0]))
    by_name = {table.name: table for table in largest}
    if not by_name:
        raise EntrypointError(f"there is no table in {file}: TABLE = FLOW_RUNS.with_rule(...) makes one")
    if len(by_name) < len(largest):
        raise EntrypointError(
            f"{file} makes several tables for the same runs, and only one can judge: add all rules to one of them"
        )
    return Tables(
        flow_table=by_name.get(FLOW_RUNS.name, FLOW_RUNS), task_table=by_name.get(TASK_RUNS.name, TASK_RUNS)
    )


def largest_tables(module: ModuleType) -> list[Table]:
    """The tables with rules that a module makes, but for those on the way to a larger one."""
    made = [value for value in vars(module).values() if isinstance(value, Table) and value.added]
    distinct = [table for place, table in enumerate(made) if table not in made[:place]]
    return [table for table in distinct if not any(_is_part(table, other) for other in distinct)]


def _is_part(table: Table, other: Table) -> bool:
    """Whether the other table is this one with more rules."""
    return table.name == other.name and table.added < other.added
