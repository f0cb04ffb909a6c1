"""Names of runs: from a template, from a callable, or drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from trioflow import clock
from trioflow.core import keys
from trioflow.errors import FlowDefinitionError, FlowDefinitionTypeError

NameTemplate = str | Callable[[], str]
"""``"import-{day}"`` over the parameters, or a function without parameters that gives the whole name."""


def run_name(template: NameTemplate, parameters: Mapping[str, Any]) -> str:
    """The name that a run is given.

    Raises:
        FlowDefinitionTypeError: a callable that gives no string, or a template of another type.
        FlowDefinitionError: the template speaks of something that is no parameter.
    """
    match template:
        case str():
            return _filled(template, parameters)
        case Callable():
            return _called(template)
        case _:
            raise FlowDefinitionTypeError(
                f"Expected string or callable for a run's name; got {type(template).__name__} instead."
            )


def _filled(template: str, parameters: Mapping[str, Any]) -> str:
    try:
        return template.format(**parameters)
    except Exception as error:  # A parameter's own formatting may raise whatever it likes.
        known = ", ".join(parameters) or "none"
        raise FlowDefinitionError(
            f"the run name {template!r} cannot be filled in ({error!r}); the parameters are: {known}"
        ) from error


def _called(template: Callable[[], Any]) -> str:
    name = template()
    if not isinstance(name, str):
        raise FlowDefinitionTypeError(
            f"Callable {template!r} returned type {type(name).__name__} but a string is required."
        )
    return name


def drawn_name() -> str:
    """A name for a run that nobody named: ``brave-otter``."""
    return keys.drawn_run_name(clock.draw())
