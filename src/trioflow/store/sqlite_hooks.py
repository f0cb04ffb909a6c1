"""What SQLite calls back: while a lock is in its way, and after each commit that its log has taken."""

from __future__ import annotations

import logging
import threading
from typing import Final, final

import apsw
from attrs import define, field

from trioflow.store.pace import LOG_PAGES

_PAUSE_SECONDS: Final = 0.01
_CALLS_A_WARNING: Final = 1000

logger = logging.getLogger("trioflow.store")


@final
@define(eq=False)
class Patience:
    """A busy handler that never gives up, unless told to: only programs that do not know our lock can be in the way."""

    _path: str
    is_none: bool = False
    """What is run now must not wait."""
    _pause: threading.Event = field(factory=threading.Event)

    def __call__(self, calls: int) -> bool:
        """Whether SQLite shall try again."""
        if self.is_none:
            return False
        self._pause.wait(_PAUSE_SECONDS)
        if calls % _CALLS_A_WARNING == _CALLS_A_WARNING - 1:
            logger.warning("%s is kept locked by a program that is not trioflow", self._path)
        return True


@final
@define(eq=False)
class Log:
    """The length of the write-ahead log. While SQLite calls this after its commits, it merges nothing by itself."""

    _limit: int = LOG_PAGES
    _pages: int = 0
    """How many it had when we last looked, or committed."""
    _tried: int = 0
    """How many it had when merging it was last tried."""

    def __call__(self, _connection: object, _database: str, pages: int) -> int:
        """One of our commits has brought it to so many pages."""
        self.has(pages)
        return apsw.SQLITE_OK

    def has(self, pages: int) -> None:
        """It has so many pages now."""
        self._pages = pages
        if pages < self._tried:  # it has begun anew
            self._tried = 0

    @property
    def is_long(self) -> bool:
        """It should be merged. A reader can keep it from that; it is not tried again before it has grown as much."""
        return self._pages - self._tried >= self._limit

    def is_tried(self) -> None:
        """Merging it is being tried."""
        self._tried = self._pages
