"""Concurrency limits on tags."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trioflow.wire.replies import ConcurrencyLimit, ConcurrencyLimits, Done

if TYPE_CHECKING:
    from trioflow.store.store import Tx
    from trioflow.wire.requests import FindConcurrencyLimits, SetConcurrencyLimit

_FIND = (
    "SELECT tag, max_slots, (SELECT count(*) FROM slots WHERE slots.tag = concurrency_limits.tag)"
    " FROM concurrency_limits ORDER BY tag"
)


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


def find_concurrency_limits(tx: Tx, _request: FindConcurrencyLimits) -> ConcurrencyLimits:
    """All of them, with the slots that are taken."""
    found = tx.execute(_FIND)
    return ConcurrencyLimits(
        tuple(ConcurrencyLimit(tag=tag, limit=limit, in_use=taken) for tag, limit, taken in found)
    )
