"""What a task runner is: a value that says where, and how many at a time, the calls of a flow run are made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import trio

T = TypeVar("T")


class TaskRunnerSession(Protocol):
    """A task runner at work for one flow run."""

    def start_soon(self, nursery: trio.Nursery, call: Callable[[], Awaitable[object]]) -> None:
        """Have ``nursery`` make the call when its turn comes; those that wait keep their order."""
        ...

    async def run(self, call: Callable[[], Awaitable[T]]) -> T:
        """Make the call when its turn comes, and give back what it gives."""
        ...


class TaskRunner(Protocol):
    """The options of a session. One value may serve any number of flow runs at once."""

    @property
    def concurrency(self) -> str:
        """How many calls are made at once, to end the sentence ``tasks will be run ...``."""
        ...

    def session(self) -> TaskRunnerSession:
        """A fresh session, for one flow run."""
        ...
