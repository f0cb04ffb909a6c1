"""Serializers are faithful: what is read equals what was written, and is of the same types, all the way down."""

from __future__ import annotations

import base64
import math
from collections import OrderedDict, namedtuple
from datetime import datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import Path, PurePosixPath
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trioflow.engine.serializers import JsonSerializer, PickleSerializer, serializer_named
from trioflow.errors import FlowDefinitionError, NotSerializable, UnwritableResult

JSON = JsonSerializer()

texts = st.text(st.characters(codec=None, exclude_categories=()))
zones = st.one_of(
    st.none(),
    st.timezones(),
    st.builds(timezone, st.timedeltas(timedelta(hours=-23), timedelta(hours=23))),
    st.builds(timezone, st.timedeltas(timedelta(hours=-23), timedelta(hours=23)), texts),
)
hashable_atoms = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    texts,
    st.sampled_from(["$", "$tuple", "$dict", '{"$', "\ud800\udc00"]),
    st.binary(),
    st.datetimes(timezones=zones, allow_imaginary=True),
    st.dates(),
    st.times(timezones=zones),
    st.timedeltas(),
    st.uuids(),
    st.decimals().filter(lambda number: not number.is_snan()),  # has no hash
    st.lists(texts.filter(lambda text: "\0" not in text)).map(lambda parts: Path(*parts)),
    st.timezones(),
)
hashables = st.recursive(
    hashable_atoms, lambda inner: st.one_of(st.lists(inner).map(tuple), st.frozensets(inner)), max_leaves=6
)
values = st.recursive(
    hashables,
    lambda inner: st.one_of(
        st.lists(inner),
        st.lists(inner).map(tuple),
        st.sets(hashables),
        st.dictionaries(hashables, inner),
        st.dictionaries(st.sampled_from(["$", "$tuple", "$dict", "a", "b"]), inner),
    ),
    max_leaves=12,
)


def exact(value):
    """A value as something that is equal only to what has the same types and parts, in the same order."""
    kind = type(value)
    if kind in (list, tuple):
        return kind, [exact(item) for item in value]
    if kind in (set, frozenset):
        return kind, sorted(map(repr, map(exact, value)))
    if kind is dict:
        return kind, [(exact(key), exact(item)) for key, item in value.items()]
    if kind in (datetime, time):
        return kind, value.replace(tzinfo=None), value.fold, exact(value.tzinfo)
    if kind is timezone:
        return kind, value, value.tzname(None)
    return kind, hex(value) if kind is int else repr(value)


@given(values)
@example(-0.0)
@example(["\ud800", {"\udfff": 1}])
@example([math.nan, math.inf, -math.inf])
@example([None, True, 1, 1.0, "1"])
@example({1: "a", "1": "b", None: "c"})
@example([2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1])
@example(10**5000)
@example({"$tuple": [1]})
@example({"$tuple": [1], "more": 2})
@example(datetime(2024, 10, 27, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin")))
@example(datetime(2024, 10, 27, 2, 30, fold=1))  # noqa: DTZ001 - naive ones are values too
@example(Decimal("sNaN123"))
@example(Decimal("-0E+5"))
@example([])
@example({})
def test_json_reads_what_it_wrote_with_the_same_types(value):
    assert exact(JSON.read(JSON.write(value))) == exact(value)


@given(values)
def test_json_writes_text_that_a_row_can_hold(value):
    JSON.write(value).decode("utf-8")


def test_json_is_plain_for_what_json_can_say():
    assert JSON.write({"a": [1, 2.5, None, True, "é"]}) == '{"a":[1,2.5,null,true,"é"]}'.encode()


def test_equal_sets_are_written_alike_in_whatever_order_they_were_built():
    one, other = set(), set()
    one.update([0, 8, 16])
    other.update([16, 8, 0])

    assert list(one) != list(other), "the sample no longer collides"
    assert JSON.write(one) == JSON.write(other)


class Colour(Enum):
    RED = 1


class Level(IntEnum):
    LOW = 1


class Name(str):
    __slots__ = ()


Point = namedtuple("Point", "x y")  # noqa: PYI024 - the kind of tuple that users have


@pytest.mark.parametrize(
    "value",
    [
        Colour.RED,
        Level.LOW,
        Name("a"),
        Point(1, 2),
        OrderedDict(a=1),
        PurePosixPath("/a"),
        object(),
        1j,
        bytearray(b"a"),
        ValueError("no"),
        len,
    ],
)
def test_json_refuses_what_would_come_back_as_something_else(value):
    with pytest.raises(NotSerializable, match=type(value).__qualname__):
        JSON.write(value)


def test_the_refusal_names_the_type_the_place_and_the_mend():
    with pytest.raises(NotSerializable) as caught:
        JSON.write({"rows": [1, ({"when": Colour.RED},)]})

    assert str(caught.value) == (
        f"result['rows'][1][0]['when'] is a {__name__}.Colour, which JSON cannot bring back as it is. "
        'Return something else, or choose result_serializer="pickle" or persist_result=False'
    )


def test_a_value_that_holds_itself_is_refused():
    value = []
    value.append(value)

    with pytest.raises(NotSerializable, match="holds itself"):
        JSON.write(value)


def test_a_value_that_is_nested_too_deeply_is_refused():
    value = []
    for _ in range(5000):
        value = [value]

    with pytest.raises(NotSerializable, match="nested too deeply"):
        JSON.write(value)


@pytest.mark.parametrize("data", [b'{"$nothing":1}', b'{"$uuid":"x"}', b"{", b'{"$zone":"Nowhere/At_all"}'])
def test_json_that_nobody_wrote_is_not_read(data):
    with pytest.raises((ValueError, KeyError)):
        JSON.read(data)


# --- pickle


@pytest.fixture
def pickles(tmp_path):
    return PickleSerializer(tmp_path / "home" / "results.key")


def test_pickle_brings_back_what_json_refuses(pickles):
    value = {Colour.RED: Point(1, 2)}

    assert pickles.read(pickles.write(value)) == value


def test_pickle_takes_functions_that_no_module_has(pickles):
    n = 2

    assert pickles.read(pickles.write(lambda x: x * n))(21) == 42


def test_another_process_of_the_same_home_reads_the_pickle(pickles):
    data = pickles.write((1, 2))

    assert PickleSerializer(pickles.key_file).read(data) == (1, 2)


def test_the_key_is_for_its_owner_alone_and_nothing_lies_beside_it(pickles):
    pickles.write(1)

    assert pickles.key_file.stat().st_mode & 0o777 == 0o600
    assert pickles.key_file.parent.stat().st_mode & 0o777 == 0o700
    assert list(pickles.key_file.parent.iterdir()) == [pickles.key_file]


def test_a_changed_pickle_is_not_opened(pickles):
    raw = bytearray(base64.b64decode(pickles.write("harmless")))
    raw[-2] ^= 1

    with pytest.raises(ValueError, match="not signed"):
        pickles.read(base64.b64encode(raw))


def test_a_pickle_of_another_home_is_not_opened(pickles, tmp_path):
    other = PickleSerializer(tmp_path / "other" / "results.key")
    other.write(1)

    with pytest.raises(ValueError, match="not signed"):
        other.read(pickles.write(1))


def test_without_a_key_no_pickle_is_opened_and_no_key_is_made(pickles, tmp_path):
    keyless = PickleSerializer(tmp_path / "results.key")

    with pytest.raises(ValueError, match="cannot be read"):
        keyless.read(pickles.write(1))

    assert not keyless.key_file.exists()


def test_a_key_that_is_too_short_signs_nothing(pickles):
    pickles.key_file.parent.mkdir()
    pickles.key_file.write_bytes(b"")

    with pytest.raises(UnwritableResult, match="is not a key: it has 0 bytes, not 32"):
        pickles.write(1)


def test_what_cannot_be_pickled_is_refused_by_its_type(pickles):
    with pytest.raises(NotSerializable, match=r"a builtins\.generator, cannot be pickled"):
        pickles.write(_ for _ in ())


# --- by name


def test_serializers_have_names(tmp_path):
    assert [serializer_named(name, tmp_path).name for name in ("json", "pickle")] == ["json", "pickle"]


def test_an_unknown_serializer_is_refused_with_the_known_ones(tmp_path):
    with pytest.raises(FlowDefinitionError, match="one of json, pickle, not 'yaml'"):
        serializer_named("yaml", tmp_path)
