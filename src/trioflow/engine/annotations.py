"""Annotations around an argument: what they mean is decided by `inputs` and `mapping`; here are only their names."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from attrs import evolve, frozen

T = TypeVar("T")


@frozen
class Annotation(Generic[T]):
    """A remark about one argument of a call; the function itself gets the bare ``value``."""

    value: T

    def around(self, value: Any) -> Annotation[Any]:
        """The same remark about another value."""
        return evolve(self, value=value)


class quote(Annotation[T]):  # noqa: N801 - read as a word of the call: submit(quote(table))
    """The value is passed as it is: nothing in it is looked at or replaced."""


class allow_failure(Annotation[T]):  # noqa: N801 - as quote
    """A failed run among the value's futures is passed on, as its exception, instead of stopping the call."""


class unmapped(Annotation[T]):  # noqa: N801 - as quote
    """The value goes whole to each call that `map` makes."""
