"""Coercion: a parameter as its annotation says, converted only where nothing is lost.

What a flow is given may come from JSON: an instant is a text there, a whole number may be a float. What cannot
be judged (a type variable, a callable, a foreign generic) is passed as it is.
"""

from __future__ import annotations

import dataclasses
import enum
import operator
import types
import typing
from collections.abc import Callable, Collection, Mapping, MutableMapping, MutableSequence, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import attrs


def coerced(value: Any, annotation: Any) -> Any:
    """``value`` as ``annotation`` wants it; the same object where it fits already.

    Raises:
        ValueError: it does not fit, and cannot be converted without loss.
    """
    origin = typing.get_origin(annotation)
    given = typing.get_args(annotation)
    match origin:
        case None:
            return _simple(value, annotation)
        case typing.Annotated:
            return coerced(value, given[0])
        case typing.Literal:
            return _literal(value, given)
        case typing.Union | types.UnionType:
            return _union(value, given)
        case _ if origin is tuple:
            return _tuple(value, given)
        case _ if origin in _MAPPINGS:
            return _mapping(value, origin, given)
        case _ if origin in _COLLECTIONS:
            return _collection(value, origin, given)
        case _:
            return value


def _simple(value: Any, annotation: Any) -> Any:
    if annotation is None or annotation is types.NoneType:
        return value if value is None else _refuse(value, "None")
    if isinstance(annotation, typing.NewType):
        return coerced(value, annotation.__supertype__)
    if typing.is_typeddict(annotation):
        return value if _fits(value, dict) else _refuse(value, "a dict")
    if not isinstance(annotation, type) or _fits(value, annotation):
        return value
    return _converted(value, annotation)


def _fits(value: Any, class_: type | tuple[type, ...]) -> bool:
    try:
        return isinstance(value, class_)
    except TypeError:  # A protocol that does not say how to tell.
        return True


def _converted(value: Any, class_: type[Any]) -> Any:
    try:
        if class_ in _CONVERTERS:
            return _CONVERTERS[class_](value)
        if issubclass(class_, enum.Enum):
            return class_(value)
    except (ArithmeticError, TypeError, ValueError):
        return _refuse(value, _name(class_))
    if _fits(value, Mapping) and (attrs.has(class_) or dataclasses.is_dataclass(class_)):
        return _object(value, class_)
    return _refuse(value, _name(class_))


def _object(value: Mapping[str, Any], class_: type[Any]) -> Any:
    hints = typing.get_type_hints(class_, include_extras=True)
    fields = {name: _at(f".{name}", part, hints.get(name, Any)) for name, part in value.items()}
    try:
        return class_(**fields)
    except TypeError as error:
        raise ValueError(str(error)) from None


# --- types with arguments


def _literal(value: Any, allowed: tuple[Any, ...]) -> Any:
    for one in allowed:
        if type(one) is type(value) and one == value:
            return value
    return _refuse(value, "one of " + ", ".join(map(repr, allowed)))


def _union(value: Any, members: tuple[Any, ...]) -> Any:
    answers: list[Any] = []
    for member in members:
        try:
            answers.append(coerced(value, member))
        except ValueError:
            continue
    if not answers:
        return _refuse(value, " or ".join(map(_name, members)))
    return value if any(answer is value for answer in answers) else answers[0]


_COLLECTIONS: dict[type, type[Any]] = {
    list: list,
    set: set,
    frozenset: frozenset,
    Sequence: list,
    MutableSequence: list,
    Collection: list,
    AbstractSet: set,
}
"""The collection types that parameters are annotated with, and what each is made as."""

_MAPPINGS = frozenset({dict, Mapping, MutableMapping})


def _collection(value: Any, origin: type[Any], given: tuple[Any, ...]) -> Any:
    fits = _fits(value, origin)
    if fits and _fits(value, (str, bytes)):
        return value
    if not fits and not _fits(value, (list, tuple, set, frozenset)):
        return _refuse(value, _name(origin))
    parts = [_at(f"[{index}]", part, given[0]) for index, part in enumerate(value)]
    same = fits and all(map(operator.is_, parts, value))
    return value if same else _put_together(_COLLECTIONS[origin], parts, value)


def _put_together(collection: type[Any], parts: list[Any], value: Any) -> Any:
    try:
        return collection(parts)
    except TypeError:  # What is in a set, and keys, must be hashable.
        return _refuse(value, _name(collection))


def _tuple(value: Any, given: tuple[Any, ...]) -> Any:
    if not _fits(value, (list, tuple)):
        return _refuse(value, "a tuple")
    wanted = given[:1] * len(value) if given[-1:] == (...,) else given
    if len(wanted) != len(value):
        return _refuse(value, f"a tuple of {len(wanted)}")
    return tuple(_at(f"[{index}]", *pair) for index, pair in enumerate(zip(value, wanted, strict=True)))


def _mapping(value: Any, origin: type[Any], given: tuple[Any, ...]) -> Any:
    if not _fits(value, Mapping):
        return _refuse(value, _name(origin))
    parts = [
        (_at(".keys()", key, given[0]), _at(f"[{key!r}]", part, given[1])) for key, part in value.items()
    ]
    made = _put_together(dict, parts, value)
    same = _fits(value, origin) and all(made.get(key) is part for key, part in value.items())
    return value if same else made


def _at(place: str, value: Any, annotation: Any) -> Any:
    try:
        return coerced(value, annotation)
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from None


# --- plain types


def _int(value: Any) -> int:
    if isinstance(value, str) or (isinstance(value, float) and value.is_integer()):
        return int(value)
    raise ValueError


def _float(value: Any) -> float:
    if isinstance(value, (int, str)) and (isinstance(value, str) or int(float(value)) == value):
        return float(value)
    raise ValueError


def _bool(value: Any) -> bool:
    match value:
        case 1 | "1" | "true" | "True":
            return True
        case 0 | "0" | "false" | "False":
            return False
        case _:
            raise ValueError


def _seconds(value: Any) -> timedelta:
    if isinstance(value, (int, float)):
        return timedelta(seconds=value)
    raise ValueError


def _decimal(value: Any) -> Decimal:
    if isinstance(value, (int, str)):
        return Decimal(value)
    raise ValueError


def _from_text(convert: Callable[[str], Any]) -> Callable[[Any], Any]:
    def from_text(value: Any) -> Any:
        if isinstance(value, str):
            return convert(value)
        raise ValueError

    return from_text


_CONVERTERS: dict[type, Callable[[Any], Any]] = {
    int: _int,
    float: _float,
    bool: _bool,
    datetime: _from_text(datetime.fromisoformat),
    date: _from_text(date.fromisoformat),
    time: _from_text(time.fromisoformat),
    timedelta: _seconds,
    UUID: _from_text(UUID),
    Decimal: _decimal,
    Path: _from_text(Path),
}


def _refuse(value: Any, wanted: str) -> Any:
    raise ValueError(f"{_short(value)} is not {wanted}")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _name(annotation: Any) -> str:
    return "None" if annotation is types.NoneType else getattr(annotation, "__name__", str(annotation))
