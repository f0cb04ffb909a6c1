"""Sees what a rule does beside answering: which calls it makes for time, chance or the machine, and in which line.

A profile function hears of every call that the rule's code makes, before it is made, so that one asking is enough: no
test has to be run at the right hour, or often enough, to find out. What is heard is not done: nothing is deleted,
started or slept through by a check.
"""

from __future__ import annotations

import gc
import io
import os
import random
import socket
import sys
import threading
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import date
from types import CodeType, FrameType
from typing import Any, final

from attrs import define, frozen

from trioflow import clock
from trioflow.testing.checking.properties import Property

_CLOCK = "asks the clock: take proposal.now"
_CHANCE = "asks chance: take proposal.draw"
_MACHINE = "asks the machine: a rule knows its proposal, and what was known when it was made"
_SLEEP = "keeps the store waiting: answer Wait, and be asked again"
_IDENTITY = "asks what is another one in each process: compare values"

_MODULES: Mapping[str, str] = {
    "time": _CLOCK,
    "_uuid": _CHANCE,
    **dict.fromkeys(("posix", "nt", "_socket", "_posixsubprocess", "_winapi", "_sqlite3"), _MACHINE),
}
"""Modules written in C whose functions no rule may call."""

_HARMLESS: frozenset[object] = frozenset({time.strptime, time.struct_time, os.fspath, os.strerror})

_CALLS: Mapping[object, str] = {
    time.sleep: _SLEEP,
    os.urandom: _CHANCE,
    **dict.fromkeys((io.open, input), _MACHINE),
}
"""Single functions written in C."""

_CODE: Mapping[CodeType, str] = {
    clock.now.__code__: _CLOCK,
    clock.draw.__code__: _CHANCE,
    clock.new_id.__code__: _CHANCE,
    socket.socket.__init__.__code__: _MACHINE,
    threading.current_thread.__code__: _MACHINE,
    threading.Thread.start.__code__: _MACHINE,
    **{
        getattr(type(os.environ), name).__code__: _MACHINE
        for name in ("__getitem__", "__setitem__", "__delitem__", "__iter__", "__len__")
    },
}
"""The same of functions written in Python."""

_SEED = random.Random.seed.__code__
_IDENTITIES = frozenset({id, hash})
_CLOCKS = frozenset({"now", "utcnow", "today"})
_MAY_ASK = frozenset(
    {
        *("logging", "warnings"),  # what a rule logs has no say in what it answers
        *(
            "importlib",
            "_frozen_importlib",
            "_frozen_importlib_external",
            "zoneinfo",
        ),  # what never changes is loaded
        "_strptime",  # it asks how this machine spells months
    }
)
"""Modules that look outside for themselves."""


@frozen
class Trespass:
    """A call that a rule may not make."""

    call: str
    """As it would be written: ``time.time()``."""
    mend: str
    """What is wrong with it, and what to do instead."""
    line: int | None
    """In the rule's file; None when the rule's own code is not on the way to the call."""

    @property
    def broken(self) -> Property:
        """What it breaks."""
        return Property.ORDERLY if self.mend is _IDENTITY else Property.PURE


class Stopped(BaseException):
    """The call is not made. No `Exception`: a rule that answers for those does not answer for this."""


@final
@define(eq=False)
class Observer:
    """Listens to the calls under one asking of a rule; the first that it may not make is kept, and not made."""

    file: str
    """Where the rule is written."""
    module: str
    """The module of the rule; the package around it is taken for its author's too."""
    seen: Trespass | None = None

    @contextmanager
    def listening(self) -> Generator[None]:
        """Within the block, every call of this thread is heard; not while cProfile runs, which gives no way back.

        Raises:
            Stopped: there was a call that the rule may not make.
        """
        before: object = sys.getprofile()
        collects = gc.isenabled()
        if before is not None and not callable(before):
            yield
            return
        gc.disable()  # what is called when garbage is collected (Hypothesis looks at the clock) is not the rule's
        sys.setprofile(self._hear)
        try:
            yield
        finally:
            sys.setprofile(before)
            if collects:
                gc.enable()

    def _hear(self, frame: FrameType, event: str, called: Any) -> None:
        at: FrameType | None = frame
        match event:
            case "c_call":
                mend, name = self._asked_of_c(frame, called), _written(called)
            case "call":
                mend, name, at = _asked_of_python(frame), frame.f_code.co_qualname, frame.f_back
            case _:
                return
        if mend is not None and not _is_for_itself(frame):
            self.seen = Trespass(f"{name}()", mend, self._line(at))
            raise Stopped

    def _asked_of_c(self, frame: FrameType, called: Any) -> str | None:
        """What is wrong with calling this C function; None if nothing is."""
        bound_to = getattr(called, "__self__", None)
        if isinstance(bound_to, type) and issubclass(bound_to, date):
            return _CLOCK if called.__name__ in _CLOCKS else None
        if bound_to is _SHARED:
            return _CHANCE
        try:
            if called in _IDENTITIES:
                return _IDENTITY if self._is_authors(frame) else None
            alone = None if called in _HARMLESS else _MODULES.get(getattr(called, "__module__", None) or "")
            return _CALLS.get(called, alone)
        except TypeError:  # bound to something that has no hash
            return None

    def _is_authors(self, frame: FrameType) -> bool:
        """Whether this is code of the rule's author; how values of his own are hashed and shown is their affair."""
        code = frame.f_code
        package, caller = (name.partition(".")[0] for name in (self.module, _module(frame)))
        is_near = code.co_filename == self.file or package == caller
        return (
            is_near and code.co_name not in {"__hash__", "__repr__"} and not code.co_filename.startswith("<")
        )

    def _line(self, frame: FrameType | None) -> int | None:
        while frame is not None and frame.f_code.co_filename != self.file:
            frame = frame.f_back
        return frame.f_lineno if frame else None


def _asked_of_python(frame: FrameType) -> str | None:
    """What is wrong with the call that has led to this frame; None if nothing is."""
    if frame.f_code is _SEED and frame.f_locals.get("a") is None:
        return _CHANCE
    return _CODE.get(frame.f_code)


def _written(called: Any) -> str:
    """The name of a C function, as one writes it."""
    name = getattr(called, "__qualname__", repr(called))
    return f"time.{name}" if getattr(called, "__module__", None) == "time" else str(name)


_SHARED = random.random.__self__  # type: ignore[attr-defined]
"""The generator behind the functions of `random`; one that a rule seeds by itself is its own affair."""


def _is_for_itself(frame: FrameType | None) -> bool:
    """Whether the call is a module's that may; beyond whoever asks the rule, nobody is looked at."""
    while frame is not None and (name := _module(frame)) != _ASKS:
        if name.partition(".")[0] in _MAY_ASK:
            return True
        frame = frame.f_back
    return False


_ASKS = "trioflow.testing.checking.watching"


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__"))


@contextmanager
def elsewhere() -> Generator[None]:
    """Within the block, this machine's own time zone is another one: an answer that comes from it shows."""
    if not hasattr(time, "tzset"):
        yield
        return
    before = os.environ.get("TZ")
    _move_to(_FAR_AWAY)
    try:
        yield
    finally:
        _move_to(before)


_FAR_AWAY = "FAR-12:45"


def _move_to(zone: str | None) -> None:
    if zone is None:
        os.environ.pop("TZ", None)
    else:
        os.environ["TZ"] = zone
    time.tzset()
