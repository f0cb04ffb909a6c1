"""`check_rule` finds what is wrong with a rule, soon, tells the shortest way to it, and leaves good rules alone."""

from __future__ import annotations

import logging
import re
from datetime import timedelta
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

import pytest

from tests.testing import bad_rules
from tests.testing.good_rules import GOOD
from tests.testing.planted import BAD, EACH_ALONE, PENDING, RUNNING, SCHEDULED, Bad
from trioflow.core.decisions import Rule, rule
from trioflow.core.states import StateType
from trioflow.core.tables import FLOW_RUNS, TASK_RUNS, Closed, Table
from trioflow.core.verdicts import Wait
from trioflow.errors import RuleError, RuleFault
from trioflow.testing import check_rule, check_table

SEEDS = (0, 1, *(pytest.param(seed, marks=pytest.mark.nightly) for seed in range(2, 12)))


def own_rules(table: Table) -> list[Rule]:
    cells = [cell for cell in table.cells.values() if not isinstance(cell, Closed)]
    return list(dict.fromkeys(rule for cell in cells for rule in cell))


def fault_of(rule: Rule, table: Table, **how: int) -> RuleFault:
    with pytest.raises(RuleFault) as caught:
        check_rule(rule, table, **how)
    return caught.value


@pytest.mark.promise("P20")
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("bad", BAD, ids=str)
def test_a_bad_rule_is_found_within_200_examples_and_shrunk_to_5_transitions(bad: Bad, seed: int):
    fault = fault_of(bad.rule, bad.within, seed=seed)

    assert (fault.rule, fault.broken) == (bad.rule.name, bad.breaks)
    assert 1 <= fault.examples <= 200
    assert 1 <= len(fault.transitions) <= 5


@pytest.mark.promise("P20")
@pytest.mark.parametrize("seed", SEEDS)
def test_two_rules_that_wait_for_each_other_are_found_together_and_not_alone(seed: int):
    table = FLOW_RUNS
    for each, from_, to in EACH_ALONE:
        check_rule(each, FLOW_RUNS.with_rule(each, from_=from_, to=to), seed=seed)
        table = table.with_rule(each, from_=from_, to=to)

    with pytest.raises(RuleFault) as caught:
        check_table(table, seed=seed)

    assert caught.value.broken == "PATIENT"
    assert caught.value.examples <= 200
    assert len(caught.value.transitions) <= 5
    assert all(each.name in str(caught.value) for each, _, _ in EACH_ALONE)


def test_the_same_seed_finds_the_same():
    (bad,) = [bad for bad in BAD if bad.rule is bad_rules.refuse_to_cancel_what_is_critical]

    first, again = (fault_of(bad.rule, bad.within, seed=11) for _ in range(2))

    assert (str(first), first.examples) == (str(again), again.examples)


@pytest.mark.parametrize("good", GOOD, ids=str)
def test_nothing_is_wrong_with_a_good_rule(good: Bad):
    check_rule(good.rule, good.within)


@pytest.mark.promise("P13", "P3")
@pytest.mark.parametrize(
    ("own", "table"),
    [
        pytest.param(own, table, id=f"{own.name}-{table.name}")
        for table in (FLOW_RUNS, TASK_RUNS)
        for own in own_rules(table)
    ],
)
def test_nothing_is_wrong_with_the_rules_of_our_own_tables(own: Rule, table: Table):
    check_rule(own, table, examples=50)


def test_a_fault_names_the_rule_its_line_what_it_breaks_and_the_way_there():
    (bad,) = [bad for bad in BAD if bad.rule is bad_rules.look_up_what_may_be_missing]

    lines = str(fault_of(bad.rule, bad.within)).splitlines()

    found = re.fullmatch(
        r"look_up_what_may_be_missing \(tests/testing/bad_rules.py, line (\d+)\):"
        r" a rule answers every proposal and never raises, but it raised KeyError: 'region'",
        lines[0],
    )
    code = Path(bad_rules.__file__).read_text().splitlines()
    assert 'parameters["region"]' in code[int(found[1]) - 1]
    assert lines[1:] == [
        "  with a flow run; at Wednesday 2026-07-01 00:00 UTC",
        "  1. brave-otter: no state → PENDING: Accept",
        "  2. brave-otter: PENDING → RUNNING: no answer",
    ]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("toss_a_coin", "it calls Random.random(), and so asks chance: take proposal.draw"),
        ("look_at_the_clock", "it calls datetime.now(), and so asks the clock: take proposal.now"),
        ("make_an_id", "it calls urandom(), and so asks chance: take proposal.draw"),
        ("count_the_askings", "it changes the global `asked`, which outlives the asking"),
        ("count_by_an_iterator", "it changes the global `COUNTER`, which outlives the asking"),
        ("draw_from_a_generator_of_its_own", "it changes the global `SHARED`, which outlives the asking"),
        ("start_each_only_once", "it changes the variable `seen`, which outlives the asking"),
        (
            "edit_the_epoch",
            "it edited epoch: a rule may edit infrastructure_pid, name, parameters, retry of this run",
        ),
        ("wait_for_ever", "brave-otter waits for ever"),
        (
            "sleep_on_it",
            "it calls time.sleep(), and so keeps the store waiting: answer Wait, and be asked again",
        ),
        ("look_until_it_changes", "it does not come to an end, and whoever writes waits for it: answer Wait"),
        ("take_tags_for_ascii", "asked about a run with the tag 'näht 夜', it raised UnicodeEncodeError"),
    ],
)
def test_what_is_wrong_is_told_with_what_to_do_instead(name: str, told: str):
    bad = next(bad for bad in BAD if bad.rule.name == name)

    assert told in str(fault_of(bad.rule, bad.within)).splitlines()[0]


def test_what_a_rule_has_changed_is_put_back():
    before = (bad_rules.asked, set(bad_rules.taken), bad_rules.SHARED.getstate())

    for bad in BAD:
        if bad.breaks == "CLEAN":
            fault_of(bad.rule, bad.within)

    assert (bad_rules.asked, bad_rules.taken, bad_rules.SHARED.getstate()) == before


def test_a_rule_may_log():
    @rule()
    def say_what_is_asked(proposal):
        logging.getLogger("rules").info("asked for %s", proposal.state)

    check_rule(
        say_what_is_asked, FLOW_RUNS.with_rule(say_what_is_asked, from_=PENDING, to=RUNNING), examples=5
    )


def test_a_rule_may_draw_from_what_its_proposal_brings():
    @rule()
    def spread_the_starts(proposal):
        waited = proposal.now - proposal.run.state.timestamp
        if waited >= timedelta(seconds=10):
            return None
        return Wait(1 + Random(proposal.draw).random() * 10, "Not all at once.")

    check_rule(spread_the_starts, FLOW_RUNS.with_rule(spread_the_starts, from_=PENDING, to=RUNNING))


@pytest.mark.parametrize("breaks", ["PURE", "CLEAN", "ORDERLY"])
def test_a_rule_that_stands_nowhere_is_judged_by_where_its_answers_come_from(breaks: str):
    for bad in BAD:
        if bad.breaks == breaks and bad.table is FLOW_RUNS:
            assert fault_of(bad.rule, FLOW_RUNS).broken == breaks


def test_a_rule_that_stands_nowhere_and_answers_nowhere_is_at_fault():
    @rule()
    def look_for_a_region(proposal):
        return Wait(5.0, proposal.facts.parent.parameters["region"])

    assert fault_of(look_for_a_region, FLOW_RUNS, examples=20).broken == "TOTAL"
    assert fault_of(bad_rules.give_a_truth_for_an_answer, FLOW_RUNS, examples=20).broken == "POSSIBLE"


@pytest.mark.parametrize("good", GOOD, ids=str)
def test_nothing_is_wrong_with_a_good_rule_that_stands_nowhere(good: Bad):
    check_rule(good.rule, good.table, examples=30)


def test_a_table_without_rules_of_its_own_is_refused():
    with pytest.raises(RuleError, match="no rules were added to the table of flow runs"):
        check_table(FLOW_RUNS)


def test_a_rule_that_nothing_leads_to_is_not_called_good():
    table = TASK_RUNS.with_rule(bad_rules.wait_for_ever, from_=None, to=StateType.CANCELLED)

    with pytest.raises(
        RuleError, match="wait_for_ever was never asked in 20 trials: nothing leads to no state → CANCELLED"
    ):
        check_rule(bad_rules.wait_for_ever, table, examples=20)


async def test_inside_of_trio_it_says_that_a_plain_function_is_needed():
    table = FLOW_RUNS.with_rule(bad_rules.wait_for_ever, from_=SCHEDULED, to=RUNNING)

    with pytest.raises(RuleError, match="from a plain function"):
        check_rule(bad_rules.wait_for_ever, table)


def test_a_rule_may_look_up_a_time_zone():
    @rule()
    def hold_back_at_night_in_berlin(proposal):
        at = proposal.now.astimezone(ZoneInfo("Europe/Berlin"))
        return Wait(1_800.0, "At night nothing starts.") if at.hour < 6 else None

    check_rule(
        hold_back_at_night_in_berlin,
        FLOW_RUNS.with_rule(hold_back_at_night_in_berlin, from_=SCHEDULED, to=RUNNING),
        examples=30,
    )
