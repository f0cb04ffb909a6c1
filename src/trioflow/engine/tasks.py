"""Tasks: functions whose every call is a run of its own, retried, recorded and supervised."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Generic, Literal, ParamSpec, TypeVar, Unpack, cast, final, overload

from trioflow.core.keys import task_key
from trioflow.core.states import State
from trioflow.engine import mapping
from trioflow.engine.binding import Binding
from trioflow.engine.colours import check_is_async, check_is_awaited, checked_return_state, given_back
from trioflow.engine.futures import Future
from trioflow.engine.options import TaskKeywords, TaskOptions, task_options
from trioflow.engine.parameters import Parameters
from trioflow.engine.submit import WaitFor, call_task, submit_task

P = ParamSpec("P")
R = TypeVar("R")


class Task(Generic[P, R]):
    """A function with options. Its calls within a flow run are task runs of that flow run.

    Made by `task`. The reserved keywords of every call are ``return_state``, which asks for the final state in place
    of the result, and ``wait_for``, futures that must have completed before the call begins.
    """

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
        return submit_task(self, self.binding.parameters(args, kwargs), wait_for)

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
        return [submit_task(self, parameters, wait_for) for parameters in calls]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"


@final
class AsyncTask(Task[P, R]):
    """A task made of an ``async def`` function."""

    def __init__(self, fn: Callable[P, Coroutine[Any, Any, R]], keywords: TaskKeywords) -> None:
        super().__init__(fn, keywords)
        check_is_async("task", self.name, fn)

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
        check_is_awaited("task", self.name)
        return_state = checked_return_state("task", kwargs.pop("return_state", False))
        wait_for = kwargs.pop("wait_for", None)
        return self._called(self.binding.parameters(args, kwargs), wait_for, return_state=return_state)

    async def _called(self, parameters: Parameters, wait_for: WaitFor, *, return_state: bool) -> Any:
        return given_back(await call_task(self, parameters, wait_for), return_state=return_state)

    def with_options(self, **changes: Unpack[TaskKeywords]) -> AsyncTask[P, R]:
        """The same task with some of its options changed; None puts one back to its default."""
        return AsyncTask(self.fn, {**self.keywords, **changes})


@overload
def task(fn: Callable[P, Coroutine[Any, Any, R]], /) -> AsyncTask[P, R]: ...


@overload
def task(
    fn: None = None, /, **options: Unpack[TaskKeywords]
) -> Callable[[Callable[P, Coroutine[Any, Any, R]]], AsyncTask[P, R]]: ...


def task(fn: Callable[..., Any] | None = None, /, **options: Unpack[TaskKeywords]) -> Any:
    """Make a task of an ``async def`` function: ``@task``, or ``@task(retries=3, ...)``.

    Its options are those of `TaskKeywords`.

    Raises:
        FlowDefinitionError: an option is unknown, or has a value that it cannot have.
    """
    if fn is None:
        return functools.partial(AsyncTask, keywords=options)
    return AsyncTask(fn, options)
