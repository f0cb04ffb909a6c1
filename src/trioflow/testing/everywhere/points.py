"""Points: the steps of a program, counted, so that one of them is an address; and the lines that tasks wait in.

A step is what a task does between two checkpoints. Acting after a step, the task waits at an ``await`` that has not
happened yet; acting before it, what it waited for has happened, and it does not know.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Literal, final

import trio
from attrs import define, field, frozen

_OURS = f"{Path(__file__).parents[2]}{os.sep}"
_KIT = _OURS + "testing" + os.sep
_TRIO = f"{Path(trio.__file__).parent}{os.sep}"

_LOOP = "unrolled_run"
"""What calls every task."""

Side = Literal["after", "before"]


@frozen
class Point:
    """One step of a scenario: the ``number``-th, from 1, and which side of it."""

    side: Side
    number: int

    def __str__(self) -> str:
        return f"{self.side} {self.number}"


@frozen
class Site:
    """Where a task is: a line of the program under test and, below it, one of trioflow's."""

    theirs: str | None
    ours: str | None

    def __str__(self) -> str:
        places = [place for place in (self.theirs, self.ours) if place is not None]
        return ", in ".join(places) or "outside of any code that is known"


NOWHERE = Site(None, None)


def site_of(frames: Iterator[tuple[CodeType, int]]) -> Site:
    """The innermost lines of theirs and, inside of that, of ours; ``frames`` go from the outside to the inside."""
    theirs = ours = None
    for code, line in frames:
        path = code.co_filename
        if path.startswith(_OURS) and not path.startswith(_KIT):
            ours = _told(code, line)
        elif not (path.startswith((_TRIO, _KIT, "<")) or "site-packages" in path):
            theirs, ours = _told(code, line), None
    return Site(theirs, ours)


def _told(code: CodeType, line: int) -> str:
    path = code.co_filename
    shown = "trioflow" + os.sep + path.removeprefix(_OURS) if path.startswith(_OURS) else _near(path)
    return f"{code.co_qualname} ({shown}:{line})"


def _near(path: str) -> str:
    near = os.path.relpath(path)
    return path if near.startswith("..") else near


def waiting_frames(coroutine: Any) -> Iterator[tuple[CodeType, int]]:
    """The frames of a coroutine that waits, from the outside to the inside."""
    while coroutine is not None:
        frame = getattr(coroutine, "cr_frame", None) or getattr(coroutine, "gi_frame", None)
        if frame is None:
            return
        yield frame.f_code, frame.f_lineno
        coroutine = getattr(coroutine, "cr_await", None) or getattr(coroutine, "gi_yieldfrom", None)


def running_frames(frame: FrameType | None) -> Iterator[tuple[CodeType, int]]:
    """The frames of the task that runs, from the outside to the inside."""
    found: list[tuple[CodeType, int]] = []
    while frame is not None and not (
        frame.f_code.co_filename.startswith(_TRIO) and frame.f_code.co_name == _LOOP
    ):
        found.append((frame.f_code, frame.f_lineno))
        frame = frame.f_back
    return reversed(found)


@final
@define(eq=False)
class StepCounter(trio.abc.Instrument):
    """Counts the steps of a task and of all tasks below it; acts at one of them."""

    point: Point | None
    """None only counts."""
    act: Callable[[Site], object]
    """Called at the point, with where the task is."""
    begins: Callable[[trio.lowlevel.Task], object]
    """Called when a step begins that counts."""
    ended: Callable[[trio.lowlevel.Task], object]
    """Called when a step has ended that counts."""
    root: trio.lowlevel.Task | None = None
    """None counts nothing."""
    steps: int = field(default=0, init=False)
    """That have ended."""
    _started: int = field(default=0, init=False)

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        """See `trio.abc.Instrument`."""
        if self._counts(task):
            self._started += 1
            self._reached("before", self._started, task)
            self.begins(task)

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        """See `trio.abc.Instrument`."""
        if self._counts(task):
            self.steps += 1
            self.ended(task)
            self._reached("after", self.steps, task)

    def _reached(self, side: Side, number: int, task: trio.lowlevel.Task) -> None:
        if self.point is not None and (self.point.side, self.point.number) == (side, number):
            self.act(site_of(waiting_frames(task.coro)))

    def _counts(self, task: trio.lowlevel.Task) -> bool:
        above: trio.lowlevel.Task | None = task
        while above is not None and self.root is not None:
            if above is self.root:
                return True
            above = above.parent_nursery.parent_task if above.parent_nursery is not None else None
        return False
