"""`Table`: a total grid that says, for each current type and each proposed one, which rules judge.

A cell is one of three things. `OK`, the empty tuple: always accepted. A tuple of rules: accepted unless one of them
objects. `Closed`: refused, whatever the run looks like. Rules can be added to a cell, but a closed one stays closed.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from attrs import Factory, evolve, field, frozen

from trioflow.core.decisions import Fact, Proposal, Rule
from trioflow.core.states import StateType
from trioflow.core.verdicts import Abort, Reject
from trioflow.errors import RuleError, TrioflowBug


@frozen
class Closed:
    """A cell that refuses always, for a ``reason`` in which ``{current}`` stands for the run's type.

    With ``aborts`` the answer is Abort: the proposal made no sense. Otherwise it is Reject, with the state that the
    run is in: whoever asked is told what is true instead.
    """

    reason: str
    aborts: bool = False

    def verdict(self, proposal: Proposal) -> Reject | Abort:
        """The refusal of this proposal."""
        current = proposal.run.state
        reason = self.reason.format(current=current.type if current else "no state")
        return Abort(reason, current) if self.aborts else Reject(current, reason)


Row = StateType | None
"""The type that a run is in; None for a run that has no state yet."""

Cell = tuple[Rule, ...] | Closed

OK: Cell = ()
NONE: Row = None

COLUMNS = tuple(StateType)
ROWS: tuple[Row, ...] = (NONE, *COLUMNS)


@frozen(kw_only=True)
class Table:
    """What may follow what, for one kind of run.

    Attributes:
        name: the kind of run, in the plural.
        rerun: the one type that a run which is over may still be proposed; all else is closed to it.
        cells: the cell of every pair.
        added: the rules that are not the table's own. They may object, delay, or edit, and no more.
    """

    name: str
    rerun: StateType
    cells: Mapping[tuple[Row, StateType], Cell] = field(repr=False)
    added: frozenset[Rule] = frozenset()
    _facts: Mapping[tuple[Row, StateType], frozenset[Fact]] = field(
        default=Factory(lambda self: _facts_of_each(self.cells), takes_self=True),
        init=False,
        repr=False,
        eq=False,
    )

    @property
    def terminal(self) -> frozenset[StateType]:
        """The types in which a run is over: the rerun column is the only one that is not closed to them."""
        others = [column for column in COLUMNS if column is not self.rerun]
        return frozenset(
            row for row in COLUMNS if all(isinstance(self.cells[row, column], Closed) for column in others)
        )

    def cell(self, from_: Row, to: StateType) -> Cell:
        """What judges the step ``from_`` one type ``to`` the other."""
        return self.cells[from_, to]

    def rows_of(self, cell: Cell) -> list[Row]:
        """The current types that have this cell somewhere in their row."""
        return [row for row in ROWS if any(self.cells[row, column] == cell for column in COLUMNS)]

    def facts(self, from_: Row, to: StateType) -> frozenset[Fact]:
        """The facts that the cell's rules read."""
        return self._facts[from_, to]

    def overrides(self, from_: Row, to: StateType) -> bool:
        """Whether an operator's ``force`` skips the cell: to end a run that is not over, or to rename a wait.

        The second is what Prefect's clients force when an upstream run did not complete (TO-02, FO-02).
        """
        ends_it = from_ not in self.terminal and to in {
            StateType.CANCELLED,
            StateType.CRASHED,
            StateType.FAILED,
        }
        return ends_it or (from_, to) == (StateType.PENDING, StateType.PENDING)

    def with_rule(self, rule: Rule, *, from_: Row, to: StateType, before: Rule | None = None) -> Table:
        """A table with one rule more in a cell: in front of ``before``, or behind all others.

        Raises:
            RuleError: the cell is closed, or ``before`` is not in it.
        """
        match self.cells[from_, to]:
            case Closed():
                raise RuleError(f"{rule.name} cannot be added: {from_ or 'NONE'} → {to} is closed")
            case rules if before is not None and before not in rules:
                raise RuleError(
                    f"{rule.name} cannot stand before {before.name}: {from_ or 'NONE'} → {to} has no such rule"
                )
            case rules:
                at = rules.index(before) if before is not None else len(rules)
                cell = (*rules[:at], rule, *rules[at:])
        cells = MappingProxyType({**self.cells, (from_, to): cell})
        return evolve(self, cells=cells, added=self.added | {rule})


def _facts_of_each(
    cells: Mapping[tuple[Row, StateType], Cell],
) -> dict[tuple[Row, StateType], frozenset[Fact]]:
    return {step: _facts_of(cell) for step, cell in cells.items()}


def _facts_of(cell: Cell) -> frozenset[Fact]:
    match cell:
        case Closed():
            return frozenset()
        case rules:
            return frozenset[Fact]().union(*(rule.facts for rule in rules))


def table(name: str, *, rerun: StateType, rows: Mapping[Row, tuple[Cell, ...]]) -> Table:
    """Make a table of its picture: for each row, the cells in the order of `COLUMNS`.

    Raises:
        TrioflowBug: a row or a cell is missing.
    """
    if set(rows) != set(ROWS) or any(len(row) != len(COLUMNS) for row in rows.values()):
        raise TrioflowBug(f"the table of {name} is not total")
    cells = {
        (row, column): cell for row, line in rows.items() for column, cell in zip(COLUMNS, line, strict=True)
    }
    return Table(name=name, rerun=rerun, cells=MappingProxyType(cells))
