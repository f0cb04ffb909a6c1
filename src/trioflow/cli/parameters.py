"""Parameters from the command line: ``name=value``, each as its function wants it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from trioflow.core.parameter_schema import fits
from trioflow.engine.binding import Binding
from trioflow.engine.flows import Flow
from trioflow.engine.parameters import checked
from trioflow.errors import ParameterError


def read_parameters(flow: Flow[..., Any], pairs: Sequence[str], text: str | None) -> dict[str, Any]:
    """The parameters that are given, those in ``pairs`` before those in the JSON object ``text``; defaults too.

    A value in ``pairs`` is JSON where it parses as such and fits the annotation, else the text itself: ``n=3`` is a
    number for an ``int`` and a text for a ``str``.

    Raises:
        ParameterError: something is not said as it should be, or does not fit the function.
    """
    given = _given(pairs, text, partial(_fits_flow, flow.binding))
    parameters = flow.binding.rebound(given)
    if refusal := checked(flow, parameters).refusal:
        raise ParameterError(f"the parameters do not fit flow {flow.name!r}: {refusal}")
    return parameters


def read_json_parameters(schema: Mapping[str, Any], pairs: Sequence[str], text: str | None) -> dict[str, Any]:
    """The parameters that are given, as JSON has them, for a flow that is known by its schema; see `read_parameters`.

    Raises:
        ParameterError: something is not said as it should be.
    """
    return _given(pairs, text, partial(fits, schema))


def _given(pairs: Sequence[str], text: str | None, fits: Callable[[str, Any], bool]) -> dict[str, Any]:
    given = _object(text) if text is not None else {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise ParameterError(f"-p {pair!r} is not a parameter: give -p name=value")
        given[name] = _value(name, value, fits)
    return given


def _object(text: str) -> dict[str, Any]:
    try:
        given: Any = json.loads(text)
        return dict[str, Any](**given)
    except ValueError as error:
        raise ParameterError(f"--params is not JSON ({error}): give an object, as '{{\"n\": 3}}'") from None
    except TypeError:
        raise ParameterError(f"--params is not an object but {text}: give one, as '{{\"n\": 3}}'") from None


def _value(name: str, text: str, fits: Callable[[str, Any], bool]) -> Any:
    try:
        value: Any = json.loads(text)
    except ValueError:
        return text
    return value if fits(name, value) else text


def _fits_flow(binding: Binding, name: str, value: Any) -> bool:
    try:
        binding.coerced({name: value})
    except ParameterError:
        return False
    except KeyError:  # There is no such parameter, or it is one of **kwargs; binding them all tells.
        return True
    return True
