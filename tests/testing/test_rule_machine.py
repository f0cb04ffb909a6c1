"""`RuleMachine` agrees with our own tables and with good rules, and finds what is wrong with bad ones."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.testing import bad_rules
from tests.testing.good_rules import GOOD
from tests.testing.planted import PENDING, RUNNING, SCHEDULED, Bad
from trioflow.core.states import Completed, Pending, Running
from trioflow.core.tables import FLOW_RUNS, TASK_RUNS
from trioflow.core.verdicts import Wait
from trioflow.errors import RuleFault
from trioflow.testing import RuleMachine
from trioflow.testing.checking.birth import Birth
from trioflow.testing.checking.replay import compare_with_store
from trioflow.testing.checking.world import FLOW, Asker, How, World
from trioflow.testing.pools import RESULT

QUICK = settings(
    max_examples=40, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
FINDING = settings(QUICK, max_examples=300, database=None, derandomize=True, phases=[Phase.generate])
"""Not shrunk: `check_rule` is for that."""


class WithGoodRules(RuleMachine):
    flow_table = FLOW_RUNS
    task_table = TASK_RUNS


for good in GOOD:
    if good.table is FLOW_RUNS:
        WithGoodRules.flow_table = WithGoodRules.flow_table.with_rule(good.rule, from_=good.from_, to=good.to)
    else:
        WithGoodRules.task_table = WithGoodRules.task_table.with_rule(good.rule, from_=good.from_, to=good.to)


@pytest.mark.promise("P3", "P13")
@pytest.mark.parametrize("machine", [RuleMachine, WithGoodRules])
def test_nothing_is_wrong_with_our_own_tables_nor_with_good_rules_in_them(machine: type[RuleMachine]):
    run_state_machine_as_test(machine, settings=QUICK)


@pytest.mark.parametrize(
    "bad",
    [
        Bad(bad_rules.toss_a_coin, PENDING, RUNNING, "PURE"),
        Bad(bad_rules.wait_for_ever, PENDING, RUNNING, "PATIENT"),
        Bad(bad_rules.give_the_slots_back_while_it_runs, PENDING, RUNNING, "SLOTS", TASK_RUNS),
    ],
    ids=str,
)
def test_what_is_wrong_with_a_rule_is_found_and_told_as_a_fault(bad: Bad):
    class Machine(RuleMachine):
        flow_table = bad.within if bad.table is FLOW_RUNS else FLOW_RUNS
        task_table = bad.within if bad.table is TASK_RUNS else TASK_RUNS

    with pytest.raises(RuleFault) as caught:
        run_state_machine_as_test(Machine, settings=FINDING)

    assert (caught.value.rule, caught.value.broken) == (bad.rule.name, bad.breaks)


def test_a_rerun_that_has_to_wait_is_the_same_in_the_store():
    """It stays SCHEDULED, with an id that the orchestrator drew: what is refused next names it."""
    waits = next(good for good in GOOD if good.rule.name == "ask_each_minute_for_the_weekend")
    world = World(
        Birth(tags=frozenset({"batch"})), FLOW_RUNS.with_rule(waits.rule, from_=SCHEDULED, to=PENDING)
    )
    for state in (Running(), Completed(data=RESULT)):
        world.propose(FLOW, state)
    waiting = world.claim(rerun=True)
    world.propose(FLOW, Pending(), How(by=Asker.FORMER_OWNER))

    assert isinstance(waiting.verdict, Wait)
    compare_with_store(world)
