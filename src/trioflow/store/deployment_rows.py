"""How deployments and their schedules stand in rows; see `trioflow.store.rows`."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson
from attrs import frozen

from trioflow.core.deployments import Deployment, DeploymentSchedule, OnShutdown, PausedBy
from trioflow.core.schedules.window import CatchUp, Overlap
from trioflow.store.rows import (
    instant_text,
    json_text,
    retry_from,
    retry_text,
    set_from,
    set_text,
    types_from,
)
from trioflow.wire.schedules import read_schedule, spell_schedule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trioflow.store.rows import Row

DEPLOYMENT_COLUMNS = (
    *("id", "flow_id", "name", "entrypoint", "parameters", "parameter_schema", "enforce_schema", "tags"),
    *("description", "version", "triggers", "retry", "hooked", "on_shutdown", "created", "updated"),
)
SCHEDULE_COLUMNS = (
    *("identity", "deployment_id", "position", "schedule", "catch_up", "overlap"),
    *("paused_by", "looked", "plan_at"),
)


@frozen(kw_only=True)
class StoredSchedule:
    """A schedule's row."""

    identity: str
    deployment_id: UUID
    position: int
    """Its place among the schedules of its deployment."""
    kept: DeploymentSchedule
    looked: datetime | None = None
    """All fires up to then are settled; None for one that was never looked at."""
    plan_at: datetime | None = None
    """When its runs are to be planned again; None is at once."""


def deployment_row(deployment: Deployment) -> Row:
    """The row of a deployment, in the order of `DEPLOYMENT_COLUMNS`."""
    return (
        deployment.id.bytes,
        deployment.flow_id.bytes,
        deployment.name,
        deployment.entrypoint,
        json_text(deployment.parameters),
        json_text(deployment.parameter_schema),
        deployment.enforce_parameter_schema,
        set_text(deployment.tags),
        deployment.description,
        deployment.version,
        json_text(deployment.triggers) if deployment.triggers else None,
        retry_text(deployment.retry),
        set_text(deployment.hooked),
        deployment.on_shutdown.value,
        instant_text(deployment.created),
        instant_text(deployment.updated),
    )


def deployment_from(row: Sequence[Any], schedules: tuple[DeploymentSchedule, ...]) -> Deployment:
    """The deployment that stands in a row, followed by the name of its flow."""
    return Deployment(
        id=UUID(bytes=row[0]),
        flow_id=UUID(bytes=row[1]),
        name=row[2],
        entrypoint=row[3],
        parameters=orjson.loads(row[4]),
        parameter_schema=orjson.loads(row[5]),
        enforce_parameter_schema=bool(row[6]),
        tags=set_from(row[7]),
        description=row[8],
        version=row[9],
        triggers=tuple(orjson.loads(row[10])) if row[10] else (),
        retry=retry_from(row[11]),
        hooked=types_from(row[12]),
        on_shutdown=OnShutdown(row[13]),
        created=datetime.fromisoformat(row[14]),
        updated=datetime.fromisoformat(row[15]),
        flow_name=row[16],
        schedules=schedules,
    )


def schedule_row(stored: StoredSchedule) -> Row:
    """The row of a schedule, in the order of `SCHEDULE_COLUMNS`."""
    kept = stored.kept
    return (
        stored.identity,
        stored.deployment_id.bytes,
        stored.position,
        json_text(spell_schedule(kept.schedule)),
        str(kept.catch_up),
        kept.overlap.value,
        kept.paused_by and kept.paused_by.value,
        instant_text(stored.looked),
        instant_text(stored.plan_at),
    )


def schedule_from(row: Sequence[Any]) -> StoredSchedule:
    """The schedule that stands in a row.

    Raises:
        InvalidSchedule: there cannot be such a schedule here (any more): its zone is not known, say.
    """
    kept = DeploymentSchedule(
        schedule=read_schedule(orjson.loads(row[3])),
        catch_up=CatchUp.named(row[4]),
        overlap=Overlap(row[5]),
        paused_by=PausedBy(row[6]) if row[6] else None,
    )
    return StoredSchedule(
        identity=row[0],
        deployment_id=UUID(bytes=row[1]),
        position=row[2],
        kept=kept,
        looked=datetime.fromisoformat(row[7]) if row[7] else None,
        plan_at=datetime.fromisoformat(row[8]) if row[8] else None,
    )
