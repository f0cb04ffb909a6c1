"""Unsteady: what goes wrong with the requests of a run to its runner, and of a runner to the database, drawn."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from trioflow.testing.faults.client import (
    UNHARMED,
    ClientFault,
    ClientPlan,
    FaultyClient,
    late,
    overtaken,
    repeated,
)
from trioflow.testing.simulation.sometimes import OVERTAKEN, REPEATED

if TYPE_CHECKING:
    from trioflow.client.client import Client
    from trioflow.testing.simulation.database import Database
    from trioflow.wire.endpoints import Endpoint

_LATE_SECONDS = 40.0
"""By how much a request is late, at most: by more than a lease lasts."""
_OVERTAKEN = 0.3
"""Of those that are late, how many wait for a later one."""


def unsteady(client: Client, database: Database, chance: random.Random) -> Client:
    """The client as it is when the faults of now have come over it; itself, where they never will."""
    if not (database.faults.late_requests or database.faults.repeated_requests):
        return client
    return FaultyClient(client, _plan(database, chance))


def _plan(database: Database, chance: random.Random) -> ClientPlan:
    def drawn(_number: int, endpoint: Endpoint[Any, Any]) -> ClientFault:
        faults, journal = database.faults, database.journal
        if chance.random() < faults.repeated_requests:
            journal.note(REPEATED)
            journal.fault(f"{endpoint.name} is asked twice")
            return repeated()
        if chance.random() >= faults.late_requests:
            return UNHARMED
        if chance.random() < _OVERTAKEN:
            journal.note(OVERTAKEN)
            journal.fault(f"{endpoint.name} is overtaken")
            return overtaken()
        seconds = chance.uniform(0, _LATE_SECONDS)
        journal.fault(f"{endpoint.name} is late by {seconds:.3f} s")
        return late(seconds)

    return drawn
