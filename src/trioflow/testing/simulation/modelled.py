"""Modelled runs: claimed, RUNNING and over as any other, but what they do is only to take a drawn time.

The engine's own drive takes them through their states, retries included; there is no process, no link, no user code.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import TypeAlias, final
from uuid import UUID

import trio
from attrs import define, field

from trioflow.client.client import Client
from trioflow.core.runs import FlowRun
from trioflow.core.states import Completed, Failed, State, StateType
from trioflow.engine.flow_runs import OwnedFlowRun
from trioflow.engine.logs import flow_run_logger
from trioflow.engine.sessions import Session
from trioflow.runner.supervise import Place, Starting
from trioflow.wire.filters import ChangeFilter
from trioflow.wire.replies import Change

Duration: TypeAlias = Callable[[random.Random], float]
"""Draws how many seconds a run takes; raises, if it fails."""


def a_minute_at_most(chance: random.Random) -> float:
    """How long a run takes that nobody has said anything of: 1 to 60 seconds."""
    return chance.uniform(1.0, 60.0)


@final
@define(eq=False)
class Models:
    """The runs that are modelled now; stands in for `trioflow.runner.supervise.supervise`."""

    _chance: random.Random
    _durations: Mapping[UUID, Duration]
    """By deployment; the others take a minute at most."""
    _sessions: dict[UUID, Session] = field(factory=dict[UUID, Session])
    _first: Session | None = None
    """Whose recorder and shipper serve for all: nothing is recorded, and nobody says anything."""

    async def __call__(
        self,
        run: FlowRun,
        place: Place,
        *,
        entrypoint: str | None = None,
        task_status: Starting = trio.TASK_STATUS_IGNORED,
    ) -> State:
        """Take the run to its end."""
        del entrypoint, task_status
        duration = self._durations.get(run.deployment_id or run.id, a_minute_at_most)
        session = self._sessions[run.id] = self._session_of(run, place.client)
        modelled = ModelledRun(
            run=run,
            session=session,
            recorder=session.recorder,
            logger=flow_run_logger(run, run.name),
            chance=self._chance,
            duration=duration,
        )
        try:
            return await modelled.to_its_end()
        finally:
            del self._sessions[run.id]

    def _session_of(self, run: FlowRun, client: Client) -> Session:
        first = self._first = self._first or Session.under(client, run.id, run.epoch)
        return Session(
            client=client,
            settings=first.settings,
            root_id=run.id,
            epoch=run.epoch,
            recorder=first.recorder,
            shipper=first.shipper,
        )

    def hear(self, change: Change) -> None:
        """Somebody asked for the end of a run, or ended it."""
        session = self._sessions.get(change.run_id)
        if session is not None and (change.type is StateType.CANCELLING or change.type.is_final):
            session.cancel(change.run_id)


@final
@define(eq=False, kw_only=True)
class ModelledRun(OwnedFlowRun):
    """One run that takes a drawn time."""

    chance: random.Random
    duration: Duration

    async def entered(self, state: State) -> None:
        """Nobody is told: it has no hooks."""

    async def call(self, state: State) -> State:  # noqa: ARG002 - as the drive has it
        """Take the time; what its duration raises is how it fails."""
        try:
            seconds = self.duration(self.chance)
        except Exception as error:  # noqa: BLE001 - it says so that the run fails
            return Failed(message=f"{type(error).__name__}: {error}")
        await trio.sleep(seconds)
        return Completed()


async def hear_changes(client: Client, models: Models, after: int) -> None:
    """Tell the models of all changes of flow runs after this one, until cancelled."""
    which = ChangeFilter(flow_runs_only=True)
    while True:
        news = await client.changes(after, which)
        after = news.last
        for change in news.items:
            models.hear(change)
