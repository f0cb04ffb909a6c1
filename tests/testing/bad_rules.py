"""Rules that no table should have, each bad in another way, with the property that it breaks."""

from __future__ import annotations

import itertools
import random
import time
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import uuid4

from trioflow.core.decisions import Edit, Fact, ReleaseSlots, Rule, TakeSlots, rule
from trioflow.core.states import AwaitingRetry, Failed, NotReady, Running, Scheduled, State, StateType
from trioflow.core.verdicts import Abort, Accept, Reject, Wait

# --- not total


@rule()
def look_up_what_may_be_missing(proposal):
    return None if proposal.flow_run.parameters["region"] == "north" else Abort("Only the north is served.")


@rule()
def divide_by_what_is_zero_at_first(proposal):
    share = proposal.run.retry.retries / proposal.run.retries_used
    return Abort("Enough.") if share > 1 else None


@rule(Fact.PARENT)
def forget_that_a_task_may_run_alone(proposal):
    return Wait(5.0, "Not in the first attempt.") if proposal.facts.parent.attempt < 0 else None


# --- not possible


@rule()
def give_a_truth_for_an_answer(proposal):
    return proposal.run.retries_used == 0


@rule()
def accept_by_itself(proposal):
    return Accept(proposal.state)


@rule()
def edit_the_epoch(proposal):
    return Edit(run={"epoch": proposal.flow_run.epoch + 1})


@rule()
def edit_the_id(proposal):
    return Edit(run={"id": proposal.transition_id})


@rule(Fact.PARENT)
def edit_the_attempt(proposal):
    return Edit(run={"attempt": 0})


@rule()
def edit_a_failure_into_a_success(proposal):
    return Edit(state=State(type=StateType.COMPLETED, name="Completed"))


@rule()
def edit_the_due_time_away(proposal):
    return Edit(state=proposal.state.with_details(scheduled_time=None))


@rule()
def edit_the_due_time_to_one_of_no_zone(proposal):
    return Edit(state=proposal.state.with_details(scheduled_time=proposal.now.replace(tzinfo=None)))


@rule()
def edit_what_cannot_be_stored_into_the_parameters(proposal):
    return Edit(run={"parameters": {"judged_by": object()}})


@rule()
def edit_the_policy_into_a_number(proposal):
    return Edit(run={"retry": 3})


@rule()
def say_that_it_runs_though_it_does_not(proposal):
    return Reject(Running(), "It runs somewhere.")


@rule()
def wait_for_less_than_nothing(proposal):
    due = proposal.run.state.details.scheduled_time
    return Wait((due - proposal.now).total_seconds(), "Wait for it.") if due else None


@rule()
def choose_a_state_that_is_closed(proposal):
    return Reject(Failed(), "It did not end well.", written=True)


# --- not pure


@rule()
def toss_a_coin(proposal):
    return Wait(5.0, "Heads.") if random.random() < 0.5 else None


@rule()
def draw_a_number_only_for_what_is_tagged(proposal):
    return Wait(5.0, "Tagged.") if "heavy" in proposal.run.tags and random.randrange(2) else None


SHARED = Random(7)


@rule()
def draw_from_a_generator_of_its_own(proposal):
    return Wait(5.0, "Drawn.") if SHARED.random() < 0.3 else None


@rule()
def look_at_the_clock(proposal):
    return Wait(60.0, "At night nothing starts.") if datetime.now(UTC).hour == 3 else None


@rule()
def look_at_the_seconds_since_the_epoch(proposal):
    return Wait(1.0, "Odd.") if time.time() < 0 else None


@rule()
def make_an_id(proposal):
    return Edit(run={"infrastructure_pid": str(uuid4())})


# --- not clean

asked = 0


@rule()
def count_the_askings(proposal):
    global asked  # noqa: PLW0603 - that is what is bad about it
    asked += 1
    return Wait(5.0, "Enough of it.") if asked > 7 else None


COUNTER = itertools.count()


@rule()
def count_by_an_iterator(proposal):
    return Wait(5.0, "Every third waits.") if next(COUNTER) % 3 == 2 else None


taken: set[object] = set()


@rule()
def take_a_slot_of_its_own_and_refuse(proposal):
    if len(taken) >= 2:
        return Wait(5.0, "All slots are taken.")
    taken.add(proposal.run.id)
    return Abort("Not this one.") if proposal.run.tags else None


def remember(seen=[]):  # noqa: B006 - that is what is bad about it
    def start_each_only_once(proposal):
        seen.append(proposal.run.id)

    return Rule(start_each_only_once)


start_each_only_once = remember()


@rule()
def mark_the_parameters(proposal):
    proposal.flow_run.parameters["judged"] = True


# --- not orderly


@rule()
def prefer_the_first_tag(proposal):
    first = next(iter(proposal.run.tags), None)
    return Wait(5.0, f"{first} waits.") if first == "a" and len(proposal.run.tags) > 1 else None


@rule()
def sort_by_hash(proposal):
    return Wait(5.0, "Odd ones wait.") if hash(proposal.run.name) % 2 else None


# --- not declared


@rule()
def look_at_a_limit_that_it_does_not_declare(proposal):
    return Wait(5.0, "It is crowded.") if any(limit.holders for limit in proposal.facts.limits) else None


@rule()
def look_at_a_parent_that_it_does_not_declare(proposal):
    return Abort("No flow.") if proposal.facts.parent is None else None


# --- not final


@rule()
def schedule_again_what_is_over(proposal):
    return Reject(Scheduled(proposal.now), "Once more.", written=True)


@rule()
def run_again_what_is_over(proposal):
    return Reject(Running(), "Once more.", written=True)


# --- slots


@rule(Fact.LIMITS)
def take_slots_without_counting(proposal):
    tags = frozenset(limit.tag for limit in proposal.facts.limits)
    return Reject(Running(), "There is room.", written=True) if tags else None


@rule()
def take_a_slot_of_a_tag_that_it_does_not_have(proposal):
    return Edit(effects=(TakeSlots(frozenset({"license"})),))


@rule()
def take_a_slot_before_it_runs(proposal):
    return Edit(effects=(TakeSlots(proposal.run.tags),)) if proposal.run.tags else None


@rule()
def give_the_slots_back_while_it_runs(proposal):
    return Edit(effects=(ReleaseSlots(),))


@rule()
def take_a_slot_for_a_flow_run(proposal):
    return Edit(effects=(TakeSlots(frozenset({"a"})),))


# --- not patient


@rule()
def wait_for_ever(proposal):
    return Wait(30.0, "Not yet.")


@rule()
def wait_for_ever_if_it_is_tagged(proposal):
    return Wait(30.0, "Not yet.") if "nightly" in proposal.run.tags else None


@rule()
def wait_for_a_name_that_nobody_gives(proposal):
    return None if proposal.state.name == "Blessed" else Wait(600.0, "It is not blessed.")


@rule()
def put_it_off_to_the_end_of_time(proposal):
    at = proposal.now + timedelta(days=365 * 5_000)
    return Reject(Scheduled(at), "Some day.", written=True)


@rule()
def send_it_where_nobody_looks(proposal):
    return Reject(NotReady("Something is missing."), "Not ready.", written=True)


@rule()
def never_be_content(proposal):
    return Reject(AwaitingRetry(proposal.now), "It can be done better.", written=True)


@rule()
def claim_only_what_is_late(proposal):
    return Wait(10.0, "It is early days.") if proposal.run.state.name == "Scheduled" else None


@rule()
def call_nothing_late_that_has_not_run(proposal):
    started = proposal.run.times.started
    return None if started or proposal.state.name != "Late" else Reject(proposal.run.state, "It never ran.")


# --- not endable


@rule()
def refuse_to_cancel(proposal):
    return Abort("This is too important.")


@rule()
def refuse_to_cancel_what_is_critical(proposal):
    critical = frozenset({"critical", "payroll"})
    return Abort("This is too important.") if critical & proposal.run.tags else None


@rule()
def put_off_the_cancelling_for_ever(proposal):
    return Wait(10.0, "Ask again.")


@rule()
def refuse_to_hear_that_it_ended(proposal):
    return None if proposal.run.retries_used else Abort("It has to be tried twice.")


@rule()
def refuse_to_write_off(proposal):
    return Reject(proposal.run.state, "It cannot have crashed.")
