"""Deployments: a flow described so that someone else can run it, with its schedules and how each of them stands."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from attrs import field, frozen

from trioflow.core.runs import NO_RETRIES, RetryPolicy
from trioflow.core.schedules.schedule import Schedule
from trioflow.core.schedules.window import LATEST, CatchUp, Overlap
from trioflow.core.states import StateType


class PausedBy(StrEnum):
    """Who paused a schedule. What the runner paused at its end it resumes at its start; what an operator did stays."""

    OPERATOR = "operator"
    RUNNER = "runner"


class OnShutdown(StrEnum):
    """What becomes of a run that is still going on when its runner has drained for long enough."""

    CANCEL = "cancel"
    CRASH = "crash"
    RESCHEDULE = "reschedule"


@frozen(kw_only=True)
class DeploymentSchedule:
    """One schedule of a deployment, and how it is to be kept."""

    schedule: Schedule
    catch_up: CatchUp = LATEST
    overlap: Overlap = Overlap.ALLOW
    paused_by: PausedBy | None = None
    """None while it fires."""


@frozen(kw_only=True)
class Deployment:
    """A flow that runners can run: where it is loaded from, what it is called with, and when."""

    id: UUID
    flow_id: UUID
    flow_name: str
    name: str
    entrypoint: str
    """``path.py:function``."""
    parameters: Mapping[str, Any] = field(factory=dict[str, Any])
    """What its runs are called with, unless they say otherwise."""
    parameter_schema: Mapping[str, Any] = field(factory=dict[str, Any])
    """The JSON schema of what the function takes; empty when nobody knows."""
    enforce_parameter_schema: bool = True
    """Whether a run that does not fit the schema is refused when it is asked for."""
    tags: frozenset[str] = frozenset()
    description: str | None = None
    version: str | None = None
    schedules: tuple[DeploymentSchedule, ...] = ()
    triggers: tuple[Mapping[str, Any], ...] = ()
    """Stored as given."""
    retry: RetryPolicy = NO_RETRIES
    """The flow's, for a run that ends before its process has loaded the flow."""
    hooked: frozenset[StateType] = frozenset()
    """The final states that the flow has hooks for."""
    on_shutdown: OnShutdown = OnShutdown.CANCEL
    created: datetime | None = None
    updated: datetime | None = None

    @property
    def full_name(self) -> str:
        """``flow/deployment``."""
        return f"{self.flow_name}/{self.name}"
