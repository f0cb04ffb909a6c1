"""How a small world begins: which flow run it is, and which tasks there are."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from typing import Any
from uuid import UUID

from attrs import field, frozen

from trioflow.core.runs import NO_RETRIES, FlowRun, RetryPolicy, TaskRun
from trioflow.testing.pools import NOW

FLOW_RUN_ID, FLOW_ID, ROOT_ID, MIRROR_ID, DEPLOYMENT_ID = (UUID(int=n) for n in range(1, 6))
FIRST_TASK = 100


class Role(Enum):
    """What kind of flow run it is."""

    SCRIPT = "a flow run"
    DEPLOYED = "a deployment's flow run"
    SUBFLOW = "a subflow run"


@frozen(kw_only=True)
class Birth:
    """How a world begins."""

    role: Role = Role.SCRIPT
    owned: bool = True
    """Whether whoever creates the flow run runs it too; otherwise it waits to be claimed."""
    retry: RetryPolicy = NO_RETRIES
    """Of the flow run and of each task run."""
    tags: frozenset[str] = frozenset()
    parameters: Mapping[str, Any] = field(factory=dict[str, Any])
    start: datetime = NOW
    limits: Mapping[str, int] = field(factory=dict[str, int])
    """Tag -> how many task runs with it may run at once."""
    tasks: tuple[frozenset[str], ...] = ()
    """The tags of each task run."""
    lonely: bool = False
    """Whether the last of them runs outside of any flow."""


def flow_run_of(birth: Birth) -> FlowRun:
    """The flow run of the world, in no state yet."""
    is_subflow = birth.role is Role.SUBFLOW
    return FlowRun(
        id=FLOW_RUN_ID,
        flow_id=FLOW_ID,
        name="brave-otter",
        root_id=ROOT_ID if is_subflow else FLOW_RUN_ID,
        retry=birth.retry,
        parameters=birth.parameters,
        tags=birth.tags,
        parent_task_run_id=MIRROR_ID if is_subflow else None,
        deployment_id=DEPLOYMENT_ID if birth.role is Role.DEPLOYED else None,
        entrypoint=None if is_subflow else "flows.py:audit",
        created=birth.start,
    )


def task_run_of(birth: Birth, number: int, tags: frozenset[str], flow: FlowRun | None) -> TaskRun:
    """Its task run of that number; of a flow run, or alone."""
    id_ = UUID(int=FIRST_TASK + number)
    return TaskRun(
        id=id_,
        task_key="flows.check",
        dynamic_key=str(number),
        name=f"check-{number}",
        flow_run_id=flow.id if flow else None,
        root_id=flow.root_id if flow else id_,
        retry=birth.retry,
        tags=tags,
        created=birth.start,
    )
