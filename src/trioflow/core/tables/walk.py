"""`decide`: the one way from a proposal to a decision. Pure: what it needs is in the proposal.

In order: a transition that was answered before gets that answer again; a stranger to the run's lease is refused; an
operator's override is taken as it is, where the table allows one; then the cell judges. Its rules are asked from left to
right. None is no objection. An `Edit` is kept, and the next rule sees the proposal with it. The first verdict ends the
walk, and the edits are forgotten. What nobody objected to is accepted and written down.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import evolve, fields_dict

from trioflow.core.bookkeeping import FOR_EDITS, write_down
from trioflow.core.decisions import Answer, Decision, Edit, Effect, Fence, Proposal, Rule
from trioflow.core.runs import Run, changed
from trioflow.core.states import StateType
from trioflow.core.tables.grid import Closed, Row, Table
from trioflow.core.verdicts import Abort, Accept, Reject, Wait
from trioflow.errors import RuleError

OPEN_TO_STRANGERS = frozenset({StateType.CANCELLING, StateType.PAUSED, StateType.SUSPENDED})
"""What may be proposed for a leased run by somebody who does not own it."""

RESUMES: frozenset[tuple[Row, StateType]] = frozenset(
    {(StateType.PAUSED, StateType.RUNNING), (StateType.SUSPENDED, StateType.SCHEDULED)}
)


def decide(table: Table, proposal: Proposal) -> Decision:
    """What to answer, what to write, and what goes with it.

    A rule that raises, or that says what it may not, aborts the transition: the reason carries the rule's name.
    """
    match proposal.facts.answered:
        case Accept() | Reject() as first:
            return Decision(verdict=first)
        case _:
            pass
    if stranger := _fenced_off(proposal):
        return Decision(verdict=stranger)
    from_, to = _step(proposal)
    if proposal.force and table.overrides(from_, to):
        return write_down(proposal, proposal.state)
    match table.cell(from_, to):
        case Closed() as closed:
            return Decision(verdict=closed.verdict(proposal))
        case rules:
            try:
                return _walk(table, rules, proposal)
            except RuleError as error:
                return Decision(verdict=Abort(str(error), proposal.run.state))


def _step(proposal: Proposal) -> tuple[Row, StateType]:
    current = proposal.run.state
    return current.type if current else None, proposal.state.type


def _fenced_off(proposal: Proposal) -> Abort | None:
    """Refuse who does not own the run: an owner of the past always, others unless they only pause, resume or cancel."""
    fence, epoch = proposal.facts.fence, proposal.epoch
    if epoch is not None:
        return _outlived(epoch, fence, proposal) if epoch < fence.epoch else None
    if not fence.leased or proposal.state.type in OPEN_TO_STRANGERS or _step(proposal) in RESUMES:
        return None
    reason = "This run is being executed by another process; it can be cancelled, paused or resumed."
    return Abort(reason, proposal.run.state)


def _outlived(epoch: int, fence: Fence, proposal: Proposal) -> Abort:
    reason = f"This comes from epoch {epoch} of the run, which is in epoch {fence.epoch}: it has another owner now."
    return Abort(reason, proposal.run.state)


def _walk(table: Table, rules: tuple[Rule, ...], proposal: Proposal) -> Decision:
    """Ask the rules one by one; write down what they chose or, when none objected, what was proposed."""
    asked, effects = proposal, tuple[Effect, ...]()
    for rule in rules:
        match _ask(rule, asked):
            case None:
                continue
            case Edit() as edit:
                asked = _edited(rule, asked, edit)
                effects += edit.effects
            case Wait() | Abort() | Reject(written=False) as verdict:
                return Decision(verdict=verdict)
            case Reject(state, reason):
                if state is None or (rule in table.added and _is_closed(table, proposal, state.type)):
                    raise RuleError(
                        f"The rule {rule.name} chose a state that is closed to this run: {state}."
                    )
                return write_down(proposal, state, chosen=reason)
    return write_down(asked, asked.state, effects=effects)


def _ask(rule: Rule, proposal: Proposal) -> Answer:
    try:
        answer: object = rule(proposal)
    except Exception as error:
        raise RuleError(f"The rule {rule.name} raised {type(error).__name__}: {error}") from error
    match answer:
        case None | Edit() | Reject() | Wait() | Abort():
            return answer
        case _:
            raise RuleError(f"The rule {rule.name} gave {answer!r}, which is not for a rule to say.")


def _edited(rule: Rule, proposal: Proposal, edit: Edit) -> Proposal:
    """The proposal as the next rule sees it.

    Raises:
        RuleError: the edit turns the state into one of another type, or changes what is not for edits.
    """
    state = edit.state or proposal.state
    if state.type is not proposal.state.type:
        raise RuleError(
            f"The rule {rule.name} edited {proposal.state.type} into {state.type}; it may only reject it."
        )
    run = _edited_run(rule, proposal.run, edit.run) if edit.run else proposal.run
    return evolve(proposal, state=state, run=run)


def _edited_run(rule: Rule, run: Run, edit: Mapping[str, Any]) -> Run:
    if forbidden := edit.keys() - (FOR_EDITS & fields_dict(type(run)).keys()):
        raise RuleError(
            f"The rule {rule.name} edited {', '.join(sorted(forbidden))}, which is not for rules to write."
        )
    return changed(run, **edit)


def _is_closed(table: Table, proposal: Proposal, to: StateType) -> bool:
    return isinstance(table.cell(_step(proposal)[0], to), Closed)
