"""What a rule can keep from one asking to the next: globals, closures, defaults, attributes.

A pure function changes none of them. What it did change is put back, so that every trial begins alike and a failing
one fails again.
"""

from __future__ import annotations

import copy
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextvars import ContextVar
from functools import partial
from itertools import chain
from random import Random
from types import BuiltinFunctionType, CodeType, FunctionType, GeneratorType, MethodType, ModuleType
from typing import Any, cast, final

from attrs import Factory, define, field, frozen

_ABSENT = object()
_CALL = "__call__"
_NO_DATA = (FunctionType, BuiltinFunctionType, MethodType, ModuleType, type)


@frozen(eq=False)
class _Place:
    """Somewhere a value is kept, and how it was at first."""

    told: str
    get: Callable[[], Any]
    put: Callable[[Any], None]
    look: str = field(init=False, default=Factory(lambda self: _look(self.get()), takes_self=True))
    first: Any = field(init=False, default=Factory(lambda self: _copied(self.get()), takes_self=True))

    @property
    def is_changed(self) -> bool:
        return _look(self.get()) != self.look

    def put_back(self) -> None:
        """In place where that can be: others may hold the same list."""
        now, first = self.get(), _copied(self.first)
        refill = getattr(now, "extend", None) or getattr(now, "update", None)
        if type(now) is type(first) and refill is not None:
            now.clear()
            refill(first)
        else:
            self.put(first)


@final
@define(eq=False)
class Keepsakes:
    """All that a rule's code can reach and change."""

    fn: Callable[..., Any]
    _places: list[_Place] = field(
        init=False, default=Factory(lambda self: list(_places_of(self.fn, set())), takes_self=True)
    )

    def changed(self) -> str | None:
        """The first place that is not as it was, as in ``the global `calls```; None if all is."""
        return next((place.told for place in self._places if place.is_changed), None)

    def put_back(self) -> None:
        """Make everything as it was at first, as far as it can be copied."""
        for place in self._places:
            if place.is_changed:
                place.put_back()


def _places_of(called: Any, seen: set[int]) -> Iterator[_Place]:
    """What a callable can reach: its own, and what the functions and classes of its module reach that it names."""
    if id(called) in seen:
        return
    seen.add(id(called))
    match called:
        case FunctionType():
            yield from _places_of_function(called, seen)
        case MethodType():
            yield _held("an attribute of what it is bound to", vars(called.__self__))
            yield from _places_of(called.__func__, seen)
        case partial():
            yield _held("an argument", called.keywords)
            yield from _places_of(called.func, seen)
        case type():
            yield from (_named(f"the attribute `{name}`", called, name) for name in _data_of(called))
        case _:
            yield _held("an attribute of itself", getattr(called, "__dict__", {}))
            yield from _places_of(function_of(called), seen)


def _places_of_function(fn: FunctionType, seen: set[int]) -> Iterator[_Place]:
    yield _held(f"an attribute of `{fn.__name__}`", fn.__dict__)
    yield from (_held("a default", value) for value in (fn.__kwdefaults__, *(fn.__defaults__ or ())))
    names = sorted(_names(fn.__code__))
    cells = dict(zip(fn.__code__.co_freevars, fn.__closure__ or (), strict=True))
    yield from (_item(f"the global `{name}`", fn.__globals__, name) for name in names)
    yield from (_named(f"the variable `{name}`", cell, "cell_contents") for name, cell in cells.items())
    reached = [fn.__globals__.get(name) for name in names]
    reached += [getattr(cell, "cell_contents", None) for cell in cells.values()]
    for value in reached:
        if isinstance(value, (FunctionType, type)) and value.__module__ == fn.__module__:
            yield from _places_of(value, seen)


def _names(code: CodeType) -> set[str]:
    """What the code, and the functions written inside it, look up by name."""
    inner = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return set(code.co_names).union(*map(_names, inner))


def _data_of(class_: type[object]) -> list[str]:
    return [name for name, value in vars(class_).items() if not name.startswith("__") and not callable(value)]


def _held(told: str, value: Any) -> _Place:
    """A value that stays where it is; what a list or a dict holds can be put back."""
    return _Place(told, lambda: value, lambda _: None)


def _named(told: str, owner: Any, name: str) -> _Place:
    return _Place(told, partial(getattr, owner, name, _ABSENT), partial(setattr, owner, name))


def _item(told: str, items: dict[str, Any], name: str) -> _Place:
    def put(value: Any) -> None:
        if value is _ABSENT:
            del items[name]
        else:
            items[name] = value

    return _Place(told, partial(items.get, name, _ABSENT), put)


def function_of(called: Any) -> Any:
    """What runs when it is called: itself if it is a function, else the ``__call__`` of its class."""
    return called if hasattr(called, "__code__") else getattr(called.__class__, _CALL, None)


def _look(value: Any, around: frozenset[int] = frozenset()) -> str:
    """How a value looks, with all that it holds: equal for equal values."""
    if id(value) in around or len(around) > _DEEPEST:
        return "..."
    within = around | {id(value)}
    match value:
        case Random():
            return str(value.getstate())
        case ContextVar():
            return _look(cast("Any", value).get(None), within)
        case GeneratorType():
            return _look(value.gi_frame and value.gi_frame.f_locals, within)
        case dict():
            return _look([*cast("Any", value).items()], within)
        case list() | tuple() | deque():
            return str([_look(each, within) for each in cast("Iterable[Any]", value)])
        case _ if isinstance(value, _NO_DATA):
            return str(id(value))
        case _ if _ADDRESS in (shown := repr(value)):
            return f"{shown} {_look(_attributes(value), within)}"
        case _:
            return repr(value)


_DEEPEST = 8
_ADDRESS = " at 0x"
"""What is shown by where it is does not show what it holds."""


def _attributes(value: object) -> dict[str, Any]:
    names = chain.from_iterable(_slots(class_) for class_ in type(value).__mro__)
    slots = {name: getattr(value, name) for name in names if hasattr(value, name)}
    return slots | getattr(value, "__dict__", {})


def _slots(class_: type) -> Sequence[str]:
    slots = vars(class_).get("__slots__", ())
    return [slots] if isinstance(slots, str) else list(slots)


def _copied(value: Any) -> Any:
    """A copy that changes of the original do not reach; the value itself where there can be none."""
    if isinstance(value, _NO_DATA):
        return value
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # itertools' objects tell that they will not be copied for ever
        try:
            return copy.deepcopy(value)
        except Exception:  # noqa: BLE001 - whatever a value says to being copied, it is not copied
            return value
