"""The watchdog: notices, by the real clock, that a simulation hangs, says where it stands, and ends it."""

# pyright: reportPrivateUsage=false
# (frames are looked at where code stands)

from __future__ import annotations

import ctypes
import signal
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import final

from attrs import define, field

from trioflow.errors import SimulationError
from trioflow.testing.simulation.places import place_of

_LOOKS = 4
"""How often it looks while its patience lasts."""


@final
@define(eq=False)
class Watchdog:
    """Watches over the thread that it is started from."""

    _seconds: float
    """Of real time, without progress."""
    _progress: Callable[[], int]
    error: SimulationError | None = None
    """What it has found."""
    _done: threading.Event = field(factory=threading.Event)

    @contextmanager
    def watching(self) -> Generator[None]:
        """Within the block, this thread must make progress.

        Raises:
            KeyboardInterrupt: it did not; `error` says where.
        """
        thread = threading.Thread(target=self._watch, args=(threading.get_ident(),), daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._done.set()
            thread.join()

    def _watch(self, watched: int) -> None:
        before, stale = self._progress(), 0
        while not self._done.wait(self._seconds / _LOOKS):
            now = self._progress()
            stale = stale + 1 if now == before else 0
            before = now
            if stale >= _LOOKS:
                self._end(watched)
                return

    def _end(self, watched: int) -> None:
        where = place_of(sys._current_frames().get(watched))
        self.error = SimulationError(
            f"{where} kept the loop for {self._seconds:g} real seconds: code in a simulation must come to an `await`. "
            "Use `await trio.sleep(seconds)` to let virtual time pass; what waits for the real world cannot be "
            "simulated"
        )
        if watched == threading.main_thread().ident:
            signal.pthread_kill(watched, signal.SIGINT)  # Also what blocks in C is interrupted.
        else:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(watched), ctypes.py_object(KeyboardInterrupt)
            )
