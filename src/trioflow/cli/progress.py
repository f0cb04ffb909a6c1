"""What is known of a root run while it goes on: counted from the changes that are heard. Pure."""

from __future__ import annotations

from typing import final
from uuid import UUID

from attrs import define, field

from trioflow.core.states import FINAL_TYPES, StateType
from trioflow.wire.replies import Change

CACHED = "Cached"


@final
@define(eq=False)
class Progress:
    """Counts of the tasks of a root run and of its subflows.

    What has ended is only counted, so that the size of this does not grow with the number of tasks.
    """

    run_id: UUID
    recorded: int = 0
    """Tasks whose results an earlier attempt has left: the run is asked for them again, without a transition."""
    completed: int = 0
    cached: int = 0
    """Those of the completed that were answered from the cache."""
    failed: int = 0
    """Failed or crashed."""
    cancelled: int = 0
    heard: bool = False
    """Whether the run is known to exist."""
    state: str = "Pending"
    type: StateType = StateType.PENDING
    _alive: dict[UUID, StateType] = field(factory=dict[UUID, StateType])

    @property
    def done(self) -> int:
        """How many tasks have ended."""
        return self.recorded + self.completed + self.failed + self.cancelled

    @property
    def total(self) -> int:
        """How many tasks are known of."""
        return self.done + len(self._alive)

    @property
    def running(self) -> int:
        """How many tasks are being executed."""
        return sum(type_ is StateType.RUNNING for type_ in self._alive.values())

    def hear(self, change: Change) -> None:
        """Take one committed transition into account."""
        if change.run_id == self.run_id:
            self.heard, self.state, self.type = True, change.name, change.type
        elif not change.is_flow_run:
            self._hear_task(change)

    def _hear_task(self, change: Change) -> None:
        if change.type not in FINAL_TYPES:
            self._alive[change.run_id] = change.type
            return
        self._alive.pop(change.run_id, None)
        match change.type:
            case StateType.COMPLETED:
                self.completed += 1
                self.cached += change.name == CACHED
            case StateType.CANCELLED:
                self.cancelled += 1
            case _:
                self.failed += 1

    def told(self) -> str:
        """``31 of 43 tasks · 8 running · 1 failed · 12 from cache``; what is nought is left out."""
        parts = [
            f"{self.done} of {self.total} {'task' if self.total == 1 else 'tasks'}",
            f"{self.running} running" if self.running else "",
            f"{self.failed} failed" if self.failed else "",
            f"{self.cancelled} cancelled" if self.cancelled else "",
            f"{self.cached} from cache" if self.cached else "",
            f"{self.recorded} recorded before" if self.recorded else "",
        ]
        return " · ".join(filter(None, parts))
