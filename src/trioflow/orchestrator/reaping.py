"""Reaping: what becomes of runs whose owner is gone. Called by whoever holds a transaction, on any process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trioflow import clock
from trioflow.core.leases import LEASE_EXPIRED, state_after_reaping
from trioflow.core.states import Cancelled, Crashed, State, StateType
from trioflow.orchestrator import facts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trioflow.core.leases import Lease
    from trioflow.core.runs import FlowRun, Run
    from trioflow.orchestrator.desk import Desk
    from trioflow.store.store import Tx


def reap(tx: Tx, desk: Desk, lease: Lease) -> None:
    """End, or give back, the run under this lease and everything under it, children first; then take the lease away.

    The reaper speaks with the dead owner's epoch, and the root's last transition raises it: should the owner not be
    dead after all, nothing that it says from then on is heard.
    """
    facts.load_tree(tx, desk, lease.run_id)
    root = desk.flow_runs.get(lease.run_id)
    if root is None:
        _end(desk, desk.task_runs.get(lease.run_id), _crashed(), lease.epoch)
        desk.end_lease(lease.run_id)
        return
    target = state_after_reaping(root, desk.now)
    if target is not None:
        for child in list(_unfinished_under(desk, lease)):
            _end(desk, child, _end_of(child, root), lease.epoch)
        _propose(desk, root, target, lease.epoch, new_owner=True)
    desk.end_lease(lease.run_id)


def _end_of(child: Run, root: FlowRun) -> State:
    """A run that was being cancelled, itself or with its root, is cancelled; all others crashed."""
    if any(run.state and run.state.type is StateType.CANCELLING for run in (child, root)):
        return Cancelled(message="Its owner is gone.", cause=LEASE_EXPIRED)
    return _crashed()


def _crashed() -> State:
    return Crashed(message="The process that ran it is gone.", cause=LEASE_EXPIRED)


def _unfinished_under(desk: Desk, lease: Lease) -> Iterable[Run]:
    """Task runs before subflow runs: a mirror of a subflow is ended by the subflow's own end."""
    subflows = [run for run in desk.flow_runs.values() if run.root_id == lease.run_id != run.id]
    mirrors = {run.parent_task_run_id for run in subflows}
    yield from (
        run for run in desk.task_runs.values() if run.root_id == lease.run_id and run.id not in mirrors
    )
    yield from subflows


def _end(desk: Desk, run: Run | None, state: State, epoch: int) -> None:
    if run is not None and run.state is not None and not run.state.is_final:
        _propose(desk, run, state, epoch)


def _propose(desk: Desk, run: Run, state: State, epoch: int, *, new_owner: bool = False) -> None:
    desk.judge(run, state, clock.new_id(), epoch=epoch, new_owner=new_owner)
