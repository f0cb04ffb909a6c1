"""The world of a flow's test: a wall clock that goes with Trio's, be that real or virtual."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import final

import trio

from trioflow.clock import RealWorld


@final
class LoopWorld(RealWorld):
    """Made within a ``trio.run``, at the real time; from then on it is as much later as that loop's clock says."""

    def __init__(self) -> None:
        self._clock = trio.lowlevel.current_clock()
        self._start = super().now() - timedelta(seconds=self._clock.current_time())

    def now(self) -> datetime:
        """The wall clock: aware, in UTC. Threads of the loop may ask too."""
        return self._start + timedelta(seconds=self._clock.current_time())
