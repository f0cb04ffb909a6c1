"""``trioflow flow-run inspect``: all about one run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Annotated

from cyclopts import Parameter

from trioflow.cli.reading import find_run, logs, task_runs
from trioflow.cli.render import (
    Cell,
    as_json,
    coloured,
    log_line,
    print_table,
    put,
    spoken_times,
    state_name,
    wall_time,
)
from trioflow.client.connect import current_client
from trioflow.clock import now
from trioflow.core.runs import FlowRun, TaskRun
from trioflow.core.states import State
from trioflow.spoken import short_id
from trioflow.wire.converter import to_builtins
from trioflow.wire.endpoints import READ_HISTORY
from trioflow.wire.filters import LogFilter, TaskRunFilter
from trioflow.wire.requests import ReadHistory

_TASKS = 50
_LINES = 10


async def inspect(run: str, /, *, as_data: Annotated[bool, Parameter(name="--json")] = False) -> None:
    """Show one run: its states, its tasks, its last words.

    Args:
        run: Its id, the beginning or end of it, or its name.
        as_data: As JSON, with every task and every line.
    """
    found = await find_run(run)
    client = await current_client()
    history = (await client.call(READ_HISTORY, ReadHistory(run_id=found.run.id))).states
    tasks = await task_runs(client, TaskRunFilter(flow_run_id=found.run.id))
    said = await logs(client, LogFilter(flow_run_id=found.run.id))
    if as_data:
        parts = {"history": history, "task_runs": tasks, "logs": said}
        put(as_json(found.as_data() | to_builtins(parts)))
        return
    put(f"Flow run {found.run.name!r} of flow {found.flow_name!r}")
    print_table((), _facts(found.run))
    put("\nStates")
    print_table((), map(_state_row, history))
    _print_tasks(tasks)
    names = {task.id: task.name for task in tasks}
    _print_last(log_line(record, names) for record in said[-_LINES:])


def _facts(run: FlowRun) -> list[tuple[Cell, ...]]:
    started, lasted = spoken_times(run.times, now())
    parameters = ", ".join(f"{name}={value!r}" for name, value in run.parameters.items())
    facts: list[tuple[str, Cell]] = [
        ("id", str(run.id)),
        ("state", coloured(run.state)),
        ("started", started),
        ("duration", lasted),
        ("attempt", str(run.attempt)),
        ("parameters", parameters),
        ("tags", ", ".join(sorted(run.tags))),
        ("entrypoint", run.entrypoint or ""),
    ]
    return [(f"  {name}", value) for name, value in facts if value]


def _state_row(state: State) -> tuple[Cell, ...]:
    return (f"  {wall_time(state.timestamp)}", coloured(state), state.message or "")


def _print_tasks(tasks: list[TaskRun]) -> None:
    if not tasks:
        return
    counts = Counter(state_name(task.state) for task in tasks)
    put(f"\nTasks: {', '.join(f'{count} {name}' for name, count in counts.most_common())}")
    print_table(("  ID", "NAME", "STATE", "STARTED", "DURATION", ""), map(_task_row, tasks[:_TASKS]))
    if len(tasks) > _TASKS:
        put(f"  … and {len(tasks) - _TASKS} more: --json shows all")


def _task_row(task: TaskRun) -> tuple[Cell, ...]:
    message = task.state.message if task.state and not task.state.is_completed else None
    return (
        f"  {short_id(task.id)}",
        task.name,
        coloured(task.state),
        *spoken_times(task.times, now()),
        message or "",
    )


def _print_last(lines: Iterable[str]) -> None:
    for number, line in enumerate(lines):
        put(f"\nLast words\n  {line}" if number == 0 else f"  {line}")
