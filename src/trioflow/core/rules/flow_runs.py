"""Rules that judge flow runs only."""

from __future__ import annotations

from trioflow.core.decisions import Answer, Edit, Proposal, rule
from trioflow.core.leases import LEASE_EXPIRED
from trioflow.core.retries import retries_left
from trioflow.core.rules.shared import await_retry, refuse
from trioflow.core.runs import FlowRun
from trioflow.core.states import Cancelled, Failed, StateType
from trioflow.core.verdicts import Abort, Reject

# --- scheduling


@rule()
def mark_late_only_what_is_scheduled(proposal: Proposal) -> Answer:
    """Only a scheduled run can be late (OR-08)."""
    if proposal.state.name != "Late":
        return None
    return refuse(proposal.run.state, "Only scheduled flows can be marked late.")


@rule()
def mark_late_only_once(proposal: Proposal) -> Answer:
    """A run that is late already is not marked again, so that its history does not grow by waiting (OR-08)."""
    current = proposal.run.state
    if current and proposal.state.name == "Late" == current.name:
        return Reject(current, "This run is marked late already.")
    return None


@rule()
def rerun_only_when_declared(proposal: Proposal) -> Answer:
    """A run that is over starts again only when somebody says that this is a rerun (OR-04)."""
    if proposal.rerun:
        return None
    current = proposal.run.state
    over = current.type if current else None
    return Abort(f"Run is already in terminal state {over}; only a declared rerun leaves it.", current)


@rule()
def rerun_only_what_can_be_loaded(proposal: Proposal) -> Answer:
    """A rerun needs something that another process can load the flow by; whoever claims it at once has the flow."""
    if proposal.new_owner or proposal.flow_run.deployment_id or proposal.flow_run.entrypoint:
        return None
    return Abort("Cannot reschedule a run without an associated deployment.", proposal.run.state)


# --- pausing and resuming


@rule()
def pause_once_for_each_key(proposal: Proposal) -> Answer:
    """A pause that happened already is over; one without a key is one of its own (PA-04)."""
    key = proposal.state.details.pause_key
    if key is None:
        return Edit(state=proposal.state.with_details(pause_key=str(proposal.transition_id)))
    if key in proposal.flow_run.pause_keys:
        return refuse(proposal.run.state, "This pause has already fired.")
    return None


@rule()
def suspend_only_root_runs(proposal: Proposal) -> Answer:
    """A subflow cannot leave the process on its own (PA-21)."""
    if proposal.flow_run.parent_task_run_id is None:
        return None
    return Abort("Cannot suspend subflows.", proposal.run.state)


@rule()
def suspend_only_what_is_deployed(proposal: Proposal) -> Answer:
    """A run that leaves its process must be one that a runner can start again (PA-09, PA-21)."""
    if proposal.flow_run.deployment_id:
        return None
    return Abort("Cannot suspend flows without a deployment.", proposal.run.state)


@rule()
def resume_only_what_is_deployed(proposal: Proposal) -> Answer:
    """A suspended run goes on in another process, so some runner has to know its deployment (PA-09)."""
    if proposal.flow_run.deployment_id:
        return None
    return refuse(proposal.run.state, "Cannot reschedule a suspended flow run without a deployment.")


@rule()
def resume_only_in_time(proposal: Proposal) -> Answer:
    """Resuming after the pause's timeout fails the run (PA-21); every other way to end it stays open."""
    current = proposal.run.state
    timeout = current.details.pause_timeout if current else None
    if current is None or timeout is None or timeout >= proposal.now:
        return None
    failed = Failed(message=f"The flow was {current.name.lower()} and never resumed.")
    return Reject(failed, "The flow run's pause has timed out and can no longer resume.", written=True)


# --- cancelling


@rule()
def cancel_at_once_what_nobody_owns(proposal: Proposal) -> Answer:
    """With no process to end, a cancelled run is over at once (OR-06)."""
    if proposal.facts.fence.leased or _has_infrastructure(proposal.flow_run):
        return None
    cancelled = Cancelled(message=proposal.state.message, cause="cancel_requested")
    return Reject(cancelled, "Nobody runs this flow run, so there is nothing to wait for.", written=True)


def _has_infrastructure(run: FlowRun) -> bool:
    """Whether a client that knows no leases started a process for it, and the run has not left that one since."""
    if run.state is None or run.state.type is StateType.SUSPENDED or run.state.name == "Resuming":
        return False
    return run.infrastructure_pid is not None


# --- retrying


@rule()
def retry_failed_flow(proposal: Proposal) -> Answer:
    """A failed run with retries left is tried again (RT-01)."""
    return await_retry(proposal) if retries_left(proposal.run) else None


@rule()
def retry_crashed_flow(proposal: Proposal) -> Answer:
    """So is one that crashed, if its policy says so and somebody is there, or will be, to run it.

    A reaped run has lost its process: only a deployment brings it another one.
    """
    run = proposal.flow_run
    runs_on = run.deployment_id is not None or proposal.state.details.cause != LEASE_EXPIRED
    return await_retry(proposal) if run.retry.on_crash and runs_on and retries_left(run) else None
