"""Mapping: the calls that `map` makes of one set of arguments. Which elements, and no more; nothing is run here."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from typing import Any

from trioflow.core.states import State
from trioflow.engine.annotations import Annotation, unmapped
from trioflow.engine.binding import Binding
from trioflow.engine.futures import Future
from trioflow.errors import MappingLengthMismatch, MappingMissingIterable, ParameterError

_ONE_VALUE = (str, bytes, bytearray, io.IOBase, State)


def calls(binding: Binding, given: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The parameters of each call, defaults among them, in the order of the elements.

    Raises:
        MappingMissingIterable: nothing in ``given`` can be mapped over.
        MappingLengthMismatch: the iterables differ in length.
        ParameterError: a future is to be mapped over.
    """
    flat = _expanded(binding, given)
    columns = {name: column for name, value in flat.items() if (column := _column(name, value)) is not None}
    if not columns:
        shown = ", ".join(f"{name}={value!r}" for name, value in flat.items())
        raise MappingMissingIterable(
            "No iterable parameters were received. Parameters for map must include at least one iterable. "
            f"Parameters: {shown}"
        )
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise MappingLengthMismatch(
            f"Expected iterable parameters for map to have the same length. Got lengths: {lengths}"
        )
    rows = ({**flat, **dict(zip(columns, row, strict=True))} for row in zip(*columns.values(), strict=True))
    return [binding.with_defaults(_collapsed(binding, row)) for row in rows]


def _expanded(binding: Binding, given: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters with those that ``**kwargs`` collects among them, each for itself."""
    flat = dict(given)
    if binding.variadic is not None:
        flat.update(flat.pop(binding.variadic, {}))
    return flat


def _collapsed(binding: Binding, flat: Mapping[str, Any]) -> dict[str, Any]:
    named = binding.signature.parameters
    parameters = {name: value for name, value in flat.items() if name in named}
    if binding.variadic is not None:
        parameters[binding.variadic] = {name: value for name, value in flat.items() if name not in named}
    return parameters


def _column(name: str, value: Any) -> list[Any] | None:
    """The elements to map over; None for what goes to every call."""
    if _is(value, unmapped):
        return None
    if _is(value, Annotation):
        column = _column(name, value.value)
        return None if column is None else [value.around(element) for element in column]
    if _is(value, Future):
        raise ParameterError(
            f"{name}: nobody knows the length of a future before it has ended: map over `await {name}`, "
            f"or give it to every call, `unmapped({name})`"
        )
    return list(value) if _is(value, Iterable) and not _is(value, _ONE_VALUE) else None


def _is(value: Any, kind: type[Any] | tuple[type[Any], ...]) -> bool:
    return isinstance(value, kind)
