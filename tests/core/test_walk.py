"""How a cell is walked, and what an added rule may and may not do."""

from __future__ import annotations

import pytest
from attrs import evolve

from tests.core.asking import LEASED, NOW, ask, flow_run, in_flow, task_run, written
from trioflow.core.decisions import Answer, Decision, Edit, Facts, Fence, Proposal, ReleaseSlots, Rule
from trioflow.core.runs import RetryPolicy
from trioflow.core.states import (
    Cancelled,
    Cancelling,
    Completed,
    Crashed,
    Failed,
    NotReady,
    Paused,
    Pending,
    Running,
    Scheduled,
    State,
    Suspended,
)
from trioflow.core.tables import FLOW_RUNS, TASK_RUNS, Closed, Table
from trioflow.core.verdicts import Abort, Accept, Reject, Wait
from trioflow.errors import TrioflowBug


def kind(value: object) -> str:
    """The name of a parameter's type, for its test's id."""
    return type(value).__name__


def completing(*answers: Answer | object) -> Table:
    """Our table, with rules in RUNNING → COMPLETED that give these answers, one after the other."""
    table = FLOW_RUNS
    for n, answer in enumerate(answers):

        def say(_: Proposal, answer: object = answer) -> object:
            return answer

        say.__name__ = f"rule_{n}"
        table = table.with_rule(Rule(say), from_=Running().type, to=Completed().type)
    return table


def test_what_no_rule_objects_to_is_accepted() -> None:
    decision = ask(flow_run(Running()), Completed(), table=completing(None, None))
    assert decision.verdict == Accept(written(Completed()))


def test_the_next_rule_sees_what_the_one_before_edited_and_all_of_it_is_written() -> None:
    seen: list[State] = []

    def look(proposal: Proposal) -> Edit:
        seen.append(proposal.state)
        return Edit(run={"name": "other"}, effects=(ReleaseSlots(),))

    first = Edit(state=Completed(message="edited"), run={"parameters": {"x": 1}})
    table = completing(first).with_rule(Rule(look), from_=Running().type, to=Completed().type)
    decision = ask(flow_run(Running()), Completed(), table=table)
    assert seen == [Completed(message="edited")]
    assert decision.verdict == Accept(written(Completed(message="edited")))
    assert (decision.run.name, decision.run.parameters) == ("other", {"x": 1})
    assert ReleaseSlots() in decision.effects


@pytest.mark.parametrize("verdict", [Wait(5, "later"), Abort("no"), Reject(None, "no")], ids=kind)
def test_the_first_verdict_ends_the_walk_and_earlier_edits_are_forgotten(verdict: Answer) -> None:
    edit = Edit(run={"name": "edited"}, effects=(ReleaseSlots(),))
    table = completing(edit, verdict, Abort("never asked"))
    assert ask(flow_run(Running()), Completed(), table=table) == Decision(verdict=verdict)


def test_a_state_that_a_rule_chose_is_written_without_the_edits_of_earlier_rules() -> None:
    run = flow_run(Running())
    table = completing(Edit(run={"name": "edited"}), Reject(Failed(message="no"), "no", written=True))
    decision = ask(run, Completed(), table=table)
    assert decision.verdict == Reject(written(Failed(message="no")), "no", written=True)
    assert decision.run.name == run.name


OVERSTEPS = {
    "accepts": (Accept(Completed()), "gave Accept("),
    "gives no answer": ("yes", "gave 'yes', which is not for a rule to say."),
    "edits the type": (Edit(state=Failed()), "edited COMPLETED into FAILED; it may only reject it."),
    "edits the books": (
        Edit(run={"epoch": 9, "state": None}),
        "edited epoch, state, which is not for rules to write.",
    ),
    "edits what is not there": (Edit(run={"inputs": {}}), "edited inputs, which is not for rules to write."),
    "chooses nothing": (Reject(None, "no", written=True), "chose a state that is closed to this run: None."),
    "opens what is closed": (
        Reject(Pending(), "again", written=True),
        "chose a state that is closed to this run: Pending().",
    ),
}


@pytest.mark.parametrize(("answer", "reason"), OVERSTEPS.values(), ids=OVERSTEPS)
def test_a_rule_that_oversteps_aborts_the_transition(answer: object, reason: str) -> None:
    run = flow_run(Running())
    decision = ask(run, Completed(), table=completing(answer))
    assert decision.verdict.reason.startswith(f"The rule rule_0 {reason}")
    assert decision == Decision(verdict=Abort(decision.verdict.reason, run.state))


EDITABLE = {
    "infrastructure_pid": "host:1",
    "name": "other",
    "parameters": {"x": 1},
    "retry": RetryPolicy(retries=9),
}


def test_a_rule_may_edit_what_says_how_a_run_is_run() -> None:
    decision = ask(flow_run(Running()), Completed(), table=completing(Edit(run=EDITABLE)))
    assert {field: getattr(decision.run, field) for field in EDITABLE} == EDITABLE


def test_a_rule_may_edit_where_a_task_s_values_come_from() -> None:
    def link(_: Proposal) -> Edit:
        return Edit(run={"inputs": {"x": ["other"]}})

    table = TASK_RUNS.with_rule(Rule(link), from_=Running().type, to=Completed().type)
    assert ask(task_run(Running()), Completed(), in_flow(), table=table).run.inputs == {"x": ["other"]}


def test_the_reason_of_an_abort_says_all_that_is_wrong() -> None:
    def stumble(_: Proposal) -> Answer:
        raise ValueError("no such moon")

    table = FLOW_RUNS.with_rule(Rule(stumble), from_=Running().type, to=Completed().type)
    said = ask(flow_run(Running()), Completed(), table=table).verdict.reason
    assert said == "The rule stumble raised ValueError: no such moon"
    said = ask(flow_run(Running()), Completed(), table=completing("yes")).verdict.reason
    assert said == "The rule rule_0 gave 'yes', which is not for a rule to say."


def test_a_closed_cell_names_the_state_that_the_run_is_in() -> None:
    assert Closed("It is {current}.").verdict(Proposal(**_of(flow_run(Running())))).reason == "It is RUNNING."
    assert Closed("It has {current}.", aborts=True).verdict(Proposal(**_of(flow_run()))) == Abort(
        "It has no state."
    )


def _of(run) -> dict:
    return {"run": run, "state": Completed(), "now": NOW, "transition_id": run.id}


# --- who asks


@pytest.mark.promise("P13")
def test_an_owner_of_the_past_is_told_both_epochs() -> None:
    run = flow_run(Running())
    decision = ask(run, Completed(), Facts(fence=Fence(epoch=3, leased=True)), epoch=2)
    reason = "This comes from epoch 2 of the run, which is in epoch 3: it has another owner now."
    assert decision == Decision(verdict=Abort(reason, run.state))


@pytest.mark.parametrize(
    ("current", "proposed"),
    [
        (Running(), Cancelling()),
        (Running(), Paused(key="1")),
        (Running(), Suspended(key="1")),
        (Paused(key="1"), Running()),
        (Suspended(key="1"), Scheduled(NOW)),
    ],
    ids=str,
)
def test_anybody_may_cancel_pause_and_resume_a_leased_run(current: State, proposed: State) -> None:
    decision = ask(flow_run(current, deployment_id=flow_run().id), proposed, LEASED)
    assert isinstance(decision.verdict, Accept)


@pytest.mark.promise("P7")
@pytest.mark.parametrize("proposed", [Cancelled(), Failed(), Crashed(), Completed(), Pending()], ids=str)
@pytest.mark.parametrize("force", [False, True])
def test_nobody_else_can_end_a_leased_run_under_the_code_that_runs(proposed: State, force: bool) -> None:
    run = flow_run(Running())
    reason = "This run is being executed by another process; it can be cancelled, paused or resumed."
    assert ask(run, proposed, LEASED, force=force) == Decision(verdict=Abort(reason, run.state))


def test_a_client_that_knows_no_epochs_does_as_it_likes_with_runs_that_nobody_leases() -> None:
    assert isinstance(ask(flow_run(Running()), Completed()).verdict, Accept)


# --- asking twice


@pytest.mark.promise("P13")
@pytest.mark.behaviour("OR-01")
@pytest.mark.parametrize("first", [Accept(Running()), Reject(Completed(), "cached", written=True)], ids=kind)
def test_a_repeated_transition_is_answered_as_the_first_time_even_by_an_owner_of_the_past(first) -> None:
    facts = Facts(answered=first, fence=Fence(epoch=7, leased=True))
    assert ask(flow_run(Failed()), Completed(), facts, epoch=1) == Decision(verdict=first)


@pytest.mark.behaviour("OR-01")
@pytest.mark.parametrize("first", [Wait(5, "later"), Abort("no")], ids=kind)
def test_a_wait_or_an_abort_is_judged_anew(first) -> None:
    assert isinstance(ask(flow_run(Running()), Completed(), Facts(answered=first)).verdict, Accept)


# --- force


@pytest.mark.behaviour("ST-12")
@pytest.mark.parametrize("proposed", [Cancelled(), Crashed(), Failed()], ids=str)
def test_an_operator_ends_any_run_that_is_not_over(proposed: State) -> None:
    for current in (None, Pending(), Running(), Suspended(key="1"), Cancelling()):
        decision = ask(flow_run(current), proposed, force=True)
        assert decision.verdict == Accept(written(proposed))


@pytest.mark.behaviour("ST-12")
def test_a_forced_failure_is_not_retried() -> None:
    run = task_run(Running(), retry=evolve(task_run().retry, retries=3))
    assert ask(run, Failed(), in_flow(), force=True).verdict == Accept(written(Failed()))


@pytest.mark.behaviour("ST-12", "TO-02", "FO-02")
@pytest.mark.parametrize("make", [flow_run, task_run])
def test_a_wait_for_something_upstream_is_renamed_with_or_without_force(make) -> None:
    not_ready = NotReady("add-0 failed")
    for force in (False, True):
        assert ask(make(Pending()), not_ready, force=force).verdict == Accept(written(not_ready))


@pytest.mark.behaviour("ST-12")
def test_force_opens_nothing_else() -> None:
    for current, proposed in ((Completed(), Failed()), (Running(), Pending()), (Cancelling(), Completed())):
        run = flow_run(current)
        assert ask(run, proposed, force=True) == ask(run, proposed)


# --- mistakes of ours


@pytest.mark.parametrize("run", [flow_run(), task_run()], ids=["flow run", "task run"])
def test_a_rule_for_the_other_kind_of_run_is_a_bug(run) -> None:
    proposal = Proposal(**_of(run))
    with pytest.raises(TrioflowBug, match="was asked about"):
        _ = proposal.task_run if run == flow_run() else proposal.flow_run
