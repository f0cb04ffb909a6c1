"""What runs say: loggers that carry the run that they speak for. Where it goes is the handlers' business."""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from contextvars import ContextVar, Token
from typing import Any, final

from trioflow.core.runs import FlowRun, TaskRun
from trioflow.engine.prints import captured_prints, prints_are_captured
from trioflow.errors import OutsideFlow
from trioflow.settings import current_settings

FLOW_RUNS = logging.getLogger("trioflow.flow_runs")
TASK_RUNS = logging.getLogger("trioflow.task_runs")


@final
class RunLogger(logging.LoggerAdapter[logging.Logger]):
    """A logger whose records say which run speaks, as attributes: ``flow_run_name``, ``task_run_id`` ...

    With ``extra={"send_to_api": False}`` a record is not stored; ``extra={"state_message": True}`` marks one that tells
    of a state.
    """

    def __init__(self, logger: logging.Logger, said: dict[str, Any]) -> None:
        super().__init__(logger, said)
        self.said = said

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Adds the run to what the caller says beside the message."""
        beside = kwargs.get("extra")
        kwargs["extra"] = {**self.said, **beside} if beside else self.said
        return msg, kwargs

    def rename(self, name: str) -> None:
        """From now on the run is called ``name``."""
        self.said["task_run_name" if "task_run_id" in self.said else "flow_run_name"] = name


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
        **(within.said if within else {"root_id": run.root_id or run.id, "flow_run_id": None}),
        "task_run_id": run.id,
        "task_run_name": run.name,
        "task_name": task_name,
    }
    return RunLogger(TASK_RUNS, said)


_current: ContextVar[RunLogger | None] = ContextVar("trioflow run logger", default=None)


def get_run_logger() -> RunLogger:
    """The logger of the run that this code belongs to: of the innermost one.

    Raises:
        OutsideFlow: there is no run around it.
    """
    logger = _current.get()
    if logger is None:
        raise OutsideFlow("get_run_logger() needs a flow run or a task run around it")
    return logger


@final
class speaking_as:  # noqa: N801 - it reads as a statement: `with speaking_as(logger, None):`
    """Within the block, and in what is started from it, the code speaks for this run.

    `get_run_logger` gives its logger. ``print`` is a line of its log if ``log_prints`` says so; None is as the run
    around it, or else the settings, have it.
    """

    __slots__ = ("_before", "_log_prints", "_logger", "_prints")

    def __init__(self, logger: RunLogger, log_prints: bool | None) -> None:  # noqa: FBT001 - as the option is written
        self._logger = logger
        self._log_prints = log_prints

    def __enter__(self) -> None:
        self._before = _current.set(self._logger)
        self._prints = captured_prints(self._logger.info if self._wants_prints() else None)
        self._prints.__enter__()

    def __exit__(self, *raised: object) -> None:
        self._prints.__exit__(*raised)
        _current.reset(self._before)

    def _wants_prints(self) -> bool:
        if self._log_prints is not None:
            return self._log_prints
        if self._before.old_value in {None, Token.MISSING}:
            return current_settings().log_prints
        return prints_are_captured()
