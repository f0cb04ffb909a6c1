"""The store is asked for the facts that a rule names, so a rule must judge by those, and name no others."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import pytest
from attrs import evolve

from tests.core.asking import NOW, RESULT, TRANSITION, in_flow, task_run
from trioflow.core.decisions import NO_FACTS, Fact, Facts, Proposal, Rule, TagLimit
from trioflow.core.runs import RetryPolicy
from trioflow.core.states import Completed, Crashed, Failed, Paused, Pending, Running
from trioflow.core.tables import FLOW_RUNS, TASK_RUNS, Closed, Table

FIELDS = {Fact.PARENT: "parent", Fact.CACHED: "cached", Fact.LIMITS: "limits"}


def rules_of(table: Table) -> dict[str, Rule]:
    cells = [cell for cell in table.cells.values() if not isinstance(cell, Closed)]
    return {rule.name: rule for cell in cells for rule in cell}


def worlds() -> Iterator[Proposal]:
    """A task run that may do anything, in a flow in different states, beside a cache and a limit."""
    run = task_run(tags=frozenset("a"), retry=RetryPolicy(retries=1, on_crash=True), flow_run_attempt=1)
    currents = (None, Pending(), Running(), Failed())
    proposed = (Running(), Failed(), Crashed())
    parents = (None, Running(), Paused(), Failed())
    cached = (None, Completed(data=RESULT))
    limits = ((), (TagLimit(tag="a", limit=0),), (TagLimit(tag="a", limit=1),))
    for current, state, flow, cache, limit, attempt in product(
        currents, proposed, parents, cached, limits, (1, 2)
    ):
        known = {"cached": cache, "limits": limit}
        facts = in_flow(flow, attempt, **known) if flow else Facts(**known)
        yield Proposal(
            run=evolve(run, state=current), state=state, now=NOW, transition_id=TRANSITION, facts=facts
        )


def without(proposal: Proposal, *facts: Fact) -> Proposal:
    """The proposal as it is when nobody asked the store for these facts."""
    unknown = {FIELDS[fact]: getattr(NO_FACTS, FIELDS[fact]) for fact in facts}
    return evolve(proposal, facts=evolve(proposal.facts, **unknown))


@pytest.mark.parametrize("rule", rules_of(TASK_RUNS).values(), ids=rules_of(TASK_RUNS))
def test_a_rule_for_task_runs_judges_by_the_facts_that_it_names(rule: Rule) -> None:
    unnamed = set(Fact) - rule.facts
    assert all(rule(world) == rule(without(world, *unnamed)) for world in worlds())
    assert {
        fact for fact in Fact if any(rule(world) != rule(without(world, fact)) for world in worlds())
    } == rule.facts


def test_a_rule_for_flow_runs_needs_no_facts_of_the_store() -> None:
    assert {name for name, rule in rules_of(FLOW_RUNS).items() if rule.facts} == set()
