"""``trioflow flow-run logs``: what a run said."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from trioflow.cli import reading
from trioflow.cli.render import as_json, log_line, put
from trioflow.client.connect import current_client
from trioflow.wire.converter import to_builtins
from trioflow.wire.filters import LogFilter, TaskRunFilter


async def logs(run: str, /, *, as_data: Annotated[bool, Parameter(name="--json")] = False) -> None:
    """Print what a run said, its tasks included, oldest first.

    Args:
        run: Its id, the beginning or end of it, or its name.
        as_data: As JSON.
    """
    found = await reading.find_run(run)
    client = await current_client()
    said = await reading.logs(client, LogFilter(flow_run_id=found.run.id))
    if as_data:
        put(as_json(to_builtins(said)))
        return
    tasks = await reading.task_runs(client, TaskRunFilter(flow_run_id=found.run.id))
    names = {task.id: task.name for task in tasks}
    for record in said:
        put(log_line(record, names))
