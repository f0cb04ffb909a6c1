"""Log records."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from trioflow.store.conditions import Conditions
from trioflow.wire.replies import Logs
from trioflow.wire.requests import LogRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trioflow.store.store import Tx
    from trioflow.wire.requests import FindLogs


def find_logs(tx: Tx, request: FindLogs) -> Logs:
    """A page of records, oldest first."""
    which = request.filter
    where = Conditions()
    where.equal("flow_run_id", which.flow_run_id)
    where.equal("task_run_id", which.task_run_id)
    where.at_least("level", which.min_level)
    where.at_least("number", which.after + 1)
    select = "SELECT number, flow_run_id, task_run_id, logger, level, message, at FROM logs"
    found = tx.execute(f"{select}{where.text} ORDER BY number LIMIT ?", (*where.parameters, which.limit))
    return Logs(records=tuple(_record_from(row) for row in found), numbers=tuple(row[0] for row in found))


def _record_from(row: Sequence[Any]) -> LogRecord:
    _, flow_run_id, task_run_id, logger, level, message, at = row
    return LogRecord(
        flow_run_id=UUID(bytes=flow_run_id) if flow_run_id else None,
        task_run_id=UUID(bytes=task_run_id) if task_run_id else None,
        logger=logger,
        level=level,
        message=message,
        at=datetime.fromisoformat(at),
    )
