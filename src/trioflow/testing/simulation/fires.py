"""Fires: which run each fire of a schedule has had, and whether one has had none, or two."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import datetime, timedelta
from typing import final

from attrs import define, field

from trioflow.store.store import Tx
from trioflow.testing.simulation.seen import Broken, told
from trioflow.testing.simulation.terms import Terms

_RUNS = (
    "SELECT flows.name || '/' || deployments.name, expected_start FROM flow_runs"
    " JOIN deployments ON deployments.id = deployment_id JOIN flows ON flows.id = flow_runs.flow_id"
    " WHERE fire_key IS NOT NULL"
)
_MOST = 100_000
_MARGIN = timedelta(seconds=10)
"""Around the time in which schedules fire: they have to be made known first, and the last fire may be cut off."""


@final
@define(eq=False)
class Fires:
    """See the module."""

    _terms: Terms
    _begun: defaultdict[tuple[bytes, str], dict[bytes, None]] = field(
        factory=lambda: defaultdict(dict), init=False
    )
    """By deployment and instant: the runs that were claimed for it."""
    _most: int = field(init=False)
    """Schedules that one deployment has: so many runs may be due at one instant."""

    def __attrs_post_init__(self) -> None:
        counts = [len(deployment.schedules) for deployment in self._terms.deployments]
        self._most = max(counts, default=0)

    def begun(self, run_id: bytes, deployment: bytes, due: str) -> None:
        """A run that a schedule has planned was claimed.

        Raises:
            Broken: another one was, for the same fire.
        """
        runs = self._begun[deployment, due]
        runs[run_id] = None
        if len(runs) > self._most:
            raise Broken(f"two runs for the fire at {due}: {' and '.join(map(told, runs))}")

    def check(self, tx: Tx) -> None:
        """Each fire until now has had one run, where nobody was kept from planning it.

        Raises:
            Broken: one was lost, or doubled.
        """
        planned = Counter((name, datetime.fromisoformat(due)) for name, due in tx.execute(_RUNS))
        for name, fire in planned:
            if planned[name, fire] > self._most:
                raise Broken(f"{planned[name, fire]} runs of {name} are planned for the fire at {fire}")
        if self._terms.spares_scheduling:
            for name, fire in self._owed():
                if not planned[name, fire]:
                    raise Broken(f"{name} has no run for its fire at {fire}, though nothing went wrong")

    def _owed(self) -> list[tuple[str, datetime]]:
        start = self._terms.start + _MARGIN
        end = self._terms.start + self._terms.duration - _MARGIN
        return [
            (deployment.full_name, fire)
            for deployment in self._terms.deployments
            for each in deployment.schedules
            for fire in each.schedule.between(start, end, _MOST)
        ]
