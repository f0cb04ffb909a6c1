"""Rules as users write them, with which nothing is wrong."""

from __future__ import annotations

from datetime import timedelta

from tests.testing.planted import (
    CANCELLING,
    COMPLETED,
    FAILED,
    NONE,
    PENDING,
    RUNNING,
    SCHEDULED,
    Bad,
)
from trioflow.core.decisions import Edit, Fact, rule
from trioflow.core.states import AwaitingRetry, Failed
from trioflow.core.tables import TASK_RUNS
from trioflow.core.verdicts import Abort, Reject, Wait


@rule()
def hold_back_at_night(proposal):
    """Nothing starts before six in the morning."""
    six = proposal.now.replace(hour=6, minute=0, second=0, microsecond=0)
    return (
        Wait((six - proposal.now).total_seconds(), "At night nothing starts.") if proposal.now < six else None
    )


@rule()
def ask_each_minute_for_the_weekend(proposal):
    return (
        Wait(60.0, "Not on a weekday.")
        if proposal.now.weekday() < 5 and "batch" in proposal.run.tags
        else None
    )


@rule()
def refuse_what_has_no_region(proposal):
    return None if proposal.flow_run.parameters.get("region") else Abort("Say for which region.")


@rule()
def name_it_after_its_region(proposal):
    region = proposal.flow_run.parameters.get("region")
    return Edit(run={"name": f"{region}-{proposal.run.name}"}) if region else None


@rule(Fact.LIMITS)
def leave_a_slot_for_the_urgent(proposal):
    held = max((len(limit.holders) for limit in proposal.facts.limits), default=0)
    return (
        Wait(5.0, "The last slot is for what is urgent.")
        if held and "urgent" not in proposal.run.tags
        else None
    )


@rule(Fact.PARENT)
def try_once_more_in_the_first_attempt(proposal):
    parent, run = proposal.facts.parent, proposal.run
    if parent is None or parent.state is None or parent.state.type is not RUNNING or run.attempt > 1:
        return None
    return Reject(AwaitingRetry(proposal.now + timedelta(seconds=30)), "Once more.", written=True)


@rule()
def a_run_without_a_result_has_failed(proposal):
    if proposal.state.data is not None:
        return None
    return Reject(Failed(message="There is no result."), "There is no result.", written=True)


@rule()
def say_who_cancelled(proposal):
    return Edit(state=proposal.state) if proposal.state.message is None else None


GOOD = [
    Bad(hold_back_at_night, SCHEDULED, RUNNING, ""),
    Bad(hold_back_at_night, PENDING, RUNNING, "", TASK_RUNS, first=True),
    Bad(ask_each_minute_for_the_weekend, SCHEDULED, PENDING, ""),
    Bad(refuse_what_has_no_region, NONE, SCHEDULED, ""),
    Bad(refuse_what_has_no_region, PENDING, RUNNING, ""),
    Bad(name_it_after_its_region, SCHEDULED, PENDING, ""),
    Bad(leave_a_slot_for_the_urgent, PENDING, RUNNING, "", TASK_RUNS),
    Bad(try_once_more_in_the_first_attempt, RUNNING, FAILED, "", TASK_RUNS),
    Bad(a_run_without_a_result_has_failed, RUNNING, COMPLETED, "", TASK_RUNS),
    Bad(say_who_cancelled, RUNNING, CANCELLING, ""),
]
