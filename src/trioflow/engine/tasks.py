"""Tasks: functions whose every call is a run of its own, retried, recorded and supervised."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from functools import partial
from typing import (
    Any,
    ClassVar,
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

from trioflow.core.keys import task_key
from trioflow.core.states import State
from trioflow.engine import mapping
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
from trioflow.engine.options import TaskKeywords, TaskOptions, task_options
from trioflow.engine.parameters import Parameters
from trioflow.engine.scripts import at_loop, waited
from trioflow.engine.submit import WaitFor, call_task, submit_task
from trioflow.task_runners.nursery import NurseryTaskRunner
from trioflow.task_runners.task_runner import TaskRunner

P = ParamSpec("P")
R = TypeVar("R")

MOST_THREADS = 40
"""How many sync tasks of a flow run are at work at once, where no task runner says so."""


class Task(Generic[P, R]):
    """A function with options. Its calls within a flow run are task runs of that flow run.

    Made by `task`. The reserved keywords of every call are ``return_state``, which asks for the final state in place
    of the result, and ``wait_for``, futures that must have completed before the call begins.
    """

    default_task_runner: ClassVar[TaskRunner]
    """What places its calls, where neither the task nor the flow says so."""
    body: Callable[..., Awaitable[Any]]
    """Calls the function; to be awaited, whatever its colour."""

    def __init__(self, fn: Callable[P, Any], keywords: TaskKeywords) -> None:
        self.options: TaskOptions = task_options(fn, keywords)
        self.fn = fn
        self.keywords = keywords
        self.key = task_key(fn)
        self.binding = Binding(fn, f"task {self.name!r}")
        functools.update_wrapper(cast("Callable[..., Any]", self), fn)

    @property
    def name(self) -> str:
        """How its runs are named, unless one gets a name of its own."""
        return self.options.name

    def submit(self, *args: Any, wait_for: WaitFor = None, **kwargs: Any) -> Future[R]:
        """Start a call that goes on by itself, in the nursery of the flow run around; its future, at once.

        Futures among the arguments, at any depth, are waited for and replaced by their values.

        Raises:
            OutsideFlow: there is no flow run around.
            ParameterError: the function cannot be called so.
        """
        return at_loop(partial(submit_task, self, self.binding.parameters(args, kwargs), wait_for))

    def map(self, *args: Any, wait_for: WaitFor = None, **kwargs: Any) -> list[Future[R]]:
        """Submit one call for each element of the iterable arguments; the futures, in their order.

        Iterables are walked side by side and must be of one length; anything else goes to every call, and so does
        what is wrapped in `unmapped`.

        Raises:
            MappingMissingIterable: there is no iterable among the arguments.
            MappingLengthMismatch: the iterables differ in length.
            OutsideFlow: there is no flow run around.
            ParameterError: the function cannot be called so, or a future is to be mapped over.
        """
        calls = mapping.calls(self.binding, self.binding.given(args, kwargs))
        return at_loop(lambda: [submit_task(self, parameters, wait_for) for parameters in calls])

    def prepared(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Callable[[], Coroutine[Any, Any, Any]]:
        """A call of it, to be awaited in the loop, whatever its colour.

        Raises:
            InvalidReturnState: ``return_state`` is neither True nor False.
            ParameterError: the function cannot be called so.
        """
        return_state = checked_return_state("task", kwargs.pop("return_state", False))
        wait_for = kwargs.pop("wait_for", None)
        return partial(
            self._called, self.binding.parameters(args, kwargs), wait_for, return_state=return_state
        )

    async def _called(self, parameters: Parameters, wait_for: WaitFor, *, return_state: bool) -> Any:
        return given_back(await call_task(self, parameters, wait_for), return_state=return_state)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"


@final
class AsyncTask(Task[P, R]):
    """A task made of an ``async def`` function."""

    default_task_runner = NurseryTaskRunner()

    def __init__(self, fn: Callable[P, Coroutine[Any, Any, R]], keywords: TaskKeywords) -> None:
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
        """Call it, here; what it returns, or with ``return_state`` the state that it ended in.

        Outside of any flow run the call is a task run of its own.

        Raises:
            ParameterError: the function cannot be called so.
            WrongColour: no Trio program runs in this thread.
            BaseException: what the function raised, unless its state is asked for.
        """
        check_is_awaited("task", self.fn)
        return self.prepared(args, kwargs)()

    def with_options(self, **changes: Unpack[TaskKeywords]) -> AsyncTask[P, R]:
        """The same task with some of its options changed; None puts one back to its default."""
        return AsyncTask(self.fn, {**self.keywords, **changes})


@final
class SyncTask(Task[P, R]):
    """A task made of a ``def`` function, which runs in a worker thread."""

    default_task_runner = NurseryTaskRunner(max_workers=MOST_THREADS)

    def __init__(self, fn: Callable[P, R], keywords: TaskKeywords) -> None:
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
        """Call it, here; what it returns, or with ``return_state`` the state that it ended in.

        Outside of any flow run the call is a task run of its own.

        Raises:
            ParameterError: the function cannot be called so.
            WrongColour: this is async code; it names the right call.
            BaseException: what the function raised, unless its state is asked for.
        """
        check_is_plain("task", self.fn)
        return waited(self.prepared(args, kwargs))

    def with_options(self, **changes: Unpack[TaskKeywords]) -> SyncTask[P, R]:
        """The same task with some of its options changed; None puts one back to its default."""
        return SyncTask(self.fn, {**self.keywords, **changes})


class TaskMaker(Protocol):
    """``@task(...)``, waiting for its function."""

    # To mypy a sync function may return a coroutine; here it may not (see `in_thread`).
    @overload
    def __call__(self, fn: Callable[P, Coroutine[Any, Any, R]], /) -> AsyncTask[P, R]: ...  # type: ignore[overload-overlap]

    @overload
    def __call__(self, fn: Callable[P, R], /) -> SyncTask[P, R]: ...


@overload
def task(fn: Callable[P, Coroutine[Any, Any, R]], /) -> AsyncTask[P, R]: ...  # type: ignore[overload-overlap]


@overload
def task(fn: Callable[P, R], /) -> SyncTask[P, R]: ...


@overload
def task(fn: None = None, /, **options: Unpack[TaskKeywords]) -> TaskMaker: ...


def task(fn: Callable[..., Any] | None = None, /, **options: Unpack[TaskKeywords]) -> Any:
    """Make a task of a function, async or sync: ``@task``, or ``@task(retries=3, ...)``.

    Its options are those of `TaskKeywords`.

    Raises:
        FlowDefinitionError: an option is unknown, or has a value that it cannot have.
    """

    def made(fn: Callable[..., Any]) -> Task[..., Any]:
        return AsyncTask(fn, options) if is_async(fn) else SyncTask(fn, options)

    return made if fn is None else made(fn)
