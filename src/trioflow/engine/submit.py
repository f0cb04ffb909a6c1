"""Submits: finds the run around a call of a task or a flow, and starts the call there, or makes it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol

from trioflow import clock
from trioflow.client.connect import current_client
from trioflow.core.keys import task_run_name
from trioflow.engine.call import FlowTimedOut
from trioflow.engine.context import (
    Around,
    FlowRunContext,
    TaskRunContext,
    current_tags,
    flow_around,
    innermost,
)
from trioflow.engine.futures import Future
from trioflow.engine.inputs import Inputs
from trioflow.engine.logs import TASK_RUNS, RunLogger
from trioflow.engine.parameters import Parameters
from trioflow.engine.roots import run_flow
from trioflow.engine.sessions import Session
from trioflow.engine.subflows import SubflowCall
from trioflow.engine.task_runs import TaskRunDrive
from trioflow.errors import NotASubflow, OutsideFlow
from trioflow.task_runners.nursery import NurserySession
from trioflow.task_runners.task_runner import TaskRunnerSession

if TYPE_CHECKING:
    from trioflow.engine.flows import Flow
    from trioflow.engine.tasks import Task

WaitFor = Iterable[Any] | None

_NO_TURNS = NurserySession(None)
"""A subflow takes no turn: its tasks do, under its own task runner."""


class Startable(Protocol):
    """A call that is about to begin."""

    future: Future[Any]

    async def to_its_end(self) -> object:
        """Make it. What raises is nobody's outcome."""
        ...


def submit_task(task: Task[..., Any], parameters: Parameters, wait_for: WaitFor) -> Future[Any]:
    """Start a call of the task in the nursery of the run around; the future of its outcome, at once.

    Raises:
        OutsideFlow: there is no flow run around.
        FlowTimedOut: there is, and its time is over.
    """
    around, flow_run = _within(task)
    call = _task_call(flow_run, around, task, Inputs.of(parameters, wait_for))
    flow_run.logger.debug("Submitted task run %r for execution.", call.future.name)
    return _started(call, around, flow_run.placing(task))


def submit_flow(flow: Flow[..., Any], parameters: Parameters, wait_for: WaitFor) -> Future[Any]:
    """Start the flow as a subflow in the nursery of the run around; the future of its outcome, at once.

    Raises:
        OutsideFlow: there is no flow run around.
        FlowTimedOut: there is, and its time is over.
    """
    around, flow_run = _within(flow)
    return _started(_flow_call(flow_run, around, flow, Inputs.of(parameters, wait_for)), around, _NO_TURNS)


async def call_task(task: Task[..., Any], parameters: Parameters, wait_for: WaitFor) -> Future[Any]:
    """Make a call of the task, here; its future, which has ended.

    Raises:
        FlowTimedOut: the time of the flow run around is over.
    """
    around = innermost()
    flow_run = flow_around(around)
    inputs = Inputs.of(parameters, wait_for)
    if around is None or flow_run is None:
        return await _alone(task, inputs)
    return await _made(_task_call(flow_run, around, task, inputs), flow_run.placing(task))


async def call_flow(flow: Flow[..., Any], parameters: Parameters, wait_for: WaitFor) -> Future[Any]:
    """Run the flow, here: as a subflow of the flow run around, or as a root run; its future, which has ended.

    Raises:
        FlowTimedOut: the time of the flow run around is over.
        NotASubflow: there is none around, and it should wait for something.
    """
    around = innermost()
    flow_run = flow_around(around)
    if around is not None and flow_run is not None:
        return await _made(_flow_call(flow_run, around, flow, Inputs.of(parameters, wait_for)), _NO_TURNS)
    if wait_for is not None:
        raise NotASubflow
    future: Future[Any] = Future(flow.name)
    future.end(await run_flow(flow, parameters))
    return future


def _within(called: Task[..., Any] | Flow[..., Any]) -> tuple[Around, FlowRunContext]:
    around = innermost()
    flow_run = flow_around(around)
    if around is None or flow_run is None:
        raise OutsideFlow(
            f"{called.name!r} can only be submitted from within a flow run; outside of one, call it, "
            "or run it in the background with .delay()"
        )
    return around, flow_run


def _started(call: Startable, around: Around, placed: TaskRunnerSession) -> Future[Any]:
    placed.start_soon(around.nursery, call.to_its_end)
    return call.future


async def _made(call: Startable, placed: TaskRunnerSession) -> Future[Any]:
    try:
        await placed.run(call.to_its_end)
    except BaseException:
        call.future.allow_failure()  # It is being raised into the code that made the call.
        raise
    return call.future


def _task_call(
    flow_run: FlowRunContext, around: Around, task: Task[..., Any], inputs: Inputs
) -> TaskRunDrive:
    key, future = _child(flow_run, around, task)
    return TaskRunDrive(
        task=task,
        inputs=inputs,
        session=flow_run.session,
        around=around,
        dynamic_key=key,
        tags=task.options.tags | current_tags(),
        future=future,
        recorder=flow_run.recorder.using(task.options.serializer),
        logger=flow_run.logger,
    )


def _flow_call(flow_run: FlowRunContext, around: Around, flow: Flow[..., Any], inputs: Inputs) -> SubflowCall:
    key, future = _child(flow_run, around, flow)
    return SubflowCall(
        flow=flow, inputs=inputs, parent=flow_run, around=around, dynamic_key=key, future=future
    )


def _child(
    flow_run: FlowRunContext, around: Around, called: Task[..., Any] | Flow[..., Any]
) -> tuple[str, Future[Any]]:
    if flow_run.deadline.cancel_called:
        raise FlowTimedOut("Flow run timed out")
    within = (
        task_run_name(around.task.name, around.run.dynamic_key) if isinstance(around, TaskRunContext) else ""
    )
    key = flow_run.dynamic_key(called.key, within)
    future: Future[Any] = Future(task_run_name(called.name, key))
    if isinstance(around, FlowRunContext):
        around.children.started(future)
    return key, future


async def _alone(task: Task[..., Any], inputs: Inputs) -> Future[Any]:
    """A call outside of any flow: a session, a root, of its own."""
    client = await current_client()
    heard_until = await client.now()
    # The first owner's epoch is 1; there never is a second one.
    session = Session.under(client, clock.new_id(), epoch=1)
    key = session.root_id.hex[-12:]
    drive = TaskRunDrive(
        task=task,
        inputs=inputs,
        session=session,
        around=None,
        dynamic_key=key,
        tags=task.options.tags | current_tags(),
        future=Future(task_run_name(task.name, key)),
        recorder=session.recorder.using(task.options.serializer),
        logger=RunLogger(TASK_RUNS, {"root_id": session.root_id, "flow_run_id": None}),
    )
    await session.run(heard_until, drive.to_its_end)
    return drive.future
