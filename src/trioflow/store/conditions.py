"""Conditions: a closed builder for WHERE. Column names are ours, every value is bound."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final
from uuid import UUID

from attrs import define, field

from trioflow.errors import InvalidFilter

_ID_DIGITS = 32


@final
@define(eq=False)
class Conditions:
    """Conditions that must all hold; one on a value of None, or on an empty choice, is no condition."""

    _terms: list[str] = field(factory=list[str])
    _parameters: list[object] = field(factory=list[object])

    @property
    def text(self) -> str:
        """`` WHERE …``, or nothing."""
        return f" WHERE {' AND '.join(self._terms)}" if self._terms else ""

    @property
    def parameters(self) -> tuple[object, ...]:
        """What the marks in `text` stand for."""
        return tuple(self._parameters)

    def add(self, term: str, *parameters: object) -> None:
        """A condition in SQL of ours."""
        self._terms.append(term)
        self._parameters.extend(parameters)

    def equal(self, column: str, value: UUID | str | None) -> None:
        """The column has this value."""
        if value is not None:
            self.add(f"{column} = ?", value.bytes if isinstance(value, UUID) else value)

    def at_least(self, column: str, value: int) -> None:
        """The column's number is not less."""
        if value:
            self.add(f"{column} >= ?", value)

    def among(self, column: str, values: Sequence[Any]) -> None:
        """The column has one of these values."""
        if values:
            self.add(f"{column} IN ({', '.join('?' * len(values))})", *values)

    def has_prefix(self, column: str, digits: str | None) -> None:
        """The id's hex digits begin like this; dashes do not count.

        Raises:
            InvalidFilter: it is not the beginning of an id.
        """
        if not digits:
            return
        given = digits.replace("-", "").lower()
        try:
            low, high = (bytes.fromhex(given.ljust(_ID_DIGITS, fill)) for fill in "0f")
        except ValueError:
            low = high = b""
        if len(low) != _ID_DIGITS // 2:
            raise InvalidFilter(
                f"{digits!r} is not the beginning of a run's id: give hex digits, as `flow-run ls` shows them"
            )
        self.add(f"{column} BETWEEN ? AND ?", low, high)

    def has_suffix(self, column: str, digits: str | None) -> None:
        """The id's hex digits end like this; dashes do not count."""
        if digits:
            given = digits.replace("-", "").upper()
            self.add(f"substr(hex({column}), ?) = ?", -len(given), given)
