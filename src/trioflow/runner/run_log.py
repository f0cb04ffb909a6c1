"""What a runner says about a run: to the log of its own process, and to the log of the run."""

from __future__ import annotations

import logging
from typing import final

from attrs import frozen

from trioflow import clock
from trioflow.client.client import Client
from trioflow.core.runs import FlowRun
from trioflow.wire.endpoints import APPEND_LOGS
from trioflow.wire.requests import AppendLogs, LogRecord

logger = logging.getLogger("trioflow.flow_runs.runner")


@final
@frozen(kw_only=True)
class RunLog:
    """Speaks of one run, in the name of one runner (LG-05)."""

    run: FlowRun
    runner_name: str
    client: Client
    level: int
    """What is less important is not stored."""

    async def say(self, level: int, message: str, error: BaseException | None = None) -> None:
        """Say this; because of ``error``, where there is one. Never raises, whatever the store says."""
        extra = {
            "root_id": self.run.root_id,
            "flow_run_id": self.run.id,
            "flow_run_name": self.run.name,
            "runner_name": self.runner_name,
        }
        logger.log(level, "%s", message, extra=extra, exc_info=error)
        if level < self.level:
            return
        record = LogRecord(
            flow_run_id=self.run.id,
            task_run_id=None,
            logger=logger.name,
            level=level,
            message=message if error is None else f"{message} {type(error).__name__}: {error}",
            at=clock.now(),
        )
        try:
            await self.client.call(APPEND_LOGS, AppendLogs(records=(record,)))
        except Exception as unstored:  # noqa: BLE001 - whatever the store says, a run does not end for its log
            logger.warning("what the runner says of flow run %r is not stored: %s", self.run.name, unstored)
