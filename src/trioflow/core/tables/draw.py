"""A table in words and as a diagram: a Markdown grid with its rules, a Mermaid state diagram.

Everything shown is read from the table, so what an added rule changes is shown too. The drawing is in `picture`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from attrs import frozen

from trioflow.core.states import FINAL_TYPES, StateType
from trioflow.core.tables.grid import COLUMNS, NONE, ROWS, Cell, Closed, Row, Table

AT_WORK = tuple(type_ for type_ in COLUMNS if type_ not in FINAL_TYPES and type_ is not StateType.CANCELLING)
"""The types that a run has before anybody thinks of its end; the diagrams put them into one box."""


@frozen
class Steps:
    """The open steps of a table, sorted for a diagram."""

    table: Table

    def is_open(self, from_: Row, to: StateType) -> bool:
        """Whether the step may be accepted at all."""
        return not isinstance(self.table.cell(from_, to), Closed)

    def has_rules(self, from_: Row, to: StateType) -> bool:
        """Whether anything may object to it."""
        return self.is_open(from_, to) and self.table.cell(from_, to) != ()

    def births(self) -> list[StateType]:
        """Where a new run may begin."""
        return [column for column in COLUMNS if self.is_open(NONE, column)]

    def repeats(self) -> list[StateType]:
        """The types that may be written once more."""
        return [type_ for type_ in COLUMNS if self.is_open(type_, type_)]

    def moves(self) -> list[tuple[StateType, StateType]]:
        """The steps among the types at work."""
        return [
            (row, column)
            for row in AT_WORK
            for column in AT_WORK
            if row != column and self.is_open(row, column)
        ]

    def exits(self) -> list[StateType]:
        """What every type at work may step into."""
        ends = [column for column in COLUMNS if column not in AT_WORK]
        return [column for column in ends if all(self.is_open(row, column) for row in AT_WORK)]

    def last_words(self) -> list[StateType]:
        """Where a run that is being cancelled may end."""
        return [column for column in COLUMNS if self.is_open(StateType.CANCELLING, column)]

    def reruns(self) -> list[StateType]:
        """The terminal types that can be left again, for the table's rerun column."""
        return [row for row in COLUMNS if row in self.table.terminal and self.is_open(row, self.table.rerun)]


def markdown(table: Table) -> str:
    """The grid, rows the current type and columns the proposed one, with what its letters and numbers stand for."""
    legend = _legend(table)
    lines = [
        f"|  | {' | '.join(COLUMNS)} |",
        f"|---|{':-:|' * len(COLUMNS)}",
        *(
            f"| **{row or 'no state'}** | {' | '.join(legend[table.cell(row, column)] for column in COLUMNS)} |"
            for row in ROWS
        ),
        "",
        *(f"* **{sign}** {_told(table, cell)}" for cell, sign in legend.items()),
    ]
    return "\n".join(lines) + "\n"


def _legend(table: Table) -> dict[Cell, str]:
    """A sign for each different cell: ✓ for no rules, a letter for rules, a number for a refusal; in that order."""
    cells = dict.fromkeys(table.cell(row, column) for row in ROWS for column in COLUMNS)
    closed = [cell for cell in cells if isinstance(cell, Closed)]
    ruled = [cell for cell in cells if cell and not isinstance(cell, Closed)]
    signs: dict[Cell, str] = {(): "✓"}
    signs |= {cell: _letter(n) for n, cell in enumerate(ruled)}
    signs |= {cell: str(n) for n, cell in enumerate(closed, start=1)}
    return signs


def _letter(n: int) -> str:
    return chr(ord("a") + n) if n < 26 else _letter(n // 26 - 1) + _letter(n % 26)


def _told(table: Table, cell: Cell) -> str:
    match cell:
        case Closed(reason, aborts):
            told = reason.format(current=_one_of(table.rows_of(cell)))
            return f"{'aborted' if aborts else 'rejected'}: {told}"
        case ():
            return "accepted"
        case rules:
            return " Then ".join(f"`{rule.name}`: {rule.promise}" for rule in rules)


def _one_of(rows: Sequence[Row]) -> str:
    *others, last = [row or "no state" for row in rows]
    return f"{', '.join(others)} or {last}" if others else last


def mermaid(table: Table) -> str:
    """The open steps as a Mermaid state diagram; what all types at work share starts at their common box."""
    return "\n".join(_mermaid_lines(Steps(table))) + "\n"


def _mermaid_lines(steps: Steps) -> Iterator[str]:
    yield "stateDiagram-v2"
    yield "    state AT_WORK {"
    yield from (f"        [*] --> {type_}" for type_ in steps.births() if type_ in AT_WORK)
    yield from (f"        {from_} --> {to}" for from_, to in steps.moves())
    yield "    }"
    yield from (f"    AT_WORK --> {type_}" for type_ in steps.exits())
    yield from (f"    CANCELLING --> {type_}" for type_ in steps.last_words())
    yield from (f"    {type_} --> {steps.table.rerun}" for type_ in steps.reruns())
    yield from (f"    {type_} --> [*]" for type_ in COLUMNS if type_ in steps.table.terminal)
