"""Task runs: one call of a task, from its arguments to its recorded outcome."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, final

import trio
from attrs import define, field, frozen

from trioflow import clock
from trioflow.core.keys import task_run_name
from trioflow.core.lifecycle import Propose, Stop, start
from trioflow.core.runs import FlowRun, TaskRun
from trioflow.core.states import Failed, NotReady, Pending, Running, State, StateType
from trioflow.core.verdicts import Abort, Verdict
from trioflow.engine.call import Ended, call
from trioflow.engine.context import Around, FlowRunContext, TaskRunContext, flow_around, inside
from trioflow.engine.drive import call_hooks, drive, last_state, live, log_end, sendable, taken_down
from trioflow.engine.endings import TASK_RUN_BROKEN, broken, recorded, task_run_ended
from trioflow.engine.futures import Future
from trioflow.engine.inputs import Inputs
from trioflow.engine.logs import RunLogger, speaking_as, task_run_logger
from trioflow.engine.naming import run_name
from trioflow.engine.results import Raised, Recorder, message_of
from trioflow.engine.sessions import Session
from trioflow.errors import (
    LinkClosed,
    RunAborted,
    RunNotFound,
    StoreError,
    TrioflowBug,
    UnreadableResult,
    UpstreamTaskError,
)
from trioflow.processes import this_process
from trioflow.wire.endpoints import BEGIN_TASK_RUN, PROPOSE_TASK_RUN_STATE, READ_FLOW_RUN
from trioflow.wire.replies import TaskRunAnswer
from trioflow.wire.requests import BeginTaskRun, ProposeTaskRunState, ReadFlowRun

if TYPE_CHECKING:
    from trioflow.engine.tasks import Task


@frozen
class CacheContext:
    """What a cache key may depend on besides the parameters."""

    task: Task[..., Any]
    flow_run: FlowRun | None


@final
@define(eq=False, kw_only=True)
class TaskRunDrive:
    """One call of a task. ``future`` gets its outcome."""

    task: Task[..., Any]
    inputs: Inputs
    session: Session
    around: Around | None
    """The run whose code made the call; None outside of any."""
    dynamic_key: str
    tags: frozenset[str]
    future: Future[Any]
    recorder: Recorder
    logger: RunLogger
    """The flow run's until there is a task run, then its own."""
    _parameters: Mapping[str, Any] = field(factory=dict[str, Any])
    _cache_key: str | None = None
    _run: TaskRun | None = None
    """None until the store knows it."""
    _is_unsure: bool = False
    """It was asked for, and whether the store knows it now, nobody has heard."""
    _aborted: bool = False
    """Whether the last verdict was an abort."""

    async def to_its_end(self) -> State:
        """Drive it; the state that it ended in. What raises is nobody's outcome, and has been reported."""
        try:
            state = await self._stopped(await drive(self, await self._first_step()))
        except UnreadableResult as error:
            state = Failed(message=message_of(error), data=Raised(error))
        except BaseException as error:
            stop = await taken_down(self, error) if self._run or self._is_unsure else Stop(None)
            self._end(stop.state or last_state(error))
            raise
        self._end(state)
        return state

    def _end(self, state: State) -> None:
        self.future.end(state)
        if isinstance(self.around, FlowRunContext):
            self.around.children.ended(self.future)

    async def _stopped(self, stop: Stop) -> State:
        """The state to go on with. An abort stays here, unless the flow run is not ours any more (TA-16)."""
        state = stop.state or Pending()
        if not self._aborted:
            if state.is_final:
                log_end(self, state)
            return state
        if state.is_final:
            self.logger.info("Task run '%s' already finished.", self.future.run_id)
            return state
        await self._leave_what_is_not_ours()
        told = "Task run '%s' received abort during orchestration: %s Task run is in %s state."
        self.logger.warning(told, self.future.run_id, stop.reason, state.type)
        return state

    async def _leave_what_is_not_ours(self) -> None:
        """A flow run that is ending, or that another process owns by now, has its code cancelled."""
        flow_run = flow_around(self.around)
        if flow_run is None:
            return
        client = self.session.client
        own = await client.call(READ_FLOW_RUN, ReadFlowRun(run_id=flow_run.run.id))
        root = await client.call(READ_FLOW_RUN, ReadFlowRun(run_id=self.session.root_id))
        if root.epoch != self.session.epoch:
            self.session.cancel(root.id)
        for run in (own, root):
            if run.state is None or run.state.is_final or run.state.type is StateType.CANCELLING:
                self.session.cancel(run.id)
        await trio.lowlevel.checkpoint()

    # --- before

    async def _first_step(self) -> Propose:
        try:
            self._parameters = await self.inputs.resolved()
            self.future.name = self._name()
            return start(self._running())
        except UpstreamTaskError as error:
            return start(NotReady(message_of(error)))
        except Exception as error:
            self.logger.exception("Encountered exception before execution:")
            return start(await recorded(broken(Raised(error), TASK_RUN_BROKEN), self.recorder, persist=True))

    def _name(self) -> str:
        template = self.task.options.run_name
        if template is None:
            return task_run_name(self.task.name, self.dynamic_key)
        return run_name(template, self._parameters)

    def _running(self) -> State:
        caching = self.task.options.caching
        if caching is None:
            return Running()
        flow_run = flow_around(self.around)
        context = CacheContext(self.task, flow_run.run if flow_run else None)
        self._cache_key = caching.key_fn(context, self._parameters)
        return Running().with_details(cache_key=self._cache_key, refresh_cache=caching.refresh)

    # --- proposing

    @property
    def line(self) -> trio.StrictFIFOLock | None:
        """Tasks with the same tags wait for the same slots."""
        return self.session.line(self.tags)

    async def propose(self, state: State) -> Verdict:
        """The verdict on this state; the first one begins the task run."""
        answer = await (self._begin(state) if self._run is None else self._ask(self._run, state))
        self._run = answer.run
        self._aborted = isinstance(answer.verdict, Abort)
        return await live(answer.verdict, state, self.recorder, f"task run {answer.run.name!r}")

    async def _begin(self, state: State) -> TaskRunAnswer:
        flow_run = flow_around(self.around)
        request = BeginTaskRun(
            id=clock.new_id() if flow_run else self.session.root_id,
            task_key=self.task.key,
            dynamic_key=self.dynamic_key,
            name=self.future.name,
            state=sendable(state),
            transition_id=clock.new_id(),
            flow_run_id=flow_run.run.id if flow_run else None,
            root_id=self.session.root_id,
            retry=self.task.options.retry,
            tags=self.tags,
            inputs=self.inputs.lineage(),
            epoch=self.session.epoch,
            owner=None if flow_run else this_process(),
        )
        try:
            answer = await self.session.client.call(BEGIN_TASK_RUN, request)
        except RunNotFound as error:
            await self._leave_what_is_not_ours()
            raise RunAborted(message_of(error)) from error
        except (LinkClosed, StoreError):
            self._is_unsure = True
            raise
        self._run = answer.run
        self.future.run_id = answer.run.id
        self.logger = task_run_logger(answer.run, self.task.name, self.logger)
        if state.type is StateType.PENDING:  # It begins as PENDING anyway; what it waits for is told next.
            return await self._ask(answer.run, state)
        return answer

    async def _ask(self, run: TaskRun, state: State) -> TaskRunAnswer:
        request = ProposeTaskRunState(
            run_id=run.id,
            state=sendable(state),
            transition_id=clock.new_id(),
            epoch=self.session.epoch,
            draw=clock.draw(),
        )
        return await self.session.client.call(PROPOSE_TASK_RUN_STATE, request)

    async def entered(self, state: State) -> None:
        """Call the task's hooks for this state."""
        await call_hooks(
            self, self.task.options.hooks, state, {"task": self.task, "task_run": self._known_run}
        )

    @property
    def _known_run(self) -> TaskRun:
        if self._run is None:
            raise TrioflowBug("a task run is called before it was begun")
        return self._run

    # --- calling

    async def call(self, state: State) -> State:
        """Call the task's function: the state to propose next."""
        options = self.task.options
        context = TaskRunContext(
            session=self.session,
            recorder=self.recorder,
            logger=self.logger,
            task=self.task,
            run=self._known_run,
            parameters=self._parameters,
            start_time=state.timestamp or clock.now(),
            flow_run=flow_around(self.around),
        )
        args, kwargs = self.task.binding.arguments(self._parameters)
        with inside(context), speaking_as(self.logger, options.log_prints):
            ended = await call(partial(self.task.body, *args, **kwargs), context, options.timeout, "Task run")
            state = await self._ended(ended)
        return await recorded(state, self.recorder, persist=options.persist)

    async def _ended(self, ended: Ended) -> State:
        if isinstance(ended, Raised):
            self.logger.error("Encountered exception during execution:", exc_info=ended.exception)
        state = await task_run_ended(ended)
        match state.type:
            case StateType.COMPLETED:
                return self._shared(state)
            case StateType.FAILED:
                return state.with_details(retriable=await self._is_retriable(state))
            case _:
                return state

    def _shared(self, state: State) -> State:
        """The same state, under the cache key that it is to be found by."""
        caching = self.task.options.caching
        if caching is None or self._cache_key is None:
            return state
        expiration = caching.expiration and clock.now() + caching.expiration
        return state.with_details(cache_key=self._cache_key, cache_expiration=expiration)

    async def _is_retriable(self, state: State) -> bool:
        condition = self.task.options.retry_condition
        if condition is None:
            return True
        try:
            answer = condition(self.task, self._known_run, state)
            return bool(await answer if inspect.isawaitable(answer) else answer)
        except Exception:
            self.logger.exception("An error was encountered while running the retry condition: no retry")
            return False
