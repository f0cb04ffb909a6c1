"""Turns: runs of one schedule that must not overlap, as the database and the desk know them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trioflow.core.schedules.window import Overlap
from trioflow.orchestrator.planning import identity_in
from trioflow.store import rows
from trioflow.store.queries import FLOW_RUNS, select_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from uuid import UUID

    from trioflow.core.runs import FlowRun
    from trioflow.orchestrator.desk import Desk
    from trioflow.store.store import Tx

_POLICIES = "SELECT identity, overlap FROM schedules"
_AT_WORK = (
    f"{FLOW_RUNS} WHERE state_type IN ('PENDING', 'RUNNING', 'PAUSED', 'SUSPENDED', 'CANCELLING')"
    " AND +fire_key IS NOT NULL"
)
_WAITS = f"{FLOW_RUNS} WHERE state_type = 'SCHEDULED' AND +fire_key IS NOT NULL AND epoch > 0 AND"
_IN_A_PROCESS = f"{_WAITS} id IN (SELECT run_id FROM leases)"  # noqa: S608 - ours
_IN_NO_PROCESS = f"{_WAITS} deployment_id = ?"


def has_begun(run: FlowRun) -> bool:
    """Whether somebody has claimed it, be it long ago: its turn has come, and lasts until it is over."""
    return run.epoch > 0


def schedule_of(run: FlowRun) -> str | None:
    """The identity of the schedule whose run it is; None for a run that somebody asked for."""
    return identity_in(run.fire_key) if run.fire_key else None


def policies(tx: Tx, deployment_ids: Iterable[UUID]) -> Mapping[str, Overlap]:
    """The overlap policies of these deployments' schedules, as far as they object to anything, by identity."""
    found = select_in(tx, _POLICIES, "deployment_id", (id_.bytes for id_ in deployment_ids))
    return {identity: Overlap(text) for identity, text in found if text != Overlap.ALLOW.value}


def going_on(tx: Tx, deployment_ids: Iterable[UUID]) -> list[FlowRun]:
    """The runs of schedules that have begun and are not over, in the order of their fires, and perhaps some of others.

    A deployment that was deleted and made again has another id, its schedules are the same, and their runs go on: they
    are looked for among all that is at work. What only waits for another try is found by its process or its deployment.
    """
    rows_of_them = [*tx.execute(_AT_WORK), *tx.execute(_IN_A_PROCESS)]
    for id_ in deployment_ids:
        rows_of_them += tx.execute(_IN_NO_PROCESS, (id_.bytes,))
    found = {run.id: run for run in map(rows.flow_run_from, rows_of_them)}
    return sorted(found.values(), key=lambda run: run.fire_key or "")


def out_of_turn(tx: Tx, desk: Desk, run: FlowRun) -> str | None:
    """Why this run cannot be claimed now, if the reason is another run of its schedule."""
    identity = schedule_of(run)
    if identity is None or run.deployment_id is None or has_begun(run):
        return None
    if identity not in policies(tx, {run.deployment_id}):
        return None
    stored = {other.id: other for other in going_on(tx, {run.deployment_id})}
    for other in (stored | desk.flow_runs).values():
        if schedule_of(other) == identity and has_begun(other) and not _is_over(other):
            return f"Another run of its schedule is going on ({other.name}), and they do not overlap."
    return None


def _is_over(run: FlowRun) -> bool:
    return run.state is None or run.state.type.is_final
