"""Filters: which runs or logs are meant. Closed: every field here is a condition, all of them must hold."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from attrs import field, frozen, validators

from trioflow.core.states import StateType

PAGE = 200
"""The most rows that one answer holds."""

_page_size = validators.and_(validators.ge(1), validators.le(PAGE))


@frozen(kw_only=True)
class FlowRunFilter:
    """Which flow runs. An empty filter means all of them."""

    id_prefix: str | None = None
    """Leading hex digits of the id, dashes allowed."""
    id_suffix: str | None = None
    """Trailing hex digits of the id; those are drawn by chance, so that a few of them tell runs apart."""
    name: str | None = None
    flow_name: str | None = None
    state_types: frozenset[StateType] = frozenset()
    parent_task_run_id: UUID | None = None
    deployment_id: UUID | None = None
    due_before: datetime | None = None
    """Leaves out what is SCHEDULED for later."""
    roots_only: bool = False
    limit: int = field(default=PAGE, validator=_page_size)
    offset: int = field(default=0, validator=validators.ge(0))


@frozen(kw_only=True)
class DeploymentFilter:
    """Which deployments. An empty filter means all of them."""

    flow_name: str | None = None
    name: str | None = None
    limit: int = field(default=PAGE, validator=_page_size)
    offset: int = field(default=0, validator=validators.ge(0))


@frozen(kw_only=True)
class TaskRunFilter:
    """Which task runs."""

    flow_run_id: UUID | None = None
    state_types: frozenset[StateType] = frozenset()
    limit: int = field(default=PAGE, validator=_page_size)
    offset: int = field(default=0, validator=validators.ge(0))


@frozen(kw_only=True)
class LogFilter:
    """Which log records; ``after`` is the change number of the last one seen."""

    flow_run_id: UUID | None = None
    task_run_id: UUID | None = None
    min_level: int = 0
    after: int = 0
    limit: int = field(default=PAGE, validator=_page_size)


@frozen(kw_only=True)
class ChangeFilter:
    """Which changes: of the runs under these roots; empty means of all."""

    root_ids: frozenset[UUID] = frozenset()
    flow_runs_only: bool = False
