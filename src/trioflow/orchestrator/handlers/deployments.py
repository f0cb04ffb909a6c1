"""Deployments, read."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import TYPE_CHECKING

from trioflow.errors import DeploymentNotFound
from trioflow.store.conditions import Conditions
from trioflow.store.deployment_rows import StoredSchedule, deployment_from, schedule_from
from trioflow.store.queries import DEPLOYMENTS, SCHEDULES, select_in
from trioflow.wire.replies import Deployments

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from trioflow.core.deployments import Deployment
    from trioflow.store.rows import Row
    from trioflow.store.store import Tx
    from trioflow.wire.requests import FindDeployments, ReadDeployment

_NEXT_DUE = (
    "SELECT min(next_scheduled_start) FROM flow_runs WHERE deployment_id = ? AND state_type = 'SCHEDULED'"
)


def read_deployment(tx: Tx, request: ReadDeployment) -> Deployment:
    """The deployment with this id."""
    return deployment_with(tx, request.deployment_id)


def find_deployments(tx: Tx, request: FindDeployments) -> Deployments:
    """A page of deployments, by flow and name."""
    which = request.filter
    where = Conditions()
    where.equal("flows.name", which.flow_name)
    where.equal("deployments.name", which.name)
    page = (*where.parameters, which.limit, which.offset)
    order = "ORDER BY flows.name, deployments.name LIMIT ? OFFSET ?"
    found = _with_schedules(tx, tx.execute(f"{DEPLOYMENTS}{where.text} {order}", page))
    return Deployments(found, tuple(_next_due(tx, deployment.id) for deployment in found))


def deployment_with(tx: Tx, deployment_id: UUID) -> Deployment:
    """The deployment with this id.

    Raises:
        DeploymentNotFound: there is none.
    """
    found = deployments_with(tx, {deployment_id.bytes})
    if not found:
        raise DeploymentNotFound(f"there is no deployment {deployment_id}")
    return found[0]


def deployments_with(tx: Tx, ids: set[bytes]) -> tuple[Deployment, ...]:
    """Those of these deployments that there are."""
    return _with_schedules(tx, select_in(tx, DEPLOYMENTS, "deployments.id", ids))


def schedules_of(tx: Tx, ids: set[bytes]) -> Mapping[bytes, Sequence[StoredSchedule]]:
    """The schedules of each of these deployments, in their order."""
    found: defaultdict[bytes, list[StoredSchedule]] = defaultdict(list)
    for row in sorted(select_in(tx, SCHEDULES, "deployment_id", ids), key=lambda row: row[2]):
        found[row[1]].append(schedule_from(row))
    return found


def _with_schedules(tx: Tx, found: Sequence[Row]) -> tuple[Deployment, ...]:
    schedules = schedules_of(tx, {row[0] for row in found})
    return tuple(
        deployment_from(row, tuple(stored.kept for stored in schedules.get(row[0], ()))) for row in found
    )


def _next_due(tx: Tx, deployment_id: UUID) -> datetime | None:
    ((due,),) = tx.execute(_NEXT_DUE, (deployment_id.bytes,))
    return due and datetime.fromisoformat(due)
