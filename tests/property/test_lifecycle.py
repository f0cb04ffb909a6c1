"""The lifecycle, for any answers that an orchestrator may give."""

from __future__ import annotations

from uuid import UUID

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from trioflow.core.decisions import Facts, Proposal
from trioflow.core.lifecycle import Call, Propose, Sleep, Step, Stop, start
from trioflow.core.runs import FlowRun, RetryPolicy, Run
from trioflow.core.states import Cancelling, Completed, Crashed, Failed, NotReady, Running, State, StateType
from trioflow.core.tables import FLOW_RUNS, TASK_RUNS, decide
from trioflow.core.verdicts import Abort, Accept, Reject, Verdict, Wait
from trioflow.testing.pools import FLOW, FLOW_RUN, NOW, TASK_RUN
from trioflow.testing.strategies import states

any_state = states()
verdicts = st.one_of(
    st.builds(Accept, any_state),
    st.builds(Reject, st.none() | any_state, st.just("because"), st.booleans()),
    st.builds(Wait, st.floats(0.1, 60), st.just("not yet")),
    st.builds(Abort, st.just("no"), st.none() | any_state),
)
outcomes = st.sampled_from([Completed(), Failed(), Crashed()])


@pytest.mark.behaviour("ST-02", "TO-06", "FO-03")
@given(data=st.data())
def test_code_is_called_only_after_an_accepted_running(data: st.DataObject) -> None:
    step: Step = start(data.draw(st.sampled_from([None, Running(), NotReady("upstream")])))
    for _ in range(20):
        match step:
            case Propose(state):
                verdict = data.draw(verdicts)
                step = step.heard(verdict)
                granted = isinstance(verdict, Accept) and verdict.state.type is StateType.RUNNING
                assert isinstance(step, Call) == granted
                assert not isinstance(step, Call) or step.state is verdict.state
            case Sleep(then=then):
                step = step.awoke()
                assert step is then
            case Call():
                state = data.draw(outcomes)
                assert step.ended(state) == Propose(state)
                step = step.ended(state)
            case Stop():
                break


@given(verdict=verdicts, state=any_state)
def test_what_stops_says_in_which_state_and_why(verdict: Verdict, state: State) -> None:
    match Propose(state).heard(verdict):
        case Stop(end, reason):
            assert end is verdict.state
            assert (reason is None) == isinstance(verdict, Accept)
        case _:
            pass


def test_a_stopped_run_has_no_next_step() -> None:
    assert not {"heard", "awoke", "ended"} & set(dir(Stop))


def drive(run: Run, answers: list[State], facts: Facts) -> tuple[Run, list[str]]:
    """Run the lifecycle against the real table, sleeping as long as it says; ``answers`` are how the calls end."""
    table = FLOW_RUNS if isinstance(run, FlowRun) else TASK_RUNS
    now, step, log, calls = NOW, start(), list[str](), iter(answers)
    for transition in range(1, 100):
        match step:
            case Propose(state):
                decision = decide(
                    table,
                    Proposal(run=run, state=state, now=now, transition_id=UUID(int=transition), facts=facts),
                )
                run, step = decision.run or run, step.heard(decision.verdict)
            case Sleep():
                now = max(now, step.until or now)
                step = step.awoke()
            case Call(state):
                log.append(state.name)
                step = step.ended(next(calls))
            case Stop():
                break
    return run, log


@pytest.mark.behaviour("RT-01", "RT-06", "FO-19", "TO-18")
@pytest.mark.parametrize("retries", [0, 1, 3])
@given(fails=st.integers(0, 5))
def test_a_run_is_called_until_it_succeeds_or_its_retries_are_spent(retries: int, fails: int) -> None:
    policy = RetryPolicy(retries=retries, delays=(5.0, 60.0))
    parent = evolve(FLOW_RUN, id=FLOW, state=Running(), attempt=1)
    outcomes = [Failed()] * fails + [Completed()]
    for run in (FLOW_RUN, evolve(TASK_RUN, flow_run_id=FLOW)):
        ended, log = drive(evolve(run, retry=policy), outcomes, Facts(parent=parent))
        again = "Running" if isinstance(run, FlowRun) else "Retrying"
        assert log == (["Running"] + [again] * 10)[: min(fails, retries) + 1]
        assert ended.state.type is (StateType.COMPLETED if fails <= retries else StateType.FAILED)
        assert (ended.attempt, ended.retries_used) == (len(log), len(log) - 1)


@pytest.mark.behaviour("OR-05")
@given(ended=outcomes)
def test_a_run_that_was_cancelled_while_it_ended_is_cancelled_and_says_how_it_had_ended(ended: State) -> None:
    cancelling = evolve(FLOW_RUN, state=evolve(Cancelling(), timestamp=NOW))
    step, run = Call(Running()).ended(ended), cancelling
    while isinstance(step, Propose):
        decision = decide(FLOW_RUNS, Proposal(run=run, state=step.state, now=NOW, transition_id=UUID(int=9)))
        run, step = decision.run or run, step.heard(decision.verdict)
    assert step == Stop(run.state)
    assert run.state.type is StateType.CANCELLED
    assert run.state.message == f"Cancelled; its code had already ended in {ended}."
