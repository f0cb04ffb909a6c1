"""The guard: the real world has no place in a trial, where time is virtual and each step is to be repeatable.

A thread, a socket, a process or a real sleep is refused where it is asked for, and remembered with its line. Python
tells of them by its audit events, so that none gets by under another name.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping
from typing import final

from attrs import define, field

from trioflow.errors import RealWorldUsed
from trioflow.testing.everywhere.points import running_frames, site_of

_INSTEAD: Mapping[str, tuple[str, str]] = {
    "time.sleep": ("a real sleep", "use `await trio.sleep(...)`, which takes no time here"),
    "_thread.start_new_thread": ("a thread", "make it async code, or give what needs the thread to the flow"),
    "_thread.start_joinable_thread": (
        "a thread",
        "make it async code, or give what needs the thread to the flow",
    ),
    "socket.__new__": ("a socket", "let the flow take what it speaks through as a parameter"),
    "subprocess.Popen": ("a process", "let the flow take what starts it as a parameter"),
    "os.fork": ("a process", "let the flow take what starts it as a parameter"),
    "os.posix_spawn": ("a process", "let the flow take what starts it as a parameter"),
}


_guards: list[Guard] = []
"""Those on watch, in this process; an audit hook cannot be taken away again."""
_is_hooked = False


@final
@define(eq=False)
class Guard:
    """Refuses the real world within the steps that it is told of."""

    found: RealWorldUsed | None = field(default=None, init=False)
    """What was refused first."""
    is_watching: bool = field(default=False, init=False)
    """Set at the beginning of a step in which the real world is out of bounds, cleared at its end."""

    def __enter__(self) -> Guard:
        global _is_hooked  # noqa: PLW0603 - once in a process, at the first use
        if not _is_hooked:
            sys.addaudithook(_heard)
            _is_hooked = True
        _guards.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        _guards.remove(self)

    def refuse(self, event: str) -> None:
        """Say that this has no place here.

        Raises:
            RealWorldUsed: naming what, where, and what to do instead.
        """
        what, instead = _INSTEAD[event]
        where = site_of(running_frames(inspect.currentframe()))
        self.found = self.found or RealWorldUsed(f"{what} has no place in a scenario, at {where}: {instead}")
        raise self.found


def _heard(event: str, _: object) -> None:
    if event in _INSTEAD:
        for guard in _guards:
            if guard.is_watching:
                guard.refuse(event)
