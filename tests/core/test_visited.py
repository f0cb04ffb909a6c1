"""The suite visits every cell, and hears every rule both object and let pass: what it cannot reach, it cannot prove."""

from __future__ import annotations

from collections import Counter

import pytest
from attrs import evolve

from tests.oracle.asking import ask
from tests.oracle.cases import Case, read_cases
from tests.oracle.replay import DATA
from tests.property.proposals import sample
from trioflow.core.decisions import Answer, Edit, Proposal, Rule
from trioflow.core.states import StateType
from trioflow.core.tables import FLOW_RUNS, TASK_RUNS, Cell, Closed, Table, decide

EACH = 300
NEVER_OBJECT = {"copy_scheduled_time"}
"""Rules that only ever add something."""

Visits = Counter[tuple[object, ...]]

both = pytest.mark.parametrize("table", [FLOW_RUNS, TASK_RUNS], ids=lambda table: table.name)


def watched(table: Table, visits: Visits) -> Table:
    """The table, with rules that count what they say in each cell."""

    def watch(cell: Cell, pair: tuple[object, ...]) -> Cell:
        if isinstance(cell, Closed):
            return cell
        return tuple(Rule(listen(rule, pair), rule.facts) for rule in cell)

    def listen(rule: Rule, pair: tuple[object, ...]):
        def heard(proposal: Proposal) -> Answer:
            answer = rule(proposal)
            visits[
                *pair, rule.name, "passes" if answer is None or isinstance(answer, Edit) else "objects"
            ] += 1
            return answer

        return heard

    return evolve(table, cells={pair: watch(cell, pair) for pair, cell in table.cells.items()})


def explore(table: Table, visits: Visits) -> None:
    """Ask a fixed sample of what the properties ask about each pair of types, and count."""
    listening = watched(table, visits)
    for pair in table.cells:
        for proposal in sample(table, *pair, count=EACH):
            visits[pair] += 1
            decide(listening, proposal)


def replay(table: Table, visits: Visits, cases: list[Case]) -> None:
    """Ask every recorded case, and count."""
    listening = watched(table, visits)
    for case in cases:
        if case.table is table and case.to is not None:
            visits[case.from_, case.to] += 1
            ask(case, listening)


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return read_cases(DATA)


def unvisited(table: Table, cases: list[Case]) -> list[tuple[object, ...]]:
    """The cells, and the answers of rules, that nothing reached."""
    visits: Visits = Counter()
    replay(table, visits, cases)
    explore(table, visits)
    rules = [
        (pair, rule.name)
        for pair, cell in table.cells.items()
        if not isinstance(cell, Closed)
        for rule in cell
    ]
    passes = [(*pair, name, "passes") for pair, name in rules]
    objects = [(*pair, name, "objects") for pair, name in rules if name not in NEVER_OBJECT]
    return [place for place in (*table.cells, *passes, *objects) if not visits[place]]


@both
def test_the_recorded_cases_and_the_properties_visit_every_cell_and_every_rule(
    table: Table, cases: list[Case]
) -> None:
    assert unvisited(table, cases) == []


def test_a_rule_that_nothing_makes_object_is_noticed() -> None:
    def never_object(proposal: Proposal) -> None: ...

    idle = FLOW_RUNS.with_rule(Rule(never_object), from_=StateType.RUNNING, to=StateType.COMPLETED)
    assert unvisited(idle, []) == [(StateType.RUNNING, StateType.COMPLETED, "never_object", "objects")]
