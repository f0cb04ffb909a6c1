"""One function for each request that writes: what it means for the desk, and what is answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from trioflow import clock, processes
from trioflow.core.leases import Lease, lease_end
from trioflow.core.parameter_schema import check_parameters
from trioflow.core.runs import NO_RETRIES, FlowRun, TaskRun, changed
from trioflow.core.states import Cancelled, Pending, Scheduled, StateType
from trioflow.core.verdicts import Abort, Accept
from trioflow.errors import RunAborted, RunNotFound
from trioflow.orchestrator.endings import close_flow_run, reap
from trioflow.orchestrator.handlers.deployments import deployment_with
from trioflow.orchestrator.planning import run_of
from trioflow.orchestrator.turns import out_of_turn
from trioflow.wire.replies import Done, FlowRunAnswer, TaskRunAnswer
from trioflow.wire.requests import (
    AppendLogs,
    BeginTaskRun,
    ClaimFlowRun,
    CloseFlowRun,
    CreateDeploymentRun,
    CreateFlowRun,
    EndLease,
    PrepareFlowRun,
    ProposeFlowRunState,
    ProposeTaskRunState,
    RenameRun,
)

if TYPE_CHECKING:
    from uuid import UUID

    from trioflow.core.leases import Owner
    from trioflow.core.verdicts import Verdict
    from trioflow.orchestrator.desk import Desk
    from trioflow.store.store import Tx


def answer(tx: Tx, desk: Desk, request: object) -> object:
    """What is answered to this request, once the desk is written.

    Raises:
        RunNotFound: it names a run that does not exist.
        DeploymentNotFound: it names a deployment that does not exist.
        ParameterError: its parameters do not fit.
        RunAborted: it comes from an owner of the past.
    """
    match request:
        case BeginTaskRun():
            return begin_task_run(desk, request)
        case ProposeTaskRunState():
            return propose_task_run_state(desk, request)
        case AppendLogs():
            desk.logs.extend(request.records)
            return Done()
        case ProposeFlowRunState():
            return propose_flow_run_state(tx, desk, request)
        case CreateFlowRun():
            return create_flow_run(desk, request)
        case ClaimFlowRun():
            return claim_flow_run(tx, desk, request)
        case CloseFlowRun():
            return close_flow_run(tx, desk, request)
        case _:
            return _answer_rare(tx, desk, request)


def _answer_rare(tx: Tx, desk: Desk, request: object) -> object:
    match request:
        case PrepareFlowRun():
            return prepare_flow_run(desk, request)
        case CreateDeploymentRun():
            return create_deployment_run(tx, desk, request)
        case EndLease():
            return end_lease(tx, desk, request)
        case RenameRun():
            return rename_run(desk, request)
        case _:
            raise TypeError(f"no judge for {type(request).__name__}")


def create_flow_run(desk: Desk, request: CreateFlowRun) -> FlowRunAnswer:
    """A new flow run in the state that was asked for; the one that there is, when it was created before."""
    existing = desk.flow_runs.get(request.id)
    if existing is not None and existing.state is not None:
        return FlowRunAnswer(Accept(existing.state), existing)
    run = FlowRun(
        id=request.id,
        flow_id=desk.flow_id(request.flow_name),
        name=request.name,
        root_id=request.root_id or request.id,
        retry=request.retry,
        hooked=request.hooked,
        timeout=request.timeout,
        parameters=request.parameters,
        tags=request.tags,
        parent_task_run_id=request.parent_task_run_id,
        deployment_id=request.deployment_id,
        entrypoint=request.entrypoint,
        flow_version=request.flow_version,
        created=desk.now,
    )
    verdict = desk.judge(
        run, request.state, request.transition_id, epoch=request.epoch, new_owner=request.owner is not None
    )
    run = desk.flow_runs.get(run.id, run)
    if request.owner is not None and not _is_over(run):
        _grant(desk, run.id, run.epoch, request.owner)
    return FlowRunAnswer(verdict, run)


def create_deployment_run(tx: Tx, desk: Desk, request: CreateDeploymentRun) -> FlowRunAnswer:
    """A new run of a deployment; the one that there is, when it was created before.

    Raises:
        DeploymentNotFound: there is no such deployment.
        ParameterError: the parameters do not fit what the flow takes.
    """
    existing = desk.flow_runs.get(request.id)
    if existing is not None and existing.state is not None:
        return FlowRunAnswer(Accept(existing.state), existing)
    deployment = deployment_with(tx, request.deployment_id)
    parameters = {**deployment.parameters, **request.parameters}
    if deployment.enforce_parameter_schema:
        check_parameters(deployment.parameter_schema, parameters)
    run = evolve(
        run_of(deployment, request.id, request.name, desk.now),
        parameters=parameters,
        tags=deployment.tags | request.tags,
    )
    verdict = desk.judge(run, Scheduled(request.scheduled_time or desk.now), request.transition_id)
    return FlowRunAnswer(verdict, desk.flow_runs.get(run.id, run))


def prepare_flow_run(desk: Desk, request: PrepareFlowRun) -> FlowRun:
    """What the loaded flow says of its run; an owner of the past has no say in it.

    Raises:
        RunAborted: the run has another owner now.
    """
    run = desk.flow_run(request.run_id)
    epoch = desk.flow_run(run.root_id).epoch
    if request.epoch < epoch:
        raise RunAborted(f"This comes from epoch {request.epoch} of the run, which is in epoch {epoch}.")
    prepared = evolve(
        run,
        retry=request.retry,
        flow_version=request.flow_version,
        hooked=request.hooked,
        timeout=request.timeout,
    )
    desk.put(prepared)
    return prepared


def claim_flow_run(tx: Tx, desk: Desk, request: ClaimFlowRun) -> FlowRunAnswer:
    """PENDING under a new owner with a new epoch, unless somebody who lives owns it."""
    run = _without_dead_owner(tx, desk, request.run_id)
    lease = desk.leases.get(run.id)
    if request.transition_id in desk.answered:
        return _claimed_before(desk, request, run, lease)
    if lease is not None:
        reason = f"Run is owned by process {lease.owner.pid} until {lease.expires:%H:%M:%S} UTC."
        return FlowRunAnswer(Abort(reason, run.state), run)
    if rival := out_of_turn(tx, desk, run):
        return FlowRunAnswer(Abort(rival, run.state), run)
    if request.rerun and run.state is not None and run.state.is_final:
        run = _schedule_again(desk, run)
    if run.retry == NO_RETRIES and request.retry != NO_RETRIES:
        run = changed(run, retry=request.retry)
    verdict = desk.judge(run, Pending(), request.transition_id, new_owner=True)
    run = desk.flow_runs[run.id]
    if isinstance(verdict, Accept):
        _grant(desk, run.id, run.epoch, request.owner)
    return FlowRunAnswer(verdict, run)


def _claimed_before(desk: Desk, request: ClaimFlowRun, run: FlowRun, lease: Lease | None) -> FlowRunAnswer:
    """The first answer to a claim that is repeated, while the claimant still has the run; a lost one stays lost."""
    if lease is None or lease.owner != request.owner:
        return FlowRunAnswer(
            Abort("This claim was accepted, and the run has been lost since.", run.state), run
        )
    return FlowRunAnswer(desk.answered[request.transition_id], run)


def propose_flow_run_state(tx: Tx, desk: Desk, request: ProposeFlowRunState) -> FlowRunAnswer:
    """The verdict on a flow run's transition."""
    run = desk.flow_run(request.run_id)
    if request.epoch is None:
        run = _without_dead_owner(tx, desk, run.id)
    verdict = desk.judge(
        run,
        request.state,
        request.transition_id,
        epoch=request.epoch,
        force=request.force,
        rerun=request.rerun,
        draw=request.draw,
    )
    return FlowRunAnswer(verdict, desk.flow_runs[run.id])


def begin_task_run(desk: Desk, request: BeginTaskRun) -> TaskRunAnswer:
    """Create the task run as PENDING if its call has none yet, then judge the state that was asked for."""
    known = desk.calls.get((request.flow_run_id, request.task_key, request.dynamic_key), request.id)
    run = desk.task_runs.get(known) or _new_task_run(desk, request)
    if request.state.type is Pending().type and run.version == 1:
        return TaskRunAnswer(_standing(run), run)
    verdict = desk.judge(run, request.state, request.transition_id, epoch=request.epoch)
    return _task_run_answer(desk, run.id, verdict)


def propose_task_run_state(desk: Desk, request: ProposeTaskRunState) -> TaskRunAnswer:
    """The verdict on a task run's transition."""
    verdict = desk.judge(
        desk.task_run(request.run_id),
        request.state,
        request.transition_id,
        epoch=request.epoch,
        force=request.force,
        draw=request.draw,
    )
    return _task_run_answer(desk, request.run_id, verdict)


def end_lease(tx: Tx, desk: Desk, request: EndLease) -> Done:
    """Take the lease away, if it still is the one that is meant.

    A run that somebody asked to end meanwhile has nobody left to end it: it is cancelled.
    """
    lease, run = desk.leases.get(request.run_id), desk.flow_runs.get(request.run_id)
    if lease is None or lease.epoch != request.epoch:
        return Done()
    if run is not None and run.state is not None and run.state.type is StateType.CANCELLING:
        close = CloseFlowRun(
            run_id=run.id, epoch=lease.epoch, state=Cancelled(), transition_id=clock.new_id()
        )
        close_flow_run(tx, desk, close)
    desk.end_lease(request.run_id)
    return Done()


def rename_run(desk: Desk, request: RenameRun) -> Done:
    """Change the name, and nothing else."""
    run = desk.flow_runs.get(request.run_id) or desk.task_runs.get(request.run_id)
    if run is None:
        raise RunNotFound(f"there is no run {request.run_id}")
    desk.put(evolve(run, name=request.name))
    return Done()


def _schedule_again(desk: Desk, run: FlowRun) -> FlowRun:
    desk.judge(run, Scheduled(desk.now), clock.new_id(), rerun=True, new_owner=True)
    return desk.flow_runs[run.id]


def _new_task_run(desk: Desk, request: BeginTaskRun) -> TaskRun:
    run = TaskRun(
        id=request.id,
        task_key=request.task_key,
        dynamic_key=request.dynamic_key,
        name=request.name,
        flow_run_id=request.flow_run_id,
        root_id=request.root_id or request.flow_run_id or request.id,
        retry=request.retry,
        tags=request.tags,
        inputs=request.inputs,
        created=desk.now,
    )
    if request.owner is not None and request.flow_run_id is None:
        _grant(desk, run.id, 1, request.owner)
    # The run's id serves as the id of its first transition: a run is created once.
    desk.judge(run, Pending(), run.id, epoch=request.epoch)
    return desk.task_runs.get(run.id, run)


def _task_run_answer(desk: Desk, run_id: UUID, verdict: Verdict) -> TaskRunAnswer:
    run = desk.task_runs.get(run_id)
    if run is None:
        raise RunNotFound(f"task run {run_id} was not created: {getattr(verdict, 'reason', verdict)}")
    return TaskRunAnswer(verdict, run)


def _without_dead_owner(tx: Tx, desk: Desk, run_id: UUID) -> FlowRun:
    """The flow run, reaped first when its owner let the lease lapse or is known to have ended."""
    run = desk.flow_run(run_id)
    lease = desk.leases.get(run.root_id)
    if lease is not None and (lease.expired(desk.now) or processes.is_gone(lease.owner)):
        reap(tx, desk, lease)
    return desk.flow_run(run_id)


def _grant(desk: Desk, run_id: UUID, epoch: int, owner: Owner) -> None:
    desk.put_lease(Lease(run_id=run_id, epoch=epoch, owner=owner, expires=lease_end(desk.now)))


def _is_over(run: FlowRun) -> bool:
    return run.state is None or run.state.is_final


def _standing(run: TaskRun) -> Verdict:
    return Accept(run.state) if run.state else Abort("Run has no state.")
