"""The limiter: how many flow runs a runner has in hand at once. Counts runs, not processes or calls."""

from __future__ import annotations

import logging
from typing import final
from uuid import UUID

from attrs import define, field

from trioflow.errors import InvalidSetting

logger = logging.getLogger("trioflow.runner")


def _is_possible(_limiter: object, _attribute: object, limit: int) -> None:
    if limit < 1:
        raise InvalidSetting(f"a runner's limit must be at least 1, not {limit}")


@final
@define(eq=False)
class Limiter:
    """At most ``limit`` runs at a time; a run has one slot, however often it asks (LM-01, LM-03).

    Raises:
        InvalidSetting: ``limit`` is not at least 1.
    """

    limit: int = field(validator=_is_possible)
    _holders: set[UUID] = field(factory=set[UUID], init=False)
    _was_told: bool = field(default=False, init=False)
    """That none is free."""

    @property
    def in_use(self) -> int:
        """How many slots are taken."""
        return len(self._holders)

    def take_nowait(self, run_id: UUID) -> bool:
        """Take a slot for this run, without waiting; False, and a line in the log, when none is free (LM-02).

        Asked again before a slot came back, it says no more.
        """
        if run_id in self._holders:
            return True
        if len(self._holders) >= self.limit:
            level = logging.DEBUG if self._was_told else logging.INFO
            self._was_told = True
            logger.log(
                level,
                "Flow run limit reached; %d flow runs in progress. You can control this limit by adjusting the "
                "TRIOFLOW_RUNNER_PROCESS_LIMIT setting.",
                len(self._holders),
            )
            return False
        self._holders.add(run_id)
        return True

    def give_back(self, run_id: UUID) -> None:
        """This run needs its slot no more; nothing happens when it has none."""
        self._holders.discard(run_id)
        self._was_told = False
