"""Sees what a rule does beside answering: which calls it makes for time, chance or the machine, and in which line.

A profile function hears of every call that the rule's code makes, so that one asking is enough: no test has to be
run at the right hour, or often enough, to find out.
"""

from __future__ import annotations

import builtins
import gc
import os
import random
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import date
from types import CodeType, FrameType
from typing import Any, final

from attrs import define, frozen

from trioflow import clock

_CLOCK = "the clock: take proposal.now"
_CHANCE = "chance: take proposal.draw"
_MACHINE = "the machine: a rule knows its proposal, and what was known when it was made"

_CALLS: Mapping[object, str] = {
    **dict.fromkeys(
        (time.time, time.time_ns, time.monotonic, time.monotonic_ns, time.perf_counter, time.perf_counter_ns),
        _CLOCK,
    ),
    **dict.fromkeys((time.localtime, time.gmtime, time.sleep), _CLOCK),
    os.urandom: _CHANCE,
    **dict.fromkeys((open, os.getpid, os.getcwd, os.stat, os.listdir, os.open), _MACHINE),
}
"""Functions written in C that no rule may call."""

_CODE: Mapping[CodeType, str] = {
    clock.now.__code__: _CLOCK,
    clock.draw.__code__: _CHANCE,
    clock.new_id.__code__: _CHANCE,
    type(os.environ).__getitem__.__code__: _MACHINE,
}
"""The same of functions written in Python."""

_CLOCKS = frozenset({"now", "utcnow", "today"})
_MAY_ASK = frozenset({"logging", "warnings"})
"""Modules that look at the clock for themselves: what a rule logs has no say in what it answers."""


@frozen
class Trespass:
    """A call that a rule may not make."""

    call: str
    """As it would be written: ``time.time()``."""
    mend: str
    """What it asks, and what to do instead."""
    line: int | None
    """In the rule's file; None when the rule's own code is not on the way to the call."""


@final
@define(eq=False)
class Observer:
    """Listens to the calls under one asking of a rule; the first that it may not make is kept."""

    file: str
    """Where the rule is written."""
    seen: Trespass | None = None

    @contextmanager
    def listening(self) -> Generator[None]:
        """Within the block, every call of this thread is heard; not while cProfile runs, which gives no way back."""
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
        if self.seen is not None:
            return
        if event == "c_call":
            mend, name = _asks_for(called), _written(called)
            at: FrameType | None = frame
        elif event == "call":
            mend, name, at = _CODE.get(frame.f_code), frame.f_code.co_qualname, frame.f_back
        else:
            return
        if mend is not None and not _is_for_itself(frame):
            self.seen = Trespass(f"{name}()", mend, self._line(at))

    def _line(self, frame: FrameType | None) -> int | None:
        while frame is not None and frame.f_code.co_filename != self.file:
            frame = frame.f_back
        return frame.f_lineno if frame else None


def _written(called: Any) -> str:
    """The name of a C function, as one writes it."""
    name = getattr(called, "__qualname__", repr(called))
    return f"time.{name}" if getattr(called, "__module__", None) == "time" else str(name)


def _asks_for(called: Any) -> str | None:
    """What this C function is asked for, and what to do instead; None if it is harmless."""
    bound_to = getattr(called, "__self__", None)
    if isinstance(bound_to, type) and issubclass(bound_to, date):
        return _CLOCK if called.__name__ in _CLOCKS else None
    if bound_to is _SHARED:
        return _CHANCE
    try:
        return _CALLS.get(called)
    except TypeError:  # bound to something that has no hash
        return None


_SHARED = random.random.__self__  # type: ignore[attr-defined]
"""The generator behind the functions of `random`; one that a rule seeds by itself is its own affair."""


def _is_for_itself(frame: FrameType | None) -> bool:
    while frame is not None:
        if str(frame.f_globals.get("__name__")).partition(".")[0] in _MAY_ASK:
            return True
        frame = frame.f_back
    return False


@contextmanager
def another_day() -> Generator[None]:
    """Within the block, chance and hashes are other than usual: what depends on them shows."""
    state, hash_before = random.getstate(), builtins.hash
    random.seed(_ANOTHER_SEED)
    builtins.hash = lambda value, /: hash_before(value) ^ _SALT
    try:
        yield
    finally:
        builtins.hash = hash_before
        random.setstate(state)


_ANOTHER_SEED = 20_111_230
_SALT = 0x5DEECE66D
