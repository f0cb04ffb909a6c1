"""Coercion: what fits stays the same object, what can be converted without loss is, the rest is refused."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, NewType, Optional, Protocol, TypedDict, TypeVar, Union
from uuid import UUID

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioflow.engine.binding import Binding
from trioflow.engine.coercion import coerced
from trioflow.errors import ParameterError

T = TypeVar("T")
UserId = NewType("UserId", int)


class Colour(enum.Enum):
    RED = "red"


class Options(TypedDict):
    verbose: bool


class Named(Protocol):
    name: str


@attrs.frozen
class Point:
    x: int
    y: int = 0


@dataclasses.dataclass
class Line:
    start: Point
    end: Point


@pytest.mark.parametrize(
    ("value", "annotation", "wanted"),
    [
        (5, Any, 5),
        (5, T, 5),
        ("5", int, 5),
        (5.0, int, 5),
        (5, float, 5.0),
        ("1e3", float, 1000.0),
        ("true", bool, True),
        (0, bool, False),
        (True, int, True),
        ("5", UserId, 5),
        (None, None, None),
        (None, int | None, None),
        ("5", Optional[int], 5),  # noqa: UP045 - as older code spells it
        ("5", Union[int, str], "5"),  # noqa: UP007 - as older code spells it
        ("5", Annotated[int, "seconds"], 5),
        ("a", Literal["a", "b"], "a"),
        ("red", Colour, Colour.RED),
        ("2026-01-01T00:00:00+00:00", datetime, datetime(2026, 1, 1, tzinfo=UTC)),
        ("2026-01-01", date, date(2026, 1, 1)),
        ("12:30", time, time(12, 30)),
        (90, timedelta, timedelta(seconds=90)),
        ("0" * 32, UUID, UUID(int=0)),
        ("1.10", Decimal, Decimal("1.10")),
        ("a/b", Path, Path("a/b")),
        (["1", 2], list[int], [1, 2]),
        ([1, 1], set[int], {1}),
        ((1, 2), Sequence[int], (1, 2)),
        ("ab", Sequence[str], "ab"),
        (["1", "a"], tuple[int, str], (1, "a")),
        (["1", "2"], tuple[int, ...], (1, 2)),
        ({"1": "2"}, dict[int, int], {1: 2}),
        ({"a": 1}, Mapping[str, int], {"a": 1}),
        ({"x": "1"}, Point, Point(1)),
        ({"start": {"x": 0}, "end": {"x": 1, "y": "2"}}, Line, Line(Point(0), Point(1, 2))),
        ({"verbose": True}, Options, {"verbose": True}),
        (5, Named, 5),
        (print, Callable[..., None], print),
    ],
)
def test_a_value_becomes_what_its_annotation_says(value, annotation, wanted):
    converted = coerced(value, annotation)

    assert (converted, type(converted)) == (wanted, type(wanted))


@pytest.mark.parametrize(
    ("value", "annotation", "why"),
    [
        ("five", int, "'five' is not int"),
        (5.5, int, "5.5 is not int"),
        (True, str, "True is not str"),
        (5, str, "5 is not str"),
        (2**53 + 1, float, "9007199254740993 is not float"),
        ("yes", bool, "'yes' is not bool"),
        (None, int, "None is not int"),
        (0, None, "0 is not None"),
        ("c", Literal["a", "b"], "'c' is not one of 'a', 'b'"),
        (True, Literal[1], "True is not one of 1"),
        ("blue", Colour, "'blue' is not Colour"),
        ("x", int | None, "'x' is not int or None"),
        (["1", "x"], list[int], "[1]: 'x' is not int"),
        ("12", list[int], "'12' is not list"),
        ([1], tuple[int, int], "[1] is not a tuple of 2"),
        (1, tuple[int, ...], "1 is not a tuple"),
        ({"a": {"b": "x"}}, dict[str, dict[str, int]], "['a']: ['b']: 'x' is not int"),
        ([], dict[str, int], "[] is not dict"),
        ({"x": "one"}, Point, ".x: 'one' is not int"),
        (5, Point, "5 is not Point"),
        ([], Options, "[] is not a dict"),
        ([None, []], set[Any], "[None, []] is not set"),
        ({(1,): 2}, dict[list[int], int], "{(1,): 2} is not dict"),
        ("x" * 100, int, f"'{'x' * 76}... is not int"),
        (5, datetime, "5 is not datetime"),
    ],
)
def test_what_would_lose_something_is_refused(value, annotation, why):
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the whole message is compared
        coerced(value, annotation)

    assert str(refused.value) == why


def test_an_object_that_lacks_a_field_says_which():
    with pytest.raises(ValueError, match="missing 1 required positional argument: 'x'"):
        coerced({}, Point)


@given(st.lists(st.integers()) | st.dictionaries(st.text(), st.integers()) | st.sets(st.text()))
def test_what_fits_already_is_the_same_object(value):
    annotation = {list: list[int], dict: dict[str, int], set: set[str]}[type(value)]

    assert coerced(value, annotation) is value


@given(st.integers() | st.floats(allow_nan=False) | st.text() | st.booleans() | st.none())
def test_a_number_is_never_changed_by_becoming_another_kind_of_number(value):
    for kind in (int, float):
        try:
            converted = coerced(value, kind)
        except ValueError:
            continue
        assert isinstance(value, str) or converted == value


def test_binding_names_every_parameter_that_does_not_fit():
    def fn(a: int, *rest: int, b: list[int], **more: float): ...

    binding = Binding(fn, "flow 'fn'")

    with pytest.raises(ParameterError) as refused:
        binding.coerced(binding.parameters(("x", 2), {"b": ["y"], "c": 1}))

    assert str(refused.value) == "a: 'x' is not int; b: [0]: 'y' is not int"
    fitting = binding.coerced(binding.parameters(("1", "2"), {"b": ["3"], "c": 4}))
    assert fitting == {"a": 1, "rest": (2,), "b": [3], "more": {"c": 4.0}}


def test_parameters_come_back_by_name_whatever_their_kind():
    def fn(a, /, b, *rest, c=3, **more): ...

    binding = Binding(fn, "flow 'fn'")
    parameters = binding.parameters((1, 2, "r"), {"d": 4})

    assert parameters == {"a": 1, "b": 2, "rest": ("r",), "c": 3, "more": {"d": 4}}
    assert binding.rebound(parameters) == parameters
    assert binding.arguments(parameters) == ((1, 2, "r"), {"c": 3, "d": 4})


def test_annotations_that_cannot_be_evaluated_judge_nothing():
    def fn(a: Missing): ...  # noqa: F821 - the point

    assert Binding(fn, "flow 'fn'").coerced({"a": 1}) == {"a": 1}
