"""The pace of a disk: whether bringing a commit to it is so quick that a hop to another thread would cost more.

And what else a store in a file may be tuned by.
"""

from __future__ import annotations

import math
from typing import Final, final

from attrs import define, frozen

LOG_PAGES: Final = 1000
"""How many pages SQLite's log may have before it is merged into the database."""

QUICK_SECONDS: Final = 0.001
"""What the event loop may spend on one fsync: less than a turn of it takes when many tasks are busy."""

_FORGIVEN: Final = 0.8
"""How much of the slowest one is remembered after each one that follows."""


@final
@frozen(kw_only=True)
class Tuning:
    """What suits nearly every disk as it is."""

    log_pages: int = LOG_PAGES
    """How long SQLite's log may become before it is merged into the database."""
    quick_seconds: float = QUICK_SECONDS
    """A disk that syncs more quickly than this may be waited for on the event loop; 0 is for never."""


@final
@define(eq=False)
class Pace:
    """Remembers how long syncing took, the slow ones longest. A disk that nobody has tried is slow."""

    limit: float = QUICK_SECONDS
    """Seconds; 0 is for never."""
    _slowest: float = math.inf

    @property
    def is_quick(self) -> bool:
        """Whether the next one may be expected to take less than the limit."""
        return self._slowest < self.limit

    def took(self, seconds: float) -> None:
        """One more has taken so long."""
        remembered = 1.0 if self._slowest == math.inf else self._slowest * _FORGIVEN
        self._slowest = max(seconds, remembered)
