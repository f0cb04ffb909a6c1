"""Endings that others write: what becomes of runs whose process is gone, and of everything under them.

Either nobody is left to tell (the reaper, on any process, speaks for a dead owner), or the owner is a runner that has
seen the process of the run go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from trioflow import clock
from trioflow.core.leases import LEASE_EXPIRED, state_after_reaping
from trioflow.core.states import Cancelled, Crashed, State, StateType
from trioflow.orchestrator import facts
from trioflow.wire.replies import FlowRunAnswer

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from trioflow.core.leases import Lease
    from trioflow.core.runs import FlowRun, Run
    from trioflow.orchestrator.desk import Asked, Desk
    from trioflow.store.store import Tx
    from trioflow.wire.requests import CloseFlowRun


def reap(tx: Tx, desk: Desk, lease: Lease) -> None:
    """End, or give back, the run under this lease and everything under it, children first; then take the lease away.

    The reaper speaks with the dead owner's epoch, and raises it, also where the run may stay as it is: should the
    owner not be dead after all, nothing that it says from then on is heard.
    """
    facts.load_tree(tx, desk, lease.run_id)
    desk.leases.setdefault(lease.run_id, lease)  # it was loaded with its run, if that is there
    root = desk.flow_runs.get(lease.run_id)
    target = state_after_reaping(root, desk.now) if root else None
    if root is None:
        _end(desk, desk.task_runs.get(lease.run_id), _crashed(LEASE_EXPIRED), lease.epoch)
    elif target is not None:
        _end_all_under(desk, root, target, lease.epoch, cause=LEASE_EXPIRED)
        desk.judge(root, target, clock.new_id(), epoch=lease.epoch, new_owner=True)
    elif root.epoch == lease.epoch:
        desk.put(evolve(root, epoch=root.epoch + 1))
    desk.disown(lease.run_id)
    desk.end_lease(lease.run_id)


def close_flow_run(tx: Tx, desk: Desk, request: CloseFlowRun) -> FlowRunAnswer:
    """End what is unfinished under the run, then the run, as its owner says; then its lease.

    The run's epoch rises: whatever its process may have said and nobody has heard yet comes too late.
    """
    facts.load_tree(tx, desk, request.run_id)
    run = desk.flow_run(request.run_id)
    is_its_owner = run.epoch == request.epoch
    target = request.state
    if _is_cancelling(run) and target.type is not StateType.CANCELLED:
        target = Cancelled(message="Its process is gone.", cause="cancel_requested")
    if request.transition_id not in desk.answered:
        _end_all_under(desk, run, target, request.epoch)
    asked: Asked = {"epoch": request.epoch, "new_owner": True, "draw": request.draw}
    verdict = desk.judge(run, target, request.transition_id, **asked)
    run = desk.flow_run(run.id)
    if is_its_owner:
        desk.disown(run.id)
        if _is_for_anybody(run):
            desk.end_lease(run.id)
    return FlowRunAnswer(verdict, run)


def _end_all_under(desk: Desk, root: FlowRun, target: State, epoch: int, *, cause: str | None = None) -> None:
    for child in list(_unfinished_under(desk, root.id)):
        is_cancelled = target.type is StateType.CANCELLED or _is_cancelling(child)
        state = Cancelled(message="Its owner is gone.", cause=cause) if is_cancelled else _crashed(cause)
        _end(desk, child, state, epoch)


def _is_for_anybody(run: FlowRun) -> bool:
    """Whether somebody else can take it up. One that is over has no lease any more; a custom rule may keep others."""
    return run.state is not None and run.state.type in {StateType.SCHEDULED, StateType.SUSPENDED}


def _is_cancelling(run: Run) -> bool:
    return run.state is not None and run.state.type is StateType.CANCELLING


def _crashed(cause: str | None) -> State:
    return Crashed(message="The process that ran it is gone.", cause=cause)


def _unfinished_under(desk: Desk, root_id: UUID) -> Iterable[Run]:
    """Task runs before subflow runs: a mirror of a subflow is ended by the subflow's own end."""
    subflows = [run for run in desk.flow_runs.values() if run.root_id == root_id != run.id]
    mirrors = {run.parent_task_run_id for run in subflows}
    yield from (run for run in desk.task_runs.values() if run.root_id == root_id and run.id not in mirrors)
    yield from subflows


def _end(desk: Desk, run: Run | None, state: State, epoch: int) -> None:
    if run is not None and run.state is not None and not run.state.is_final:
        desk.judge(run, state, clock.new_id(), epoch=epoch)
