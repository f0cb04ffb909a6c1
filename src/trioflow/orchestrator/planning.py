"""Planning: what a schedule owes gets runs, and runs that it does not owe any more go.

A planned run is an intention: SCHEDULED at its fire, never claimed, moved by nobody. It may be deleted with its
history. A run that has begun, or that somebody has touched, stays, and its fire key keeps that fire from getting
another one.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from trioflow import clock
from trioflow.core.keys import drawn_run_name
from trioflow.core.runs import FlowRun, changed
from trioflow.core.schedules.identity import fire_key
from trioflow.core.schedules.window import Planning, Standing, plan
from trioflow.core.states import Scheduled
from trioflow.errors import StoreError
from trioflow.store.deployment_rows import deployment_from, schedule_from
from trioflow.store.queries import DEPLOYMENTS, PLANNED, SCHEDULES, select_in
from trioflow.store.rows import instant_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from trioflow.core.deployments import Deployment
    from trioflow.orchestrator.desk import Desk
    from trioflow.store.deployment_rows import StoredSchedule
    from trioflow.store.rows import Row
    from trioflow.store.store import Tx

logger = logging.getLogger("trioflow.scheduler")

AHEAD = 20
"""So many runs of a schedule are planned ahead; when half of them are left, it is planned again."""
HORIZON = timedelta(days=100)
"""No run is planned further ahead than this."""

_AFTER = f"SELECT expected_start, id, {PLANNED} FROM flow_runs WHERE fire_key > ? AND fire_key < ?"  # noqa: S608 - ours
_OF_DEPLOYMENT = f"SELECT fire_key, id FROM flow_runs WHERE deployment_id = ? AND {PLANNED}"  # noqa: S608 - ours
_UNLOOKED = f"{SCHEDULES} WHERE paused_by IS NULL AND (looked IS NULL OR looked < ?)"
_PUT_OFF = timedelta(hours=1)
_LOOKED = "UPDATE schedules SET looked = ?, plan_at = ? WHERE identity = ?"


def look(tx: Tx, desk: Desk, deployment: Deployment, stored: StoredSchedule) -> None:
    """Plan the runs of a schedule that fires, and write down that it was looked at."""
    looked = stored.looked or desk.now
    found = _runs_after(tx, stored.identity, looked)
    planned = {fire: id_ for fire, (id_, is_planned) in found.items() if is_planned}
    planning = Planning(
        catch_up=stored.kept.catch_up, runs_ahead=AHEAD, horizon=HORIZON, tolerance=desk.downtime
    )
    standing = Standing(schedule=stored.kept.schedule, looked=looked, planned=frozenset(planned))
    owed = plan(standing, desk.now, planning)
    delete_planned(tx, [planned[fire] for fire in owed.drop])
    for fire in owed.create:
        if fire not in found:
            run = run_of(deployment, clock.new_id(), drawn_run_name(clock.draw()), desk.now)
            run = changed(run, fire_key=fire_key(stored.identity, fire))
            desk.judge(run, Scheduled(fire), clock.new_id())
    settled = max(looked, desk.now)
    plan_at = _plan_at(desk.now, [fire for fire in planned.keys() | set(owed.create) if fire > settled])
    tx.execute(_LOOKED, (instant_text(settled), instant_text(plan_at), stored.identity))


def look_at(tx: Tx, desk: Desk, found: Sequence[Row]) -> None:
    """Look at the schedules in these rows. One that cannot be planned is told of, and left alone for an hour."""
    ids = {row[1] for row in found}
    rows = select_in(tx, DEPLOYMENTS, "deployments.id", ids)
    deployments = {row[0]: deployment_from(row, ()) for row in rows}
    for row in found:
        try:
            look(tx, desk, deployments[row[1]], schedule_from(row))
        except StoreError:
            raise
        except Exception:
            name = deployments[row[1]].full_name
            logger.exception("a schedule of %s cannot be planned: %s", name, row[3])
            later = desk.now + _PUT_OFF
            tx.execute(_LOOKED, (instant_text(desk.now), instant_text(later), row[0]))


def unlooked_at(tx: Tx, deployment_ids: Iterable[UUID], since: datetime) -> Sequence[Row]:
    """The rows of these deployments' schedules that fire and that nobody has looked at since then: none, as a rule."""
    found = tx.execute(_UNLOOKED, (instant_text(since),))
    ids = {id_.bytes for id_ in deployment_ids} if found else ()
    return [row for row in found if row[1] in ids]


def planned_runs(tx: Tx, deployment_id: UUID) -> Mapping[bytes, str]:
    """The planned runs of a deployment, by their ids in the store, with the identities of their schedules."""
    found = tx.execute(_OF_DEPLOYMENT, (deployment_id.bytes,))
    return {id_: identity_in(key) for key, id_ in found}


def delete_planned(tx: Tx, ids: Iterable[bytes]) -> None:
    """Forget these planned runs."""
    keys = [(id_,) for id_ in ids]
    if keys:
        tx.executemany("DELETE FROM states WHERE run_id = ?", keys)
        tx.executemany("DELETE FROM flow_runs WHERE id = ?", keys)


def identity_in(key: str) -> str:
    """The identity of the schedule that a fire key speaks of."""
    return key.partition("@")[0]


def _runs_after(tx: Tx, identity: str, looked: datetime) -> dict[datetime, tuple[bytes, bool]]:
    """The runs of a schedule's fires after an instant, by their fires; and whether they are planned ones."""
    between = fire_key(identity, looked), f"{identity}A"  # the character after the @ of fire keys
    found = tx.execute(_AFTER, between)
    return {datetime.fromisoformat(fire): (id_, bool(is_planned)) for fire, id_, is_planned in found}


def run_of(deployment: Deployment, id: UUID, name: str, now: datetime) -> FlowRun:
    """A run as the deployment has it, without a state."""
    return FlowRun(
        id=id,
        flow_id=deployment.flow_id,
        name=name,
        root_id=id,
        retry=deployment.retry,
        parameters=deployment.parameters,
        tags=deployment.tags,
        deployment_id=deployment.id,
        entrypoint=deployment.entrypoint,
        flow_version=deployment.version,
        hooked=deployment.hooked,
        created=now,
    )


def _plan_at(now: datetime, ahead: Sequence[datetime]) -> datetime:
    """When half of what lies ahead is used up."""
    if len(ahead) < AHEAD:
        return now + HORIZON / 2
    return sorted(ahead)[AHEAD // 2 - 1]
