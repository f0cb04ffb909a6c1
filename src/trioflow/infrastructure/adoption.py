"""Adoption: orphans whose shim was killed come to this process, if it does nothing but serve. Linux only.

A shim adopts whoever is orphaned in its tree. When it is killed itself, they come to the next process above that
adopts, so that a sweep finds them among its few children at once, where a look through the whole system comes too
late for one that is somebody else every two milliseconds. Whoever adopts also has to bury: the dead stay in the
system's table until their parent has asked for them. Trio asks for the processes that it has started, and only those.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import final

from attrs import define, field

from trioflow.infrastructure.shim import become_subreaper, children


@final
@define(eq=False)
class Family:
    """The children of this process: its own, and whom it has adopted. Asked by several threads."""

    _adopts: bool = field(default=False, init=False)
    _own: set[int] = field(factory=set[int], init=False)
    """The pids of those that were started here and are not buried by whoever did."""
    _births: int = field(default=0, init=False)
    """How many are being started: a child that nobody knows may be one of them."""
    _born: int = field(default=0, init=False)
    """How many ever were."""

    def adopt(self) -> None:
        """From now on orphans come to this process. Not for one that has other children than ours to look after."""
        self._own.update(children(os.getpid()))
        self._adopts = become_subreaper()

    @contextmanager
    def birth(self) -> Generator[None]:
        """Within the block a child is being started, and made known by `own`."""
        self._births += 1
        self._born += 1
        try:
            yield
        finally:
            self._births -= 1

    def own(self, pid: int) -> None:
        """This child was started here: who has started it buries it, and calls `lose`."""
        self._own.add(pid)

    def lose(self, pid: int) -> None:
        """It is buried."""
        self._own.discard(pid)

    def adopted(self) -> list[int]:
        """Who came to this process, alive or dead; nobody as long as they cannot be told from its own children."""
        born = self._born
        if not self._adopts or self._births:
            return []
        found = [pid for pid in children(os.getpid()) if pid not in self._own]
        return found if self._born == born else []

    def bury(self) -> int:
        """Bury the dead among the adopted; how many they were."""
        return sum(_buried(pid) for pid in self.adopted())


def _buried(pid: int) -> bool:
    with suppress(ChildProcessError):
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    return False


FAMILY = Family()
"""That of this process: it has but one."""
