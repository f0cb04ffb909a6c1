"""Root runs: flow runs that no other run called. Creates one, or takes up one that there is, and drives it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

from trioflow import clock
from trioflow.client.client import Client
from trioflow.client.connect import current_client
from trioflow.core.lifecycle import Propose, start
from trioflow.core.runs import FlowRun
from trioflow.core.states import State
from trioflow.core.verdicts import Accept
from trioflow.engine.context import current_tags
from trioflow.engine.drive import sendable
from trioflow.engine.flow_runs import FlowRunDrive
from trioflow.engine.logs import flow_run_logger
from trioflow.engine.making import made
from trioflow.engine.naming import drawn_name
from trioflow.engine.parameters import Checked, Parameters, checked, restored, storable
from trioflow.engine.sessions import Session
from trioflow.errors import FlowDefinitionError, RunAborted, RunIsOwned, RunNotFound
from trioflow.processes import this_process
from trioflow.wire.endpoints import CLAIM_FLOW_RUN, CREATE_FLOW_RUN, FIND_FLOW_RUNS
from trioflow.wire.filters import FlowRunFilter
from trioflow.wire.requests import ClaimFlowRun, CreateFlowRun, FindFlowRuns

if TYPE_CHECKING:
    from trioflow.engine.flows import Flow


async def run_flow(flow: Flow[..., Any], parameters: Parameters, run_id: UUID | None = None) -> State:
    """Create a run of the flow and drive it: the state that it ended in.

    Whoever wants to follow the run brings its ``run_id``.

    Raises:
        StoreError: the run could not be created.
        RunAborted: see `FlowRunDrive.to_its_end`.
    """
    client = await current_client()
    heard_until = await client.now()
    found = checked(flow, parameters)
    request = CreateFlowRun(
        id=run_id or clock.new_id(),
        flow_name=flow.name,
        name=drawn_name(),
        state=sendable(found.first_state()),
        transition_id=clock.new_id(),
        parameters=storable(found.parameters),
        tags=current_tags(),
        retry=flow.options.retry,
        hooked=flow.options.hooks.hooked,
        timeout=flow.options.timeout,
        entrypoint=flow.entrypoint,
        flow_version=flow.version,
        owner=this_process(),
    )
    answer = await made(client, CREATE_FLOW_RUN, request)
    drive = drive_of(Session.under(client, answer.run.id, answer.run.epoch), flow, answer.run, found)
    drive.logger.info("Created flow run %r for flow %r", answer.run.name, flow.name)
    if ui := drive.session.settings.ui_url:
        drive.logger.info("View at %s/flow-runs/flow-run/%s", ui, answer.run.id, extra={"send_to_api": False})
    body = drive.to_its_end if found.refusal is None else partial(drive.refused, found.first_state())
    return await drive.session.run(heard_until, body)


async def rerun_flow(flow: Flow[..., Any], run_id: UUID) -> State:
    """Take up a run that has ended, or that nobody owns any more, and drive it: the state that it ended in.

    What its tasks have recorded is returned to the flow; only the rest runs.

    Raises:
        FlowDefinitionError: it is a run of another flow.
        RunIsOwned: another process, or this one, is executing it.
        RunNotFound: there is no such flow run.
        RunAborted: it cannot be run again; or see `FlowRunDrive.to_its_end`.
    """
    client = await current_client()
    await _check_is_of(client, flow, run_id)
    request = ClaimFlowRun(
        run_id=run_id,
        owner=this_process(),
        transition_id=clock.new_id(),
        rerun=True,
        retry=flow.options.retry,
    )
    answer = await client.call(CLAIM_FLOW_RUN, request)
    # From here on: the claim itself may first have ended the run for a dead owner.
    heard_until = await client.now()
    if not isinstance(answer.verdict, Accept):
        is_over = answer.run.state is None or answer.run.state.is_final
        raise (RunAborted if is_over else RunIsOwned)(
            f"flow run {answer.run.name!r}: {answer.verdict.reason}"
        )
    found = restored(flow, answer.run.parameters)
    drive = drive_of(Session.under(client, answer.run.id, answer.run.epoch), flow, answer.run, found)
    drive.logger.info("Taken up flow run %r of flow %r", answer.run.name, flow.name)
    return await drive.session.run(heard_until, partial(drive.to_its_end, first_step(found)))


def first_step(found: Checked) -> Propose:
    """How a run that there is already begins, with these parameters."""
    return start() if found.refusal is None else Propose(found.first_state())


def drive_of(session: Session, flow: Flow[..., Any], run: FlowRun, found: Checked) -> FlowRunDrive:
    """What drives this root run of the flow."""
    return FlowRunDrive(
        flow=flow,
        run=run,
        parameters=found.parameters,
        session=session,
        recorder=session.recorder.using(flow.options.serializer),
        logger=flow_run_logger(run, flow.name),
    )


async def _check_is_of(client: Client, flow: Flow[..., Any], run_id: UUID) -> None:
    found = await client.call(FIND_FLOW_RUNS, FindFlowRuns(filter=FlowRunFilter(id_prefix=str(run_id))))
    if not found.runs:
        raise RunNotFound(f"there is no flow run {run_id}")
    (run,), (name,) = found.runs, found.flow_names
    if name != flow.name:
        raise FlowDefinitionError(f"flow run {run.name!r} is a run of flow {name!r}, not of {flow.name!r}")
    if run.parent_task_run_id is not None:
        raise RunAborted(f"flow run {run.name!r} is a subflow: rerun the run that called it")
