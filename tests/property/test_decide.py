"""What holds for every proposal whatsoever, in both tables."""

from __future__ import annotations

import pytest
from attrs import evolve
from hypothesis import assume, given
from hypothesis import strategies as st

from trioflow.core.decisions import NO_FACTS, Decision, Fence, Proposal, Rule, TakeSlots
from trioflow.core.runs import TaskRun
from trioflow.core.states import FINAL_TYPES, Cancelled, State, StateType
from trioflow.core.tables import FLOW_RUNS, TASK_RUNS, Table, decide
from trioflow.core.verdicts import Abort, Accept, Reject, Wait
from trioflow.testing.pools import NOW, TRANSITION
from trioflow.testing.strategies import proposals

both = pytest.mark.parametrize("table", [FLOW_RUNS, TASK_RUNS], ids=lambda table: table.name)


UNFINISHED = frozenset(StateType) - FINAL_TYPES | {None}


def decided(table: Table, data: st.DataObject) -> tuple[Proposal, Decision]:
    proposal = data.draw(proposals(table))
    return proposal, decide(table, proposal)


@both
@given(data=st.data())
def test_every_proposal_gets_one_of_four_verdicts_and_the_same_one_each_time(
    table: Table, data: st.DataObject
) -> None:
    proposal, decision = decided(table, data)
    assert isinstance(decision.verdict, Accept | Reject | Wait | Abort)
    assert decide(table, proposal) == decision


@both
@given(data=st.data())
def test_what_is_answered_is_what_is_written(table: Table, data: st.DataObject) -> None:
    proposal, decision = decided(table, data)
    match decision.verdict:
        case Accept(state) | Reject(state, written=True):
            assert decision.run is not None
            assert decision.run.state is state
            assert (state.id, state.timestamp) == (TRANSITION, NOW)
            assert decision.run.version == proposal.run.version + 1
        case Reject(state=state) | Abort(state=state):
            assert decision == Decision(verdict=decision.verdict)
            assert state is proposal.run.state
        case Wait(delay):
            assert decision == Decision(verdict=decision.verdict)
            assert delay > 0


@both
@given(data=st.data())
def test_what_is_accepted_is_of_the_proposed_type(table: Table, data: st.DataObject) -> None:
    proposal, decision = decided(table, data)
    assume(isinstance(decision.verdict, Accept))
    assert decision.verdict.state.type is proposal.state.type


@pytest.mark.promise("P13")
@pytest.mark.behaviour("OR-02", "OR-03", "OR-04")
@both
@given(data=st.data())
def test_a_run_that_is_over_stays_so_but_for_a_rerun(table: Table, data: st.DataObject) -> None:
    proposal = data.draw(proposals(table, current=FINAL_TYPES))
    decision = decide(table, proposal)
    if decision.run is None:
        return
    assert proposal.state.type is table.rerun
    match proposal.run:
        case TaskRun(flow_run_attempt=attempt, state=state):
            assert proposal.facts.parent is not None
            assert proposal.facts.parent.attempt > attempt
            assert not (state.is_completed and state.data)
        case _:
            assert proposal.rerun


@pytest.mark.promise("P13")
@both
@given(data=st.data())
def test_an_older_epoch_never_wins(table: Table, data: st.DataObject) -> None:
    late = evolve(data.draw(proposals(table)), epoch=3)
    proposal = evolve(late, facts=evolve(late.facts, fence=Fence(epoch=4, leased=data.draw(st.booleans()))))
    decision = decide(table, proposal)
    reason = "This comes from epoch 3 of the run, which is in epoch 4: it has another owner now."
    assert decision == Decision(verdict=Abort(reason, proposal.run.state))


@pytest.mark.promise("P2", "P7")
@both
@given(data=st.data())
def test_a_stranger_can_only_cancel_pause_or_resume_a_leased_run(table: Table, data: st.DataObject) -> None:
    proposal = data.draw(proposals(table))
    leased = evolve(proposal, epoch=None, facts=evolve(proposal.facts, fence=Fence(epoch=1, leased=True)))
    decision = decide(table, leased)
    asked = (proposal.run.state.type if proposal.run.state else None, proposal.state.type)
    if asked[1] in {StateType.CANCELLING, StateType.PAUSED, StateType.SUSPENDED}:
        return
    if asked in {(StateType.PAUSED, StateType.RUNNING), (StateType.SUSPENDED, StateType.SCHEDULED)}:
        return
    assert isinstance(decision.verdict, Abort)


@pytest.mark.promise("P13")
@pytest.mark.behaviour("OR-01")
@both
@given(data=st.data())
def test_a_repeated_transition_gets_its_first_answer_and_writes_nothing(
    table: Table, data: st.DataObject
) -> None:
    proposal, first = decided(table, data)
    run = first.run or proposal.run
    again = decide(table, evolve(proposal, run=run, facts=evolve(proposal.facts, answered=first.verdict)))
    match first.verdict:
        case Accept() | Reject():
            assert again == Decision(verdict=first.verdict)
        case Wait() | Abort():
            assert again == first


@both
@given(data=st.data())
def test_every_run_that_is_not_over_can_be_ended_by_its_owner(table: Table, data: st.DataObject) -> None:
    proposal = data.draw(proposals(table, current=UNFINISHED))
    ended = decide(table, evolve(proposal, state=Cancelled(), facts=NO_FACTS, epoch=0, force=False))
    assert ended.run is not None
    assert ended.run.state.type is StateType.CANCELLED


@pytest.mark.behaviour("ST-12")
@both
@given(data=st.data())
def test_force_ends_or_renames_and_otherwise_changes_nothing(table: Table, data: st.DataObject) -> None:
    proposal = data.draw(proposals(table))
    forced, free = (decide(table, evolve(proposal, force=force)) for force in (True, False))
    from_ = proposal.run.state.type if proposal.run.state else None
    if table.overrides(from_, proposal.state.type):
        assert isinstance(forced.verdict, Accept | Abort)
        assert from_ in UNFINISHED
    else:
        assert forced == free


@pytest.mark.behaviour("OR-14", "RT-09")
@both
@given(data=st.data())
def test_the_books_only_ever_grow_as_they_should(table: Table, data: st.DataObject) -> None:
    proposal, decision = decided(table, data)
    assume(decision.run is not None)
    before, after = proposal.run, decision.run
    assert after.attempt - before.attempt in {0, 1}
    assert after.attempt == before.attempt or after.state.type is StateType.RUNNING
    assert after.retries_used in {0, before.retries_used, before.retries_used + 1}
    assert after.retries_used <= max(before.retries_used, before.retry.retries)
    assert (after.times.ended == NOW) == after.state.is_final
    assert after.times.running - before.times.running == (5.0 if _is_running(before.state) else 0.0)
    assert after.times.started == before.times.started or before.times.started is None
    assert (after.times.next_scheduled_start is not None) <= (after.state.type is StateType.SCHEDULED)


def _is_running(state: State | None) -> bool:
    return state is not None and state.type is StateType.RUNNING


@given(data=st.data())
def test_a_new_owner_raises_the_epoch_and_nobody_else_does(data: st.DataObject) -> None:
    proposal, decision = decided(FLOW_RUNS, data)
    assume(decision.run is not None)
    assert decision.run.epoch == proposal.run.epoch + proposal.new_owner


@pytest.mark.behaviour("OR-12")
@given(data=st.data())
def test_a_task_takes_all_the_slots_that_it_lacks_or_none(data: st.DataObject) -> None:
    proposal, decision = decided(TASK_RUNS, data)
    taken = {tag for effect in decision.effects if isinstance(effect, TakeSlots) for tag in effect.tags}
    limits = {limit.tag: limit for limit in proposal.facts.limits if limit.tag in proposal.run.tags}
    lacking = {tag for tag, limit in limits.items() if proposal.run.id not in limit.holders}
    if isinstance(decision.verdict, Accept) and proposal.state.type is StateType.RUNNING:
        assert taken == lacking
        assert all(len(limits[tag].holders) < limits[tag].limit for tag in taken)
    else:
        assert taken == set()


@both
@given(data=st.data())
def test_a_rule_that_raises_aborts_and_leaves_nothing_behind(table: Table, data: st.DataObject) -> None:
    def disagree_with_arithmetic(proposal: Proposal) -> None:
        raise ZeroDivisionError("no")

    proposal = data.draw(proposals(table))
    from_ = proposal.run.state.type if proposal.run.state else None
    assume(not isinstance(decide(table, proposal).verdict, Reject | Wait | Abort))
    assume(not (proposal.force and table.overrides(from_, proposal.state.type)))
    broken = table.with_rule(Rule(disagree_with_arithmetic), from_=from_, to=proposal.state.type)
    reason = "The rule disagree_with_arithmetic raised ZeroDivisionError: no"
    assert decide(broken, proposal) == Decision(verdict=Abort(reason, proposal.run.state))
