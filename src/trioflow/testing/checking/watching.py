"""Watches a rule while it is asked: each answer is held against what a rule must keep, and a fault names its line."""

from __future__ import annotations

import copy
import inspect
import traceback
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import final

from attrs import define, evolve, field

from trioflow.core.decisions import NO_FACTS, Answer, Fact, Facts, Proposal, Rule
from trioflow.core.states import State, StateType
from trioflow.core.tables import Cell, Closed, Table
from trioflow.core.verdicts import Reject
from trioflow.testing.checking.deadline import TooLong, within
from trioflow.testing.checking.keepsakes import Keepsakes, function_of
from trioflow.testing.checking.oddities import odd
from trioflow.testing.checking.outside import Observer, Stopped, elsewhere
from trioflow.testing.checking.possible import faults_of
from trioflow.testing.checking.properties import Broken, Property
from trioflow.testing.checking.reordering import reordered
from trioflow.testing.checking.telling import shown, spoken
from trioflow.testing.checking.vocabulary import vocabulary_of

_CLOSELY = 12
"""So many askings of one trial are watched closely; then only what is said counts."""

_REMEMBERED = 4
"""So many answers of one trial are asked for again when it is over, and of odd runs in the same place."""

_SECONDS = 2.0
"""So long a rule may take to answer, of real time: about a thousand times as long as one that decides needs."""

_SECONDS_OF_THE_SLOW = 0.25
"""The same once it has taken longer: shorter ways to that are looked for, and each takes so long again."""

_FACTS = {Fact.PARENT: "parent", Fact.CACHED: "cached", Fact.LIMITS: "limits"}


@final
@define(eq=False)
class Watch:
    """Stands in a table in place of a rule, answers as it does, and tells when that is not as it must be."""

    rule: Rule
    table: Table
    astray: bool = False
    """It stands in no cell of the table: it is asked in all of them, and what it says has no effect there."""
    file: str = field(init=False)
    line: int | None = field(init=False)
    """Where the rule is written."""
    answered: tuple[Proposal, Answer] | None = field(default=None, init=False)
    """What it was asked last, and said."""
    misplaced: Broken | None = field(default=None, init=False)
    """What it could not do lately, asked where it may be out of place."""
    hangs: int = field(default=0, init=False)
    """How often it did not answer in time."""
    _keepsakes: Keepsakes = field(init=False)
    _words: tuple[str, ...] = field(init=False)
    """What stands in its code: names of parameters, perhaps."""
    _asked: int = field(default=0, init=False)
    _remembered: list[tuple[Proposal, Answer]] = field(factory=list[tuple[Proposal, Answer]], init=False)

    def __attrs_post_init__(self) -> None:
        self.file, self.line = place_of(self.rule)
        self._keepsakes = Keepsakes(self.rule.fn)
        self._words = vocabulary_of([self.rule]).texts

    def begin(self) -> None:
        """A new trial: as if the rule had never been asked."""
        self._keepsakes.put_back()
        self._asked, self.answered = 0, None
        self._remembered.clear()

    def end(self) -> None:
        """The trial is over: what was said at its beginning must still be said.

        Raises:
            Broken: it is not.
        """
        for proposal, answer in self._remembered:
            self._compare(Property.PURE, "asked again later", proposal, answer)

    def as_rule(self) -> Rule:
        """The rule to put into the table."""

        def heard(proposal: Proposal) -> Answer:
            if not self.astray:
                return self._hear(proposal)
            self._overhear(proposal)
            return None

        heard.__name__, heard.__doc__ = self.rule.name, self.rule.fn.__doc__
        return Rule(heard, self.rule.facts)

    def _overhear(self, proposal: Proposal) -> None:
        """Ask it where it may be out of place: only what is wrong in any place counts."""
        try:
            self._hear(proposal)
        except Broken as broken:
            if broken.broken not in {Property.TOTAL, Property.POSSIBLE}:
                raise
            self.misplaced = broken

    def _hear(self, proposal: Proposal) -> Answer:
        self._asked += 1
        if self._asked > _CLOSELY:
            answer = self._ask(proposal)
            self._check_possible(answer, proposal)
        else:
            answer = self._hear_closely(proposal)
        self.answered = proposal, answer
        return answer

    def _hear_closely(self, proposal: Proposal) -> Answer:
        observer, own = Observer(self.file, self.rule.fn.__module__), copy.deepcopy(proposal)
        try:
            answer = self._ask(own, observer.listening())
        except Stopped:
            answer = None
        if seen := observer.seen:
            raise self._broken(seen.broken, f"it calls {seen.call}, and so {seen.mend}", seen.line)
        self._check_possible(answer, proposal)
        if own != proposal:
            raise self._broken(Property.CLEAN, "it changes what its proposal holds, which others look at too")
        if changed := self._keepsakes.changed():
            raise self._broken(Property.CLEAN, f"it changes {changed}, which outlives the asking")
        same = copy.deepcopy(proposal)  # as the first copy was: the sets in it have the order of that one
        self._ask_again(same, answer)
        if len(self._remembered) < _REMEMBERED:
            self._remembered.append((same, answer))
            self._ask_for_oddities(proposal)
        return answer

    def _ask_for_oddities(self, proposal: Proposal) -> None:
        """Of another run there, it need not say the same; but something that can be, and change nothing."""
        for told, other in odd(proposal, self._words):
            own = copy.deepcopy(other)
            try:
                self._check_possible(self._ask(own), other)
                if own != other:
                    raise self._broken(Property.CLEAN, "it changes what its proposal holds")
            except Broken as broken:
                broken.told = f"asked about a run {told}, {broken.told}"
                raise

    def _ask_again(self, proposal: Proposal, answer: Answer) -> None:
        """In other circumstances, the same must be said."""
        self._compare(Property.PURE, "asked twice", proposal, answer)
        with elsewhere():
            self._compare(Property.PURE, "asked in another time zone", proposal, answer)
        turned, declared = reordered(proposal), evolve(proposal, facts=self._declared(proposal.facts))
        self._compare(Property.ORDERLY, "asked with sets and dicts in another order", turned, answer)
        self._compare(
            Property.DECLARED, "asked with the facts that it declares, and no others", declared, answer
        )

    def _ask(self, proposal: Proposal, heard: AbstractContextManager[None] | None = None) -> Answer:
        try:
            with within(_SECONDS_OF_THE_SLOW if self.hangs else _SECONDS), heard or nullcontext():
                return self.rule(proposal)
        except (KeyboardInterrupt, Stopped):
            raise
        except BaseException as error:  # SystemExit too
            told = f"it raised {type(error).__name__}: {error}"
            if _is_too_late(error):
                self.hangs += 1
                told = "it does not come to an end, and whoever writes waits for it: answer Wait instead"
            raise self._broken(Property.TOTAL, told, self._line_of(error)) from error

    def _line_of(self, error: BaseException) -> int | None:
        """The last line of the rule's file that led to it."""
        frames = traceback.extract_tb(error.__traceback__)
        return next((frame.lineno for frame in reversed(frames) if frame.filename == self.file), None)

    def _check_possible(self, answer: object, proposal: Proposal) -> None:
        for fault in faults_of(answer, proposal):
            raise self._broken(Property.POSSIBLE, fault)
        current = proposal.run.state
        match answer:
            case Reject(State(type=type_), _, True) if self._is_closed(current, type_):
                told = f"it chose {type_} for a run that is {shown(current)}: the table closes that to it"
                raise self._broken(Property.POSSIBLE, told)
            case _:
                pass

    def _is_closed(self, current: State | None, to: StateType) -> bool:
        row = current.type if current else None
        return self.rule in self.table.added and isinstance(self.table.cell(row, to), Closed)

    def _compare(self, broken: Property, told: str, proposal: Proposal, answer: Answer) -> None:
        other = self._ask(proposal)
        if other == answer:
            return
        if (again := self._ask(proposal)) != other:  # so the circumstances were not what made the difference
            broken, told, answer, other = Property.PURE, "asked twice", other, again
        raise self._broken(broken, f"it said {spoken(answer)}; {told}, it said {spoken(other)}")

    def _declared(self, facts: Facts) -> Facts:
        undeclared = {name for fact, name in _FACTS.items() if fact not in self.rule.facts}
        return evolve(facts, **{name: getattr(NO_FACTS, name) for name in undeclared})

    def _broken(self, broken: Property, told: str, line: int | None = None) -> Broken:
        return Broken(broken, told, rule=self.rule, line=line or self.line)


def watched(table: Table, watches: Iterable[Watch]) -> Table:
    """The table with each watch in the place of its rule; those that are astray stand in front, everywhere."""
    instead = {watch.rule: watch.as_rule() for watch in watches}
    astray = tuple(instead[watch.rule] for watch in watches if watch.astray)

    def replaced(cell: Cell) -> Cell:
        return cell if isinstance(cell, Closed) else (*astray, *(instead.get(rule, rule) for rule in cell))

    return evolve(
        table,
        cells={step: replaced(cell) for step, cell in table.cells.items()},
        added=frozenset(instead.get(rule, rule) for rule in table.added),
    )


def place_of(rule: Rule) -> tuple[str, int | None]:
    """The file that a rule is written in, and the line in which it begins."""
    fn = inspect.unwrap(rule.fn)
    while isinstance(fn, partial):
        fn = fn.func
    code = getattr(function_of(fn), "__code__", None)
    return (code.co_filename, code.co_firstlineno) if code else ("", None)


def _is_too_late(error: BaseException | None) -> bool:
    """Whether the time was over; what was ended then may have raised something else."""
    while error is not None and not isinstance(error, TooLong):
        error = error.__context__
    return error is not None
