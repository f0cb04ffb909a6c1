"""Calls are made in this process, on the Trio thread: all at once, or at most so many at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, final

from attrs import field, frozen, validators

from trioflow.task_runners.turns import Turns, lending, turnless

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import trio

T = TypeVar("T")


@final
@frozen
class NurseryTaskRunner:
    """Runs the tasks of a flow run concurrently, in its nursery.

    ``max_workers`` is how many may run at once; None sets no limit. A task that waits for another one does not count
    while it waits. Raises ValueError for a limit below 1.
    """

    max_workers: int | None = field(default=None, validator=validators.optional(validators.ge(1)))

    @property
    def concurrency(self) -> str:
        """As `TaskRunner.concurrency`."""
        return f"concurrently, at most {self.max_workers} at a time" if self.max_workers else "concurrently"

    def session(self) -> NurserySession:
        """A fresh session, for one flow run."""
        return NurserySession(Turns(self.max_workers) if self.max_workers else None)


@final
@frozen(eq=False)
class NurserySession:
    """A nursery task runner at work for one flow run; without ``turns`` nobody waits for one."""

    turns: Turns | None

    def start_soon(self, nursery: trio.Nursery, call: Callable[[], Awaitable[object]]) -> None:
        """Have ``nursery`` make the call when its turn comes; those that wait keep their order."""
        # The turn is asked for here: tasks that a nursery starts together begin in no particular order.
        nursery.start_soon(self.turns.ask().run if self.turns else turnless, call)

    async def run(self, call: Callable[[], Awaitable[T]]) -> T:
        """Make the call when its turn comes, and give back what it gives; a turn held by the caller is lent out."""
        async with lending():
            return await (self.turns.ask().run(call) if self.turns else turnless(call))
