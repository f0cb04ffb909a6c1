"""Parameters from the command line: ``name=value``, each as its function wants it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from trioflow.engine.binding import Binding
from trioflow.errors import ParameterError


def read_parameters(binding: Binding, pairs: Sequence[str], text: str | None) -> dict[str, Any]:
    """The parameters that are given, those in ``pairs`` before those in the JSON object ``text``.

    A value in ``pairs`` is JSON where it parses as such and fits the annotation, else the text itself: ``n=3`` is a
    number for an ``int`` and a text for a ``str``.

    Raises:
        ParameterError: something is not said as it should be, or does not fit the function.
    """
    given = _object(text) if text is not None else {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise ParameterError(f"-p {pair!r} is not a parameter: give -p name=value")
        given[name] = _value(binding, name, value)
    binding.coerced(binding.rebound(given))
    return given


def _object(text: str) -> dict[str, Any]:
    try:
        given: Any = json.loads(text)
    except ValueError as error:
        raise ParameterError(f"--params is not JSON ({error}): give an object, as '{{\"n\": 3}}'") from None
    if not isinstance(given, dict):
        raise ParameterError("--params is not an object: give one, as '{\"n\": 3}'")
    return given


def _value(binding: Binding, name: str, text: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    try:
        binding.coerced({name: value})
    except ParameterError:
        return text
    except KeyError:  # No such parameter; binding them all says so, and which there are.
        return value
    return value
