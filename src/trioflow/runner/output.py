"""Output: what a run's process writes, as records of the run's log. In order, lossless, a chunk in hand at most.

The process is held up while the store takes its time. A store that does not take them at all holds nobody up for
ever: after a while lines are counted instead, and the log says how many are missing.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import final

import trio
from attrs import define, field

from trioflow import clock
from trioflow.client.client import Client
from trioflow.core.runs import FlowRun
from trioflow.infrastructure.infrastructure import OutputLine
from trioflow.runner.witness import Witness
from trioflow.wire.endpoints import APPEND_LOGS
from trioflow.wire.requests import AppendLogs, LogRecord

PATIENCE_SECONDS = 60.0
"""How long a store may refuse a run's output before the process goes on without it."""
_RETRY_SECONDS = 1.0
_LEVELS = {"stdout": logging.INFO, "stderr": logging.WARNING}

logger = logging.getLogger("trioflow.runner")


@final
@define(eq=False)
class OutputLog:
    """The sink for the output of one run's process; see `trioflow.infrastructure.infrastructure.Sink`.

    A line that came in pieces is as many records.
    """

    _run: FlowRun
    _client: Client
    _witness: Witness
    _missing: int = field(default=0, init=False)
    """Lines that the store did not take, and that no record tells of yet."""

    async def take(self, lines: Sequence[OutputLine]) -> None:
        """Keep these lines, and show them."""
        self._witness.output(self._run, lines)
        records = tuple(self._record(line) for line in lines)
        if self._missing:
            records = (self._told_missing(), *records)
        if await self._stored(records):
            self._missing = 0
        else:
            self._missing += len(lines)

    async def _stored(self, records: tuple[LogRecord, ...]) -> bool:
        """Whether the store took them. A store that has failed for long is asked once only."""
        give_up = trio.current_time() + (0.0 if self._missing else PATIENCE_SECONDS)
        told = bool(self._missing)
        while True:
            try:
                await self._client.call(APPEND_LOGS, AppendLogs(records=records))
            except Exception as error:  # noqa: BLE001 - whatever the store says, a run does not end for its output
                if not told:
                    logger.warning("output of flow run %r cannot be stored: %s", self._run.name, error)
                told = True
                if trio.current_time() >= give_up:
                    return False
                await trio.sleep(_RETRY_SECONDS)
            else:
                return True

    def _record(self, line: OutputLine) -> LogRecord:
        return LogRecord(
            flow_run_id=self._run.id,
            task_run_id=None,
            logger=f"trioflow.flow_runs.{line.stream}",
            level=_LEVELS[line.stream],
            message=line.text.replace("\0", "\\x00"),  # which not every database takes
            at=clock.now(),
        )

    def _told_missing(self) -> LogRecord:
        message = f"{self._missing} lines of output are missing here: the store did not take them"
        return LogRecord(
            flow_run_id=self._run.id,
            task_run_id=None,
            logger="trioflow.flow_runs.runner",
            level=logging.WARNING,
            message=message,
            at=clock.now(),
        )
