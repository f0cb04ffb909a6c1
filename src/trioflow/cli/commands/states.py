"""``trioflow states``: what may follow what, read from the tables that decide it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from trioflow.cli.render import console, put, tell
from trioflow.core.tables.draw import markdown, mermaid
from trioflow.core.tables.flow_runs import FLOW_RUNS
from trioflow.core.tables.grid import Table
from trioflow.core.tables.picture import svg
from trioflow.core.tables.task_runs import TASK_RUNS
from trioflow.errors import ParameterError

_TABLES = {"flow": FLOW_RUNS, "task": TASK_RUNS}


def states(
    kind: Literal["flow", "task"] | None = None,
    /,
    *,
    svg_file: Annotated[Path | None, Parameter(name="--svg")] = None,
    as_mermaid: Annotated[bool, Parameter(name="--mermaid")] = False,
) -> None:
    """Print what may follow what, and what judges it: rows are what a run is in, columns what is asked for.

    Args:
        kind: Of flow runs, or of task runs; of both, unless given.
        svg_file: Draw it, as a picture, into this file.
        as_mermaid: Print it as a Mermaid state diagram.
    """
    tables = list(_TABLES.values()) if kind is None else [_TABLES[kind]]
    if svg_file is not None:
        _draw(tables, svg_file)
    elif as_mermaid:
        put("\n".join(map(mermaid, tables)).rstrip())
    else:
        for table in tables:
            _print(table)


def _draw(tables: list[Table], file: Path) -> None:
    if len(tables) > 1:
        raise ParameterError("--svg draws one table: say `trioflow states flow` or `trioflow states task`")
    try:
        file.write_text(svg(tables[0]), encoding="utf-8")
    except OSError as error:
        raise ParameterError(f"the picture cannot be written: {error}") from error
    tell(f"Drew the states of {tables[0].name} into {file}")


def _print(table: Table) -> None:
    text = f"## The states of {table.name}\n\n{markdown(table)}"
    if sys.stdout.isatty():
        from rich.markdown import Markdown

        console().print(Markdown(text))
    else:
        put(text)
