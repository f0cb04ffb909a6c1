"""Durable, supervised workflows on Trio: the public names, and nothing else."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trioflow.core.retries import exponential_backoff as exponential_backoff
    from trioflow.core.schedules.cron import CronSchedule as CronSchedule
    from trioflow.core.schedules.interval import IntervalSchedule as IntervalSchedule
    from trioflow.core.schedules.rrule import RRuleSchedule as RRuleSchedule
    from trioflow.core.states import Cancelled as Cancelled
    from trioflow.core.states import Completed as Completed
    from trioflow.core.states import Crashed as Crashed
    from trioflow.core.states import Failed as Failed
    from trioflow.core.states import State as State
    from trioflow.core.states import StateType as StateType
    from trioflow.deployments.deployment import FlowDeployment as FlowDeployment
    from trioflow.deployments.run import run_deployment as run_deployment
    from trioflow.engine.annotations import allow_failure as allow_failure
    from trioflow.engine.annotations import quote as quote
    from trioflow.engine.annotations import unmapped as unmapped
    from trioflow.engine.context import current_flow_run as current_flow_run
    from trioflow.engine.context import current_task_run as current_task_run
    from trioflow.engine.context import tags as tags
    from trioflow.engine.flows import AsyncFlow as AsyncFlow
    from trioflow.engine.flows import Flow as Flow
    from trioflow.engine.flows import SyncFlow as SyncFlow
    from trioflow.engine.flows import flow as flow
    from trioflow.engine.flushing import aflush_logs as aflush_logs
    from trioflow.engine.flushing import flush_logs as flush_logs
    from trioflow.engine.futures import Future as Future
    from trioflow.engine.logs import get_run_logger as get_run_logger
    from trioflow.engine.results import result_of as result_of
    from trioflow.engine.starting import rerun as rerun
    from trioflow.engine.starting import run as run
    from trioflow.engine.tasks import AsyncTask as AsyncTask
    from trioflow.engine.tasks import SyncTask as SyncTask
    from trioflow.engine.tasks import Task as Task
    from trioflow.engine.tasks import task as task
    from trioflow.runner.runner import Runner as Runner
    from trioflow.serving.assembly import aserve as aserve
    from trioflow.serving.assembly import serve as serve
    from trioflow.task_runners.nursery import NurseryTaskRunner as NurseryTaskRunner
    from trioflow.task_runners.sequential import SequentialTaskRunner as SequentialTaskRunner

__all__ = [
    "AsyncFlow",
    "AsyncTask",
    "Cancelled",
    "Completed",
    "Crashed",
    "CronSchedule",
    "Failed",
    "Flow",
    "FlowDeployment",
    "Future",
    "IntervalSchedule",
    "NurseryTaskRunner",
    "RRuleSchedule",
    "Runner",
    "SequentialTaskRunner",
    "State",
    "StateType",
    "SyncFlow",
    "SyncTask",
    "Task",
    "__version__",
    "aflush_logs",
    "allow_failure",
    "aserve",
    "current_flow_run",
    "current_task_run",
    "exponential_backoff",
    "flow",
    "flush_logs",
    "get_run_logger",
    "quote",
    "rerun",
    "result_of",
    "run",
    "run_deployment",
    "serve",
    "tags",
    "task",
    "unmapped",
]

__version__ = "0.1.0"

_HOMES = {
    "AsyncFlow": "engine.flows",
    "AsyncTask": "engine.tasks",
    "Cancelled": "core.states",
    "Completed": "core.states",
    "Crashed": "core.states",
    "CronSchedule": "core.schedules.cron",
    "Failed": "core.states",
    "Flow": "engine.flows",
    "FlowDeployment": "deployments.deployment",
    "Future": "engine.futures",
    "IntervalSchedule": "core.schedules.interval",
    "NurseryTaskRunner": "task_runners.nursery",
    "RRuleSchedule": "core.schedules.rrule",
    "Runner": "runner.runner",
    "SequentialTaskRunner": "task_runners.sequential",
    "State": "core.states",
    "StateType": "core.states",
    "SyncFlow": "engine.flows",
    "SyncTask": "engine.tasks",
    "Task": "engine.tasks",
    "aflush_logs": "engine.flushing",
    "allow_failure": "engine.annotations",
    "aserve": "serving.assembly",
    "current_flow_run": "engine.context",
    "current_task_run": "engine.context",
    "exponential_backoff": "core.retries",
    "flow": "engine.flows",
    "flush_logs": "engine.flushing",
    "get_run_logger": "engine.logs",
    "quote": "engine.annotations",
    "rerun": "engine.starting",
    "result_of": "engine.results",
    "run": "engine.starting",
    "run_deployment": "deployments.run",
    "serve": "serving.assembly",
    "tags": "engine.context",
    "task": "engine.tasks",
    "unmapped": "engine.annotations",
}
"""Where each name comes from, at its first use: `import trioflow` alone costs nothing."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
