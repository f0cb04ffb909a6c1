"""Concurrency limits on tags."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trioflow.wire.replies import Done

if TYPE_CHECKING:
    from trioflow.store.store import Tx
    from trioflow.wire.requests import SetConcurrencyLimit


def set_concurrency_limit(tx: Tx, request: SetConcurrencyLimit) -> Done:
    """Set it, or take it away."""
    if request.limit is None:
        tx.execute("DELETE FROM concurrency_limits WHERE tag = ?", (request.tag,))
    else:
        tx.execute(
            "INSERT INTO concurrency_limits (tag, max_slots) VALUES (?, ?)"
            " ON CONFLICT (tag) DO UPDATE SET max_slots = excluded.max_slots",
            (request.tag, request.limit),
        )
    return Done()
