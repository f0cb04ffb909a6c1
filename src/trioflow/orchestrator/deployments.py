"""Deployments, changed: what becomes of their schedules, and of the runs that those have planned.

Each request has a transaction of its own, for it looks at all runs of a deployment and not only at those on a desk.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from attrs import evolve

from trioflow import clock
from trioflow.core.deployments import Deployment, PausedBy
from trioflow.core.parameter_schema import check_parameters
from trioflow.core.schedules.identity import schedule_identity
from trioflow.core.states import Cancelled
from trioflow.errors import DeploymentApplyError
from trioflow.orchestrator import apply, facts
from trioflow.orchestrator.handlers.deployments import deployment_with, schedules_of
from trioflow.orchestrator.planning import delete_planned, look, planned_runs
from trioflow.store import queries
from trioflow.store.deployment_rows import (
    DEPLOYMENT_COLUMNS,
    SCHEDULE_COLUMNS,
    StoredSchedule,
    deployment_from,
    deployment_row,
    schedule_row,
)
from trioflow.wire.replies import Done

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from trioflow.orchestrator.desk import Desk
    from trioflow.store.store import Tx
    from trioflow.wire.requests import ApplyDeployment, DeleteDeployment, PauseSchedules, ResumeSchedules

MOST_SCHEDULES = 100
"""A deployment has no more."""

_INSERT_DEPLOYMENT = queries.insert("deployments", DEPLOYMENT_COLUMNS)
_UPDATE_DEPLOYMENT = queries.upsert("deployments", DEPLOYMENT_COLUMNS)
_INSERT_SCHEDULE = queries.insert("schedules", SCHEDULE_COLUMNS)
_PAUSE = "UPDATE schedules SET paused_by = ? WHERE deployment_id = ?"
_RESUME = "UPDATE schedules SET paused_by = NULL WHERE identity = ?"
_FORGET_SCHEDULES = "DELETE FROM schedules WHERE deployment_id = ?"
_CARRIED = ("parameters", "tags", "entrypoint", "retry", "hooked")
"""What a planned run has from its deployment, under the same name; its flow's version is called otherwise."""


def apply_deployment(tx: Tx, desk: Desk, request: ApplyDeployment) -> Deployment:
    """Make it the deployment of that name of that flow, and plan the runs of its schedules.

    Raises:
        DeploymentApplyError: there can be no such deployment.
        ParameterError: its parameters do not fit what the flow takes.
    """
    _check(request)
    if request.enforce_parameter_schema:
        check_parameters(request.parameter_schema, request.parameters, partial=True)
    deployment = _put_deployment(tx, desk, request)
    schedules = _put_schedules(tx, deployment, request)
    stay = {stored.identity for stored in schedules if stored.kept.paused_by is None}
    planned = planned_runs(tx, deployment.id)
    delete_planned(tx, [id_ for id_, identity in planned.items() if identity not in stay])
    _look_at(tx, desk, deployment, schedules)
    _renew_planned_runs(tx, desk, deployment)
    return deployment_with(tx, deployment.id)


def delete_deployment(tx: Tx, desk: Desk, request: DeleteDeployment) -> Done:
    """Forget it. What was planned goes too; what waits for a start that nobody will make is cancelled.

    Raises:
        DeploymentNotFound: there is none.
    """
    deployment = deployment_with(tx, request.deployment_id)
    delete_planned(tx, planned_runs(tx, deployment.id))
    waiting = tx.execute(
        "SELECT id FROM flow_runs WHERE deployment_id = ? AND state_type = 'SCHEDULED'",
        (deployment.id.bytes,),
    )
    ids = [UUID(bytes=id_) for (id_,) in waiting]
    facts.load_flow_runs(tx, desk, ids)
    for id_ in ids:
        if id_ not in desk.leases:
            desk.judge(desk.flow_run(id_), Cancelled(message="Its deployment was deleted."), clock.new_id())
    tx.execute("DELETE FROM deployments WHERE id = ?", (deployment.id.bytes,))
    return Done()


def pause_schedules(tx: Tx, desk: Desk, request: PauseSchedules) -> Deployment:
    """Pause what fires; for the operator also what the runner has paused. Nothing stays planned.

    Raises:
        DeploymentNotFound: there is none.
    """
    del desk
    deployment = deployment_with(tx, request.deployment_id)
    which = "" if request.by is PausedBy.OPERATOR else " AND paused_by IS NULL"
    tx.execute(f"{_PAUSE}{which}", (request.by.value, deployment.id.bytes))
    delete_planned(tx, planned_runs(tx, deployment.id))
    return deployment_with(tx, deployment.id)


def resume_schedules(tx: Tx, desk: Desk, request: ResumeSchedules) -> Deployment:
    """Resume what the asker may resume. Unless a pause is to be made up for, they are looked at as of now.

    Raises:
        DeploymentNotFound: there is none.
    """
    deployment = deployment_with(tx, request.deployment_id)
    mine = set(PausedBy) if request.by is PausedBy.OPERATOR else {PausedBy.RUNNER}
    resumed = [
        evolve(
            stored,
            kept=evolve(stored.kept, paused_by=None),
            looked=stored.looked if request.makes_up else desk.now,
        )
        for stored in schedules_of(tx, {deployment.id.bytes}).get(deployment.id.bytes, ())
        if stored.kept.paused_by in mine
    ]
    tx.executemany(_RESUME, [(stored.identity,) for stored in resumed])
    _look_at(tx, desk, deployment, resumed)
    return deployment_with(tx, deployment.id)


JUDGED: Mapping[str, Callable[[Tx, Desk, Any], Any]] = {
    "apply_deployment": apply_deployment,
    "delete_deployment": delete_deployment,
    "pause_schedules": pause_schedules,
    "resume_schedules": resume_schedules,
}
"""Endpoint name -> what judges it, in a transaction and at a desk of its own."""


def _check(request: ApplyDeployment) -> None:
    if not request.name or set("/%") & set(request.name):
        raise DeploymentApplyError(
            f"a deployment cannot be called {request.name!r}: give it a name without '/' and '%'"
        )
    if (count := len(request.schedules)) > MOST_SCHEDULES:
        raise DeploymentApplyError(
            f"{request.name!r} has {count} schedules, and {MOST_SCHEDULES} are the most: "
            "join some of them, or spread them over several deployments"
        )


def _put_deployment(tx: Tx, desk: Desk, request: ApplyDeployment) -> Deployment:
    facts.load_flows(tx, desk, {request.flow_name})
    flow_id = desk.flow_id(request.flow_name)
    apply.write_flows(tx, desk)
    named = f"{queries.DEPLOYMENTS} WHERE deployments.flow_id = ? AND deployments.name = ?"
    known = tx.execute(named, (flow_id.bytes, request.name))
    old = deployment_from(known[0], ()) if known else None
    deployment = Deployment(
        id=old.id if old else request.id,
        flow_id=flow_id,
        flow_name=request.flow_name,
        name=request.name,
        entrypoint=request.entrypoint,
        parameters=request.parameters,
        parameter_schema=request.parameter_schema,
        enforce_parameter_schema=request.enforce_parameter_schema,
        tags=request.tags,
        description=request.description,
        version=request.version,
        triggers=request.triggers,
        retry=request.retry,
        hooked=request.hooked,
        on_shutdown=request.on_shutdown,
        created=old.created if old else desk.now,
        updated=desk.now,
    )
    tx.execute(_UPDATE_DEPLOYMENT if old else _INSERT_DEPLOYMENT, deployment_row(deployment))
    return deployment


def _put_schedules(tx: Tx, deployment: Deployment, request: ApplyDeployment) -> Sequence[StoredSchedule]:
    """The schedules as they are from now on; equal ones are one, and those that were there keep how they stand."""
    before = schedules_of(tx, {deployment.id.bytes}).get(deployment.id.bytes, ())
    standing = {stored.identity: stored for stored in before}
    schedules: dict[str, StoredSchedule] = {}
    for position, given in enumerate(request.schedules):
        identity = schedule_identity(deployment.flow_name, deployment.name, given.schedule)
        old = standing.get(identity)
        schedules.setdefault(
            identity,
            StoredSchedule(
                identity=identity,
                deployment_id=deployment.id,
                position=position,
                kept=evolve(given, paused_by=old.kept.paused_by) if old else given,
                looked=old.looked if old else None,
            ),
        )
    tx.execute(_FORGET_SCHEDULES, (deployment.id.bytes,))
    tx.executemany(_INSERT_SCHEDULE, [schedule_row(stored) for stored in schedules.values()])
    return list(schedules.values())


def _look_at(tx: Tx, desk: Desk, deployment: Deployment, schedules: Sequence[StoredSchedule]) -> None:
    for stored in schedules:
        if stored.kept.paused_by is None:
            look(tx, desk, deployment, stored)


def _renew_planned_runs(tx: Tx, desk: Desk, deployment: Deployment) -> None:
    """What was planned already is run as the deployment says now."""
    ids = [UUID(bytes=id_) for id_ in planned_runs(tx, deployment.id)]
    facts.load_flow_runs(tx, desk, ids)
    changes = {name: getattr(deployment, name) for name in _CARRIED} | {"flow_version": deployment.version}
    for id_ in ids:
        run = desk.flow_run(id_)
        renewed = evolve(run, **changes)
        if renewed != run:
            desk.put(renewed)
