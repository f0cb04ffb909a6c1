"""`trioflow check` tries the rules of a file, and names what is wrong with them."""

from __future__ import annotations

import pytest

GOOD = """
from trioflow.core.decisions import rule
from trioflow.core.states import StateType
from trioflow.core.tables import FLOW_RUNS
from trioflow.core.verdicts import Wait


@rule()
def hold_back_at_night(proposal):
    return Wait(3600.0, "At night nothing starts.") if proposal.now.hour < 6 else None


TABLE = FLOW_RUNS.with_rule(hold_back_at_night, from_=StateType.SCHEDULED, to=StateType.RUNNING)
"""
BAD = (
    GOOD
    + """
import time


@rule()
def wait_for_ever(proposal):
    return Wait(5.0, "Not yet.")


@rule()
def look_at_the_clock(proposal):
    return Wait(5.0, "Later.") if time.time() < 0 else None


BOTH = TABLE.with_rule(wait_for_ever, from_=StateType.PENDING, to=StateType.RUNNING)
"""
)

DEADLOCK = """
from trioflow.core.decisions import rule
from trioflow.core.states import StateType
from trioflow.core.tables import FLOW_RUNS
from trioflow.core.verdicts import Reject, Wait


@rule()
def claim_only_what_is_late(proposal):
    return Wait(10.0, "It is early days.") if proposal.run.state.name == "Scheduled" else None


@rule()
def call_nothing_late_that_has_not_run(proposal):
    started = proposal.run.times.started
    return None if started or proposal.state.name != "Late" else Reject(proposal.run.state, "It never ran.")


TABLE = FLOW_RUNS.with_rule(
    claim_only_what_is_late, from_=StateType.SCHEDULED, to=StateType.PENDING
).with_rule(call_nothing_late_that_has_not_run, from_=StateType.SCHEDULED, to=StateType.SCHEDULED)
"""


def test_a_file_of_good_rules_is_passed(shell, write):
    answer = shell("check", write(GOOD), "--examples", "20")

    assert (answer.code, answer.out) == (0, "ok     hold_back_at_night in flow runs\n")
    assert answer.err == "Found nothing wrong with 1 of 1, in up to 20 trials each (seed 0)\n"


@pytest.mark.promise("P20")
def test_each_bad_rule_is_named_with_its_file_its_line_and_the_way_there(shell, write):
    answer = shell("check", write(BAD), "--seed", "3")

    assert answer.code == 1
    assert answer.err == "Found nothing wrong with 1 of 3, in up to 200 trials each (seed 3)\n"
    lines = answer.out.splitlines()
    assert [line for line in lines if line.startswith(("ok", "FAULT"))] == [
        "ok     hold_back_at_night in flow runs",
        "FAULT  wait_for_ever in flow runs",
        "FAULT  look_at_the_clock in no table of the file",
    ]
    line = BAD.splitlines().index("def wait_for_ever(proposal):")
    assert f"flows.py, line {line}): a rule lets whoever waits go on, some day" in answer.out
    assert "→ RUNNING: Wait(5.0 s, 'Not yet.')" in answer.out
    assert "it calls time.time(), and so asks the clock: take proposal.now" in answer.out


def test_rules_that_are_sound_one_by_one_are_checked_together(shell, write):
    answer = shell("check", write(DEADLOCK))

    assert answer.code == 1
    assert [line for line in answer.out.splitlines() if line.startswith(("ok", "FAULT"))] == [
        "ok     call_nothing_late_that_has_not_run in flow runs",
        "ok     claim_only_what_is_late in flow runs",
        "FAULT  all 2 together in flow runs",
    ]


@pytest.mark.parametrize(
    ("code", "words", "told"),
    [
        ("x = 1", [], "there are no rules in "),
        ("def", [], "line 1: invalid syntax"),
        (GOOD, ["--examples", "0"], "0"),
    ],
)
def test_what_cannot_be_checked_is_one_line(shell, write, code, words, told):
    answer = shell("check", write(code), *words)

    assert (answer.code, answer.out) == (2, "")
    (line,) = answer.err.splitlines()
    assert line.startswith("error: ")
    assert told in line
