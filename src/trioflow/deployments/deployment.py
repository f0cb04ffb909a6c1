"""A flow, described so that someone else can run it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self, Unpack
from uuid import UUID

from attrs import asdict, evolve, field, frozen

from trioflow.core.deployments import DeploymentSchedule, OnShutdown
from trioflow.core.parameter_schema import check_parameters
from trioflow.core.runs import NO_RETRIES, RetryPolicy
from trioflow.core.states import StateType
from trioflow.deployments.locating import entrypoint_of
from trioflow.deployments.options import (
    DeploymentKeywords,
    ScheduleKeywords,
    checked_name,
    given_keywords,
    on_shutdown_of,
    schedules_of,
    tags_of,
    told_parameters,
    triggers_of,
)
from trioflow.deployments.schema import schema_of
from trioflow.engine.entrypoints import load_flow, parts_of
from trioflow.errors import DeploymentError, ParameterError
from trioflow.wire.requests import ApplyDeployment

if TYPE_CHECKING:
    from trioflow.engine.flows import Flow


@frozen(kw_only=True)
class FlowDeployment:
    """A flow, where it is loaded from, what it is called with, and when. Made by `Flow.to_deployment`."""

    flow_name: str
    name: str
    entrypoint: str
    """``path.py:name``, by which another process loads the flow."""
    parameters: Mapping[str, Any] = field(factory=dict[str, Any])
    """As they are kept: JSON."""
    parameter_schema: Mapping[str, Any] = field(factory=dict[str, Any])
    enforce_parameter_schema: bool = True
    tags: frozenset[str] = frozenset()
    description: str | None = None
    version: str | None = None
    schedules: tuple[DeploymentSchedule, ...] = ()
    triggers: tuple[Mapping[str, Any], ...] = ()
    retry: RetryPolicy = NO_RETRIES
    hooked: frozenset[StateType] = frozenset()
    """The final states that the flow has hooks for."""
    on_shutdown: OnShutdown = OnShutdown.CANCEL

    @classmethod
    def of(
        cls,
        flow: Flow[..., Any],
        name: str | None,
        keywords: DeploymentKeywords,
        entrypoint: str | None = None,
    ) -> Self:
        """A deployment of this flow, which another process finds at the entry point.

        Raises:
            DeploymentError: it cannot be deployed like that.
            InvalidSchedule: it cannot be scheduled like that.
        """
        given = given_keywords(keywords)
        options = flow.options
        deployment = cls(
            flow_name=flow.name,
            name=checked_name(flow.name if name is None else name),
            entrypoint=entrypoint or entrypoint_of(flow),
            parameters=told_parameters(given.get("parameters", {})),
            parameter_schema=schema_of(flow),
            enforce_parameter_schema=given.get("enforce_parameter_schema", True),
            tags=tags_of(given),
            description=given.get("description", _first_paragraph(options.description)),
            version=given.get("version", flow.version),
            schedules=schedules_of(given),
            triggers=triggers_of(given),
            retry=options.retry,
            hooked=options.hooks.hooked,
            on_shutdown=on_shutdown_of(given),
        )
        deployment._check_parameters()
        return deployment

    @classmethod
    def from_entrypoint(
        cls, entrypoint: str, name: str | None = None, **keywords: Unpack[DeploymentKeywords]
    ) -> Self:
        """A deployment of the flow at ``path/to/file.py:name``; its own name is the flow's, unless given.

        Raises:
            EntrypointError: there is no such file, it cannot be imported, or the flow in it cannot be told.
            DeploymentError: the flow cannot be deployed like that.
            InvalidSchedule: it cannot be scheduled like that.
        """
        path, name_there = parts_of(entrypoint)
        flow = load_flow(entrypoint)
        return cls.of(flow, name, keywords, f"{path}:{name_there}" if name_there else None)

    @property
    def full_name(self) -> str:
        """``flow/deployment``."""
        return f"{self.flow_name}/{self.name}"

    def due(self, **keywords: Unpack[ScheduleKeywords]) -> Self:
        """The same deployment with these schedules in place of its own.

        Raises:
            DeploymentError: there is no such keyword.
            InvalidSchedule: it cannot be scheduled like that.
        """
        return evolve(self, schedules=schedules_of(given_keywords(keywords)))

    def _check_parameters(self) -> None:
        try:
            if self.enforce_parameter_schema:
                check_parameters(self.parameter_schema, self.parameters, partial=True)
        except ParameterError as error:
            raise DeploymentError(
                f"the parameters of deployment {self.full_name!r} do not fit: {error}"
            ) from None

    def request(self, id: UUID) -> ApplyDeployment:
        """The request that makes it known; ``id`` is what it gets if it is new."""
        return ApplyDeployment(id=id, **asdict(self, recurse=False))


def _first_paragraph(text: str | None) -> str | None:
    return text and text.partition("\n\n")[0]
