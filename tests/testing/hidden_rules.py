"""More rules that no table should have: bad in ways that hide, from a look at the code or from a plain run."""

from __future__ import annotations

import os
import socket
import sys
import time
from contextvars import ContextVar
from datetime import timedelta
from random import Random
from types import SimpleNamespace

from trioflow.core.decisions import Edit, Fact, MirrorToParent, ReleaseSlots, rule
from trioflow.core.runs import RetryPolicy
from trioflow.core.states import Failed, Scheduled
from trioflow.core.verdicts import Abort, Reject, Wait


@rule()
def ask_this_machines_time_zone(proposal):
    return Wait(60.0, "At night nothing starts.") if proposal.now.astimezone().hour < 6 else None


@rule()
def look_whether_a_file_is_there(proposal):
    return Wait(60.0, "It is maintained.") if os.access("/maintenance", os.F_OK) else None


@rule()
def ask_another_machine(proposal):
    with socket.socket() as other:
        return Wait(60.0, "It is down.") if other.connect_ex(("127.0.0.1", 9)) else None


@rule()
def read_the_environment(proposal):
    return Wait(60.0, "It is maintained.") if any(name == "MAINTENANCE" for name in os.environ) else None


@rule()
def make_a_generator_of_chance(proposal):
    return Wait(5.0, "Drawn.") if Random().random() < 0.001 else None


@rule()
def sleep_on_it(proposal):
    time.sleep(3_600)


@rule()
def share_out_by_identity(proposal):
    return Wait(5.0, "Not this one.") if id(proposal.run) % 4_096 == 16 else None


class Quota:
    """It shows by its address alone, and holds a number."""

    __slots__ = ("left",)

    def __init__(self):
        self.left = 1_000


QUOTA = SimpleNamespace(of_the_day=Quota())


@rule()
def use_up_a_quota(proposal):
    QUOTA.of_the_day.left -= 1
    return None if QUOTA.of_the_day.left > 0 else Wait(60.0, "It is used up.")


SERIAL: ContextVar[int] = ContextVar("SERIAL", default=0)


@rule()
def count_in_the_context(proposal):
    SERIAL.set(SERIAL.get() + 1)
    return Wait(5.0, "Enough of it.") if SERIAL.get() > 1_000 else None


@rule()
def rename_the_proposed_state(proposal):
    object.__setattr__(proposal.state, "name", "Judged")


@rule()
def add_to_a_list_in_the_parameters(proposal):
    for value in proposal.flow_run.parameters.values():
        if isinstance(value, list):
            value.append("judged")


@rule()
def take_tags_for_ascii(proposal):
    return Wait(5.0, "Held.") if any(tag.encode("ascii") == b"held" for tag in proposal.run.tags) else None


@rule()
def take_the_parameters_for_hashable(proposal):
    return Abort("Nothing is given.") if {None} == set(proposal.flow_run.parameters.values()) else None


@rule()
def look_at_the_next_month(proposal):
    first = proposal.now.replace(month=proposal.now.month + 1, day=1)
    return None if first > proposal.now else Wait(60.0, "It is not yet time.")


@rule()
def take_the_delay_of_this_retry(proposal):
    run = proposal.run
    return Wait(run.retry.delays[run.retries_used] + 1, "Later.") if run.retries_used else None


@rule()
def give_up_the_whole_process(proposal):
    return sys.exit(1) if proposal.run.tags else None


@rule()
def look_until_it_changes(proposal):
    while "ready" not in proposal.run.tags:
        pass


@rule()
def look_again_whatever_happens(proposal):
    while True:
        try:
            while True:
                pass
        except:  # noqa: E722 - that is what is bad about it
            continue


@rule()
def abort_as_if_it_were_over(proposal):
    return Abort("It is over.", Failed())


@rule()
def edit_with_effects_in_a_list(proposal):
    return Edit(effects=[ReleaseSlots()])


@rule()
def edit_the_retries_below_nothing(proposal):
    return Edit(run={"retry": RetryPolicy(retries=-1)})


@rule()
def show_it_on_another_run(proposal):
    return Edit(effects=(MirrorToParent(proposal.run.id),))


@rule()
def push_back_whoever_claims(proposal):
    return Reject(Scheduled(proposal.now + timedelta(hours=1)), "In an hour.", written=True)


@rule()
def keep_subflows_waiting(proposal):
    return Wait(5.0, "Its parent comes first.") if proposal.flow_run.parent_task_run_id else None


@rule()
def keep_what_resumes_waiting(proposal):
    return Wait(5.0, "It was suspended.") if proposal.flow_run.resuming else None


@rule(Fact.PARENT)
def keep_tasks_of_a_second_attempt_waiting(proposal):
    parent = proposal.facts.parent
    return Wait(5.0, "Not again.") if parent and parent.attempt > 1 else None


@rule()
def refuse_to_cancel_a_second_attempt(proposal):
    return Abort("It has come so far.") if proposal.run.attempt > 1 else None


@rule()
def refuse_to_cancel_a_subflow(proposal):
    return Abort("Ask its parent.") if proposal.flow_run.parent_task_run_id else None
