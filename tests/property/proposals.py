"""The same few proposals for a pair of types every time: what `tests.core.test_visited` explores a table with."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from attrs import evolve

from trioflow.core.decisions import Facts, Proposal
from trioflow.core.states import StateType
from trioflow.core.tables import Table
from trioflow.testing.pools import (
    BEFORE,
    COUNTERS,
    FENCES,
    FLAGS,
    LIMITS,
    NOW,
    PARENTS,
    RUNNING_PARENTS,
    STATES,
    TRANSITION,
    runs_of,
)


def sample(table: Table, current: StateType | None, to: StateType, count: int) -> Iterator[Proposal]:
    """The same ``count`` proposals for this pair of types every time, each by the run's owner."""
    pick = Random(f"{table.name} {current} {to}").choice
    for _ in range(count):
        fence = pick(FENCES)
        state = evolve(pick(STATES[current]), timestamp=BEFORE) if current else None
        yield Proposal(
            run=evolve(pick(runs_of(table)), state=state, **pick(COUNTERS)),
            state=pick(STATES[to]),
            now=NOW,
            transition_id=TRANSITION,
            facts=Facts(
                fence=fence,
                parent=pick([*PARENTS, *RUNNING_PARENTS * 9]),
                cached=pick([None, *STATES[StateType.COMPLETED]]),
                limits=pick(LIMITS),
            ),
            **{**pick(FLAGS), "epoch": fence.epoch, "force": False},
        )
