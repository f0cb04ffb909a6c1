"""Core to JSON and back. The only place that knows how a value is spelt on the wire.

States follow Prefect 2: ``state_details`` for details, and a SUSPENDED state is spelt as type PAUSED with
``pause_reschedule``, so that its clients understand it. Verdicts are spelt with a ``status``.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar, get_origin
from uuid import UUID

import orjson
from attrs import evolve
from cattrs import override
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn
from cattrs.preconf.orjson import OrjsonConverter, make_converter

from trioflow.core.recorded import RecordedResult
from trioflow.core.schedules import Schedule
from trioflow.core.schedules.window import CatchUp
from trioflow.core.states import State, StateType
from trioflow.core.verdicts import Abort, Accept, Reject, Verdict, Wait
from trioflow.wire.schedules import read_schedule, spell_schedule

T = TypeVar("T")

_STATUS: dict[str, type[Verdict]] = {"ACCEPT": Accept, "REJECT": Reject, "WAIT": Wait, "ABORT": Abort}


def to_json(value: Any) -> bytes:
    """The JSON of a request, a reply, or anything of the core's in one."""
    return _converter.dumps(value)


def from_json(text: bytes | str, type_: type[T]) -> T:
    """The value of this type that the JSON spells.

    Raises:
        cattrs.BaseValidationError: the JSON does not spell one; it says where.
    """
    return _converter.loads(text, type_)


def to_builtins(value: Any) -> Any:
    """The same as `to_json`, as dicts, lists and strings."""
    return orjson.loads(_converter.dumps(value))


def _make() -> OrjsonConverter:
    converter = make_converter(forbid_extra_keys=True)
    converter.register_unstructure_hook_func(_is_set, sorted)
    converter.register_structure_hook(UUID, lambda text, _: UUID(text))
    converter.register_structure_hook(datetime, lambda text, _: datetime.fromisoformat(text))
    converter.register_unstructure_hook(Schedule, spell_schedule)
    converter.register_structure_hook(Schedule, read_schedule)
    converter.register_unstructure_hook(CatchUp, str)
    converter.register_structure_hook(CatchUp, lambda text, _: CatchUp.named(text))
    _spell_states(converter)
    _spell_verdicts(converter)
    return converter


def _is_set(type_: Any) -> bool:
    """Whether it is ``frozenset``, of whatever: a set has no order, but the same one is always spelt the same."""
    return get_origin(type_) is frozenset or type_ is frozenset


def _spell_states(converter: OrjsonConverter) -> None:
    renamed = override(rename="state_details")
    unstructure = make_dict_unstructure_fn(State, converter, details=renamed)
    structure = make_dict_structure_fn(State, converter, details=renamed)

    def spell(state: State) -> dict[str, Any]:
        spelt = unstructure(state)
        spelt["data"] = converter.unstructure(state.data) if isinstance(state.data, RecordedResult) else None
        if state.type is StateType.SUSPENDED:
            spelt["type"] = StateType.PAUSED.value
        spelt["state_details"] = {
            **spelt["state_details"],
            "pause_reschedule": state.type is StateType.SUSPENDED,
        }
        return spelt

    def read(spelt: dict[str, Any], _: type[State]) -> State:
        given = dict(spelt)
        details = dict(given.get("state_details", {}))
        if details.pop("pause_reschedule", False):
            given["type"] = StateType.SUSPENDED.value
        given["state_details"] = details
        data = given.pop("data", None)
        state = structure(given, State)
        return state if data is None else evolve(state, data=converter.structure(data, RecordedResult))

    converter.register_unstructure_hook(State, spell)
    converter.register_structure_hook(State, read)


def _spell_verdicts(converter: OrjsonConverter) -> None:
    for status, class_ in _STATUS.items():
        converter.register_unstructure_hook(
            class_, _spell_as(status, make_dict_unstructure_fn(class_, converter))
        )

    def read(spelt: dict[str, Any], _: object) -> Verdict:
        fields = dict(spelt)
        verdict: Verdict = converter.structure(fields, _STATUS[fields.pop("status")])
        return verdict

    converter.register_structure_hook(Verdict, read)


def _spell_as(status: str, plain: Callable[[Any], dict[str, Any]]) -> Callable[[Any], dict[str, Any]]:
    return lambda verdict: {"status": status, **plain(verdict)}


_converter = _make()
