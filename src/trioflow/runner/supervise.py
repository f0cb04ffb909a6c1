"""Supervision: one run, from the start of its process to the state that it is in once nothing of that process lives.

Theory of operation. A run that was claimed is placed under an `Infrastructure`, which owns the process tree; its
requests are answered over the link, by `ChildClient`. Three things may end it from here: somebody asks
(`Supervised`), its time is over, or its process stays although the run is over. Whoever does says what the run is to
be in afterwards; the process may still say that it completed. Being cancelled is one more way to be asked.

When the process is gone and its last request is answered, what the store says of the run decides: a run that is over,
or that left its process on purpose, stays as it is; every other one is closed, so that nothing stays RUNNING while
its lease is renewed for it. Nobody signals a pid here, and nothing that a sink, a witness or a log does harms a run.
"""

from __future__ import annotations

import math
from logging import ERROR, INFO, WARNING, getLogger
from typing import Protocol, final
from uuid import UUID

import trio
from attrs import define, field, frozen

from trioflow.client.client import Client
from trioflow.client.link import ServedLink, serve_link
from trioflow.core.runs import FlowRun
from trioflow.core.states import Cancelled, Crashed, State, StateType
from trioflow.errors import ProcessNotStarted
from trioflow.infrastructure.infrastructure import (
    SIGTERM_AFTER,
    Command,
    ExitReport,
    Infrastructure,
    RunningProcess,
)
from trioflow.runner import exits
from trioflow.runner.child import LEAVE_SECONDS, ChildClient
from trioflow.runner.command import engine_command
from trioflow.runner.conclude import conclude
from trioflow.runner.output import OutputLog
from trioflow.runner.run_log import RunLog
from trioflow.runner.witness import GuardedWitness, Witness
from trioflow.settings import Settings

logger = getLogger("trioflow.runner")

LAST_WORDS_SECONDS = 0.8
"""How long it may take, once the process of a supervision that was cancelled is gone, to write what became of it."""
_EXIT_SECONDS = 0.5
"""How long a process that was asked to end may take to exit once it has closed its link."""
_MARGIN_SECONDS = 0.3
"""How much sooner than 2 s and the grace after a request it gets serious: by then the run is to be CANCELLED (P2)."""
_LINK_SECONDS = 5.0
"""How long requests of a process that is gone are still answered."""


@frozen(kw_only=True)
class Place:
    """Where a runner's processes are placed, and who hears of them."""

    client: Client
    infrastructure: Infrastructure
    settings: Settings
    runner_name: str
    witness: Witness
    supervise: Supervise | None = None
    """What stands in for `supervise`: a model of runs that has no processes."""


@final
@define(eq=False)
class Supervised:
    """A process that is supervised, for whoever wants it to end. Nothing here waits, or harms when it is too late."""

    _child: ChildClient
    _process: RunningProcess
    _link: ServedLink | None
    """None once it is closed."""
    _grace: float
    _epoch: int
    """The process's own."""
    _asked: bool = field(default=False, init=False)
    _is_over: bool = field(default=False, init=False)

    @property
    def run_id(self) -> UUID:
        """The run."""
        return self._child.run.id

    @property
    def pid(self) -> int:
        """Its process: to be shown, never to be signalled."""
        return self._process.pid

    def request_cancel(self, reason: str) -> None:
        """Ask the run to end: over the link, by SIGTERM 2 s later, by SIGKILL after the grace. Then it is CANCELLED.

        Who cannot hear it over the link gets the signal at once.
        """
        self._child.over_time.deadline = math.inf
        if self._link is not None:
            self._link.cancel(reason)
        state = Cancelled(message=reason)
        if self._link is not None and self._child.prepared:
            self._end(state, SIGTERM_AFTER, max(0.0, self._grace - _MARGIN_SECONDS))
        else:
            self._end(state, 0.0, self._grace)

    def request_end(self, state: State, grace: float | None = None) -> None:
        """SIGTERM now, SIGKILL after ``grace`` seconds, or the usual ones. Then the run is in ``state``.

        Unless it has come to an end of its own, or is CANCELLING. Of several who ask, the first decides the state.
        """
        self._end(state, 0.0, self._grace if grace is None else grace)

    def told(self, run: FlowRun) -> None:
        """The store has the run like this now. Has it another owner, the process is killed.

        Others take a run away from a process that stood still for so long that its lease has ended.
        """
        if run.epoch > self._epoch and not self._is_over:
            logger.warning("Flow run '%s' has another owner now: its process is ended.", run.id)
            self.stop(0.0)

    # --- for the supervision

    def is_over(self) -> None:
        """The process is gone: what the store says from now on is the supervision's own doing."""
        self._is_over = True

    def falls_silent(self) -> None:
        """Its link is closed: who was asked to end cannot say any more that he is about to."""
        self._link = None
        if self._asked:
            self._process.request_stop(_EXIT_SECONDS, self._grace)

    def stop(self, grace: float) -> None:
        """End the process, whatever its run is to be in."""
        self._asked = True
        self._process.request_stop(0.0, grace)

    def _end(self, state: State, sigterm_after: float, grace: float) -> None:
        self._asked = True
        self._child.ending = self._child.ending or state
        self._process.request_stop(sigterm_after, grace)


class Starting(Protocol):
    """Who waits for a process to be started: a `trio.TaskStatus`, or somebody like it."""

    def started(self, value: Supervised, /) -> None:
        """It runs, and can be asked to end."""
        ...


class Supervise(Protocol):
    """`supervise`, or what stands in for it."""

    async def __call__(
        self, run: FlowRun, place: Place, *, entrypoint: str | None, task_status: Starting
    ) -> State:
        """The state that the run is in once nothing of it runs any more."""
        ...


async def supervise(
    run: FlowRun,
    place: Place,
    *,
    entrypoint: str | None = None,
    task_status: Starting = trio.TASK_STATUS_IGNORED,
) -> State:
    """Start the process of a claimed run, and own it until it is over: the state that the run is in then.

    Started with `nursery.start`. Cancelled, it ends the whole tree within the grace, and still writes what became of
    the run; all is over a second after the grace.

    Args:
        run: as its claim answered: with the epoch that this process got.
        place: where, and who hears of it.
        entrypoint: where its flow is loaded from, where the runner knows better than its deployment.
        task_status: gets the `Supervised` once the process runs.

    Raises:
        ProcessNotStarted: there is no process; the run has been closed.
    """
    supervision = _supervision(run, place)
    command = engine_command(run, place.settings, entrypoint=entrypoint)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(supervision.mind_cancellation)
        with supervision.scope:
            await supervision.to_its_end(command, task_status)
        nursery.cancel_scope.cancel()
    if supervision.not_started is not None:
        raise supervision.not_started
    return supervision.state


@final
@define(eq=False, kw_only=True)
class _Supervision:
    """One run under supervision."""

    place: Place
    child: ChildClient
    output: OutputLog
    log: RunLog
    witness: Witness
    state: State = field(factory=Crashed, init=False)
    """What the run is in, as far as it is known."""
    not_started: ProcessNotStarted | None = field(default=None, init=False)
    scope: trio.CancelScope = field(factory=lambda: trio.CancelScope(shield=True), init=False)
    """Around all of it; it has no deadline before the supervision is cancelled."""
    _cancelled: bool = field(default=False, init=False)
    _supervised: Supervised | None = field(default=None, init=False)
    """None before the process has started."""
    _report: ExitReport | None = field(default=None, init=False)
    _over: trio.Event = field(factory=trio.Event, init=False)
    """The process is gone, or its infrastructure has failed."""
    _silent: trio.Event = field(factory=trio.Event, init=False)
    """Its link is closed, and all that it had asked for is answered."""

    async def mind_cancellation(self) -> None:
        """Make a cancellation a wish to end, with a deadline. Once all is over, the wish does nothing."""
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            self._cancelled = True
            grace = self.place.settings.grace_seconds
            self.scope.deadline = trio.current_time() + grace + LAST_WORDS_SECONDS
            if self._supervised is not None:
                self._supervised.stop(grace)
            raise

    async def to_its_end(self, command: Command, task_status: Starting) -> None:
        """Start the process, see it through, and conclude the run."""
        await self.log.say(INFO, "Opening process...")
        async with trio.open_nursery() as nursery:
            try:
                process: RunningProcess = await nursery.start(self._own, command)
            except Exception as error:  # noqa: BLE001 - whatever keeps it from starting, the runner goes on
                await self._tell_not_started(error)
            else:
                await self._watch(process, nursery, task_status)
            nursery.cancel_scope.cancel()
        self.state = await conclude(self.log, self._report, self.child.ending) or self.state
        self.witness.ended(self.child.run, self.state)

    async def _own(self, command: Command, *, task_status: trio.TaskStatus[RunningProcess]) -> None:
        try:
            self._report = await self.place.infrastructure.run(
                command, self.output.take, task_status=task_status
            )
        except ProcessNotStarted:
            raise
        except Exception as error:  # noqa: BLE001 - an infrastructure's bug must not take the runner down
            await self._tell_unwatched(error)
        self._over.set()

    async def _watch(self, process: RunningProcess, nursery: trio.Nursery, task_status: Starting) -> None:
        grace = self.place.settings.grace_seconds
        self.child.leave_within(self.place.settings.start_seconds + LEAVE_SECONDS)
        link: ServedLink = await nursery.start(self._serve, process.take_link())
        supervised = self._supervised = Supervised(self.child, process, link, grace, self.log.run.epoch)
        if self._cancelled:
            supervised.stop(grace)
        for mind in (self._mind_silence, self._mind_time, self._mind_leaving):
            nursery.start_soon(mind, supervised)
        self.witness.started(self.child.run, process.pid)
        task_status.started(supervised)
        await self._over.wait()
        supervised.is_over()
        # A link whose other end lives on, in some fork that had it by accident, is not waited for.
        with trio.move_on_after(_LINK_SECONDS):
            await self._silent.wait()
        await self._tell_exit(process.pid)

    async def _serve(self, stream: trio.abc.Stream, *, task_status: trio.TaskStatus[ServedLink]) -> None:
        try:
            await serve_link(stream, self.child, task_status=task_status)
        except Exception as error:  # noqa: BLE001 - as in `_own`
            await self._tell_unwatched(error)
        self._silent.set()

    async def _mind_silence(self, supervised: Supervised) -> None:
        await self._silent.wait()
        supervised.falls_silent()
        self.child.leave_within(LEAVE_SECONDS)

    async def _mind_time(self, supervised: Supervised) -> None:
        with self.child.over_time:
            await trio.sleep_forever()
        supervised.request_end(exits.timed_out(self.child.timeout), 0.0)

    async def _mind_leaving(self, supervised: Supervised) -> None:
        with self.child.leaving:
            await trio.sleep_forever()
        if not (self.child.prepared or self._silent.is_set()):
            self.child.ending = self.child.ending or exits.not_loaded(self.place.settings.start_seconds)
        supervised.stop(self.place.settings.grace_seconds)
        await self.log.say(
            WARNING, f"Process {supervised.pid} has nothing more to do, but stays; it is being ended."
        )

    # --- telling

    async def _tell_not_started(self, error: Exception) -> None:
        self.child.ending = Crashed(message=exits.NOT_STARTED)
        self.not_started = ProcessNotStarted(str(error))
        self.not_started.__cause__ = error
        await self.log.say(ERROR, f"Failed to start process for flow run '{self.log.run.id}'.", error)

    async def _tell_unwatched(self, error: Exception) -> None:
        await self.log.say(
            ERROR,
            f"An error occurred while monitoring flow run '{self.log.run.id}'. The flow run will not be marked as "
            "failed, but an issue may have occurred.",
            error,
        )

    async def _tell_exit(self, pid: int) -> None:
        match self._report:
            case ExitReport(status=0):
                await self.log.say(INFO, f"Process {pid} exited cleanly.")
            case ExitReport(status=status):
                help_text = f"; {explanation}" if (explanation := self._explained(self._report)) else ""
                await self.log.say(ERROR, f"Process {pid} exited with status code: {status}{help_text}")
            case None:
                return
        if self._report.leftovers:
            others = "another one" if self._report.leftovers == 1 else f"{self._report.leftovers} others"
            await self.log.say(WARNING, f"Process {pid} left {others} behind; nothing of them lives.")
        if not self._report.output_complete:
            await self.log.say(WARNING, f"Not all that process {pid} wrote could be kept.")

    def _explained(self, report: ExitReport) -> str:
        """What ended it; who was killed from here was so for a reason."""
        match self.child.ending:
            case State(type=StateType.FAILED | StateType.CRASHED, message=str(why)) if report.status < 0:
                return f"It was ended: {why}"
            case _:
                return report.explanation


def _supervision(run: FlowRun, place: Place) -> _Supervision:
    witness = GuardedWitness(place.witness)
    return _Supervision(
        place=place,
        child=ChildClient(place.client, run, witness, place.settings),
        output=OutputLog(run, place.client, witness),
        log=RunLog(
            run=run, runner_name=place.runner_name, client=place.client, level=place.settings.log_level
        ),
        witness=witness,
    )
