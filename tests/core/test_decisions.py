"""What a rule is known by, and what it is told when it asks about the wrong kind of run."""

from __future__ import annotations

import pytest

from tests.core.asking import NOW, RUN, TRANSITION, flow_run, task_run
from trioflow.core.decisions import Answer, Edit, Fact, Fence, Proposal, Rule, rule
from trioflow.core.states import Running
from trioflow.errors import TrioflowBug


@rule(Fact.PARENT, Fact.LIMITS)
def run_only_on_sundays(proposal: Proposal) -> Answer:
    """Sundays only.

    The rest of the week is for other things.
    """
    return Edit()


def proposal(run) -> Proposal:
    return Proposal(run=run, state=Running(), now=NOW, transition_id=TRANSITION)


def test_a_rule_is_known_by_its_sentence_and_promises_what_its_docstring_begins_with() -> None:
    assert run_only_on_sundays.name == "run_only_on_sundays"
    assert run_only_on_sundays.promise == "Sundays only."
    assert run_only_on_sundays.facts == {Fact.PARENT, Fact.LIMITS}
    assert run_only_on_sundays(proposal(flow_run())) == Edit()


def test_a_rule_that_is_no_plain_function_still_has_a_name_and_promises_nothing() -> None:
    class Sundays:
        __doc__ = None

        def __call__(self, proposal: Proposal) -> Answer:
            return None

        def __repr__(self) -> str:
            return "sundays"

    assert (Rule(Sundays()).name, Rule(Sundays()).promise) == ("sundays", "")


def test_a_rule_that_judges_the_other_kind_of_run_is_a_bug_of_ours() -> None:
    flow, task = proposal(flow_run()), proposal(task_run())
    assert (flow.flow_run, task.task_run) == (flow.run, task.run)
    with pytest.raises(TrioflowBug, match=f"^a rule for flow runs was asked about task run {RUN}"):
        _ = task.flow_run
    with pytest.raises(TrioflowBug, match=f"^a rule for task runs was asked about flow run {RUN}"):
        _ = flow.task_run


def test_a_proposal_claims_nothing_that_it_does_not_say() -> None:
    asked = proposal(flow_run())
    assert (asked.force, asked.rerun, asked.new_owner, asked.epoch) == (False, False, False, None)
    assert asked.draw == 0.5
    assert (asked.facts.fence, Fence()) == (Fence(epoch=0, leased=False),) * 2
