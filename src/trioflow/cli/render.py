"""How values read on the screen: ids, durations, instants, states, results, tables. Pure, but for printing."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, TextIO, TypeAlias
from uuid import UUID

import orjson

from trioflow.core.runs import RunTimes
from trioflow.core.states import State
from trioflow.spoken import short_id, spoken_age, spoken_duration, state_style
from trioflow.wire.requests import LogRecord

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

Cell: TypeAlias = "str | Text"
"""What stands in a table."""

_NO_LIMIT = 10_000

# --- values


def spoken_times(times: RunTimes, now: datetime) -> tuple[str, str]:
    """When it started, and how long it took, or has taken."""
    if times.started is None:
        due = times.next_scheduled_start
        return (spoken_age(now - due) if due else "", "")
    lasted = (times.ended or now) - times.started
    return spoken_age(now - times.started), spoken_duration(lasted.total_seconds())


def wall_time(at: datetime | None) -> str:
    """``14:03:21.123``, where the reader is."""
    return at.astimezone().strftime("%H:%M:%S.%f")[:-3] if at else ""


def state_name(state: State | None) -> str:
    """What a state is called; a run that nobody has judged yet is in none."""
    return state.name if state else "None"


def log_line(record: LogRecord, task_names: Mapping[UUID, str]) -> str:
    """``14:03:21.123 | INFO    | add-0 - what was said``; what the flow run itself says goes without a name.

    Args:
        record: what was said.
        task_names: by id, the task runs that may have said it.
    """
    speaker = ""
    if record.task_run_id is not None:
        speaker = f"{task_names.get(record.task_run_id) or short_id(record.task_run_id)} - "
    return f"{wall_time(record.at)} | {logging.getLevelName(record.level):<8}| {speaker}{record.message}"


def as_json(value: Any) -> str:
    """Indented JSON of dicts, lists and plain values.

    Raises:
        TypeError: it is not made of such.
    """
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS).decode()


def result_text(value: Any) -> str:
    """A result as JSON where it can be said so, else as Python writes it."""
    try:
        return as_json(value)
    except TypeError:
        return repr(value)


# --- the screen


def put(text: str) -> None:
    """One line, or several, of what was asked for: on stdout."""
    sys.stdout.write(f"{text}\n")


def tell(text: str) -> None:
    """One line about what happens: on stderr."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def console(file: TextIO | None = None) -> Console:
    """Where tables are printed: as wide as the terminal, or as wide as they need when it is none."""
    from rich.console import Console

    to = file or sys.stdout
    return Console(file=to, highlight=False, width=None if to.isatty() else _NO_LIMIT)


def print_table(headings: Sequence[str], rows: Iterable[Sequence[Cell]]) -> None:
    """Prints columns, with headings or without; what does not fit on a terminal ends in an ellipsis."""
    from rich.table import Table

    given = list(rows)
    columns = headings or [""] * max(map(len, given), default=0)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=bool(headings))
    for heading in columns:
        table.add_column(heading, no_wrap=True, overflow="ellipsis")
    for row in given:
        table.add_row(*row)
    console().print(table, soft_wrap=False)


def coloured(state: State | None) -> Text:
    """The name of a state in its colour."""
    from rich.text import Text

    return Text(state_name(state), style=state_style(state.type if state else None))
