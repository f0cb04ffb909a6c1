"""Drives a run: does what `trioflow.core.lifecycle` says is next, until it says stop. No policy of its own."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol, Self, final

import trio
from attrs import define, evolve

from trioflow import clock
from trioflow.client.client import Client
from trioflow.core.lifecycle import Call, Propose, Sleep, Step, Stop
from trioflow.core.states import Cancelled, State, StateType
from trioflow.core.verdicts import Abort, Accept, Reject, Verdict
from trioflow.engine.crashes import crash_state, last_words, root_cause
from trioflow.engine.endings import recorded
from trioflow.engine.hooks import Hooks, run_hooks
from trioflow.engine.logs import RunLogger
from trioflow.engine.results import Raised, Recorder, Returned, load
from trioflow.engine.sessions import CANCEL_REQUESTED, Session
from trioflow.errors import CrashedRun
from trioflow.wire.filters import ChangeFilter


class Driven(Protocol):
    """What `drive` needs of a run."""

    session: Session
    recorder: Recorder
    logger: RunLogger

    @property
    def line(self) -> trio.StrictFIFOLock | None:
        """Where it stands with others of this process that may have to wait for the same concurrency slots."""
        ...

    async def propose(self, state: State) -> Verdict:
        """The verdict; data of the states in it is live."""
        ...

    async def call(self, state: State) -> State:
        """Call the user's function, the run being in ``state``: the state to propose next."""
        ...

    async def entered(self, state: State) -> None:
        """Its run has come into this state by what was proposed here: call the hooks."""
        ...


_in_hand: trio.lowlevel.RunVar[dict[Driven, None] | None] = trio.lowlevel.RunVar("trioflow runs", None)
"""The runs that are driven in this loop, in the order in which that began: none before the one that called it."""


def in_hand() -> tuple[Driven, ...]:
    """The runs that are driven in this loop now."""
    return tuple(_in_hand.get() or ())


async def drive(run: Driven, step: Step) -> Stop:
    """Take the run from this step to where nothing more is to be done here."""
    runs = _in_hand.get()
    if runs is None:
        runs = dict[Driven, None]()
        _in_hand.set(runs)
    runs[run] = None
    try:
        return await _driven(run, step)
    finally:
        del runs[run]


async def _driven(run: Driven, step: Step) -> Stop:
    heard_until: int | None = None
    with Place(run.line) as place:
        while True:
            match step:
                case Stop():
                    return step
                case Propose(state):
                    step = await propose(run, step)
                    _log_another_try(run, state, step)
                case Call(state):
                    place.leave()
                    heard_until = None
                    step = step.ended(await run.call(state))
                case Sleep(or_change=True) if heard_until is None:
                    # Ask once more before the first sleep: news between the last answer and now woke nobody.
                    await place.take()
                    heard_until = await run.session.client.now()
                    step = step.awoke()
                case Sleep():
                    heard_until = await _sleep(run.session.client, step, heard_until)
                    step = step.awoke()


@final
@define(eq=False)
class Place:
    """A place in the line of those who wait for the same slots: only the first asks again at each change.

    Without a line, everybody does. The place is left at the end of the block, if not before.
    """

    _line: trio.StrictFIFOLock | None
    _taken: bool = False

    async def take(self) -> None:
        """Stand in line until nobody is in front; stay there."""
        if self._line is not None and not self._taken:
            await self._line.acquire()
            self._taken = True

    def leave(self) -> None:
        """Let the next one be the first."""
        if self._line is not None and self._taken:
            self._taken = False
            self._line.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()


async def propose(run: Driven, step: Propose) -> Step:
    """Ask for the state, and call the hooks of the one that it led to."""
    verdict = await run.propose(step.state)
    match verdict:
        case Accept(state):
            await run.entered(state)
        case Reject(state) if state is not None and step.state.is_final:
            if run.session.settings.debug:
                told = "Received new state %s when proposing final state %s"
                run.logger.debug(told, state, step.state, extra={"send_to_api": False})
            await run.entered(state)
        case _:
            run.logger.debug("Proposed %s and heard %s", step.state, verdict)
    return step.heard(verdict)


def _log_another_try(run: Driven, proposed: State, step: Step) -> None:
    if proposed.is_final and isinstance(step, Sleep):
        run.logger.info(
            "Received non-final state %r when proposing final state %r and will attempt to run again...",
            "AwaitingRetry" if step.until else "Paused",
            proposed.name,
        )


_LOOK_SECONDS = 30.0
"""How long nobody looks at the wall clock: it may be set, and goes on while the computer is suspended."""


async def _sleep(client: Client, step: Sleep, heard_until: int | None) -> int | None:
    if step.until is not None:
        await _sleep_until(step.until)
        return heard_until
    # A wait for an instant is said in seconds: who asked for it asks again, and hears how many are left.
    with trio.move_on_after(min(step.seconds, _LOOK_SECONDS)):
        while heard_until is not None and step.or_change:
            changes = await client.changes(heard_until, ChangeFilter())
            heard_until = changes.last
            if any(change.is_flow_run or change.type.is_final for change in changes.items):
                return heard_until
        await trio.sleep_forever()
    return heard_until


async def _sleep_until(instant: datetime) -> None:
    await trio.lowlevel.checkpoint()
    while (seconds := (instant - clock.now()).total_seconds()) > 0:  # noqa: ASYNC110 - no event says that a clock was set
        await trio.sleep(seconds if clock.is_steady() else min(seconds, _LOOK_SECONDS))


# --- live states, and stored ones


def sendable(state: State) -> State:
    """The same state with what the store keeps in place of what the engine holds."""
    match state.data:
        case None:
            return state
        case Returned(recorded=kept) | Raised(recorded=kept):
            return evolve(state, data=kept)
        case _:
            return evolve(state, data=None)


async def live(verdict: Verdict, proposed: State, recorder: Recorder, of: str) -> Verdict:
    """The verdict with live data: what was proposed keeps its own, a final state in its place is read.

    Raises:
        UnreadableResult: the recorded result of ``of`` cannot be read.
    """
    match verdict:
        case Accept(state) if proposed.data is not None:
            return Accept(evolve(state, data=proposed.data))
        case Reject(State() as state) | Abort(state=State() as state) if state.is_final:
            return evolve(verdict, state=await load(state, recorder, of))
        case _:
            return verdict


# --- ends


async def call_hooks(run: Driven, hooks: Hooks, state: State, subject: dict[str, Any]) -> None:
    """Call the hooks for this state: not to be cancelled, each under its own deadline."""
    if owed := hooks.owed(state):
        with trio.CancelScope(shield=True):
            seconds = run.session.settings.hook_seconds
            await run_hooks(owed, {**subject, "state": state}, logger=run.logger, seconds=seconds)


async def taken_down(run: Driven, error: BaseException) -> Stop:
    """Report that ``error`` took the run down, shielded and within the grace period: what became of it."""
    state = await recorded(last_state(error), run.recorder, persist=True)
    if state.type is StateType.CRASHED:
        run.logger.error("Crash detected! %s", state.message)
        run.logger.debug("Crash details:", exc_info=error)
    seconds = run.session.settings.grace_seconds
    step: Step = Propose(state)
    with last_words(seconds):
        try:
            while isinstance(step, Propose):
                step = await propose(run, step)
        except Exception:
            run.logger.exception("The end of this run could not be reported")
    if not isinstance(step, Stop):
        return Stop(None, f"its end could not be reported within {seconds:g} seconds")
    if step.reason is None:
        run.logger.debug("Reported %s run successfully!", state.name.lower())
    return step


async def crash_all(error: BaseException) -> None:
    """Report that ``error`` took down every run of this loop. The process is to end then: their code still runs."""
    runs = in_hand()
    for run in reversed(runs):
        await taken_down(run, error)
    for session in {run.session for run in runs}:
        with last_words(session.settings.grace_seconds):
            await session.shipper.flush()


def last_state(error: BaseException) -> State:
    """The state of a run that ``error`` took down.

    Its data never is a cancellation: raised where no scope waits for it, that would go through everybody's code.
    """
    cause = root_cause(error)
    if not isinstance(cause, trio.Cancelled):
        return crash_state(error)
    if cause.reason == CANCEL_REQUESTED:
        return Cancelled(message="Cancelled; its clean-up has finished.", cause=CANCEL_REQUESTED)
    crashed = crash_state(error)
    return evolve(crashed, data=Raised(CrashedRun(crashed.message)))


def log_end(run: Driven, state: State) -> None:
    """Say how the run ended."""
    log = run.logger.info if state.is_completed else run.logger.error
    told = repr(state) if run.session.settings.debug else str(state)
    log("Finished in state %s", told, extra={"state_message": True})
