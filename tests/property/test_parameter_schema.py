"""Whatever the engine accepts, the schema of the flow accepts: nothing is refused that would have run."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import UUID

from hypothesis import example, given
from hypothesis import strategies as st

from trioflow import flow
from trioflow.core.parameter_schema import check_parameters, fits
from trioflow.deployments.schema import schema_of
from trioflow.engine.flows import Flow
from trioflow.engine.parameters import restored, storable


class Colour(enum.Enum):
    RED = "red"
    TWO = 2


class Level(enum.IntEnum):
    LOW = 1


SIMPLE = [
    *(
        None,
        bool,
        int,
        float,
        str,
        bytes,
        date,
        datetime,
        time,
        timedelta,
        UUID,
        Decimal,
        Path,
        list,
        dict,
        Any,
    ),
    *(Literal["a", 1, True], Literal[Colour.RED], Colour, Level, object),
]


def _member(annotation: Any) -> Any:
    """The same, as `|` takes it on the left."""
    return Annotated[annotation, "member"]


annotations = st.recursive(
    st.sampled_from(SIMPLE),
    lambda inner: st.one_of(
        st.builds(lambda one: list[one], inner),
        st.builds(lambda one: set[one], inner),
        st.builds(lambda one: AbstractSet[one], inner),
        st.builds(lambda one: Sequence[one], inner),
        st.builds(lambda one: tuple[one, ...], inner),
        st.builds(lambda one, two: tuple[one, two], inner, inner),
        st.builds(lambda one: dict[str, one], inner),
        st.builds(lambda one: Mapping[int, one], inner),
        st.builds(lambda one, two: one | two, inner.map(_member), inner),
    ),
    max_leaves=4,
)


atoms = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.integers(),
    st.floats(),
    st.text(max_size=3),
    st.sampled_from(
        ["5", " 7 ", "1_0", "1e3", "nan", "true", "False", "0", "a", "red", "2026-01-31", "20260131", "09:30"]
    ),
    st.sampled_from(["2026-01-31T09:30:00Z", "12345678123456781234567812345678", {"$date": "2026-01-31"}]),
    st.binary(max_size=2),
    st.just(date(2026, 1, 31)),
    st.just(datetime(2026, 1, 31, tzinfo=UTC)),
    st.just(UUID(int=5)),
    st.just(Decimal("1.5")),
    st.just(Path("x")),
)
values = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["a", "1", "$b"]), inner, max_size=2),
        st.tuples(inner, inner),
    ),
    max_leaves=5,
)


def flow_taking(annotation: Any) -> Flow[..., Any]:
    def taking(x: Any) -> None: ...

    taking.__annotations__["x"] = annotation
    return flow(taking)


def accepts(taking: Flow[..., Any], kept: dict[str, Any]) -> bool:
    """Whether the engine would call the flow with parameters that are kept like that."""
    try:
        return restored(taking, kept).refusal is None
    except (AttributeError, TypeError):  # An unhashable member of a set, a number for all of **more.
        return False


@given(annotation=annotations, value=values)
@example(annotation=int, value="5")
@example(annotation=Level, value=True)
def test_what_the_engine_accepts_fits_the_schema(annotation, value):
    taking = flow_taking(annotation)
    kept = storable({"x": value})

    assert not (kept and accepts(taking, kept)) or fits(schema_of(taking), "x", kept["x"])


@given(
    parameters=st.dictionaries(
        st.sampled_from(["n", "m", "rest", "more"]),
        st.one_of(atoms, st.lists(atoms, max_size=2), st.dictionaries(st.just("a"), st.integers())),
        max_size=3,
    ),
    is_open=st.booleans(),
)
def test_names_that_the_engine_accepts_fit_the_schema(parameters, is_open):
    def closed(n: int, /, m: str = "", *rest: int) -> None: ...

    def open_(n: int, m: str = "", **more: int) -> None: ...

    taking = flow(open_ if is_open else closed)
    kept = storable(parameters)

    if accepts(taking, kept):
        check_parameters(schema_of(taking), kept)
