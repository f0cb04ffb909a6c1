"""Whether parameters fit the JSON schema of a flow: asked before there is a run, by those who do not have the flow.

The engine converts what it is given where nothing is lost: ``"5"`` is a whole number to it. So is it here: what the
engine would accept is never refused. A value that JSON has no word for, ``{"$tag": ...}``, is left to the engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime, time
from typing import Any, cast
from uuid import UUID

from trioflow.errors import ParameterError

Schema = Mapping[str, Any]


def check_parameters(schema: Schema, parameters: Mapping[str, Any], *, partial: bool = False) -> None:
    """Refuse parameters that the flow cannot be called with.

    Args:
        schema: the flow's; an empty one is fitted by everything.
        parameters: as JSON has them.
        partial: whether more of them may be given later, so that none is missing yet.

    Raises:
        ParameterError: it names each parameter that is wrong, and what fits.
    """
    if not schema:
        return
    known: Mapping[str, Schema] = schema.get("properties", {})
    is_open = schema.get("additionalProperties", True)
    required = () if partial else schema.get("required", ())
    wrong = [
        *(f"{name} is missing" for name in required if name not in parameters),
        *(f"{name} is unknown" for name in parameters if name not in known and not is_open),
        *_at_each((name, value, known.get(name, {})) for name, value in parameters.items()),
    ]
    if wrong:
        raise ParameterError(f"the flow takes ({', '.join(known)}): {'; '.join(wrong)}")


def fits(schema: Schema, name: str, value: Any) -> bool:
    """Whether the flow may be called with this value, as JSON has it, for the parameter of this name."""
    known: Mapping[str, Schema] = schema.get("properties", {})
    return misfit(value, known.get(name, {})) is None


def misfit(value: Any, schema: Schema) -> str | None:
    """What is wrong with the value, and where; None when it fits."""
    match schema:
        case _ if _is_tagged(value):
            return None
        case {"anyOf": [*options]}:
            misfits = [misfit(value, cast("Schema", option)) for option in options]
            return None if None in misfits else _refused(value, schema)
        case {"enum": [*values]}:
            return None if value in values else _refused(value, schema)
        case {"type": str(kind)} if kind in _KINDS and not _KINDS[kind](value, schema):
            return _refused(value, schema)
        case {"type": "array"}:
            return _list_misfit(value, schema)
        case {"type": "object"}:
            return _object_misfit(value, schema)
        case _:
            return None


def _list_misfit(values: list[Any], schema: Schema) -> str | None:
    each: list[Schema] | None = schema.get("prefixItems")
    if each is None:
        each = [schema.get("items", {})] * len(values)
    if len(each) != len(values):
        return _refused(values, schema)
    parts = zip(values, each, strict=True)
    return next(_at_each((f"[{index}]", *part) for index, part in enumerate(parts)), None)


def _object_misfit(values: Mapping[str, Any], schema: Schema) -> str | None:
    each: Schema = schema.get("additionalProperties", {})
    return next(_at_each((f"[{key!r}]", part, each) for key, part in values.items()), None)


def _at_each(parts: Iterable[tuple[str, Any, Schema]]) -> Iterator[str]:
    """What is wrong with which part."""
    found = ((place, misfit(value, schema)) for place, value, schema in parts)
    return (f"{place}: {wrong}" for place, wrong in found if wrong is not None)


def _is_tagged(value: Any) -> bool:
    return isinstance(value, Mapping) and any(str(key).startswith("$") for key in cast("Any", value))


# --- kinds of values, as lenient as `trioflow.engine.coercion`


def _is_whole(value: Any, _: Schema) -> bool:
    match value:
        case int():
            return True
        case float():
            return value.is_integer()
        case str():
            return _can_read(int, value)
        case _:
            return False


def _is_number(value: Any, _: Schema) -> bool:
    return isinstance(value, (int, float)) or (isinstance(value, str) and _can_read(float, value))


def _is_text(value: Any, schema: Schema) -> bool:
    return isinstance(value, str) and _can_read(_FORMATS.get(schema.get("format", ""), str), value)


def _can_read(read: Callable[[str], Any], text: str) -> bool:
    try:
        read(text)
    except ValueError:
        return False
    return True


_FORMATS: dict[str, Callable[[str], Any]] = {
    "date": date.fromisoformat,
    "date-time": datetime.fromisoformat,
    "time": time.fromisoformat,
    "uuid": UUID,
}

_SWITCHES = (0, 1, "0", "1", "true", "True", "false", "False")

_KINDS: dict[str, Callable[[Any, Schema], bool]] = {
    "array": lambda value, _: isinstance(value, list),
    "boolean": lambda value, _: value in _SWITCHES,
    "integer": _is_whole,
    "null": lambda value, _: value is None,
    "number": _is_number,
    "object": lambda value, _: isinstance(value, Mapping),
    "string": _is_text,
}


# --- in words

_SPOKEN = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
    "null": "null",
    "number": "a number",
    "object": "an object",
    "string": "a text",
    "date": "a date such as 2026-01-31",
    "date-time": "an instant such as 2026-01-31T09:30:00+01:00",
    "time": "a time such as 09:30:00",
    "uuid": "a UUID",
}


def spoken(schema: Schema) -> str:
    """What fits, in words: ``a whole number or null``."""
    match schema:
        case {"anyOf": [*options]}:
            return " or ".join(spoken(cast("Schema", option)) for option in options)
        case {"enum": [*values]}:
            return "one of " + ", ".join(map(repr, values))
        case {"prefixItems": [*each]}:
            return f"a list of {len(each)}"
        case {"format": str(name)} if name in _SPOKEN:
            return _SPOKEN[name]
        case {"type": str(kind)} if kind in _SPOKEN:
            return _SPOKEN[kind]
        case _:
            return "anything"


def _refused(value: Any, schema: Schema) -> str:
    text = repr(value)
    return f"{text if len(text) <= 80 else f'{text[:77]}...'} is not {spoken(schema)}"
