"""The two grids, and how a rule is added to one."""

from __future__ import annotations

import pytest

from trioflow.core.decisions import Fact, Proposal, Rule
from trioflow.core.rules import task_runs
from trioflow.core.states import FINAL_TYPES, StateType
from trioflow.core.tables import COLUMNS, FLOW_RUNS, NONE, OK, ROWS, TASK_RUNS, Closed, Table, table
from trioflow.errors import RuleError, TrioflowBug

both = pytest.mark.parametrize("grid", [FLOW_RUNS, TASK_RUNS], ids=lambda grid: grid.name)

RUNNING, PENDING, COMPLETED, FAILED = (
    StateType.RUNNING,
    StateType.PENDING,
    StateType.COMPLETED,
    StateType.FAILED,
)


def forbid_mondays(proposal: Proposal) -> None:
    """Nothing on Mondays."""


MONDAYS = Rule(forbid_mondays, facts=frozenset({Fact.LIMITS}))


@both
def test_every_pair_has_a_cell(grid: Table) -> None:
    assert set(grid.cells) == {(row, column) for row in ROWS for column in COLUMNS}
    assert len(grid.cells) == 110


@both
def test_no_rule_stands_twice_in_a_cell(grid: Table) -> None:
    for cell in grid.cells.values():
        assert isinstance(cell, Closed) or len(set(cell)) == len(cell)


@both
def test_terminal_types_are_computed_and_are_the_final_ones(grid: Table) -> None:
    assert grid.terminal == FINAL_TYPES


@both
def test_every_rule_is_a_sentence_with_a_promise(grid: Table) -> None:
    rules = {rule for cell in grid.cells.values() if not isinstance(cell, Closed) for rule in cell}
    assert all(len(rule.name.split("_")) >= 3 and rule.promise.endswith(".") for rule in rules)


def test_a_picture_with_a_missing_row_or_cell_is_a_bug() -> None:
    row = (OK,) * len(COLUMNS)
    pictures = [
        dict.fromkeys(ROWS[1:], row),
        dict.fromkeys(ROWS, row[1:]),
        {**dict.fromkeys(ROWS, row), PENDING: row[1:]},
    ]
    for rows in pictures:
        with pytest.raises(TrioflowBug, match=r"^the table of half runs is not total"):
            table("half runs", rerun=RUNNING, rows=rows)


@both
def test_a_table_is_shown_by_its_name_and_not_by_its_hundred_cells(grid: Table) -> None:
    rerun = "SCHEDULED" if grid is FLOW_RUNS else "RUNNING"
    assert repr(grid) == f"Table(name='{grid.name}', rerun=<StateType.{rerun}: '{rerun}'>, added=frozenset())"


@both
def test_force_ends_what_is_not_over_and_renames_a_wait_and_skips_nothing_else(grid: Table) -> None:
    ends = {StateType.CANCELLED, StateType.CRASHED, StateType.FAILED}
    overridden = {(row, column) for row in ROWS for column in COLUMNS if grid.overrides(row, column)}
    assert overridden == {(row, end) for row in ROWS if row not in FINAL_TYPES for end in ends} | {
        (StateType.PENDING, StateType.PENDING)
    }


def test_a_cell_says_which_facts_its_rules_read() -> None:
    assert TASK_RUNS.facts(PENDING, RUNNING) == {Fact.CACHED, Fact.PARENT, Fact.LIMITS}
    assert TASK_RUNS.facts(RUNNING, FAILED) == {Fact.PARENT}
    assert TASK_RUNS.facts(COMPLETED, FAILED) == frozenset()
    assert FLOW_RUNS.facts(NONE, COMPLETED) == frozenset()


def test_an_added_rule_stands_last_or_before_the_one_that_is_named() -> None:
    start = TASK_RUNS.cell(NONE, RUNNING)
    last = TASK_RUNS.with_rule(MONDAYS, from_=NONE, to=RUNNING)
    second = TASK_RUNS.with_rule(MONDAYS, from_=NONE, to=RUNNING, before=start[1])
    assert last.cell(NONE, RUNNING) == (*start, MONDAYS)
    assert second.cell(NONE, RUNNING) == (start[0], MONDAYS, *start[1:])


def test_adding_a_rule_leaves_the_table_as_it_was_and_adds_its_facts() -> None:
    with_rule = FLOW_RUNS.with_rule(MONDAYS, from_=PENDING, to=COMPLETED)
    assert FLOW_RUNS.cell(PENDING, COMPLETED) == OK
    assert with_rule.facts(PENDING, COMPLETED) == {Fact.LIMITS}
    assert with_rule.added == {MONDAYS}
    assert with_rule != FLOW_RUNS


def test_a_closed_cell_takes_no_rule() -> None:
    with pytest.raises(RuleError, match=r"^forbid_mondays cannot be added: COMPLETED → FAILED is closed"):
        FLOW_RUNS.with_rule(MONDAYS, from_=COMPLETED, to=FAILED)
    with pytest.raises(RuleError, match=r"^forbid_mondays cannot be added: NONE → PAUSED is closed"):
        FLOW_RUNS.with_rule(MONDAYS, from_=NONE, to=StateType.PAUSED)


def test_a_rule_cannot_stand_before_one_that_is_not_there() -> None:
    message = "forbid_mondays cannot stand before retry_failed_task: NONE → RUNNING has no such rule"
    with pytest.raises(RuleError, match=message):
        TASK_RUNS.with_rule(MONDAYS, from_=NONE, to=RUNNING, before=task_runs.retry_failed_task)
    with pytest.raises(RuleError, match=r"PENDING → RUNNING has no such rule$"):
        TASK_RUNS.with_rule(MONDAYS, from_=PENDING, to=RUNNING, before=task_runs.retry_failed_task)
