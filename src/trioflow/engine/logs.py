"""What runs say: loggers that carry the run and flow they speak for."""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from contextvars import ContextVar, Token
from typing import Any, final

from trioflow.core.runs import FlowRun, TaskRun
from trioflow.errors import OutsideFlow

FLOW_RUNS = logging.getLogger("trioflow.flow_runs")
TASK_RUNS = logging.getLogger("trioflow.task_runs")


class RunLogger(logging.LoggerAdapter[logging.Logger]):
    """A logger whose records say which run speaks.

    ``extra={"send_to_api": False}`` keeps a record from the store; ``extra={"state_message": True}`` marks one that
    tells of a state.
    """

    extra: dict[str, Any]

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Adds the run to what the caller says beside the message."""
        said = kwargs.get("extra")
        kwargs["extra"] = {**self.extra, **said} if said else self.extra
        return msg, kwargs

    def rename(self, name: str) -> None:
        """From now on the run is called ``name``."""
        self.extra["task_run_name" if "task_run_name" in self.extra else "flow_run_name"] = name


def flow_run_logger(run: FlowRun, flow_name: str) -> RunLogger:
    """The logger of a flow run."""
    said = {
        "root_id": run.root_id,
        "flow_run_id": run.id,
        "flow_run_name": run.name,
        "flow_name": flow_name,
    }
    return RunLogger(FLOW_RUNS, said)


def task_run_logger(run: TaskRun, task_name: str, within: RunLogger | None = None) -> RunLogger:
    """The logger of a task run; ``within`` is that of its flow run."""
    said = {
        **(within.extra if within else {"root_id": run.root_id or run.id, "flow_run_id": None}),
        "task_run_id": run.id,
        "task_run_name": run.name,
        "task_name": task_name,
    }
    return RunLogger(TASK_RUNS, said)


_current: ContextVar[RunLogger | None] = ContextVar("trioflow_run_logger", default=None)


def get_run_logger() -> RunLogger:
    """The logger of the run that this code belongs to: the innermost one.

    Raises:
        OutsideFlow: there is no run around it.
    """
    logger = _current.get()
    if logger is None:
        raise OutsideFlow("get_run_logger() needs a flow run or a task run around it")
    return logger


@final
class speaking_as:  # noqa: N801 - it reads as a statement: `with speaking_as(logger):`
    """Within the block `get_run_logger` gives ``logger``; ``log_prints``: None asks the run around it."""

    __slots__ = ("_log_prints", "_logger", "_token")

    def __init__(self, logger: RunLogger, log_prints: bool | None = None) -> None:
        self._logger = logger
        self._log_prints = log_prints

    def __enter__(self) -> None:
        self._token: Token[RunLogger | None] = _current.set(self._logger)

    def __exit__(self, *_: object) -> None:
        _current.reset(self._token)
