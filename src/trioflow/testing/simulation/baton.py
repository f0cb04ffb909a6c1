"""The baton: sync flows and tasks in a simulation. Of the loop and their threads, exactly one runs at any moment.

Theory of operation. Sync user code needs a thread, since it blocks, and since it calls back into the loop. A thread
beside a loop under virtual time would race with it. So the loop stands still, truly blocked, from when it lets a
thread run until that gives the baton back: by calling into the loop, whose work is then done as any other task's
while the thread stands still, or by ending. What the code in the thread takes is no virtual time at all, and the order
of everything is the loop's.

A thread that keeps the baton for too many real seconds waits for something that a simulation cannot give: where it
stands is told, and the simulation ends.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar, cast, final

import trio
from attrs import define, field

from trioflow.errors import SimulationError
from trioflow.testing.simulation.realities import Realities

T = TypeVar("T")


@final
@define(eq=False)
class _Ride:
    """One call in a thread: what the thread and the loop hand each other with the baton."""

    function: Callable[[], Any]
    to_loop: threading.Semaphore = field(factory=lambda: threading.Semaphore(0))
    to_thread: threading.Semaphore = field(factory=lambda: threading.Semaphore(0))
    asked: Callable[[], Awaitable[Any]] | None = None
    """What the thread wants awaited; None when it has ended."""
    context: contextvars.Context | None = None
    """In which it is to be awaited."""
    value: Any = None
    error: BaseException | None = None
    """How the last thing that was asked for, or the call itself, ended."""

    def outcome(self) -> Any:
        """The value, or the error raised."""
        error, self.error = self.error, None
        if error is not None:
            try:
                raise error
            finally:
                del error
        return self.value


@final
@define(eq=False)
class BatonPortal:
    """See `trioflow.engine.blocking.Portal`."""

    _realities: Realities
    _seconds: float
    """How long, in real seconds, a thread may keep the baton."""
    _returned: Callable[[], object] = lambda: None
    """Called whenever the loop has the baton again."""
    _rides: threading.local = field(factory=threading.local)

    async def enter(self, function: Callable[[], T]) -> T:
        """As `Portal.enter`."""
        await trio.lowlevel.checkpoint_if_cancelled()
        ride = _Ride(function)
        context = contextvars.copy_context()
        thread = threading.Thread(target=context.run, args=(self._ride, ride), daemon=True, name="sync code")
        self._realities.start(thread)
        self._stand_still(ride, thread)
        while ride.asked is not None:
            await self._serve(ride)
            ride.to_thread.release()
            self._stand_still(ride, thread)
        thread.join(self._seconds)
        await trio.lowlevel.cancel_shielded_checkpoint()
        return cast("T", ride.outcome())

    def is_open(self) -> bool:
        """As `Portal.is_open`."""
        return self._ride_here() is not None

    def call(self, function: Callable[[], Awaitable[T]]) -> T:
        """As `Portal.call`."""
        ride = self._ride_here()
        if ride is None:
            raise RuntimeError("this thread is none that sync code of a simulation runs in")
        ride.asked, ride.context = function, contextvars.copy_context()
        ride.to_loop.release()
        ride.to_thread.acquire()
        return cast("T", ride.outcome())

    def _ride_here(self) -> _Ride | None:
        return getattr(self._rides, "ride", None)

    def _ride(self, ride: _Ride) -> None:
        """All that the thread does."""
        self._rides.ride = ride
        try:
            ride.value = ride.function()
        except BaseException as error:  # noqa: BLE001 - raised where the call was made
            ride.error = error
        ride.asked = None
        ride.to_loop.release()

    def _stand_still(self, ride: _Ride, thread: threading.Thread) -> None:
        """Give the thread the baton, and block until it is back."""
        if not ride.to_loop.acquire(timeout=self._seconds):
            where = self._realities.where_is(thread)
            self._realities.error = SimulationError(
                f"sync code did not go on for {self._seconds:g} real seconds at {where}: a simulation has no other "
                "threads, sockets or processes to wait for. Put such a task's work behind a function that your test "
                "replaces, or give the flow a model of its run instead"
            )
            self._returned()
            raise self._realities.error
        self._returned()

    async def _serve(self, ride: _Ride) -> None:
        """Await what the thread asks for, in the thread's context, as `trio.from_thread.run` has it done."""
        asked, context = ride.asked, ride.context
        assert asked is not None  # noqa: S101 - `enter` has looked
        assert context is not None  # noqa: S101 - as above
        task = trio.lowlevel.current_task()
        before, task.context = task.context, context
        await trio.lowlevel.cancel_shielded_checkpoint()  # From here on, the context is the thread's.
        try:
            ride.value = await asked()
        except BaseException as error:  # noqa: BLE001 - raised in the thread
            ride.error = error
        task.context = before
        await trio.lowlevel.cancel_shielded_checkpoint()

    # --- trio.from_thread

    @contextmanager
    def from_thread(self) -> Generator[None]:
        """Within the block, sync code may call `trio.from_thread.run` and its kin, as it may elsewhere."""
        real = trio.from_thread
        before = real.run, real.run_sync, real.check_cancelled
        real.run, real.run_sync, real.check_cancelled = self._run, self._run_sync, self._check_cancelled  # type: ignore[assignment]
        try:
            yield
        finally:
            real.run, real.run_sync, real.check_cancelled = before

    def _run(self, afn: Callable[..., Awaitable[T]], *args: Any, trio_token: object = None) -> T:  # noqa: ARG002
        return self.call(partial(afn, *args))

    def _run_sync(self, fn: Callable[..., T], *args: Any, trio_token: object = None) -> T:  # noqa: ARG002
        async def awaited() -> T:
            await trio.lowlevel.checkpoint_if_cancelled()
            return fn(*args)

        return self.call(awaited)

    def _check_cancelled(self) -> None:
        self.call(trio.lowlevel.checkpoint_if_cancelled)
