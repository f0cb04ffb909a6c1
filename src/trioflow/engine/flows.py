"""Flows: functions whose runs are recorded, supervised, and can be taken up again where they ended."""

from __future__ import annotations

import functools
import hashlib
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from functools import cached_property, partial
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Any,
    Generic,
    Literal,
    ParamSpec,
    Protocol,
    TypeVar,
    Unpack,
    cast,
    final,
    overload,
)

import trio

from trioflow.core.keys import task_key
from trioflow.core.states import State
from trioflow.engine.binding import Binding
from trioflow.engine.blocking import in_thread
from trioflow.engine.colours import (
    check_is_awaited,
    check_is_plain,
    checked_return_state,
    given_back,
    is_async,
)
from trioflow.engine.futures import Future
from trioflow.engine.loading import is_blocked, is_serving_blocked
from trioflow.engine.options import FlowKeywords, FlowOptions, flow_options
from trioflow.engine.parameters import Parameters
from trioflow.engine.scripts import at_loop, waited
from trioflow.engine.submit import WaitFor, call_flow, submit_flow

if TYPE_CHECKING:
    from trioflow.deployments.deployment import FlowDeployment
    from trioflow.deployments.options import DeploymentKeywords
    from trioflow.serving import Serving

P = ParamSpec("P")
R = TypeVar("R")


class Flow(Generic[P, R]):
    """A function with options. A call outside of any flow run is a root run, one inside is a subflow.

    Made by `flow`. The reserved keywords of every call are ``return_state``, which asks for the final state in place
    of the result, and ``wait_for``, futures that must have completed before a subflow begins.
    """

    body: Callable[..., Awaitable[Any]]
    """Calls the function; to be awaited, whatever its colour."""

    def __init__(self, fn: Callable[P, Any], keywords: FlowKeywords) -> None:
        self.options: FlowOptions = flow_options(fn, keywords)
        self.fn = fn
        self.keywords = keywords
        self.key = task_key(fn)
        self.binding = Binding(fn, f"flow {self.name!r}")
        functools.update_wrapper(cast("Callable[..., Any]", self), fn)

    @property
    def name(self) -> str:
        """What its runs are found by."""
        return self.options.name

    @cached_property
    def version(self) -> str | None:
        """As given; else a hash of the source file, or None where that cannot be read."""
        if self.options.version is not None:
            return self.options.version
        try:
            source = inspect.getsourcefile(inspect.unwrap(self.fn))
            return hashlib.sha256(Path(source or "").read_bytes()).hexdigest()[:32]
        except (OSError, TypeError):
            return None

    @cached_property
    def entrypoint(self) -> str | None:
        """``path.py:function``, by which another process loads it; None when it cannot be."""
        from trioflow.engine.entrypoints import entrypoint_of  # It loads flows, so it knows this module.

        return entrypoint_of(self.fn)

    def submit(self, *args: Any, wait_for: WaitFor = None, **kwargs: Any) -> Future[R]:
        """Start a subflow that goes on by itself, in the nursery of the run around; its future, at once.

        Raises:
            OutsideFlow: there is no flow run around.
            ParameterError: the function cannot be called so.
        """
        return at_loop(partial(submit_flow, self, self.binding.parameters(args, kwargs), wait_for))

    def to_deployment(
        self, name: str | None = None, **keywords: Unpack[DeploymentKeywords]
    ) -> FlowDeployment:
        """Describe it so that someone else can run it, under a name: the flow's, unless given.

        Raises:
            DeploymentError: it cannot be deployed like that.
            InvalidSchedule: it cannot be scheduled like that.
        """
        from trioflow.deployments.deployment import FlowDeployment  # A run needs nothing of deployments.

        return FlowDeployment.of(self, name, keywords)

    def serve(
        self,
        name: str | None = None,
        *,
        limit: int | None = None,
        pause_on_shutdown: bool = True,
        print_starting_message: bool = True,
        **keywords: Unpack[DeploymentKeywords],
    ) -> None:
        """Deploy it, and run what is due in processes of their own, until Ctrl-C or SIGTERM; for scripts.

        While a file is loaded for its flows, this does nothing but warn.

        Args:
            name: the deployment's: the flow's, unless given; of ``__file__`` the stem.
            limit: how many runs may go on at once; ``TRIOFLOW_RUNNER_PROCESS_LIMIT``, unless given.
            pause_on_shutdown: whether schedules are paused while nobody serves them.
            print_starting_message: whether to say what is served, and how to start a run.
            keywords: those of ``to_deployment``.

        Raises:
            DeploymentError: it cannot be deployed like that.
            InvalidSchedule: it cannot be scheduled like that.
            WrongColour: a Trio program runs in this thread: see ``aserve``.
        """
        if is_serving_blocked():
            return
        from trioflow.serving import serve

        serve(
            self.to_deployment(_stem_of(name), **keywords),
            limit=limit,
            pause_on_shutdown=pause_on_shutdown,
            print_starting_message=print_starting_message,
        )

    async def aserve(
        self,
        name: str | None = None,
        *,
        limit: int | None = None,
        pause_on_shutdown: bool = True,
        task_status: trio.TaskStatus[Serving] = trio.TASK_STATUS_IGNORED,
        **keywords: Unpack[DeploymentKeywords],
    ) -> None:
        """Deploy it, and run what is due in processes of their own, until cancelled; for a nursery.

        ``await nursery.start(partial(my_flow.aserve, "nightly", cron="0 3 * * *"))`` gives what is served, once it is.
        The arguments are those of ``serve``.

        Raises:
            DeploymentError: it cannot be deployed like that.
            InvalidSchedule: it cannot be scheduled like that.
        """
        from trioflow.serving import aserve

        deployment = self.to_deployment(_stem_of(name), **keywords)
        await aserve(deployment, limit=limit, pause_on_shutdown=pause_on_shutdown, task_status=task_status)

    def prepared(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Callable[[], Coroutine[Any, Any, Any]]:
        """A call of it, to be awaited in the loop, whatever its colour.

        Raises:
            InvalidReturnState: ``return_state`` is neither True nor False.
            ParameterError: the function cannot be called so.
        """
        if is_blocked(self.name):
            return _nothing
        return_state = checked_return_state("flow", kwargs.pop("return_state", False))
        wait_for = kwargs.pop("wait_for", None)
        return partial(
            self._called, self.binding.parameters(args, kwargs), wait_for, return_state=return_state
        )

    async def _called(self, parameters: Parameters, wait_for: WaitFor, *, return_state: bool) -> Any:
        return given_back(await call_flow(self, parameters, wait_for), return_state=return_state)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"


@final
class AsyncFlow(Flow[P, R]):
    """A flow made of an ``async def`` function."""

    def __init__(self, fn: Callable[P, Coroutine[Any, Any, R]], keywords: FlowKeywords) -> None:
        super().__init__(fn, keywords)
        self.body = fn

    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]: ...

    @overload
    def __call__(
        self, *args: Any, return_state: Literal[True], wait_for: WaitFor = ..., **kwargs: Any
    ) -> Coroutine[Any, Any, State]: ...

    @overload
    def __call__(
        self, *args: Any, return_state: Literal[False] = ..., wait_for: Iterable[Any] | None, **kwargs: Any
    ) -> Coroutine[Any, Any, R]: ...

    def __call__(self, *args: Any, **kwargs: Any) -> Coroutine[Any, Any, Any]:
        """Run it; what it returns, or with ``return_state`` the state that it ended in.

        Raises:
            NotASubflow: ``wait_for`` is given, and there is no flow run around.
            ParameterError: the function cannot be called so.
            RunAborted: the orchestrator refused to go on with the run.
            WrongColour: no Trio program runs in this thread.
            BaseException: what the function raised, unless its state is asked for.
        """
        check_is_awaited("flow", self.fn)
        return self.prepared(args, kwargs)()

    def with_options(self, **changes: Unpack[FlowKeywords]) -> AsyncFlow[P, R]:
        """The same flow with some of its options changed; None puts one back to its default."""
        return AsyncFlow(self.fn, {**self.keywords, **changes})


@final
class SyncFlow(Flow[P, R]):
    """A flow made of a ``def`` function, which runs in a worker thread."""

    def __init__(self, fn: Callable[P, R], keywords: FlowKeywords) -> None:
        super().__init__(fn, keywords)
        self.body = partial(in_thread, fn)

    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R: ...

    @overload
    def __call__(
        self, *args: Any, return_state: Literal[True], wait_for: WaitFor = ..., **kwargs: Any
    ) -> State: ...

    @overload
    def __call__(
        self, *args: Any, return_state: Literal[False] = ..., wait_for: Iterable[Any] | None, **kwargs: Any
    ) -> R: ...

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run it; what it returns, or with ``return_state`` the state that it ended in.

        In a script the call is a `trio.run` of its own.

        Raises:
            KeyboardInterrupt: in a script, it was ended by Ctrl-C.
            NotASubflow: ``wait_for`` is given, and there is no flow run around.
            ParameterError: the function cannot be called so.
            RunAborted: the orchestrator refused to go on with the run.
            WrongColour: this is async code; it names the right call.
            BaseException: what the function raised, unless its state is asked for.
        """
        if is_blocked(self.name):
            return None
        check_is_plain("flow", self.fn)
        return waited(self.prepared(args, kwargs))

    def with_options(self, **changes: Unpack[FlowKeywords]) -> SyncFlow[P, R]:
        """The same flow with some of its options changed; None puts one back to its default."""
        return SyncFlow(self.fn, {**self.keywords, **changes})


class FlowMaker(Protocol):
    """``@flow(...)``, waiting for its function."""

    # To mypy a sync function may return a coroutine; here it may not (see `in_thread`).
    @overload
    def __call__(self, fn: Callable[P, Coroutine[Any, Any, R]], /) -> AsyncFlow[P, R]: ...  # type: ignore[overload-overlap]

    @overload
    def __call__(self, fn: Callable[P, R], /) -> SyncFlow[P, R]: ...


def _stem_of(name: str | None) -> str | None:
    """The name, or the stem of the path of a Python file."""
    return Path(name).stem if name and name.endswith(".py") else name


async def _nothing() -> None:
    """What a flow does that is not to run."""


@overload
def flow(fn: Callable[P, Coroutine[Any, Any, R]], /) -> AsyncFlow[P, R]: ...  # type: ignore[overload-overlap]


@overload
def flow(fn: Callable[P, R], /) -> SyncFlow[P, R]: ...


@overload
def flow(fn: None = None, /, **options: Unpack[FlowKeywords]) -> FlowMaker: ...


def flow(fn: Callable[..., Any] | None = None, /, **options: Unpack[FlowKeywords]) -> Any:
    """Make a flow of a function, async or sync: ``@flow``, or ``@flow(name="nightly", ...)``.

    Its options are those of `FlowKeywords`.

    Raises:
        FlowDefinitionError: an option is unknown, or has a value that it cannot have.
    """

    def made(fn: Callable[..., Any]) -> Flow[..., Any]:
        return AsyncFlow(fn, options) if is_async(fn) else SyncFlow(fn, options)

    return made if fn is None else made(fn)
