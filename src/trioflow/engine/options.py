"""The options of flows and tasks: here, once, as they are written, and as they are meant.

The decorators and ``with_options`` take the keywords of `FlowKeywords` and `TaskKeywords`; None means the default.
What they say is checked when the flow or task is defined, and kept as `Options`.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, TypedDict

from attrs import frozen

from trioflow.core.keys import default_flow_name
from trioflow.core.retries import retry_policy
from trioflow.core.runs import NO_RETRIES, RetryPolicy
from trioflow.engine.hooks import NO_HOOKS, Hook, Hooks
from trioflow.engine.naming import NameTemplate
from trioflow.engine.serializers import NAMES
from trioflow.errors import FlowDefinitionError, FlowDefinitionTypeError
from trioflow.task_runners.task_runner import TaskRunner

_BANNED_IN_NAMES = frozenset("/%&><")
_RESERVED = ("return_state", "wait_for")
_ON = ("on_running", "on_completion", "on_failure", "on_cancellation", "on_crashed")


# --- as they are written


class Keywords(TypedDict, total=False):
    """What flows and tasks both take."""

    name: str | None
    """The function's name, unless given; a flow's with dashes."""
    description: str | None
    """The function's docstring, unless given."""
    retries: int | None
    """How often a failed run is tried again."""
    retry_delay_seconds: float | Sequence[float] | Callable[[int], Sequence[float]] | None
    """Before each retry: one number, one for each, or a function of ``retries`` (`exponential_backoff`)."""
    timeout_seconds: float | None
    """How long one attempt may take."""
    persist_result: bool | None
    """Whether the store keeps the result, so that it is never computed again. Yes, unless False."""
    result_serializer: str | None
    """``json`` or ``pickle``; the enclosing flow's, unless given."""
    log_prints: bool | None
    """Whether ``print`` becomes a log line; as the run around does, unless given."""
    on_completion: Iterable[Hook] | None
    on_failure: Iterable[Hook] | None


class FlowKeywords(Keywords, total=False):
    """What ``@flow`` takes."""

    version: str | None
    """A hash of the source file, unless given."""
    flow_run_name: NameTemplate | None
    """A format string over the parameters, or a function that gives the name."""
    validate_parameters: bool | None
    """Whether parameters are held against the annotations, and converted where nothing is lost. Yes, unless False."""
    task_runner: TaskRunner | None
    """Where the flow's tasks run, and how many at once."""
    on_cancellation: Iterable[Hook] | None
    on_crashed: Iterable[Hook] | None
    on_running: Iterable[Hook] | None


class TaskKeywords(Keywords, total=False):
    """What ``@task`` takes."""

    tags: Iterable[str] | None
    """Labels of every run of the task; concurrency limits count runs by them."""
    task_run_name: NameTemplate | None
    """A format string over the parameters, or a function that gives the name."""
    retry_jitter_factor: float | None
    """Stretch or shrink each retry's delay at random by up to this fraction of it."""
    retry_condition_fn: Callable[..., Any] | None
    """``fn(task, task_run, state)``: whether a failed run may be tried again at all."""
    cache_key_fn: Callable[..., str | None] | None
    """``fn(context, parameters)``: runs with equal keys share one result."""
    cache_expiration: timedelta | None
    """How long a result may be shared. For ever, unless given."""
    refresh_cache: bool | None
    """Whether to compute, and share, the result anew."""
    task_runner: TaskRunner | None
    """Where the task runs; as the flow says, unless given."""


# --- as they are meant


@frozen(kw_only=True)
class Options:
    """What the options of a flow or task mean."""

    name: str
    description: str | None = None
    retry: RetryPolicy = NO_RETRIES
    timeout: float | None = None
    """Seconds."""
    persist: bool = True
    serializer: str | None = None
    log_prints: bool | None = None
    run_name: NameTemplate | None = None
    task_runner: TaskRunner | None = None
    hooks: Hooks = NO_HOOKS


@frozen(kw_only=True)
class FlowOptions(Options):
    """What the options of a flow mean."""

    version: str | None = None
    validate: bool = True


@frozen(kw_only=True)
class Caching:
    """When two runs of a task share one result."""

    key_fn: Callable[..., str | None]
    expiration: timedelta | None = None
    refresh: bool | None = None


@frozen(kw_only=True)
class TaskOptions(Options):
    """What the options of a task mean."""

    tags: frozenset[str] = frozenset()
    caching: Caching | None = None
    retry_condition: Callable[..., Any] | None = None


def flow_options(fn: Callable[..., Any], keywords: FlowKeywords) -> FlowOptions:
    """What the keywords mean for the flow made of ``fn``.

    Raises:
        FlowDefinitionError: a keyword is unknown, or its value is none that it can have.
        FlowDefinitionTypeError: a value, or ``fn``, is of a type that it cannot have.
    """
    given = _checked("flow", fn, keywords, FlowKeywords)
    given.setdefault("name", default_flow_name(function_name(fn)))
    return FlowOptions(
        **_common(fn, given, run_name=given.get("flow_run_name")),
        version=given.get("version"),
        validate=given.get("validate_parameters", True),
    )


def task_options(fn: Callable[..., Any], keywords: TaskKeywords) -> TaskOptions:
    """What the keywords mean for the task made of ``fn``.

    Raises:
        FlowDefinitionError: as `flow_options`.
        FlowDefinitionTypeError: as `flow_options`.
    """
    given = _checked("task", fn, keywords, TaskKeywords)
    given.setdefault("name", function_name(fn))
    return TaskOptions(
        **_common(fn, given, run_name=given.get("task_run_name")),
        tags=frozenset(given.get("tags", ())),
        caching=_caching(given),
        retry_condition=given.get("retry_condition_fn"),
    )


def _checked(
    kind: str, fn: Callable[..., Any], keywords: Mapping[str, Any], known: type[Any]
) -> dict[str, Any]:
    if not callable(fn):
        raise FlowDefinitionTypeError(f"a {kind} is made of a function, not of a {type(fn).__name__}")
    _check_signature(kind, fn)
    names: frozenset[str] = known.__optional_keys__
    for name in keywords:
        if name not in names:
            near = ", ".join(difflib.get_close_matches(name, names, 1))
            raise FlowDefinitionTypeError(
                f"@{kind} has no option {name!r}{near and f': did you mean {near}?'}"
            )
    return {name: value for name, value in keywords.items() if value is not None}


def _check_signature(kind: str, fn: Callable[..., Any]) -> None:
    if inspect.isasyncgenfunction(fn):
        raise FlowDefinitionTypeError(
            f"a {kind} returns once, so it cannot be an async generator: return a list"
        )
    for name in _RESERVED:
        if name in inspect.signature(fn).parameters:
            raise FlowDefinitionError(
                f"a {kind}'s function cannot have a parameter {name}: its calls use that name"
            )


def _common(fn: Callable[..., Any], given: Mapping[str, Any], run_name: object) -> dict[str, Any]:
    if run_name is not None and not (isinstance(run_name, str) or callable(run_name)):
        raise FlowDefinitionTypeError(f"Expected string or callable for the run name, not {run_name!r}")
    return {
        "name": _name(given["name"]),
        "description": given.get("description", inspect.getdoc(fn)),
        "retry": retry_policy(
            given.get("retries", 0),
            given.get("retry_delay_seconds", ()),
            jitter=given.get("retry_jitter_factor"),
        ),
        "timeout": _timeout(given.get("timeout_seconds")),
        "persist": given.get("persist_result", True),
        "serializer": _serializer(given.get("result_serializer")),
        "log_prints": given.get("log_prints"),
        "run_name": run_name,
        "task_runner": given.get("task_runner"),
        "hooks": _hooks(given),
    }


def function_name(fn: object) -> str:
    """The name of a function; for an object that can be called, of its class."""
    return getattr(fn, "__name__", type(fn).__name__)


def _name(name: object) -> str:
    if not isinstance(name, str):
        raise FlowDefinitionTypeError(f"Expected a string for the name, not {name!r}")
    if banned := sorted(_BANNED_IN_NAMES.intersection(name)):
        raise FlowDefinitionError(f"the name {name!r} contains {' '.join(banned)}, which no name can")
    return name


def _timeout(seconds: Any) -> float | None:
    if seconds is None:
        return None
    if not isinstance(seconds, (int, float)):
        raise FlowDefinitionTypeError(f"Expected a number for timeout_seconds, not {seconds!r}")
    if not seconds > 0:
        raise FlowDefinitionError(f"a timeout is a number of seconds above 0, not {seconds}")
    return float(seconds)


def _serializer(name: str | None) -> str | None:
    if name is not None and name not in NAMES:
        raise FlowDefinitionError(f"result_serializer must be one of {', '.join(NAMES)}, not {name!r}")
    return name


def _hooks(given: Mapping[str, Any]) -> Hooks:
    return Hooks(**{name: _hook_list(name, given[name]) for name in _ON if name in given})


def _hook_list(name: str, given: Any) -> tuple[Hook, ...]:
    try:
        hooks: tuple[Any, ...] = tuple(given)
    except TypeError:
        raise FlowDefinitionTypeError(f"Expected a list of functions for {name!r}, not {given!r}") from None
    if not hooks:
        raise FlowDefinitionError(f"Empty list passed for {name!r}")
    for hook in hooks:
        if not callable(hook):
            raise FlowDefinitionTypeError(f"Expected functions in the list for {name!r}, not {hook!r}")
    return hooks


def _caching(given: Mapping[str, Any]) -> Caching | None:
    if "cache_key_fn" not in given:
        return None
    return Caching(
        key_fn=given["cache_key_fn"],
        expiration=given.get("cache_expiration"),
        refresh=given.get("refresh_cache"),
    )
