"""Hooks: user code that is told of a state after it is stored. Whatever a hook does, the state stays."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import trio
from attrs import frozen

from trioflow.core.states import State, StateType
from trioflow.engine.logs import RunLogger, speaking_as

Hook = Callable[..., Any]
"""Called ``hook(flow=..., flow_run=..., state=...)`` or ``hook(task=..., task_run=..., state=...)``."""


@frozen(kw_only=True)
class Hooks:
    """The hooks of a flow or a task, by what they are told of. A task has no others than the first two."""

    on_completion: tuple[Hook, ...] = ()
    on_failure: tuple[Hook, ...] = ()
    on_running: tuple[Hook, ...] = ()
    on_cancellation: tuple[Hook, ...] = ()
    on_crashed: tuple[Hook, ...] = ()

    def owed(self, state: State) -> tuple[Hook, ...]:
        """The hooks to run when a run has entered ``state``."""
        match state.type:
            case StateType.COMPLETED:
                return self.on_completion
            case StateType.FAILED:
                return self.on_failure
            case StateType.RUNNING:
                return self.on_running
            case StateType.CANCELLED:
                return self.on_cancellation
            case StateType.CRASHED:
                return self.on_crashed
            case _:
                return ()

    @property
    def hooked(self) -> frozenset[StateType]:
        """The final states that somebody is to be told of: the store keeps in mind that it was not done yet."""
        told = {
            StateType.COMPLETED: self.on_completion,
            StateType.FAILED: self.on_failure,
            StateType.CANCELLED: self.on_cancellation,
            StateType.CRASHED: self.on_crashed,
        }
        return frozenset(type_ for type_, hooks in told.items() if hooks)


NO_HOOKS = Hooks()


async def run_hooks(
    hooks: Iterable[Hook], subject: Mapping[str, Any], *, logger: RunLogger, seconds: float
) -> None:
    """Calls each hook with ``subject`` as its keyword arguments, one after the other, in their order.

    A hook belongs to its run: `get_run_logger` gives ``logger``. An async one is awaited, a sync one runs in a
    thread. One that raises, or that has not ended after ``seconds``, is logged and left behind; a thread that hangs
    is abandoned, since nothing can stop it and its run is over.
    """
    for hook in hooks:
        name = hook_name(hook)
        logger.info("Running hook %r in response to entering state %r", name, subject["state"].name)
        with speaking_as(logger, None), trio.move_on_after(seconds) as deadline:
            await _run(hook, name, subject, logger)
        if deadline.cancelled_caught:
            logger.error("Hook %r did not finish within %g seconds", name, seconds)


async def _run(hook: Hook, name: str, subject: Mapping[str, Any], logger: RunLogger) -> None:
    try:
        await _call(hook, subject)
    except (Exception, SystemExit):
        logger.exception("An error was encountered while running hook %r", name)
    else:
        logger.info("Hook %r finished running successfully", name)


async def _call(hook: Hook, subject: Mapping[str, Any]) -> None:
    if inspect.iscoroutinefunction(hook):
        await hook(**subject)
        return
    (answer,) = await trio.to_thread.run_sync(
        _call_blocking, hook, subject, abandon_on_cancel=True, limiter=trio.CapacityLimiter(1)
    )
    if isinstance(answer, Awaitable):
        await answer


def _call_blocking(hook: Hook, subject: Mapping[str, Any]) -> tuple[object]:
    # In a tuple, since Trio takes a coroutine that comes out of a thread for a mistake.
    return (hook(**subject),)


def hook_name(hook: Hook) -> str:
    """What a hook is called in the log: a partial as the function that it wraps, an object as its class."""
    while isinstance(hook, functools.partial):
        hook = hook.func
    return getattr(hook, "__name__", type(hook).__name__)
