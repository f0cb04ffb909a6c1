"""Context: which run the current code belongs to, and what it has started."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import TYPE_CHECKING, Any, final

import trio
from attrs import define, field

from trioflow.core.runs import FlowRun, TaskRun
from trioflow.core.states import Completed, State
from trioflow.engine.futures import Attention, Future
from trioflow.engine.logs import RunLogger
from trioflow.engine.results import Recorder
from trioflow.engine.sessions import Session
from trioflow.errors import OutsideFlow
from trioflow.task_runners.task_runner import TaskRunner, TaskRunnerSession

if TYPE_CHECKING:
    from trioflow.engine.flows import Flow
    from trioflow.engine.tasks import Task

_COMPLETED = Completed()


@final
@define(eq=False)
class Children:
    """The runs that a flow's code started: the completed ones are counted, the others kept."""

    completed: int = 0
    others: dict[Future[Any], None] = field(factory=dict[Future[Any], None])
    """In the order in which they were started."""

    def started(self, future: Future[Any]) -> None:
        """``future`` is one of them, and has not ended."""
        self.others[future] = None

    def ended(self, future: Future[Any]) -> None:
        """``future`` has ended."""
        if future.ended_well:
            del self.others[future]
            self.completed += 1

    def states(self, below: Attention) -> tuple[State, ...]:
        """Their states, without those that did not complete and were given ``below`` or more attention."""
        others = (future.outcome for future in self.others if future.attention < below)
        return (*others, *(_COMPLETED,) * self.completed)


@define(eq=False, kw_only=True)
class RunContext:
    """One call of a run's code; a retry is a call, and has a context, of its own."""

    session: Session
    recorder: Recorder
    logger: RunLogger
    nursery: trio.Nursery = field(init=False)
    """Where what the code submits runs. Open from the beginning of the call until all of it has ended."""
    deadline: trio.CancelScope = field(init=False)
    """Cancelled by its own deadline, the run's timeout, and by nothing else."""


@final
@define(eq=False, kw_only=True)
class FlowRunContext(RunContext):
    """A flow's code, being called."""

    flow: Flow[..., Any]
    run: FlowRun
    children: Children = field(factory=Children)
    _task_runners: dict[int, tuple[TaskRunner, TaskRunnerSession]] = field(factory=dict[int, Any])
    """Sessions of task runners, by identity: the tasks that share one share its limit."""
    _calls: Counter[tuple[str, str]] = field(factory=Counter[tuple[str, str]])

    def start_task_runner(self) -> None:
        """Start the flow's own task runner, if it has one; any other starts with the first task that it is for."""
        if self.flow.options.task_runner is not None:
            self._session_of(self.flow.options.task_runner)

    def placing(self, task: Task[..., Any]) -> TaskRunnerSession:
        """What places the task's calls in this flow run: its own task runner, the flow's, or that of its colour."""
        return self._session_of(
            task.options.task_runner or self.flow.options.task_runner or task.default_task_runner
        )

    def _session_of(self, task_runner: TaskRunner) -> TaskRunnerSession:
        if id(task_runner) not in self._task_runners:
            told = "Starting %r; submitted tasks will be run %s..."
            self.logger.debug(told, type(task_runner).__name__, task_runner.concurrency)
            self._task_runners[id(task_runner)] = (task_runner, task_runner.session())
        return self._task_runners[id(task_runner)][1]

    def dynamic_key(self, task_key: str, within: str) -> str:
        """Which call of the task this is: 0, 1, 2 ... in the flow's code, ``within.0`` ... in a task's."""
        call = self._calls[task_key, within]
        self._calls[task_key, within] += 1
        return f"{within}.{call}" if within else str(call)


@final
@define(eq=False, kw_only=True)
class TaskRunContext(RunContext):
    """A task's code, being called; ``flow_run`` is None outside of any flow."""

    task: Task[..., Any]
    run: TaskRun
    parameters: Mapping[str, Any]
    """What the function is called with: values, where futures were given."""
    start_time: datetime
    """When this call began."""
    flow_run: FlowRunContext | None


Around = FlowRunContext | TaskRunContext

_around: ContextVar[Around | None] = ContextVar("trioflow run", default=None)


def innermost() -> Around | None:
    """The context of the code around; None outside of any run."""
    return _around.get()


@final
class inside:  # noqa: N801 - it reads as a statement: `with inside(context):`
    """Within the block, and in what is started from it, the code belongs to this run."""

    __slots__ = ("_before", "_context")

    def __init__(self, context: Around) -> None:
        self._context = context

    def __enter__(self) -> None:
        self._before = _around.set(self._context)

    def __exit__(self, *_: object) -> None:
        _around.reset(self._before)


def flow_around(context: Around | None) -> FlowRunContext | None:
    """The context of the flow whose code is around this one; itself, if it is a flow's."""
    return context.flow_run if isinstance(context, TaskRunContext) else context


def current_flow_run() -> FlowRun:
    """The flow run that this code belongs to, as it was when its code was called.

    Raises:
        OutsideFlow: there is none around it.
    """
    flow_run = flow_around(innermost())
    if flow_run is None:
        raise OutsideFlow("current_flow_run() needs a flow run around it")
    return flow_run.run


def current_task_run() -> TaskRun:
    """The task run that this code belongs to, as it was when its code was called.

    Raises:
        OutsideFlow: there is none around it.
    """
    context = innermost()
    if not isinstance(context, TaskRunContext):
        raise OutsideFlow("current_task_run() needs a task run around it")
    return context.run


_tags: ContextVar[frozenset[str]] = ContextVar("trioflow tags", default=frozenset())


def current_tags() -> frozenset[str]:
    """The tags that every run started here gets."""
    return _tags.get()


@contextmanager
def tags(*names: str) -> Generator[frozenset[str]]:
    """Within the block, every flow run and task run that is started gets these tags, beside those it has anyway."""
    before = _tags.set(_tags.get().union(names))
    try:
        yield _tags.get()
    finally:
        _tags.reset(before)
