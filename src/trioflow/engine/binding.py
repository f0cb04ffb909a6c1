"""Binding: the arguments of a call as parameters by name, and back. The signature is looked at once."""

from __future__ import annotations

import inspect
import typing
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, final

from attrs import define, field

from trioflow.engine.coercion import coerced
from trioflow.errors import ParameterError

_VARIADIC = frozenset({inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD})


def _is_required(parameter: inspect.Parameter) -> bool:
    return parameter.default is inspect.Parameter.empty and parameter.kind not in _VARIADIC


@final
@define(eq=False, slots=False)
class Binding:
    """Binds the arguments of calls of ``fn``; ``name`` says in errors what it is the function of."""

    fn: Callable[..., Any]
    name: str
    signature: inspect.Signature = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.signature = inspect.signature(self.fn)

    def given(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters that a call gives, by name, in the signature's order; defaults are left out.

        Raises:
            ParameterError: the function cannot be called so.
        """
        try:
            return dict(self.signature.bind(*args, **kwargs).arguments)
        except TypeError as error:
            known = ", ".join(self.signature.parameters)
            raise ParameterError(f"{self.name} takes ({known}): {error}") from None

    def with_defaults(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The same parameters with the function's defaults among them, in the signature's order."""
        bound = inspect.BoundArguments(self.signature, OrderedDict(parameters))
        bound.apply_defaults()
        return dict(bound.arguments)

    def parameters(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters of a call, by name, defaults among them.

        Raises:
            ParameterError: the function cannot be called so.
        """
        return self.with_defaults(self.given(args, kwargs))

    def arguments(self, parameters: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """What to call the function with, to give it these parameters."""
        bound = inspect.BoundArguments(self.signature, OrderedDict(parameters))
        return bound.args, bound.kwargs

    def rebound(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Parameters that came by name, from the store or an API, with defaults for those that did not come.

        Raises:
            ParameterError: one is unknown or missing.
        """
        named = self.signature.parameters
        known = {name: value for name, value in parameters.items() if name in named}
        unknown = {name: value for name, value in parameters.items() if name not in named}
        missing = [name for name in named if name not in known and _is_required(named[name])]
        if missing or (unknown and self.variadic is None):
            told = [f"{name} is missing" for name in missing] + [f"{name} is unknown" for name in unknown]
            raise ParameterError(f"{self.name} takes ({', '.join(named)}): {', '.join(told)}")
        if self.variadic is not None and unknown:
            known[self.variadic] = {**known.get(self.variadic, {}), **unknown}
        return self.with_defaults(known)

    def coerced(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters as the annotations want them.

        Raises:
            ParameterError: some do not fit; it names each of them.
        """
        fitting: dict[str, Any] = {}
        wrong: list[str] = []
        for name, value in parameters.items():
            try:
                fitting[name] = self._fitting(name, value)
            except ValueError as error:
                wrong.append(f"{name}: {error}")
        if wrong:
            raise ParameterError("; ".join(wrong))
        return fitting

    def _fitting(self, name: str, value: Any) -> Any:
        annotation = self.annotations.get(name, Any)
        match self.signature.parameters[name].kind:
            case inspect.Parameter.VAR_POSITIONAL:
                return tuple(coerced(part, annotation) for part in value)
            case inspect.Parameter.VAR_KEYWORD:
                return {key: coerced(part, annotation) for key, part in value.items()}
            case _:
                return coerced(value, annotation)

    @cached_property
    def annotations(self) -> dict[str, Any]:
        """What the parameters are annotated with, evaluated; nothing where that raises."""
        try:
            return typing.get_type_hints(self.fn, include_extras=True)
        except Exception:  # noqa: BLE001 - evaluating annotations is running user code; unjudged is as written
            return {}

    @cached_property
    def variadic(self) -> str | None:
        """The name of the parameter that collects further keywords, if there is one."""
        kinds = {parameter.kind: name for name, parameter in self.signature.parameters.items()}
        return kinds.get(inspect.Parameter.VAR_KEYWORD)
