"""Subflows: flow runs that another run's code called. A task run stands for each of them in its parent.

On a rerun of the parent that task run is found again by its dynamic key. A child that completed is not run again;
one that did not is continued, so that what its tasks have recorded is not computed again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from attrs import define

from trioflow import clock
from trioflow.core.lifecycle import start
from trioflow.core.runs import FlowRun, TaskRun
from trioflow.core.states import Failed, NotReady, Pending, Scheduled, State
from trioflow.core.verdicts import Accept
from trioflow.engine.context import Around, FlowRunContext, current_tags
from trioflow.engine.crashes import last_words
from trioflow.engine.drive import last_state, sendable
from trioflow.engine.endings import recorded
from trioflow.engine.flow_runs import FlowRunDrive
from trioflow.engine.futures import Future
from trioflow.engine.inputs import Inputs
from trioflow.engine.logs import flow_run_logger
from trioflow.engine.making import made
from trioflow.engine.naming import drawn_name
from trioflow.engine.parameters import Checked, checked, storable
from trioflow.engine.results import Raised, Recorder, load, message_of
from trioflow.errors import StoreError, UnreadableResult, UpstreamTaskError
from trioflow.wire.endpoints import (
    BEGIN_TASK_RUN,
    CREATE_FLOW_RUN,
    FIND_FLOW_RUNS,
    PROPOSE_FLOW_RUN_STATE,
    PROPOSE_TASK_RUN_STATE,
)
from trioflow.wire.filters import FlowRunFilter
from trioflow.wire.requests import (
    BeginTaskRun,
    CreateFlowRun,
    FindFlowRuns,
    ProposeFlowRunState,
    ProposeTaskRunState,
)

if TYPE_CHECKING:
    from trioflow.engine.flows import Flow


@final
@define(eq=False, kw_only=True)
class SubflowCall:
    """One call of a flow within a flow run. ``future`` gets its outcome."""

    flow: Flow[..., Any]
    inputs: Inputs
    parent: FlowRunContext
    around: Around
    """The run whose code made the call: the parent, or a task of its."""
    dynamic_key: str
    future: Future[Any]
    _childless: TaskRun | None = None
    """The task run that stands for a child that there is none of yet: ours to end, should there never be one."""

    async def to_its_end(self) -> State:
        """Run it; the state that it ended in. What raises is nobody's outcome, and has been reported."""
        try:
            state = await self._state()
        except UnreadableResult as error:
            state = Failed(message=message_of(error), data=Raised(error))
        except BaseException as error:
            await self._abandon(last_state(error))
            raise
        self._end(state)
        return state

    async def _abandon(self, state: State) -> None:
        self._end(state)
        if self._childless is None:
            return
        parent = self.parent
        with last_words(parent.session.settings.grace_seconds):
            request = ProposeTaskRunState(
                run_id=self._childless.id,
                state=sendable(await recorded(state, parent.recorder, persist=True)),
                transition_id=clock.new_id(),
                epoch=parent.session.epoch,
            )
            try:
                await parent.session.client.call(PROPOSE_TASK_RUN_STATE, request)
            except StoreError:
                parent.logger.exception("The end of subflow %r could not be reported", self.future.name)

    def _end(self, state: State) -> None:
        self.future.end(state)
        if isinstance(self.around, FlowRunContext):
            self.around.children.ended(self.future)

    async def _state(self) -> State:
        first = start()
        try:
            found = checked(self.flow, await self.inputs.resolved())
        except UpstreamTaskError as error:
            first = start(NotReady(message_of(error)))
            found = Checked({})
        mirror = self._childless = await self._mirror()
        child = await self._child_of(mirror) if mirror.version > 1 else None
        if child is not None and child.state is not None and child.state.is_completed:
            return await load(child.state, self._recorder, f"flow run {child.name!r}")
        if child is not None and await self._is_reopened(child):
            self._childless = None
            return await self._drive(child, found).to_its_end(first)
        child = await self._created(mirror, found)
        self._childless = None
        drive = self._drive(child, found)
        return await (drive.refused(found.first_state()) if found.refusal else drive.to_its_end(first))

    async def _mirror(self) -> TaskRun:
        """The task run that stands for the child in its parent: PENDING, or as an earlier attempt left it."""
        request = BeginTaskRun(
            id=clock.new_id(),
            task_key=self.flow.key,
            dynamic_key=self.dynamic_key,
            name=self.future.name,
            state=Pending(),
            transition_id=clock.new_id(),
            flow_run_id=self.parent.run.id,
            root_id=self.parent.session.root_id,
            tags=current_tags(),
            inputs=self.inputs.lineage(),
            epoch=self.parent.session.epoch,
        )
        answer = await made(self.parent.session.client, BEGIN_TASK_RUN, request)
        self.future.run_id = answer.run.id
        return answer.run

    async def _child_of(self, mirror: TaskRun) -> FlowRun | None:
        newest = FlowRunFilter(parent_task_run_id=mirror.id, limit=1)
        found = await self.parent.session.client.call(FIND_FLOW_RUNS, FindFlowRuns(filter=newest))
        return found.runs[0] if found.runs else None

    async def _is_reopened(self, child: FlowRun) -> bool:
        """Whether the child that an earlier attempt left behind goes on; one that cannot be loaded does not."""
        if child.state is not None and not child.state.is_final:
            return True
        request = ProposeFlowRunState(
            run_id=child.id,
            state=Scheduled(clock.now()),
            transition_id=clock.new_id(),
            epoch=self.parent.session.epoch,
            rerun=True,
        )
        answer = await self.parent.session.client.call(PROPOSE_FLOW_RUN_STATE, request)
        return isinstance(answer.verdict, Accept)

    async def _created(self, mirror: TaskRun, found: Checked) -> FlowRun:
        request = CreateFlowRun(
            id=clock.new_id(),
            flow_name=self.flow.name,
            name=drawn_name(),
            state=sendable(found.first_state()),
            transition_id=clock.new_id(),
            parameters=storable(found.parameters),
            tags=current_tags(),
            retry=self.flow.options.retry,
            hooked=self.flow.options.hooks.hooked,
            timeout=self.flow.options.timeout,
            entrypoint=self.flow.entrypoint,
            flow_version=self.flow.version,
            parent_task_run_id=mirror.id,
            root_id=self.parent.session.root_id,
            epoch=self.parent.session.epoch,
        )
        answer = await made(self.parent.session.client, CREATE_FLOW_RUN, request)
        self.parent.logger.info("Created subflow run %r for flow %r", answer.run.name, self.flow.name)
        return answer.run

    @property
    def _recorder(self) -> Recorder:
        return self.parent.recorder.using(self.flow.options.serializer)

    def _drive(self, child: FlowRun, found: Checked) -> FlowRunDrive:
        return FlowRunDrive(
            flow=self.flow,
            run=child,
            parameters=found.parameters,
            session=self.parent.session,
            recorder=self._recorder,
            logger=flow_run_logger(child, self.flow.name),
        )
