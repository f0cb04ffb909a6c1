"""Parameters of flow runs: validated, as the store keeps them, and read back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import orjson
from attrs import frozen

from trioflow.core.states import Failed, Pending, State
from trioflow.engine.results import Raised
from trioflow.engine.serializers import JsonSerializer
from trioflow.errors import NotSerializable, ParameterError

if TYPE_CHECKING:
    from trioflow.engine.flows import Flow

_JSON = JsonSerializer()

Parameters = Mapping[str, Any]


@frozen
class Checked:
    """The parameters of a flow run, and why its function cannot be called with them; None when it can."""

    parameters: Parameters
    refusal: ParameterError | None = None

    def first_state(self) -> State:
        """The state that the run begins in: FAILED, with live data, when the parameters do not fit (FL-11)."""
        if self.refusal is None:
            return Pending()
        message = f"Validation of flow parameters failed with error: {self.refusal}"
        return Failed(message=message, data=Raised(self.refusal))


def checked(flow: Flow[..., Any], parameters: Parameters) -> Checked:
    """The parameters as the flow's annotations want them; as they are, if it does not validate (FL-10, FL-13)."""
    if not flow.options.validate:
        return Checked(parameters)
    try:
        return Checked(flow.binding.coerced(parameters))
    except ParameterError as error:
        return Checked(parameters, error)


def restored(flow: Flow[..., Any], told: Mapping[str, Any]) -> Checked:
    """The parameters that a stored run is to be called with again, checked like new ones."""
    try:
        return checked(flow, flow.binding.rebound(_read(told)))
    except ParameterError as error:
        return Checked(told, error)


def storable(parameters: Parameters) -> dict[str, Any]:
    """The parameters as JSON's own types; one that JSON cannot bring back is left out."""
    told: dict[str, Any] = {}
    for name, value in parameters.items():
        try:
            told[name] = orjson.loads(_JSON.write(value))
        except NotSerializable:
            continue
    return told


def _read(told: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return {name: _JSON.read(orjson.dumps(value)) for name, value in told.items()}
    except ValueError as error:
        raise ParameterError(f"the stored parameters cannot be read: {error}") from error
