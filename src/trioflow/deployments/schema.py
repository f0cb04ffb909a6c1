"""The JSON schema of what a flow takes, as its signature and its annotations say.

It describes what the engine accepts (`trioflow.engine.coercion`); an annotation that JSON has no word for is left open.
Its shape is Prefect 2's.
"""

from __future__ import annotations

import dataclasses
import enum
import inspect
import json
import types
import typing
from collections.abc import Iterable, Mapping, MutableMapping, MutableSequence, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import attrs

from trioflow.engine.serializers import JsonSerializer
from trioflow.errors import NotSerializable

if TYPE_CHECKING:
    from trioflow.engine.flows import Flow

Schema = dict[str, Any]

_JSON = JsonSerializer()
_ATOMS = (type(None), bool, int, float, str)


def schema_of(flow: Flow[..., Any]) -> Schema:
    """What may be given to the flow; a flow that does not validate says no more than names."""
    binding = flow.binding
    annotations = binding.annotations if flow.options.validate else {}
    named = {
        name: parameter
        for name, parameter in binding.signature.parameters.items()
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD
    }
    return {
        "title": "Parameters",
        "type": "object",
        "properties": {
            name: {"title": name, "position": position, **_described(parameter, annotations.get(name, Any))}
            for position, (name, parameter) in enumerate(named.items())
        },
        "required": [name for name, parameter in named.items() if _is_required(parameter)],
        "additionalProperties": binding.variadic is not None,
    }


def _is_required(parameter: inspect.Parameter) -> bool:
    has_default = parameter.default is not inspect.Parameter.empty
    return not has_default and parameter.kind is not inspect.Parameter.VAR_POSITIONAL


def _described(parameter: inspect.Parameter, annotation: Any) -> Schema:
    if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
        return {}  # The engine takes whatever can be iterated over.
    return {**schema_for(annotation), **_default(parameter.default)}


def _default(value: Any) -> Schema:
    if value is inspect.Parameter.empty:
        return {}
    try:
        return {"default": json.loads(_JSON.write(value))}
    except NotSerializable:
        return {}


def schema_for(annotation: Any) -> Schema:
    """What a parameter of this annotation may be given as; ``{}`` where nobody can tell."""
    origin = typing.get_origin(annotation)
    given = typing.get_args(annotation)
    match origin:
        case None:
            return _simple(annotation)
        case typing.Annotated:
            return schema_for(given[0])
        case typing.Literal:
            return _one_of(given)
        case typing.Union | types.UnionType:
            return _any_of(map(schema_for, given))
        case _ if origin is tuple and given[-1:] == (...,):
            return {"type": "array", "items": schema_for(given[0])}
        case _ if origin is tuple and given:
            return {"type": "array", "prefixItems": [schema_for(part) for part in given]}
        case _ if origin in _MAPPINGS and given:
            return {"type": "object", "additionalProperties": schema_for(given[1])}
        case _ if origin in _COLLECTIONS and given:
            return {"type": "array", "items": schema_for(given[0])}
        case _ if origin is Sequence and given:
            return _any_of([{"type": "array", "items": schema_for(given[0])}, {"type": "string"}])
        case _:
            return {}


_MAPPINGS = frozenset({dict, Mapping, MutableMapping})
_COLLECTIONS = frozenset({list, set, frozenset, MutableSequence, AbstractSet})

_SIMPLE: dict[type, Schema] = {
    types.NoneType: {"type": "null"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    str: {"type": "string"},
    list: {"type": "array"},
    dict: {"type": "object"},
    date: {"type": "string", "format": "date"},
    datetime: {"type": "string", "format": "date-time"},
    time: {"type": "string", "format": "time"},
    timedelta: {"type": "number", "format": "time-delta"},
    Decimal: {"anyOf": [{"type": "number"}, {"type": "string"}]},
    Path: {"type": "string", "format": "path"},
    UUID: {"type": "string", "format": "uuid"},
}


def _simple(annotation: Any) -> Schema:
    if isinstance(annotation, typing.NewType):
        return schema_for(annotation.__supertype__)
    if annotation is None or not isinstance(annotation, type):
        return {"type": "null"} if annotation is None else {}
    return dict(_SIMPLE[annotation]) if annotation in _SIMPLE else _of_class(annotation)


def _of_class(annotation: type[Any]) -> Schema:
    if issubclass(annotation, enum.Enum):
        # A class that looks up members by rules of its own (a flag does) is not told by its values.
        by_value = annotation._missing_.__func__ is enum.Enum._missing_.__func__  # type: ignore[attr-defined]
        return _one_of([member.value for member in annotation]) if by_value else {}
    is_of_fields = attrs.has(annotation) or dataclasses.is_dataclass(annotation)
    return {"type": "object"} if is_of_fields or typing.is_typeddict(annotation) else {}


def _one_of(values: Iterable[Any]) -> Schema:
    given = list(values)
    return {"enum": given} if all(type(value) in _ATOMS for value in given) else {}


def _any_of(options: Iterable[Schema]) -> Schema:
    given = list(options)
    return {"anyOf": given} if all(given) else {}
