"""The JSON schema that a flow's signature amounts to."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, NewType, TypedDict
from uuid import UUID

import pytest

from trioflow import flow
from trioflow.deployments.schema import schema_for, schema_of


def test_it_tells_names_types_defaults_and_what_must_be_given():
    @flow
    def audit(
        root: Path, depth: int = 1, *skip: str, day: date | None = None, seen: Any = object
    ) -> None: ...

    assert schema_of(audit) == {
        "title": "Parameters",
        "type": "object",
        "properties": {
            "root": {"title": "root", "position": 0, "type": "string", "format": "path"},
            "depth": {"title": "depth", "position": 1, "type": "integer", "default": 1},
            "skip": {"title": "skip", "position": 2},
            "day": {
                "title": "day",
                "position": 3,
                "anyOf": [{"type": "string", "format": "date"}, {"type": "null"}],
                "default": None,
            },
            "seen": {"title": "seen", "position": 4},
        },
        "required": ["root"],
        "additionalProperties": False,
    }


def test_further_keywords_leave_it_open():
    @flow
    def tell(**words: int) -> None: ...

    assert schema_of(tell)["properties"] == {}
    assert schema_of(tell)["additionalProperties"] is True


def test_a_flow_that_does_not_validate_tells_no_types():
    @flow(validate_parameters=False)
    def tell(n: int, day: date = date(2026, 1, 31)) -> None: ...

    assert schema_of(tell)["properties"] == {
        "n": {"title": "n", "position": 0},
        "day": {"title": "day", "position": 1, "default": {"$date": "2026-01-31"}},
    }


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Lenient(enum.Enum):
    ONE = 1

    @classmethod
    def _missing_(cls, value: object) -> Lenient:
        return cls.ONE


class Bits(enum.Flag):
    A = 1
    B = 2


@dataclasses.dataclass
class Point:
    x: int


class Options(TypedDict):
    x: int


TEXT, WHOLE = {"type": "string"}, {"type": "integer"}


@pytest.mark.parametrize(
    ("annotation", "schema"),
    [
        (None, {"type": "null"}),
        (bool, {"type": "boolean"}),
        (float, {"type": "number"}),
        (datetime, {"type": "string", "format": "date-time"}),
        (time, {"type": "string", "format": "time"}),
        (timedelta, {"type": "number", "format": "time-delta"}),
        (UUID, {"type": "string", "format": "uuid"}),
        (Decimal, {"anyOf": [{"type": "number"}, TEXT]}),
        (int | str, {"anyOf": [WHOLE, TEXT]}),
        (Annotated[int, "days"], WHOLE),
        (NewType("Days", int), WHOLE),
        (Literal["a", 1], {"enum": ["a", 1]}),
        (Colour, {"enum": ["red", "blue"]}),
        (list[int], {"type": "array", "items": WHOLE}),
        (set[str], {"type": "array", "items": TEXT}),
        (Sequence[str], {"anyOf": [{"type": "array", "items": TEXT}, TEXT]}),
        (tuple[int, str], {"type": "array", "prefixItems": [WHOLE, TEXT]}),
        (tuple[int, ...], {"type": "array", "items": WHOLE}),
        (dict[str, int], {"type": "object", "additionalProperties": WHOLE}),
        (Point, {"type": "object"}),
        (Options, {"type": "object"}),
        # What JSON does not tell apart, or what nobody can judge:
        (Any, {}),
        (bytes, {}),
        (object, {}),
        (Callable[[], int], {}),
        (int | bytes, {}),
        (Lenient, {}),
        (Bits, {}),
        (Literal[Colour.RED], {}),
    ],
)
def test_an_annotation_is_told_as_far_as_json_can(annotation, schema):
    assert schema_for(annotation) == schema
