"""Inputs: futures and states among the arguments of a call are waited for, and replaced by their values.

Looks into lists, tuples, sets, dicts, dataclasses and attrs objects; `quote` says where not to. Knows nothing of runs
beyond their futures.
"""

from __future__ import annotations

import copy
import dataclasses
import operator
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import attrs
from attrs import frozen

from trioflow.core.states import State
from trioflow.engine.annotations import Annotation, allow_failure, quote
from trioflow.engine.futures import Future
from trioflow.engine.results import exception_of, result_of
from trioflow.errors import ParameterError, TrioflowBug, UpstreamTaskError

ATOMS = frozenset({type(None), bool, int, float, complex, str, bytes})
"""Types whose values hold no others."""

Upstream = Future[Any] | State


@frozen
class Inputs:
    """The arguments of a call as they were given, and the runs whose outcomes they wait for."""

    parameters: Mapping[str, Any]
    upstream: Mapping[str, tuple[tuple[Upstream, bool], ...]]
    """Parameter (or ``wait_for``) -> what was found in its value, and whether it may have failed."""

    @classmethod
    def of(cls, parameters: Mapping[str, Any], wait_for: Iterable[Any] | None = None) -> Inputs:
        """What there is to wait for in these arguments.

        Raises:
            ParameterError: a value cannot be looked through; it advises `quote`.
        """
        upstream: dict[str, tuple[tuple[Upstream, bool], ...]] = {}
        for name, value in parameters.items():
            if type(value) not in ATOMS and (found := upstream_in(name, value)):
                upstream[name] = found
        if wait_for is not None and (found := upstream_in("wait_for", list(wait_for))):
            upstream["wait_for"] = found
        return cls(parameters, upstream)

    async def resolved(self) -> dict[str, Any]:
        """The parameters with values in place of futures and states, once all of these have ended.

        Raises:
            UpstreamTaskError: one did not complete.
        """
        for found in self.upstream.values():
            for run, may_fail in found:
                _check(await run.ended() if isinstance(run, Future) else run, run, may_fail=may_fail)
        return {
            name: value if type(value) in ATOMS else replaced(value, value_of)
            for name, value in self.parameters.items()
        }

    def lineage(self) -> dict[str, list[dict[str, str]]]:
        """Parameter -> the task runs whose values went into it; complete once `resolved` has returned."""
        return {name: _ids(found) for name, found in self.upstream.items()}


def upstream_in(name: str, value: Any) -> tuple[tuple[Upstream, bool], ...]:
    """The futures and states in ``value``, and of each whether it may have failed.

    Raises:
        ParameterError: it cannot be looked through; ``name`` says what it is, and `quote` is advised.
    """
    found: list[tuple[Upstream, bool]] = []
    try:
        _walk(value, lambda run, may_fail: found.append((run, may_fail)))
    except Exception as error:
        raise ParameterError(
            f"{name}: cannot be looked through ({error!r}): wrap it in quote(...)"
        ) from error
    return tuple(found)


def _check(state: State, run: Upstream, *, may_fail: bool) -> None:
    if may_fail and isinstance(run, Future):
        run.allow_failure()
    if state.is_completed or (may_fail and state.is_final):
        return
    which = f"'{run.run_id}'" if isinstance(run, Future) else str(run)
    raise UpstreamTaskError(f"Upstream task run {which} did not reach a 'COMPLETED' state.")


def _ids(found: Iterable[tuple[Upstream, bool]]) -> list[dict[str, str]]:
    ids = (run.run_id for run, _ in found if isinstance(run, Future))
    return [{"input_type": "task_run", "id": str(id_)} for id_ in ids if id_ is not None]


def value_of(run: Upstream) -> Any:
    """What stands in for a run that has ended: its result, or its exception."""
    state = run.state if isinstance(run, Future) else run
    return result_of(state) if state.is_completed else exception_of(state)


# --- walking


def _walk(value: Any, visit: Callable[[Upstream, bool], object], *, may_fail: bool = False) -> None:
    """Visit every future and state in ``value``; only the innermost annotation around one counts."""
    if is_upstream(value):
        visit(value, may_fail)
    elif _is(value, Annotation):
        if not _is(value, quote):
            _walk(value.value, visit, may_fail=_is(value, allow_failure))
    else:
        for part in _worth_a_look(taken_apart(value)[0]):
            _walk(part, visit, may_fail=may_fail)


def replaced(value: Any, by: Callable[[Upstream], Any]) -> Any:
    """``value`` without annotations, every future and state in it replaced; itself, if it holds none."""
    if is_upstream(value):
        return by(value)
    if _is(value, Annotation):
        return value.value if _is(value, quote) else replaced(value.value, by)
    parts, together = taken_apart(value)
    if not _worth_a_look(parts):
        return value
    after = [part if type(part) in ATOMS else replaced(part, by) for part in parts]
    return value if all(map(operator.is_, after, parts)) else together(after)


def is_upstream(value: Any) -> bool:
    """Whether it stands for the outcome of a run."""
    return _is(value, (Future, State))


def _worth_a_look(parts: list[Any]) -> list[Any]:
    # By types in bulk: a million numbers are passed over at C's speed.
    if not parts or set(map(type, parts)) <= ATOMS:
        return []
    return [part for part in parts if type(part) not in ATOMS]


Parts = list[Any]


def taken_apart(value: Any) -> tuple[Parts, Callable[[Parts], Any]]:
    """What ``value`` holds, and how to make one like it that holds something else. Most values hold nothing."""
    kind: type[Any] = value.__class__
    if kind in ATOMS:
        return [], _nothing
    if _is(value, list):
        return list(value), partial(_list_of, value)
    if _is(value, (set, frozenset)):
        return list(value), kind
    if _is(value, tuple):
        return list(value), getattr(kind, "_make", kind)
    if _is(value, dict):
        return [*value, *value.values()], partial(_dict_of, value)
    if attrs.has(kind):
        names = [field.name for field in attrs.fields(kind)]
        return [getattr(value, name) for name in names], partial(_evolved, attrs.evolve, value, names)
    if dataclasses.is_dataclass(kind):
        names = [field.name for field in dataclasses.fields(kind)]
        return [getattr(value, name) for name in names], partial(_evolved, dataclasses.replace, value, names)
    return [], _nothing


def _is(value: Any, kind: type[Any] | tuple[type[Any], ...]) -> bool:
    return isinstance(value, kind)


def _dict_of(before: dict[Any, Any], parts: Parts) -> Any:
    # By way of a copy, so that a subclass (a defaultdict, say) keeps what else it knows.
    after = copy.copy(before)
    after.clear()
    after.update(zip(parts[: len(before)], parts[len(before) :], strict=True))
    return after


def _list_of(before: list[Any], parts: Parts) -> Any:
    after = copy.copy(before)
    after[:] = parts
    return after


def _evolved(evolve: Callable[..., Any], value: Any, names: list[str], parts: Parts) -> Any:
    changed = {
        name: part for name, part in zip(names, parts, strict=True) if part is not getattr(value, name)
    }
    return evolve(value, **changed)


def _nothing(parts: Parts) -> Any:
    raise TrioflowBug(f"{len(parts)} parts for a value that holds none")
