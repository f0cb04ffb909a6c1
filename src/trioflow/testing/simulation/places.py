"""Places: where code stands, as a file, a line and a function: of the user's, if there is any of it."""

from __future__ import annotations

import sysconfig
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import trio

_OURS = Path(__file__).parents[2]
_LIBRARIES = tuple({Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib", "platlib")})


def place_of(frame: FrameType | None) -> str:
    """The innermost place under this frame that is in a file of the user's; else in one of ours; else of all."""
    return _spoken(
        [(entry.filename, entry.lineno or 0, entry.name) for entry in traceback.extract_stack(frame)]
    )


def place_of_task(task: trio.lowlevel.Task) -> str:
    """Where a task waits."""
    return _spoken(
        [(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name) for frame in _frames(task)]
    )


def waiting(root: trio.lowlevel.Task | None) -> Iterator[str]:
    """What each task under this one is called, and where it waits."""
    if root is None:
        return
    yield f"{root.name} at {place_of_task(root)}"
    for nursery in root.child_nurseries:
        for task in nursery.child_tasks:
            yield from waiting(task)


def _frames(task: trio.lowlevel.Task) -> Iterator[FrameType]:
    awaited: Any = task.coro
    while awaited is not None:
        frame = getattr(awaited, "cr_frame", None)
        if frame is not None:
            yield frame
        awaited = getattr(awaited, "cr_await", None)


def _spoken(stack: list[tuple[str, int, str]]) -> str:
    if not stack:
        return "its end"
    file, line, name = max(enumerate(stack), key=lambda entry: (_is_whose(entry[1][0]), entry[0]))[1]
    return f"{file}:{line} ({name})"


def _is_whose(filename: str) -> int:
    """2 for a file of the user's, 1 for one of ours, 0 for one of a library."""
    path = Path(filename)
    if _OURS in path.parents:
        return 1
    return 0 if filename.startswith("<") or any(library in path.parents for library in _LIBRARIES) else 2
