"""Seen: a run as its history tells of it, counted step by step, without a look at what the run says of itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from attrs import evolve, frozen

from trioflow.core.states import AWAITING_RETRY, StateType
from trioflow.store.store import Row, Tx

FINAL = frozenset(type_.name for type_ in StateType if type_.is_final)
ACTIVE = frozenset({"PENDING", "RUNNING", "CANCELLING", "PAUSED"})
"""Types of root runs whose code some process may run: they have a lease."""
HELD = frozenset({"PAUSED", "SUSPENDED"})
AT_WORK = frozenset({"RUNNING", "CANCELLING"})
"""Types in which a task's code may be at work: it has its slots."""

_NEWS = (
    "SELECT number, run_id, root_id, is_flow_run, version, type, name, at, details, reason, message"
    " FROM states WHERE number > ? ORDER BY number"
)
_NOTHING: Mapping[str, Any] = {}


class Broken(AssertionError):
    """A promise is broken."""


@frozen(kw_only=True)
class Step:
    """One row of the history: a run has entered a state."""

    number: int
    run_id: bytes
    root_id: bytes
    is_flow_run: bool
    version: int
    type: str
    name: str
    at: datetime
    details: Mapping[str, Any]
    reason: str | None
    message: str | None

    @classmethod
    def of(cls, row: Row) -> Self:
        """The step that the row tells of."""
        number, run_id, root_id, is_flow_run, version, type_, name, at, details, reason, message = row
        return cls(
            number=number,
            run_id=run_id,
            root_id=root_id,
            is_flow_run=bool(is_flow_run),
            version=version,
            type=type_,
            name=name,
            at=datetime.fromisoformat(at),
            details=json.loads(details) if details else _NOTHING,
            reason=reason,
            message=message,
        )

    @property
    def is_mirror(self) -> bool:
        """Whether a task run shows what state its subflow is in."""
        return not self.is_flow_run and bool(self.details.get("child_flow_run_id"))

    @property
    def awaits_retry(self) -> bool:
        """Whether this run has failed, and is to be tried again."""
        return self.name == AWAITING_RETRY

    @property
    def due(self) -> datetime | None:
        """When it may start, if it is scheduled."""
        told = self.details.get("scheduled_time") if self.type == "SCHEDULED" else None
        return datetime.fromisoformat(told) if told else None

    def __str__(self) -> str:
        kind = "flow-run" if self.is_flow_run else "task-run"
        told = f" ({self.message})" if self.message and self.type in FINAL else ""
        because = f" because {self.reason}" if self.reason else ""
        run = f"{self.number} {kind} {short(self.run_id)} v{self.version}"
        return f"{run} {{}} -> {self.type} {self.name}{told}{because}"


def steps_after(tx: Tx, number: int) -> list[Step]:
    """What has happened after step ``number``, in order."""
    return [Step.of(row) for row in tx.execute(_NEWS, (number,))]


@frozen(kw_only=True)
class Seen:
    """A run, as far as its history went."""

    is_root: bool
    is_flow_run: bool
    is_mirror: bool = False
    """It shows what state a subflow is in, and has no code of its own."""
    version: int = 0
    type: str = "none"
    claims: int = 0
    """How often it entered PENDING."""
    attempts: int = 0
    """How often it began to run; going on after a pause is no beginning."""
    retries: int = 0
    """How often it was put off to be tried again, since it was last begun anew."""
    of_attempt: int = 0
    """Of a task run: in which attempt of its flow run it last began."""
    is_held: bool = False
    """Its next start is no beginning."""
    due: datetime | None = None
    """When it may start, as its last SCHEDULED state says; None once it has."""
    since: float = 0.0
    """The simulation's second in which it entered this type."""

    @classmethod
    def new(cls, step: Step) -> Self:
        """A run before its first step."""
        return cls(is_root=step.run_id == step.root_id, is_flow_run=step.is_flow_run)

    @property
    def is_over(self) -> bool:
        """Whether it is in a final state."""
        return self.type in FINAL

    @property
    def is_active(self) -> bool:
        """Whether some process owns it."""
        return self.is_root and self.is_flow_run and self.type in ACTIVE

    def after(self, step: Step, seconds: float, parent_attempts: int) -> Self:
        """The run after one more step, which it took in this second of the simulation."""
        begins = step.type == "RUNNING" and not self.is_held
        fresh = self.is_over if self.is_flow_run else begins and parent_attempts != self.of_attempt
        return evolve(
            self,
            is_mirror=self.is_mirror or step.is_mirror,
            version=step.version,
            type=step.type,
            claims=self.claims + (step.type == "PENDING" and self.type != "PENDING"),
            attempts=self.attempts + begins,
            retries=(0 if fresh else self.retries) + step.awaits_retry,
            of_attempt=parent_attempts if begins else self.of_attempt,
            is_held=self._is_held_after(step),
            due=step.due if step.type == "SCHEDULED" else self.due if step.type == "PENDING" else None,
            since=self.since if step.type == self.type else seconds,
        )

    def _is_held_after(self, step: Step) -> bool:
        if not self.is_flow_run or step.type == "RUNNING" or step.type in FINAL or step.awaits_retry:
            return False
        return self.is_held or step.type in HELD


def short(run_id: bytes) -> str:
    """The end of a run's id, as the journal has it."""
    return UUID(bytes=run_id).hex[-12:]


def told(run_id: bytes) -> str:
    """A run, as messages have it."""
    return f"run {short(run_id)}"
