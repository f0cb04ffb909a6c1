"""`forecast`: a year of schedules, or as long as you like, in seconds: what would run when, and what would wait.

Theory of operation. The store, the orchestrator, the scheduler and the runner's claims are the real ones, under
virtual time; only what a run does is a model (`modelled`). Nothing polls: the wall clock of this world never jumps, so
that nobody has to look at it, and everybody sleeps until there is something to do. That is what a year costs: its
runs, and not its hours.
"""

from __future__ import annotations

import logging
import random
import tempfile
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from math import inf
from pathlib import Path
from typing import Any, NoReturn, final
from uuid import UUID

import trio
from attrs import define, evolve, field, frozen, validators

from trioflow import clock
from trioflow.client.connect import serve_store
from trioflow.client.local import LocalClient
from trioflow.core.schedules.window import Overlap
from trioflow.core.states import StateType
from trioflow.deployments.apply import apply
from trioflow.deployments.deployment import FlowDeployment
from trioflow.errors import ProcessNotStarted, SimulationError
from trioflow.infrastructure.infrastructure import Command, ExitReport, RunningProcess, Sink
from trioflow.loops import Bell, Loop
from trioflow.orchestrator.desk import DOWNTIME, Desk
from trioflow.runner.claim import Claims
from trioflow.runner.hand import Hand
from trioflow.runner.limiter import Limiter
from trioflow.runner.poll import Poll
from trioflow.runner.served import Served
from trioflow.runner.supervise import Place
from trioflow.scheduler import run_scheduler
from trioflow.scheduler.plan_runs import plan_runs
from trioflow.settings import Settings, use_settings
from trioflow.store.store import Row, Tx
from trioflow.testing.simulation.chronicle import Chronicle
from trioflow.testing.simulation.database import Database, View
from trioflow.testing.simulation.faults import NO_FAULTS
from trioflow.testing.simulation.journal import Journal, Steps
from trioflow.testing.simulation.jumping import VirtualTime
from trioflow.testing.simulation.modelled import Duration, Models, a_minute_at_most, hear_changes
from trioflow.testing.simulation.scheduling import deterministic
from trioflow.testing.simulation.serving import NobodyLooks
from trioflow.testing.simulation.terms import START
from trioflow.testing.simulation.virtual import VirtualWorld

_RUNS = (
    "SELECT deployment_id, expected_start, started, ended, state_type, state_message, attempt FROM flow_runs"
    " WHERE deployment_id IS NOT NULL ORDER BY expected_start, id"
)
_LOOK_SECONDS = 6 * 3600.0
_MOST_FIRES = 100_000
_WARNING = 30
_AWAY_EACH = timedelta(days=30)
_DRAIN_SECONDS = 86_400.0


@frozen(kw_only=True)
class Season:
    """What time a forecast is for, and under which conditions."""

    start: datetime = START
    duration: timedelta = field(default=timedelta(days=365), validator=validators.gt(timedelta()))
    seed: int = 0
    limit: int = field(default=100, validator=validators.ge(1))
    """How many runs the runner has in hand at once."""
    away: timedelta = field(
        default=timedelta(), validator=[validators.ge(timedelta()), validators.lt(_AWAY_EACH)]
    )
    """Once in thirty days, at a drawn time, nobody serves for so long: what was missed is caught up with, or not."""


@frozen(kw_only=True)
class Planned:
    """One fire, and what became of it."""

    deployment: str
    due: datetime
    started: datetime | None
    ended: datetime | None
    type: StateType
    message: str | None
    attempts: int

    @property
    def late(self) -> timedelta:
        """How long after it was due it began to run."""
        return max(timedelta(), self.started - self.due) if self.started else timedelta()


@frozen(kw_only=True)
class Forecast:
    """What became of a season."""

    season: Season
    deployments: tuple[FlowDeployment, ...]
    runs: tuple[Planned, ...]
    """Those that were due, in the order in which they were."""
    away: tuple[tuple[datetime, datetime], ...]
    """When nobody served."""
    missed: Mapping[str, tuple[datetime, ...]]
    """By deployment: fires that got no run, because nobody served and its catch-up policy did not ask for them."""
    digest: str
    steps: int


def forecast(
    deployments: Sequence[FlowDeployment],
    season: Season | None = None,
    durations: Mapping[str, Duration] | None = None,
) -> Forecast:
    """What becomes of the schedules of these deployments in a season.

    Args:
        deployments: whose schedules they are.
        season: from when, for how long, under which conditions; the year 2026, unless given.
        durations: draws how many seconds a run takes, by the flow's name; 1 to 60 for a flow that is not there.

    Raises:
        SimulationError: what was drawn is no number of seconds.
    """
    play = _Play(tuple(deployments), season or Season(), durations or {})
    time = VirtualTime()
    with play.set_up():
        trio.run(play.through, clock=time.clock(), instruments=[Steps(play.journal)])
    if play.error is not None:
        raise play.error
    return play.told()


@final
@define(eq=False)
class _Play:
    """One forecast under way."""

    deployments: tuple[FlowDeployment, ...]
    season: Season
    durations: Mapping[str, Duration]
    journal: Journal = field(factory=Journal, init=False)
    error: SimulationError | None = field(default=None, init=False)
    """Why it was given up."""
    _scope: trio.CancelScope = field(factory=trio.CancelScope, init=False)
    _world: VirtualWorld = field(init=False)
    _database: Database = field(init=False)
    _chronicle: Chronicle = field(init=False)
    _models: Models = field(init=False)
    _known: dict[UUID, FlowDeployment] = field(factory=dict[UUID, FlowDeployment], init=False)
    _work: Bell = field(factory=Bell, init=False)
    """Wakes what claims runs."""
    _away: list[tuple[datetime, datetime]] = field(factory=list[Any], init=False)
    _rows: list[Row] = field(factory=list[Row], init=False)
    _by_deployment: dict[UUID, Duration] = field(factory=dict[UUID, Duration], init=False)
    _takes_turns: bool = field(init=False)
    """Some schedule will not have its runs overlap."""
    _in_hand: Mapping[UUID, object] = field(factory=dict[UUID, object], init=False)

    def __attrs_post_init__(self) -> None:
        self._world = VirtualWorld(self.season.start, str(self.season.seed))
        self._database = Database(self.journal, self._world.stream("database"), NO_FAULTS, _fail)
        self._chronicle = Chronicle(self.journal)
        self._database.observers.append(self._chronicle)
        self._models = Models(self._world.stream("durations"), self._by_deployment)
        schedules = (schedule for deployment in self.deployments for schedule in deployment.schedules)
        self._takes_turns = any(schedule.overlap is not Overlap.ALLOW for schedule in schedules)

    @contextmanager
    def set_up(self) -> Generator[None]:
        """What has to be in place around the `trio.run`."""
        with ExitStack() as stack:
            home = stack.enter_context(tempfile.TemporaryDirectory(prefix="trioflow-forecast-"))
            stack.enter_context(use_settings(Settings(home=Path(home), log_level=_WARNING)))
            stack.enter_context(clock.use(self._world, steady=True))
            stack.enter_context(deterministic(self.season.seed))
            stack.enter_context(_silent(logging.getLogger("trioflow")))
            yield

    async def through(self) -> None:
        """Go through the season."""
        view = View(self._database, None)
        with self._scope:
            await self._through(view)

    async def _through(self, view: View) -> None:
        async with trio.open_nursery() as nursery:
            # Nothing is periodic: nobody dies here, so that no lease needs anybody.
            client: LocalClient = await nursery.start(serve_store, view)
            await self._deploy(client)
            claims = self._claims(client, nursery)
            self._in_hand = claims.in_hand
            if self._takes_turns:
                nursery.start_soon(hear_changes, client, self._models, await client.now())
            end = self.season.duration.total_seconds()
            for begin, until in self._times_away(end):
                await self._serve(client, claims, begin)
                self._away.append((self._at(begin), self._at(until)))
                await trio.sleep_until(until)
            await self._serve(client, claims, end)
            with trio.move_on_after(_DRAIN_SECONDS):
                await claims.wait_none()
            self._database.look(self._chronicle.write_down)
            self._rows = self._database.look(lambda tx: tx.execute(_RUNS))
            nursery.cancel_scope.cancel()

    # --- serving

    async def _deploy(self, client: LocalClient) -> None:
        for deployment in self.deployments:
            known = await apply(client, evolve(deployment, hooked=frozenset()))
            self._known[known.id] = deployment
            name = deployment.flow_name
            self._by_deployment[known.id] = self._checked(name, self.durations.get(name, a_minute_at_most))

    def _checked(self, name: str, duration: Duration) -> Duration:
        """The duration, which gives the forecast up when it draws what is none."""

        def drawn(chance: random.Random) -> float:
            seconds: Any = duration(chance)  # A file may give anything.
            if isinstance(seconds, int | float) and 0 <= seconds < inf:
                return seconds
            self.error = SimulationError(
                f"the duration of {name!r} was drawn as {seconds!r}: it must be a number of seconds, 0 or more"
            )
            self._scope.cancel()
            return 0.0

        return drawn

    def _claims(self, client: LocalClient, nursery: trio.Nursery) -> Claims:
        place = Place(
            client=client,
            infrastructure=NoProcesses(),
            settings=Settings(home=Path("/")),
            runner_name="forecast",
            witness=NobodyLooks(),
            supervise=self._models,
        )
        served = Served()
        served.deployments.update(self._known)
        return Claims(place, Limiter(self.season.limit), served, nursery, self._freed)

    async def _serve(self, client: LocalClient, claims: Claims, until: float) -> None:
        """Come back, plan runs and claim them until Trio's time is ``until``. What was claimed goes on."""
        orchestrator = client.orchestrator
        orchestrator.downtime = DOWNTIME
        await orchestrator.transact(_look)
        claiming = Loop("Claiming runs", Poll(claims, timedelta()).turn, _LOOK_SECONDS, bell=self._work)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(run_scheduler, orchestrator, look_seconds=_LOOK_SECONDS))
            nursery.start_soon(claiming.keep_going)
            await trio.sleep_until(until)
            nursery.cancel_scope.cancel()
        await orchestrator.transact(_look)

    def _freed(self, _: Hand) -> None:
        """A run is over: that matters to those that wait for its slot, or for its turn."""
        if self._takes_turns or len(self._in_hand) + 1 >= self.season.limit:
            self._work.ring()

    def _times_away(self, end: float) -> list[tuple[float, float]]:
        """When nobody serves: once in thirty days."""
        seconds, each = self.season.away.total_seconds(), _AWAY_EACH.total_seconds()
        if not seconds:
            return []
        chance = self._world.stream("away")
        begins = [month * each + chance.uniform(0, each - seconds) for month in range(int(end // each) + 1)]
        return [(begin, begin + seconds) for begin in begins if begin + seconds < end]

    def _at(self, seconds: float) -> datetime:
        return self.season.start.astimezone(UTC) + timedelta(seconds=seconds)

    # --- telling

    def told(self) -> Forecast:
        """What became of it."""
        end = self._at(self.season.duration.total_seconds())
        runs = tuple(run for run in map(self._planned, self._rows) if run.due <= end)
        return Forecast(
            season=self.season,
            deployments=self.deployments,
            runs=runs,
            away=tuple(self._away),
            missed=self._missed(runs),
            digest=self.journal.digest,
            steps=self.journal.steps,
        )

    def _planned(self, row: Row) -> Planned:
        deployment, due, started, ended, type_, message, attempts = row
        return Planned(
            deployment=self._known[UUID(bytes=deployment)].full_name,
            due=datetime.fromisoformat(due),
            started=datetime.fromisoformat(started) if started else None,
            ended=datetime.fromisoformat(ended) if ended else None,
            type=StateType(type_),
            message=message,
            attempts=attempts,
        )

    def _missed(self, runs: Sequence[Planned]) -> dict[str, tuple[datetime, ...]]:
        made = {(run.deployment, run.due) for run in runs}
        missed: dict[str, tuple[datetime, ...]] = {}
        for deployment in self.deployments:
            fires = (
                fire
                for begin, until in self._away
                for each in deployment.schedules
                for fire in each.schedule.between(begin, until, _MOST_FIRES)
            )
            name = deployment.full_name
            missed[name] = tuple(sorted({fire for fire in fires if (name, fire) not in made}))
        return missed


@final
@frozen(eq=False)
class NoProcesses:
    """An infrastructure that places nothing: modelled runs need none."""

    async def run(
        self, command: Command, sink: Sink, *, task_status: trio.TaskStatus[RunningProcess]
    ) -> ExitReport:
        """See `trioflow.infrastructure.infrastructure.Infrastructure`.

        Raises:
            ProcessNotStarted: always.
        """
        del command, sink, task_status
        await trio.lowlevel.checkpoint()
        raise ProcessNotStarted("a forecast has no processes")


@contextmanager
def _silent(logger: logging.Logger) -> Generator[None]:
    """What modelled runs say of themselves is of no use to anybody."""
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


def _look(tx: Tx, desk: Desk) -> None:
    while plan_runs(tx, desk):
        pass


def _fail(error: BaseException) -> NoReturn:
    raise error
