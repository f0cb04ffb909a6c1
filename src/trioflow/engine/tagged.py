"""What JSON has no word for: each such value is an object of one key, ``{"$tag": ...}``, here by its exact type.

Imported when the first such value turns up. A subclass is refused: it would come back as its parent.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

import orjson

from trioflow.engine.serializers import kind_of
from trioflow.errors import NotSerializable

_MEND = 'Return something else, or choose result_serializer="pickle" or persist_result=False'

Clock = TypeVar("Clock", datetime, time)


class _Refused(Exception):
    """A value that has no tag, and where it stands in the result."""

    def __init__(self, value: Any) -> None:
        self.value = value
        self.place = ""


def write(value: Any) -> bytes:
    """The value as JSON text with tags.

    Raises:
        NotSerializable: naming the type of the part that has no tag, and its place.
    """
    try:
        return orjson.dumps(encode(value))
    except _Refused as refused:
        kind = f"{type(refused.value).__module__}.{type(refused.value).__qualname__}"
        raise NotSerializable(
            f"result{refused.place} is a {kind}, which JSON cannot bring back as it is. {_MEND}"
        ) from None
    except (RecursionError, TypeError) as error:
        raise NotSerializable(
            f"the result holds itself, or is nested too deeply ({error}). {_MEND}"
        ) from None


def encode(value: Any) -> Any:
    """The value in JSON's own types."""
    kind = kind_of(value)
    encoder = _ENCODERS.get(kind)
    if encoder is None:
        raise _Refused(value)
    return encoder(value)


def revive(value: Any) -> Any:
    """The value that `encode` was given.

    Raises:
        ValueError: a tag that is not known, or does not hold what it should.
    """
    kind = kind_of(value)
    if kind is list:
        return [revive(item) for item in value]
    return _revive_object(value) if kind is dict else value


def _revive_object(held: dict[str, Any]) -> Any:
    tag = next(iter(held), "")
    if len(held) != 1 or tag[:1] != "$":
        return {key: revive(item) for key, item in held.items()}
    if tag not in _REVIVERS:
        raise ValueError(f"unknown tag {tag!r}")
    return _REVIVERS[tag](held[tag])


# --- numbers and texts


def _int(value: int) -> Any:
    # Hexadecimal: Python limits the length of decimal numbers that it reads.
    return value if -(2**63) <= value < 2**64 else {"$int": hex(value)}


def _float(value: float) -> Any:
    return value if isfinite(value) else {"$float": repr(value)}


def _is_unicode(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _str(value: str) -> Any:
    return value if _is_unicode(value) else {"$str": _base64(value.encode("utf-8", "surrogatepass"))}


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


# --- containers


def _items(values: Iterable[Any]) -> list[Any]:
    encoded: list[Any] = []
    for index, value in enumerate(values):
        try:
            encoded.append(encode(value))
        except _Refused as refused:
            refused.place = f"[{index}]{refused.place}"
            raise
    return encoded


def _set(values: Iterable[Any]) -> list[Any]:
    # Sorted: a set's own order changes from process to process, and files are named by their content.
    return sorted(_items(values), key=orjson.dumps)


def _dict(value: dict[Any, Any]) -> Any:
    keys = list(value)
    encoded = _values(value)
    plain = all(type(key) is str and _is_unicode(key) for key in keys)
    if plain and not (len(keys) == 1 and keys[0][:1] == "$"):
        return dict(zip(keys, encoded, strict=True))
    return {"$dict": [list(pair) for pair in zip(_items(keys), encoded, strict=True)]}


def _values(value: dict[Any, Any]) -> list[Any]:
    encoded: list[Any] = []
    for key, item in value.items():
        try:
            encoded.append(encode(item))
        except _Refused as refused:
            refused.place = f"[{key!r}]{refused.place}"
            raise
    return encoded


def _revive_dict(pairs: list[list[Any]]) -> dict[Any, Any]:
    return {revive(key): revive(item) for key, item in pairs}


# --- dates and times


def _clock(tag: str) -> Callable[[datetime | time], Any]:
    def encode_clock(value: datetime | time) -> Any:
        if value.tzinfo is None and not value.fold:
            return {tag: value.isoformat()}
        zone = None if value.tzinfo is None else encode(value.tzinfo)
        return {tag: [value.replace(tzinfo=None, fold=0).isoformat(), zone, value.fold]}

    return encode_clock


def _revive_clock(kind: type[Clock]) -> Callable[[Any], Clock]:
    def revive_clock(held: Any) -> Clock:
        if isinstance(held, str):
            return kind.fromisoformat(held)
        text, zone, fold = held
        return kind.fromisoformat(text).replace(tzinfo=revive(zone), fold=fold)

    return revive_clock


def _timedelta(value: timedelta) -> Any:
    return [value.days, value.seconds, value.microseconds]


def _timezone(value: timezone) -> Any:
    offset = value.utcoffset(None)
    name = value.tzname(None)
    return {"$timezone": [*_timedelta(offset), None if name == timezone(offset).tzname(None) else _str(name)]}


def _revive_timezone(held: list[Any]) -> timezone:
    *offset, name = held
    return timezone(timedelta(*offset)) if name is None else timezone(timedelta(*offset), revive(name))


def _zone(value: ZoneInfo) -> Any:
    if value.key is None:  # pyright: ignore[reportUnnecessaryComparison] - one that was read from a file has none
        raise _Refused(value)
    return {"$zone": value.key}


_ENCODERS: dict[type, Callable[[Any], Any]] = {
    type(None): lambda value: value,
    bool: lambda value: value,
    int: _int,
    float: _float,
    str: _str,
    bytes: lambda value: {"$bytes": _base64(value)},
    list: _items,
    tuple: lambda value: {"$tuple": _items(value)},
    set: lambda value: {"$set": _set(value)},
    frozenset: lambda value: {"$frozenset": _set(value)},
    dict: _dict,
    datetime: _clock("$datetime"),
    time: _clock("$time"),
    date: lambda value: {"$date": value.isoformat()},
    timedelta: lambda value: {"$timedelta": _timedelta(value)},
    timezone: _timezone,
    ZoneInfo: _zone,
    UUID: lambda value: {"$uuid": str(value)},
    Decimal: lambda value: {"$decimal": str(value)},
    type(Path()): lambda value: {"$path": _str(str(value))},
}

_REVIVERS: dict[str, Callable[[Any], Any]] = {
    "$int": lambda held: int(held, 16),
    "$float": float,
    "$str": lambda held: base64.b64decode(held).decode("utf-8", "surrogatepass"),
    "$bytes": base64.b64decode,
    "$tuple": lambda held: tuple(revive(held)),
    "$set": lambda held: set(revive(held)),
    "$frozenset": lambda held: frozenset(revive(held)),
    "$dict": _revive_dict,
    "$datetime": _revive_clock(datetime),
    "$time": _revive_clock(time),
    "$date": date.fromisoformat,
    "$timedelta": lambda held: timedelta(*held),
    "$timezone": _revive_timezone,
    "$zone": ZoneInfo,
    "$uuid": UUID,
    "$decimal": Decimal,
    "$path": lambda held: Path(revive(held)),
}
