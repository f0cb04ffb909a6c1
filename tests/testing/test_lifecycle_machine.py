"""`LifecycleMachine` agrees with our own tables and with good rules, and notices what breaks the lifecycle."""

from __future__ import annotations

import pytest
from attrs import evolve
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.testing import bad_rules
from tests.testing.good_rules import hold_back_at_night
from trioflow.core.states import StateType
from trioflow.core.tables import FLOW_RUNS, OK, TASK_RUNS, walk
from trioflow.errors import RuleFault
from trioflow.testing import LifecycleMachine

QUICK = settings(
    max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
FINDING = settings(QUICK, max_examples=400, database=None, derandomize=True, phases=[Phase.generate])


class WithARule(LifecycleMachine):
    flow_table = FLOW_RUNS.with_rule(hold_back_at_night, from_=StateType.PENDING, to=StateType.RUNNING)


class Undisturbed(LifecycleMachine):
    """Engines only: nobody dies, cancels or lets time pass."""

    ask_as_an_operator = let_time_pass = take_the_process_for_dead = claim = speak_from_the_dead = None


@pytest.mark.promise("P7", "P13")
@pytest.mark.parametrize("machine", [LifecycleMachine, WithARule])
def test_engines_on_our_own_tables_call_code_as_often_as_runs_have_attempts(machine: type[LifecycleMachine]):
    run_state_machine_as_test(machine, settings=QUICK)


def test_a_rule_that_keeps_everybody_waiting_is_told_as_a_fault():
    class Machine(LifecycleMachine):
        flow_table = FLOW_RUNS.with_rule(
            bad_rules.wait_for_ever, from_=StateType.PENDING, to=StateType.RUNNING
        )

    with pytest.raises(RuleFault) as caught:
        run_state_machine_as_test(Machine, settings=FINDING)

    assert (caught.value.rule, caught.value.broken) == ("wait_for_ever", "PATIENT")


def test_a_table_that_lets_code_be_called_twice_is_noticed():
    cells = {**TASK_RUNS.cells, (StateType.COMPLETED, StateType.RUNNING): OK}

    class Machine(Undisturbed):
        task_table = evolve(TASK_RUNS, cells=cells)

    with pytest.raises(RuleFault, match="leaves a run that is over as it is"):
        run_state_machine_as_test(Machine, settings=FINDING)


def test_a_fence_that_lets_the_dead_through_is_noticed(monkeypatch):
    monkeypatch.setattr(walk, "_fenced_off", lambda proposal: None)

    with pytest.raises(AssertionError, match="Asked"):
        run_state_machine_as_test(LifecycleMachine, settings=FINDING)
