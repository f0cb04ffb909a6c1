"""The options of a deployment, here, once, as they are written; and what they mean.

``flow.to_deployment``, ``flow.serve`` and `FlowDeployment.from_entrypoint` take the keywords of `DeploymentKeywords`;
None means the default.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, TypedDict, TypeVar, cast

from trioflow.core.deployments import DeploymentSchedule, OnShutdown, PausedBy
from trioflow.core.schedules.options import ScheduleOptions
from trioflow.core.schedules.schedule import Schedule
from trioflow.core.schedules.window import LATEST, CatchUp, Overlap
from trioflow.engine.serializers import JsonSerializer
from trioflow.errors import DeploymentError, InvalidSchedule, NotSerializable

E = TypeVar("E", bound=StrEnum)

_BANNED_IN_NAMES = frozenset("/%&><")
_OF_WORK_POOLS = frozenset({"image", "job_variables", "work_pool_name", "work_queue_name"})
_JSON = JsonSerializer()


# --- as they are written


class ScheduleKeywords(TypedDict, total=False):
    """When a deployment's runs are due: at most one of the first five."""

    interval: float | timedelta | Iterable[float | timedelta] | None
    """Every so often; a number means seconds."""
    cron: str | Iterable[str] | None
    """Five fields, such as ``0 9 * * MON-FRI``."""
    rrule: str | Iterable[str] | None
    """A rule of RFC 5545, such as ``FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=17``."""
    schedule: Schedule | None
    """An `IntervalSchedule`, `CronSchedule` or `RRuleSchedule`, which has a time zone of its own."""
    schedules: Iterable[Schedule] | None
    anchor: datetime | None
    """What sets the phase of an interval; 2020-01-01 in its zone, unless given."""
    timezone: str | None
    """Whose clocks an interval, cron or rrule goes by, such as ``Europe/London``; UTC, unless given."""
    catch_up: CatchUp | str | None
    """Which runs a downtime is made up for with: ``skip``, ``latest`` (the default) or ``all(20)``."""
    overlap: Overlap | str | None
    """What a run does that is due while an earlier one goes on: ``allow`` (the default), ``skip``, ``buffer_one`` or
    ``cancel_other``."""
    paused: bool | None
    """Whether new schedules begin paused. Those that are there already stay as an operator left them."""


class DeploymentKeywords(ScheduleKeywords, total=False):
    """What ``to_deployment`` takes."""

    parameters: Mapping[str, Any] | None
    """What its runs are called with, unless they say otherwise."""
    enforce_parameter_schema: bool | None
    """Whether parameters that do not fit the flow are refused when they are given. Yes, unless False; then the run
    fails."""
    tags: Iterable[str] | None
    """Labels of every run."""
    description: str | None
    """The first paragraph of the flow's, unless given."""
    version: str | None
    """The flow's, unless given."""
    triggers: Iterable[Mapping[str, Any]] | None
    """Kept with the deployment as they are given; JSON."""
    on_shutdown: OnShutdown | str | None
    """What becomes of a run that goes on when its runner ends: ``cancel`` (the default), ``crash``, ``reschedule``."""


# --- as they are meant


def given_keywords(keywords: Mapping[str, Any]) -> dict[str, Any]:
    """The keywords that say something.

    Raises:
        DeploymentError: there is no such keyword.
    """
    known: frozenset[str] = DeploymentKeywords.__optional_keys__
    for name in keywords:
        if name in _OF_WORK_POOLS:
            raise DeploymentError(
                f"a deployment has no {name}: there are no work pools yet; its runs are processes of "
                "whoever serves it, so leave it out"
            )
        if name not in known:
            near = ", ".join(difflib.get_close_matches(name, known, 1))
            raise DeploymentError(f"a deployment has no option {name!r}{near and f': did you mean {near}?'}")
    return {name: value for name, value in keywords.items() if value is not None}


def checked_name(name: object) -> str:
    """The name of a deployment.

    Raises:
        DeploymentError: it can be no name.
    """
    if not isinstance(name, str) or not name.strip():
        raise DeploymentError(f"the name of a deployment is a text such as 'nightly', not {name!r}")
    if banned := sorted(_BANNED_IN_NAMES.intersection(name)):
        raise DeploymentError(
            f"the name {name!r} contains {' '.join(banned)}, which no name can: a deployment is named "
            "without its flow, such as 'nightly'"
        )
    return name


def schedules_of(given: Mapping[str, Any]) -> tuple[DeploymentSchedule, ...]:
    """The schedules that the keywords amount to.

    Raises:
        InvalidSchedule: they contradict each other, or there can be no such schedule.
    """
    asked = ScheduleOptions(
        interval=given.get("interval"),
        cron=given.get("cron"),
        rrule=given.get("rrule"),
        schedule=given.get("schedule"),
        schedules=given.get("schedules"),
        anchor=given.get("anchor"),
        zone=given.get("timezone"),
    ).asked()
    for name in ("catch_up", "overlap"):
        if name in given and not asked and "schedules" not in given:
            raise InvalidSchedule(
                f"{name} was given without an interval, cron or rrule that it could belong to"
            )
    catch_up = CatchUp.named(str(given.get("catch_up", LATEST)))
    overlap = _one_of(Overlap, "overlap", given.get("overlap", Overlap.ALLOW), InvalidSchedule)
    return tuple(
        DeploymentSchedule(
            schedule=schedule,
            catch_up=catch_up,
            overlap=overlap,
            paused_by=PausedBy.OPERATOR if given.get("paused") else None,
        )
        for schedule in asked
    )


def on_shutdown_of(given: Mapping[str, Any]) -> OnShutdown:
    """What becomes of a run that outlives its runner.

    Raises:
        DeploymentError: there is no such policy.
    """
    return _one_of(OnShutdown, "on_shutdown", given.get("on_shutdown", OnShutdown.CANCEL), DeploymentError)


def _one_of(choices: type[E], name: str, given: Any, error: type[Exception]) -> E:
    try:
        return choices(given)
    except ValueError:
        raise error(f"{name} is one of {', '.join(choices)}, not {given!r}") from None


def tags_of(given: Mapping[str, Any]) -> frozenset[str]:
    """The tags.

    Raises:
        DeploymentError: they are no texts.
    """
    tags = given.get("tags", ())
    if isinstance(tags, str) or not all(isinstance(tag, str) for tag in tags):
        raise DeploymentError(f"tags are a list of texts, such as ['nightly'], not {tags!r}")
    return frozenset(tags)


def triggers_of(given: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """The triggers, as JSON has them.

    Raises:
        DeploymentError: one of them is no mapping, or holds what JSON has no word for.
    """
    triggers = cast("Iterable[Any]", given.get("triggers", ()))
    return tuple(_told_trigger(trigger) for trigger in triggers)


def _told_trigger(trigger: Any) -> dict[str, Any]:
    if not isinstance(trigger, Mapping):
        raise DeploymentError(f"a trigger is a mapping, such as {{'expect': [...]}}, not {trigger!r}")
    told: dict[str, Any] = _told("a trigger", dict(cast("Mapping[str, Any]", trigger)))
    return told


def told_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters as they are kept: JSON, with tags for dates and the like.

    Raises:
        DeploymentError: one of them could not be brought back; it names which.
    """
    if not isinstance(parameters, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance] - of user code
        raise DeploymentError(f"parameters are a mapping, such as {{'n': 1}}, not {parameters!r}")
    return {name: _told(f"the parameter {name}", value) for name, value in parameters.items()}


def _told(what: str, value: Any) -> Any:
    try:
        return json.loads(_JSON.write(value))
    except NotSerializable:
        raise DeploymentError(
            f"{what} is {value!r:.80}, which cannot be kept as JSON: give numbers, texts, dates, lists or mappings"
        ) from None
