"""An open runner: what it has from its start until its last run is over, and in which order that ends.

Theory of operation. Cancelling whoever opened the runner must not cut the last words of its runs short. So the runs
and the client that they speak through live in a shelter: a task that is shielded from that cancellation. Who takes on
work is outside, and so is who watches over the runs: the former goes when the runner is stopped, the latter when it
is cancelled, which ends the runs anyway. The runner leaves in order: schedules are paused, nothing is delayed any
more, the runs have some time to end by themselves, those that do not are ended as their deployments say, and only
then the client is closed. Cancelled at any point of this, it goes on with the ending at once.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, final
from uuid import UUID

import trio
from attrs import define, field, frozen

from trioflow import clock
from trioflow.core.deployments import OnShutdown
from trioflow.core.states import Cancelled, Crashed, Scheduled, State
from trioflow.engine.edges import own_nursery
from trioflow.errors import RunAborted, StoreError
from trioflow.loops import Bell, Loop
from trioflow.runner.cancelling import Cancelling
from trioflow.runner.claim import Claims
from trioflow.runner.delays import Delays
from trioflow.runner.listen import Listening
from trioflow.runner.owed import Owed
from trioflow.runner.pausing import keep_schedules, pause_schedules
from trioflow.runner.poll import Poll
from trioflow.runner.served import Served
from trioflow.runner.supervise import Place
from trioflow.wire.endpoints import READ_FLOW_RUN
from trioflow.wire.requests import ReadFlowRun

if TYPE_CHECKING:
    from trioflow.client.client import Client
    from trioflow.core.tables import Tables
    from trioflow.infrastructure.infrastructure import Infrastructure
    from trioflow.runner.hand import Hand
    from trioflow.runner.limiter import Limiter
    from trioflow.runner.witness import Witness
    from trioflow.settings import Settings

logger = logging.getLogger("trioflow.runner")

_LATE_SECONDS = 10.0
"""How much longer than their grace runs that are ended may take, all told; then their supervision is cancelled."""
_RETRY_SECONDS = 0.5
_STOPPED = "Its runner was stopped."


@frozen(kw_only=True, eq=False)
class Terms:
    """What a runner was made with."""

    name: str
    settings: Settings
    query_seconds: float
    lead_seconds: float
    """How long before it is due a run is claimed."""
    limiter: Limiter
    infrastructure: Infrastructure
    witness: Witness
    client: Client | None
    """None when the runner opens the home by itself."""
    tables: Tables
    """What judges there then."""
    served: Served = field(factory=Served)


@final
@define(eq=False)
class Opened:
    """The parts of an open runner; made in its shelter."""

    terms: Terms
    client: Client
    claims: Claims
    delays: Delays
    cancelling: Cancelling
    polling: Poll
    owed: Owed
    working: tuple[Loop, ...]
    """Those that take on work; they end when the runner is stopped."""
    keeping: Loop
    """Keeps its schedules active; ends with those."""
    watching: tuple[Loop, ...]
    """Those that watch over the runs in hand; they outlive the others."""
    pauses: bool = field(default=False, init=False)
    """Whether its schedules are paused when it leaves."""
    resumes: bool = field(default=False, init=False)
    """Whether those that a runner has paused are resumed."""
    open: bool = field(default=True, init=False)
    """It is not leaving yet."""
    _in_vain: bool = field(default=False, init=False)
    """Not all runs could be closed in time: most likely the store is in trouble, and nobody waits for it any more."""
    left: trio.Event = field(factory=trio.Event, init=False)
    """The runs are over: the shelter is needed no more."""

    @property
    def loops(self) -> tuple[Loop, ...]:
        """All of them."""
        return (*self.working, self.keeping, *self.watching)

    def wake(self) -> None:
        """Have the loops that take on work look again."""
        for loop in self.working:
            loop.bell.ring()

    async def work(self) -> None:
        """Take on work until cancelled."""
        async with own_nursery() as nursery:
            for loop in (*self.working, self.keeping):
                nursery.start_soon(loop.keep_going, name=loop.name)

    async def work_once(self) -> None:
        """Take on what there is now, and wait until it is over (RL-02)."""
        for loop in self.working:
            await loop.run_once()
        await self.cancelling.turn()
        await self.claims.wait_none()

    async def execute(self, run_id: UUID) -> State:
        """Claim this run, and see it through. Cancelled, the run is ended as its deployment says.

        Raises:
            RunAborted: it cannot be claimed; says why.
            RunNotFound: there is no such run.
            RunnerIsFull: no slot is free.
        """
        hand = await self.claims.claim(run_id)
        if hand.run is None:
            self.wake()  # others may have been waiting for the slot
            raise RunAborted(f"flow run '{run_id}' was not claimed{hand.refusal}")
        try:
            await hand.over.wait()
        except trio.Cancelled:
            hand.request_end(self._last_state(hand), self.terms.settings.grace_seconds)
            with self._last_words():
                await hand.over.wait()
            raise
        if hand.outcome is not None:
            return hand.outcome
        run = await self.client.call(READ_FLOW_RUN, ReadFlowRun(run_id=run_id))
        return run.state or Crashed()

    # --- leaving

    async def leave(self) -> None:
        """Let the runs end, those that take too long by force, and call the hooks that are owed then."""
        await self._close()
        with trio.move_on_after(self.terms.settings.drain_seconds):
            await self.claims.wait_none()
        await self._end()
        if not self._in_vain:
            await self._call_owed_hooks()

    async def _call_owed_hooks(self) -> None:
        try:
            await self.owed.turn()
        except StoreError as error:
            logger.warning(
                "Hooks that runner '%s' may owe are left to the next one: %s", self.terms.name, error
            )
        await self.owed.wait_called()

    async def leave_at_once(self) -> None:
        """End the runs now. Returns when nothing is in hand, cancelled or not; takes the grace and a little at most."""
        try:
            await self._end()
        except Exception:
            logger.exception("Not all runs of runner '%s' could be closed.", self.terms.name)
        finally:
            self.left.set()

    async def _end(self) -> None:
        if self._in_vain:
            return
        with self._last_words() as limit:
            if self.open:
                await self._close()
            self._end_runs()
            await self.claims.wait_none()
            await self._settle()
        self._in_vain = limit.cancelled_caught
        if self._in_vain:
            logger.error("Not all runs of runner '%s' could be closed in time.", self.terms.name)

    async def _settle(self) -> None:
        """Give back what was claimed, or may have been, and has no process."""
        while self.claims.unanswered or self.claims.strays:
            try:
                await self.claims.give_up_unanswered()
                await self.cancelling.close_strays()
            except StoreError:
                await trio.sleep(_RETRY_SECONDS)

    async def _close(self) -> None:
        # In this order (LC-02).
        if self.pauses:
            await pause_schedules(self.client, self.terms.served.ids)
        self.open = False
        self.delays.hurry()

    def _last_words(self) -> trio.CancelScope:
        limit = self.terms.settings.grace_seconds + _LATE_SECONDS
        return trio.CancelScope(shield=True, deadline=trio.current_time() + limit)

    def _end_runs(self) -> None:
        for hand in self.claims.in_hand.values():
            hand.request_end(self._last_state(hand), self.terms.settings.grace_seconds)

    def _last_state(self, hand: Hand) -> State:
        policy = self.terms.served.on_shutdown_of(hand.run) if hand.run else OnShutdown.CANCEL
        match policy:
            case OnShutdown.CRASH:
                return Crashed(message=_STOPPED)
            case OnShutdown.RESCHEDULE:
                return Scheduled(clock.now(), message=_STOPPED)
            case OnShutdown.CANCEL:
                return Cancelled(message=_STOPPED)


@asynccontextmanager
async def opened(terms: Terms) -> AsyncGenerator[Opened]:
    """A runner that is open within the block; it has left when the block is over.

    Raises:
        StoreError: the home's database cannot be opened.
    """
    async with own_nursery() as nursery:
        session = await nursery.start(_shelter, terms)
        for loop in session.watching:
            nursery.start_soon(loop.keep_going, name=loop.name)
        try:
            yield session
            await session.leave()
        finally:
            await session.leave_at_once()
            nursery.cancel_scope.cancel()


async def _shelter(terms: Terms, *, task_status: trio.TaskStatus[Opened]) -> None:
    with trio.CancelScope(shield=True):
        async with own_nursery() as ground:
            client = terms.client or await _open_home(terms, ground)
            heard = await client.now()
            async with own_nursery() as tasks:
                session = _made(terms, client, heard, tasks)
                task_status.started(session)
                await session.left.wait()
                tasks.cancel_scope.cancel()
            ground.cancel_scope.cancel()


async def _open_home(terms: Terms, nursery: trio.Nursery) -> Client:
    from trioflow.serving import serve_home

    client: Client = await nursery.start(partial(serve_home, terms.settings, **terms.tables))
    return client


def _made(terms: Terms, client: Client, heard: int, nursery: trio.Nursery) -> Opened:
    work, hooks, cancels = Bell(), Bell(), Bell()
    place = Place(
        client=client,
        infrastructure=terms.infrastructure,
        settings=terms.settings,
        runner_name=terms.name,
        witness=terms.witness,
    )

    def freed(hand: Hand) -> None:
        work.ring()
        if hand.may_owe_hooks:
            hooks.ring()
        if hand.run_id in claims.strays:
            cancels.ring()

    claims = Claims(place, terms.limiter, terms.served, nursery, freed)
    delays = Delays(nursery)
    cancelling = Cancelling(claims, delays, cancels)
    polling = Poll(claims, timedelta(seconds=terms.lead_seconds))
    owed = Owed(claims, nursery)
    listening = Listening(client, heard, cancelling, work, hooks)
    seconds = terms.query_seconds
    return Opened(
        terms=terms,
        client=client,
        claims=claims,
        delays=delays,
        polling=polling,
        cancelling=cancelling,
        owed=owed,
        working=(
            Loop("Claiming runs", polling.turn, seconds, bell=work),
            Loop("Calling owed hooks", owed.turn, seconds, bell=hooks),
        ),
        keeping=Loop("Keeping schedules", partial(keep_schedules, client, terms.served), seconds),
        watching=(
            Loop("Listening to changes", listening.turn, 0.0),
            Loop("Watching over runs", cancelling.turn, 2 * seconds, bell=cancels),
        ),
    )
