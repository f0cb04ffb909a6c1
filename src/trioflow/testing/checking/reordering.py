"""The same proposal with its sets and dicts the other way round: equal, and told apart only by what must not matter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from attrs import evolve

from trioflow.core.decisions import Proposal
from trioflow.core.runs import FlowRun, Run

T = TypeVar("T")


class Backwards(frozenset[T]):
    """A set that is gone through in the opposite order; so is what is made of it by the operators."""

    def __iter__(self) -> Iterator[T]:
        return reversed(list(super().__iter__()))

    def __and__(self, other: Any) -> Backwards[T]:
        return Backwards(super().__and__(other))

    def __or__(self, other: Any) -> Backwards[Any]:
        return Backwards(super().__or__(other))

    def __sub__(self, other: Any) -> Backwards[T]:
        return Backwards(super().__sub__(other))

    def __xor__(self, other: Any) -> Backwards[Any]:
        return Backwards(super().__xor__(other))

    __rand__, __ror__, __rxor__ = __and__, __or__, __xor__


def reordered(proposal: Proposal) -> Proposal:
    """An equal proposal in another order."""
    facts = proposal.facts
    limits = tuple(evolve(limit, holders=Backwards(limit.holders)) for limit in facts.limits)
    parent = _flow_run(facts.parent) if facts.parent else None
    return evolve(proposal, run=_run(proposal.run), facts=evolve(facts, parent=parent, limits=limits))


def _run(run: Run) -> Run:
    match run:
        case FlowRun():
            return _flow_run(run)
        case _:
            return evolve(run, tags=Backwards(run.tags), inputs=_turned(run.inputs))


def _flow_run(run: FlowRun) -> FlowRun:
    return evolve(
        run,
        tags=Backwards(run.tags),
        hooked=Backwards(run.hooked),
        pause_keys=Backwards(run.pause_keys),
        parameters=_turned(run.parameters),
    )


def _turned(items: Mapping[str, Any]) -> dict[str, Any]:
    return dict(reversed(list(items.items())))
