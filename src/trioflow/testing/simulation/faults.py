"""Faults: which troubles a simulation has, and how often. Values; who does them is `chaos` and the database."""

from __future__ import annotations

import random
from typing import Self

from attrs import frozen

_RATES = (
    *("child_kills", "runner_kills", "child_stops", "runner_stops", "outages", "clock_jumps", "link_cuts"),
    *("cancels", "orders"),
)
_CHANCES = ("lost_requests", "lost_answers", "late_requests", "repeated_requests")
_MOST_AN_HOUR = 30.0
_MOST_CHANCE = 0.03
_HARMLESS = frozenset({"cancels", "repeated_requests"})
"""Whoever asks twice, or for the end of a run, does nothing wrong, and nothing may go wrong for it."""
_SPARE_RUNNERS = frozenset({"child_kills", "child_stops", "link_cuts", "cancels", "repeated_requests"})


@frozen(kw_only=True)
class Faults:
    """How often each trouble comes. Rates are per simulated hour, chances per request."""

    child_kills: float = 0.0
    """``kill -9`` of a run's process."""
    runner_kills: float = 0.0
    """``kill -9`` of a runner's process, and of the processes of its runs; another one is started after a while."""
    child_stops: float = 0.0
    """A run's process is stopped (SIGSTOP) for up to two minutes, and goes on."""
    runner_stops: float = 0.0
    outages: float = 0.0
    """The database answers nobody for up to a minute."""
    clock_jumps: float = 0.0
    """The wall clock is set, forward or back."""
    cancels: float = 0.0
    """Somebody asks for the end of a run: no trouble, but what it meets often is."""
    orders: float = 0.0
    """Somebody pauses, suspends, resumes, ends or reruns a run, whether that can be or not."""
    link_cuts: float = 0.0
    """The link between a run's process and its runner is cut, with all that is on its way."""
    lost_requests: float = 0.0
    """The chance that a write fails and changes nothing."""
    lost_answers: float = 0.0
    """The chance that a write is done, and its asker hears of a failure."""
    late_requests: float = 0.0
    """The chance that a request, of a run to its runner or of a runner to the database, takes up to 40 seconds, or
    arrives after a later one."""
    repeated_requests: float = 0.0
    """The chance that such a request arrives twice."""
    latency: float = 0.0
    """Seconds that the database takes to answer, at most."""
    link_latency: float = 0.0
    """Seconds that a message between a run and its runner is on its way, at most."""

    @classmethod
    def swarm(cls, chance: random.Random) -> Self:
        """Some of all troubles, drawn: each is there in one of two simulations, at a drawn rate."""
        rates = {name: chance.uniform(1, _MOST_AN_HOUR) for name in _RATES if chance.random() < 0.5}
        if "runner_kills" in rates:
            rates["runner_kills"] /= 4
        if "orders" in rates:
            rates["orders"] *= 3
        chances = {name: chance.uniform(0, _MOST_CHANCE) for name in _CHANCES if chance.random() < 0.5}
        latency = {
            "latency": chance.choice((0.0, 0.01, 0.5)),
            "link_latency": chance.choice((0.0, 0.01, 0.2)),
        }
        return cls(**rates, **chances, **latency)

    @property
    def is_any(self) -> bool:
        """Whether something may go wrong; being slow, being asked twice, or to end, is not wrong."""
        return any(getattr(self, name) for name in {*_RATES, *_CHANCES} - _HARMLESS)

    @property
    def spares_runners(self) -> bool:
        """Whether runners, the clock and the database are left alone."""
        return not any(getattr(self, name) for name in {*_RATES, *_CHANCES} - _SPARE_RUNNERS)


NO_FAULTS = Faults()
