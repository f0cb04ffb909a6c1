"""The chronicle: writes each committed transition into the journal, and believes what it reads."""

from __future__ import annotations

from datetime import datetime
from typing import final

from attrs import define

from trioflow.core.leases import Owner
from trioflow.store.store import Tx
from trioflow.testing.simulation.journal import Journal

_NEWS = "SELECT number, run_id, type, name, at FROM states WHERE number > ? ORDER BY number"

_AT_ONCE = 100
"""Commits that are read together."""


@final
@define(eq=False)
class Chronicle:
    """See `trioflow.testing.simulation.database.Observer`."""

    _journal: Journal
    _last: int = 0
    _commits: int = 0

    def committed(self, tx: Tx, writer: Owner | None) -> None:  # noqa: ARG002 - it believes everybody
        """Something was committed; it is read with what follows soon."""
        self._commits += 1
        if self._commits % _AT_ONCE == 0:
            self.write_down(tx)

    def write_down(self, tx: Tx) -> None:
        """Read what was committed since the last time."""
        for number, run_id, type_, name, at in tx.execute(_NEWS, (self._last,)):
            self._last = number
            self._journal.line(datetime.fromisoformat(at), f"{number} {run_id.hex()[-12:]} {type_} {name}")
