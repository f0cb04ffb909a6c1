"""What commands ask of the home's store: which run is meant, and everything about it, page by page."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import trio
from attrs import evolve, frozen

from trioflow import clock
from trioflow.client.connect import current_client
from trioflow.core.runs import FlowRun, TaskRun
from trioflow.errors import AmbiguousRun, RunNotFound
from trioflow.settings import current_settings
from trioflow.spoken import short_id
from trioflow.wire.converter import to_builtins
from trioflow.wire.endpoints import FIND_FLOW_RUNS, FIND_LOGS, FIND_TASK_RUNS
from trioflow.wire.filters import PAGE, FlowRunFilter, LogFilter, TaskRunFilter
from trioflow.wire.requests import FindFlowRuns, FindLogs, FindTaskRuns, LogRecord

if TYPE_CHECKING:
    from trioflow.client.client import Client

_ID_DIGITS = 32
_NOW = timedelta(seconds=2)
_HEX = frozenset("0123456789abcdef")


@frozen
class Found:
    """A flow run, and what its flow is called."""

    run: FlowRun
    flow_name: str

    @property
    def label(self) -> str:
        """How the run is told from others: ``3f9a01bc brave-otter``."""
        return f"{short_id(self.run.id)} {self.run.name}"

    def as_data(self) -> dict[str, Any]:
        """The same as dicts, lists and strings."""
        return {"flow_name": self.flow_name, **to_builtins(self.run)}


def soon() -> datetime:
    """The end of what is spoken of as now: a run that is due later is planned for later."""
    return clock.now() + _NOW


def home_exists() -> bool:
    """Whether there is anything to read; who only wants to read makes no home."""
    return current_settings().database_path.exists()


async def find_run(asked: str) -> Found:
    """The run that is meant: by its id, the beginning or the end of its id, or its name.

    Raises:
        RunNotFound: no run fits.
        AmbiguousRun: several do.
    """
    await trio.lowlevel.checkpoint()
    found = await _candidates(await current_client(), asked) if home_exists() else []
    match found:
        case []:
            raise RunNotFound(
                f"there is no flow run {asked!r} in {current_settings().home}: `trioflow flow-run ls` lists them"
            )
        case [one]:
            return one
        case _:
            raise AmbiguousRun(asked, [each.label for each in found])


async def _candidates(client: Client, asked: str) -> list[Found]:
    digits = asked.replace("-", "").lower()
    fitting = [FlowRunFilter(name=asked)]
    if digits and len(digits) <= _ID_DIGITS and _HEX.issuperset(digits):
        fitting += [FlowRunFilter(id_prefix=digits), FlowRunFilter(id_suffix=digits)]
    found = [one for which in fitting for one in await flow_runs(client, which)]
    return list({one.run.id: one for one in found}.values())


async def flow_runs(client: Client, which: FlowRunFilter, most: int | None = None) -> list[Found]:
    """Flow runs, newest first, over all pages; at most ``most``."""
    found: list[Found] = []
    while True:
        limit = PAGE if most is None else min(PAGE, most - len(found))
        request = FindFlowRuns(filter=evolve(which, limit=limit, offset=len(found)))
        page = await client.call(FIND_FLOW_RUNS, request)
        found += map(Found, page.runs, page.flow_names)
        if len(page.runs) < limit or len(found) == most:
            return found


async def task_runs(client: Client, which: TaskRunFilter) -> list[TaskRun]:
    """Task runs, oldest first, over all pages."""
    found: list[TaskRun] = []
    while True:
        page = await client.call(FIND_TASK_RUNS, FindTaskRuns(filter=evolve(which, offset=len(found))))
        found += page.runs
        if not page.runs or len(found) >= page.total:
            return found


async def logs(client: Client, which: LogFilter) -> list[LogRecord]:
    """Log records, oldest first, over all pages."""
    return [record for record, _ in await numbered_logs(client, which)]


async def numbered_logs(client: Client, which: LogFilter) -> list[tuple[LogRecord, int]]:
    """Log records with their change numbers, oldest first, over all pages."""
    found: list[tuple[LogRecord, int]] = []
    while True:
        page = await client.call(FIND_LOGS, FindLogs(filter=which))
        found += zip(page.records, page.numbers, strict=True)
        if len(page.records) < which.limit:
            return found
        which = evolve(which, after=page.numbers[-1])
