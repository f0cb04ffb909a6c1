"""What every schedule can do: give its fires after an instant, in order, the same from wherever you look."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from datetime import datetime
from itertools import islice, takewhile


class Schedule(ABC):
    """When something is due: a pure function of an instant.

    Schedules are values: equal if they were asked for alike. What makes two of them the same schedule is their
    ``canonical`` text and their zone.
    """

    __slots__ = ()

    zone: str
    """The IANA name of the time zone whose clocks it goes by."""

    @property
    @abstractmethod
    def canonical(self) -> str:
        """The schedule in one spelling, whichever way it was written; without the zone."""

    @abstractmethod
    def fires(self, after: datetime) -> Iterator[datetime]:
        """The instants, in UTC and strictly increasing, strictly after an aware datetime.

        They end where the schedule ends, or a century after the last one, or with the year 9998.
        """

    def next_after(self, instant: datetime) -> datetime | None:
        """The first fire strictly after the instant, in UTC; None if the schedule is over."""
        return next(self.fires(instant), None)

    def between(self, start: datetime, end: datetime, limit: int) -> list[datetime]:
        """The first ``limit`` fires after ``start``, up to and including ``end``.

        The end of one call is the start of the next: no fire is given twice, none is lost.
        """
        return list(islice(takewhile(lambda fire: fire <= end, self.fires(start)), limit))
