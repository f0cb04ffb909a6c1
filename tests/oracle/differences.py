"""Where trioflow decides otherwise than Prefect 2's server did, on purpose: each difference with its reason.

A difference says of which cases it speaks (`applies`, about states and context, never about single cases), and what
is answered `instead`. They are applied in order, each to the answer that the one before left; a case is claimed
when they changed its recorded answer and ours is what they made of it. So a difference cannot hide a fault.

``python tests/oracle/differences.py --write`` writes them down in ``docs/differences.md``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from attrs import evolve, frozen

sys.path.insert(0, str(Path(__file__).parents[2]))  # this file is also run by its path

from tests.oracle.cases import Answer, Case
from tests.oracle.expected import PAUSES, accepted, current, failed, started, stays, written
from trioflow.core.states import StateType

SCHEDULED, PENDING, RUNNING, PAUSED, SUSPENDED, CANCELLING, COMPLETED, FAILED, CRASHED, CANCELLED = StateType


@frozen
class Difference:
    """One decision of ours that is not Prefect's."""

    name: str
    reason: str
    """One sentence: what we do, and why that is better."""
    faults: tuple[int, ...]
    """Which of the recorded server's known faults it is about."""
    applies: Callable[[Case], bool]
    instead: Callable[[Case, Answer], Answer | Case]
    """The answer; or a case, to answer as if that had been asked."""


DIFFERENCES: list[Difference] = []


def differs(
    reason: str, *, where: Callable[[Case], bool], faults: tuple[int, ...] = ()
) -> Callable[[Callable[[Case, Answer], Answer | Case]], None]:
    """Make a `Difference` of the function below, which says what is answered instead."""

    def declare(instead: Callable[[Case, Answer], Answer | Case]) -> None:
        name = instead.__name__.replace("_", " ")
        DIFFERENCES.append(Difference(name, reason, faults, where, instead))

    return declare


def is_over(case: Case) -> bool:
    """Whether the run is in a terminal state."""
    return case.from_ is not None and case.from_.is_final


def ends(case: Case) -> bool:
    """Whether a terminal state is proposed."""
    return case.to is not None and case.to.is_final


def in_a_flow(case: Case) -> bool:
    """Whether a task run inside a flow run is judged."""
    return not case.is_flow and case.context["parent"] is not None


def in_a_newer_attempt(case: Case) -> bool:
    """Whether the task's flow run has begun another attempt since the task ran."""
    return in_a_flow(case) and case.before["flow_run_run_count"] < case.context["parent_run_count"]


def changes(answer: Answer, case: Case) -> bool:
    """Whether the answer writes a state."""
    return answer.status == "ACCEPT" or (answer.status == "REJECT" and answer.state != current(case))


def without(answer: Answer, field: str) -> Answer:
    """The answer, a field of the run left as it was."""
    return evolve(answer, changed={key: value for key, value in answer.changed.items() if key != field})


# --- force


@differs(
    "`force` is an operator's override, limited to ending a run that is not over (and, for Prefect's "
    "clients, to renaming a pending one): everything else is judged as if it had not been said, so that "
    "no client can write an impossible history.",
    where=lambda case: case.force and not case.overridden,
)
def force_overrides_no_more_than_an_operator_needs(case: Case, answer: Answer) -> Answer | Case:
    return case.unforced or answer


@differs(
    "An operator can end a task run that belongs to no flow run, too.",
    faults=(16,),
    where=lambda case: case.overridden and not case.is_flow and not in_a_flow(case),
)
def force_works_outside_of_flows(case: Case, answer: Answer) -> Answer:
    return accepted(case)


# --- what is over is over


@differs(
    "A run that is over stays as it ended: a terminal state that can be rewritten tells nobody anything.",
    faults=(2, 13),
    where=lambda case: is_over(case) and case.to not in {None, SCHEDULED if case.is_flow else RUNNING},
)
def terminal_states_absorb(case: Case, answer: Answer) -> Answer:
    pointless = case.to in {PAUSED, SUSPENDED, CANCELLING, CRASHED}
    return stays(case, "ABORT" if pointless else "REJECT")


@differs(
    "A flow run that is over is scheduled again only by somebody who says that this is a rerun, cancelled "
    "runs included; a late proposal of a client that lags behind is not taken for one.",
    faults=(2, 7),
    where=lambda case: case.is_flow and is_over(case) and case.to is SCHEDULED,
)
def a_rerun_is_declared(case: Case, answer: Answer) -> Answer:
    return stays(case, "ABORT")


@differs(
    "A task run that is over runs again only in a newer attempt of its flow run, and never when its "
    "result is recorded; its attempts are counted on, because a count that is reset hides how often the "
    "code ran.",
    faults=(2, 7),
    where=lambda case: not case.is_flow and is_over(case) and case.to is RUNNING,
)
def a_task_runs_again_only_with_its_flow(case: Case, answer: Answer) -> Answer:
    recorded = case.from_ is COMPLETED and case.initial.get("data") == "reference"
    if recorded or not in_a_newer_attempt(case):
        return stays(case)
    counted = {**answer.changed, "run_count": case.before["run_count"] + 1}
    return evolve(answer, changed=counted) if answer.status == "ACCEPT" else answer


# --- one owner, one execution


@differs(
    "A run that is RUNNING is not started once more, and no attempt is counted for asking; only a newer "
    "attempt of the flow run takes over a task run that the process of an older one left behind.",
    faults=(1,),
    where=lambda case: case.from_ is case.to is RUNNING and not in_a_newer_attempt(case),
)
def running_is_entered_once(case: Case, answer: Answer) -> Answer:
    return stays(case)


@differs(
    "Double submission is stopped for task runs inside flows, as it is for all others.",
    where=lambda case: (
        in_a_flow(case) and case.from_ in {PENDING, RUNNING} and case.to is PENDING and not case.overridden
    ),
)
def a_task_in_a_flow_is_claimed_once(case: Case, answer: Answer) -> Answer:
    return stays(case, "ABORT")


# --- cancelling


@differs(
    "A task run that is being cancelled ends CANCELLED, as a flow run does: a cancel that was asked for "
    "is not forgotten.",
    where=lambda case: (
        not case.is_flow and case.from_ is CANCELLING and case.to is not CANCELLED and not case.overridden
    ),
)
def a_cancelling_task_ends_cancelled(case: Case, answer: Answer) -> Answer:
    return stays(case)


@differs(
    "A paused run can be cancelled: its process is there and waits.",
    faults=(4,),
    where=lambda case: case.is_flow and case.from_ is PAUSED and case.to is CANCELLING,
)
def a_paused_run_can_be_cancelled(case: Case, answer: Answer) -> Answer:
    return accepted(case)


@differs(
    "Cancelling a run that never had a state ends it at once: nobody owns it, so nobody would ever do it.",
    where=lambda case: case.is_flow and case.from_ is None and case.to is CANCELLING,
)
def a_run_without_a_state_is_cancelled_at_once(case: Case, answer: Answer) -> Answer:
    return written(case, "REJECT", (CANCELLED, "Cancelled"))


# --- pausing and resuming


@differs(
    "A pause that timed out can no longer be resumed, but the run can still end in whatever way it really "
    "ended.",
    faults=(5,),
    where=lambda case: case.is_flow and case.from_ in PAUSES and ends(case) and _timed_out(case),
)
def a_timed_out_pause_ends_truthfully(case: Case, answer: Answer) -> Answer:
    return accepted(case)


def _timed_out(case: Case) -> bool:
    return case.initial["details"].get("pause_timeout") == "past"


@differs(
    "A suspended run has left its process, so it goes on by being scheduled and claimed: RUNNING without "
    "an owner would be an execution that nobody watches.",
    where=lambda case: case.is_flow and case.from_ is SUSPENDED and case.to is RUNNING,
)
def a_suspended_run_is_resumed_by_scheduling(case: Case, answer: Answer) -> Answer:
    return stays(case)


@differs(
    "Only resuming a suspended run needs a deployment; ending it does not.",
    where=lambda case: case.is_flow and case.from_ is SUSPENDED and ends(case),
)
def a_suspended_run_can_end(case: Case, answer: Answer) -> Answer:
    return accepted(case)


@differs(
    "Coming back from a blocking pause is the same attempt: pausing spends no retry.",
    faults=(8,),
    where=lambda case: case.is_flow and case.from_ is PAUSED and case.to is RUNNING,
)
def a_blocking_pause_is_no_attempt(case: Case, answer: Answer) -> Answer:
    return without(answer, "run_count")


@differs(
    "`resuming` is written by a resume that was accepted and by nothing else: not by a refused one, not "
    "by an end, and not by a blocking pause, which resumes at once.",
    faults=(9,),
    where=lambda case: case.is_flow and case.from_ in PAUSES,
)
def only_an_accepted_resume_is_resuming(case: Case, answer: Answer) -> Answer:
    if not changes(answer, case):
        return without(answer, "resuming")
    answer, now = without(answer, "resuming"), StateType((answer.state or ("PENDING", ""))[0])
    resuming = now is SCHEDULED or (case.before["resuming"] and now is not RUNNING and not now.is_final)
    if resuming == case.before["resuming"]:
        return answer
    return evolve(answer, changed={**answer.changed, "resuming": resuming})


# --- lateness, and runs without a state


@differs(
    "A late run is not marked late again: waiting writes no history.",
    faults=(17,),
    where=lambda case: case.is_flow and case.source == case.target == "Late",
)
def late_is_marked_once(case: Case, answer: Answer) -> Answer:
    return stays(case)


@differs(
    "Every question gets an answer: a run without a state is refused with the true reason, and neither it nor a "
    "jitter without a delay is an error of the server's.",
    faults=(12,),
    where=lambda case: (
        case.outcome["status"] == "ERROR" or (case.from_ is None and "overruled" in case.outcome)
    ),
)
def every_question_gets_an_answer(case: Case, answer: Answer) -> Answer:
    if _fails(case):
        return failed(case)
    if case.is_flow:
        return stays(case, "ABORT")
    if answer.status == "ERROR":
        return started(case)
    verdicts = {verdict for verdict, _, _ in case.outcome["overruled"]}
    return Answer(status="WAIT", delay="slot-wait(30)") if verdicts == {"WAIT"} else stays(case, "ABORT")


# --- retrying


@differs(
    "Retries are counted for themselves: `retries=0` never retries, and a run that failed before it was "
    "counted as running has spent none.",
    faults=(6,),
    where=lambda case: _fails(case) and case.before["run_count"] == 0,
)
def retries_are_counted_as_such(case: Case, answer: Answer) -> Answer:
    return failed(case)


@differs(
    "A task of a flow run that is ending is not tried again, since it could not start; one of a paused "
    "flow run waits for it and keeps its retries.",
    faults=(3,),
    where=lambda case: (
        _fails(case) and in_a_flow(case) and case.context["parent"] not in {"Running", "Retrying"}
    ),
)
def a_task_is_retried_only_in_a_running_flow(case: Case, answer: Answer) -> Answer:
    return failed(case)


def _fails(case: Case) -> bool:
    return case.from_ is RUNNING and case.to is FAILED and not case.overridden


# --- concurrency limits


@differs(
    "A run takes the slots of all its tags or none, a limit of 0 is told before a full one, and the slots "
    "that it holds already are not in its way: no run waits for itself, and waiting keeps nobody else "
    "waiting.",
    faults=(10, 11),
    where=lambda case: not case.is_flow and case.to is RUNNING and bool(_limits(case)),
)
def slots_are_taken_together(case: Case, answer: Answer) -> Answer:
    if not _is_about_slots(case, answer):
        return answer
    limits = _limits(case)
    if any(limit == 0 for limit, _ in limits):
        return stays(case, "ABORT")
    if any(len(held) >= limit and "self" not in held for limit, held in limits):
        return Answer(status="WAIT", delay="slot-wait(30)")
    return started(case)


def _limits(case: Case) -> list[tuple[int, list[str]]]:
    return [(limit[0], case.before["slots"][tag]) for tag, limit in case.context["tags"].items() if limit]


def _is_about_slots(case: Case, answer: Answer) -> bool:
    """Whether the run came as far as the slots: nothing before them decided."""
    if case.outcome.get("rule") == "SecureTaskConcurrencySlots":
        return answer.status in {"ABORT", "WAIT"} and answer.delay in {None, "slot-wait(30)"}
    return answer.status == "WAIT"


# --- bookkeeping


@differs(
    "A cache entry is made only of a result that was recorded: there would be nothing to answer with.",
    faults=(15,),
    where=lambda case: not case.is_flow and case.to is COMPLETED,
)
def only_recorded_results_are_cached(case: Case, answer: Answer) -> Answer:
    return answer if answer.data else without(answer, "cache_rows")


@differs(
    "Every end has its time: also that of a run which ended before it started, and the new one of a run "
    "that was over before.",
    faults=(14,),
    where=lambda case: case.before["start_time"] is None or is_over(case),
)
def every_end_has_its_time(case: Case, answer: Answer) -> Answer:
    if not (changes(answer, case) and answer.state and StateType(answer.state[0]).is_final):
        return answer
    return evolve(answer, changed={**answer.changed, "end_time": "t1"})


# --- asking twice


@differs(
    "A repeated transition id gets the answer that it got the first time, for task runs too: a client "
    "that lost the answer learns what became of its proposal.",
    where=lambda case: case.initial is not None and case.transition_repeats,
)
def a_repeated_transition_gets_its_first_answer(case: Case, answer: Answer) -> Answer:
    return stays(case, "ACCEPT")


if __name__ == "__main__":
    from tests.oracle.page import main

    sys.exit(main(sys.argv[1:]))
