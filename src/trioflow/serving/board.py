"""What is going on under a runner, kept for those who look: its runs, how far they are, what is due next. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import final
from uuid import UUID

from attrs import define, field, frozen

from trioflow.core.deployments import Deployment
from trioflow.core.runs import FlowRun
from trioflow.core.states import State, StateType
from trioflow.spoken import spoken_due, spoken_duration

_SHOWN_NEXT = 3
_ELSEWHERE = "a deployment that is gone"


@final
@define(eq=False)
class Active:
    """A run whose process lives."""

    run: FlowRun
    pid: int
    title: str
    """``flow/deployment``."""
    since: datetime
    done: int = 0
    """How many of its tasks have ended,"""
    of: int = 0
    """of those that it has begun."""

    def told(self) -> str:
        """``3 of 7 tasks``; nothing before the first."""
        return f"{self.done} of {self.of} {'task' if self.of == 1 else 'tasks'}" if self.of else ""


@frozen
class Served:
    """A deployment, and when its next run is due."""

    deployment: Deployment
    next_due: datetime | None


@final
@define(eq=False)
class Board:
    """The runs in hand, in the order in which they were started, and how those before them ended."""

    served: Sequence[Served] = ()
    active: dict[UUID, Active] = field(factory=dict[UUID, Active])
    ended: Counter[StateType] = field(factory=Counter[StateType])

    def start(self, run: FlowRun, pid: int, now: datetime) -> Active:
        """The process of this run was started."""
        active = self.active[run.id] = Active(run, pid, self._title(run), now)
        return active

    def count(self, run_id: UUID, done: int, of: int) -> None:
        """So many of the run's tasks have ended, of so many."""
        if (active := self.active.get(run_id)) is not None:
            active.done, active.of = done, of

    def end(self, run_id: UUID, state: State) -> Active | None:
        """The process of this run is gone; what was known of it."""
        self.ended[state.type] += 1
        return self.active.pop(run_id, None)

    def upcoming(self, now: datetime) -> str:
        """``next: audit/half-minutely in 12 s · flaky/daily in 3 h``; nothing when nothing is planned."""
        due = sorted(
            (served.next_due, served.deployment.full_name) for served in self.served if served.next_due
        )
        told = [f"{name} {spoken_due(at, now)}" for at, name in due[:_SHOWN_NEXT]]
        return f"next: {' · '.join(told)}" if told else ""

    def score(self) -> str:
        """``12 completed · 1 failed``: how runs have ended so far."""
        return " · ".join(f"{count} {type_.lower()}" for type_, count in self.ended.items())

    def _title(self, run: FlowRun) -> str:
        names = {each.deployment.id: each.deployment.full_name for each in self.served}
        return names.get(run.deployment_id, _ELSEWHERE) if run.deployment_id else run.name


def farewell(active: Active, state: State, now: datetime) -> str:
    """``audit/half-minutely 'brave-otter': Completed after 3.2 s · 7 of 7 tasks``."""
    lasted = spoken_duration((now - active.since).total_seconds())
    parts = [f"{active.title} {active.run.name!r}: {state.name} after {lasted}", active.told()]
    return " · ".join(filter(None, parts))
