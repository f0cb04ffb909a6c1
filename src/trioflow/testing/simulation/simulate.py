"""`simulate`: puts everything in place, lets it go on for its time, ends it in order, and says what came of it."""

from __future__ import annotations

import tempfile
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, Unpack, final

import trio
from attrs import define, field

from trioflow import clock
from trioflow.client.connect import serve_store, use_client
from trioflow.client.local import LocalClient
from trioflow.core.deployments import PausedBy
from trioflow.core.runs import FlowRun
from trioflow.engine.blocking import use_portal
from trioflow.errors import SimulationError, SimulationFailed
from trioflow.settings import Settings, use_settings
from trioflow.testing.faults.store import StorePlan
from trioflow.testing.simulation.baton import BatonPortal
from trioflow.testing.simulation.cancellation import cancelled_in_order
from trioflow.testing.simulation.chaos import Chaos
from trioflow.testing.simulation.database import Database, View
from trioflow.testing.simulation.faults import NO_FAULTS
from trioflow.testing.simulation.journal import Journal, Steps, StepsTaken
from trioflow.testing.simulation.jumping import VirtualTime
from trioflow.testing.simulation.machine import Machine
from trioflow.testing.simulation.oracle import Oracle
from trioflow.testing.simulation.places import place_of_task, waiting
from trioflow.testing.simulation.realities import Realities
from trioflow.testing.simulation.scheduling import Order, ordered
from trioflow.testing.simulation.serving import Flows, Service, modules_of
from trioflow.testing.simulation.simulation import Simulation
from trioflow.testing.simulation.sometimes import in_answer
from trioflow.testing.simulation.terms import Keywords, Outcome, Script, Terms, replay_command, terms_of
from trioflow.testing.simulation.threads import InlineThreads, inline_threads
from trioflow.testing.simulation.virtual import VirtualWorld, seeded_random
from trioflow.testing.simulation.watchdog import Watchdog
from trioflow.wire.endpoints import FIND_DEPLOYMENTS, PAUSE_SCHEDULES, SET_CONCURRENCY_LIMIT
from trioflow.wire.filters import DeploymentFilter
from trioflow.wire.requests import FindDeployments, PauseSchedules, SetConcurrencyLimit

if TYPE_CHECKING:
    from trioflow.deployments.deployment import FlowDeployment

_END_SECONDS = 4 * 3600.0
"""Virtual seconds within which everything that has begun must be over, once nothing goes wrong any more."""
_LOOK_SECONDS = 5.0
_WARNING = 30


def simulate(*deployments: FlowDeployment, **keywords: Unpack[Keywords]) -> Outcome:
    """Serve deployments under virtual time; what came of it.

    The real orchestrator, scheduler, runners and engines run these flows in one `trio.run`, on a database in memory.
    One seed says all: the order of tasks, ids, durations, faults. While it goes on, each commit is looked at: what
    must hold, holds.

    Args:
        deployments: what is served: ``my_flow.to_deployment("hourly", cron="0 * * * *")``.
        keywords: the fields of `Terms`: ``seed``, ``start``, ``duration``, ``faults``, ``script`` and more.

    Raises:
        SimulationFailed: a promise was broken; says which, what led to it, and the command that does it again.
        SimulationError: something in it cannot be simulated: real sleep, threads, sockets, processes; a script that
            does not end. Says where, and what to do instead.
    """
    terms = terms_of(deployments, keywords)
    with ExitStack() as stack:
        file = stack.enter_context(Path(terms.log).open("w", encoding="utf-8")) if terms.log else None
        stage = Stage(terms, file)
        stack.enter_context(stage.set_up())
        try:
            trio.run(stage.play, clock=stage.time.clock(), instruments=[stage.steps])
        except BaseException as error:
            raise stage.told(error) from error
    return stage.outcome()


@final
@define(eq=False)
class Stage:
    """Everything that one simulation has in place."""

    terms: Terms
    _file: TextIO | None
    journal: Journal = field(init=False)
    world: VirtualWorld = field(init=False)
    order: Order = field(init=False)
    time: VirtualTime = field(factory=VirtualTime, init=False)
    steps: Steps = field(init=False)
    realities: Realities = field(factory=Realities, init=False)
    watchdog: Watchdog = field(init=False)
    database: Database = field(init=False)
    oracle: Oracle = field(init=False)
    store_plan: StorePlan | None = field(default=None, init=False)
    """What goes wrong with which call of the runners' stores, of all of them together; besides the faults."""
    _failure: BaseException | None = field(default=None, init=False)
    """Why it was halted."""
    _is_performed: bool = field(default=False, init=False)
    """Whether the script has ended, if there is one."""
    _scope: trio.CancelScope = field(factory=trio.CancelScope, init=False)
    _runs: list[FlowRun] = field(factory=list[FlowRun], init=False)
    _seconds: float = field(default=0.0, init=False)

    def __attrs_post_init__(self) -> None:
        terms = self.terms
        seed = str(terms.seed)
        self.journal = Journal(self._file)
        self.steps = Steps(self.journal, spins=self._tell_spinning)
        self.world = VirtualWorld(terms.start, seed)
        self.order = Order(terms.strategy, self.world.stream("order"))
        self.database = Database(self.journal, self.world.stream("database"), terms.faults, self.halt)
        self.oracle = Oracle(terms, self.journal)
        self.database.observers.append(self.oracle)
        self.database.hear = self._note_answer
        self.watchdog = Watchdog(
            2 * terms.patience, lambda: self.journal.steps
        )  # A baton's holder is told first.

    @contextmanager
    def set_up(self) -> Generator[None]:
        """Everything that has to be in place around the `trio.run`."""
        threads = InlineThreads(self.world.stream("threads"))
        portal = BatonPortal(self.realities, self.terms.patience, self.halt_if_touched)
        with ExitStack() as stack:
            home = stack.enter_context(tempfile.TemporaryDirectory(prefix="trioflow-simulation-"))
            stack.enter_context(use_settings(Settings(home=Path(home), log_level=_WARNING)))
            stack.enter_context(clock.use(self.world, steady=not self.terms.faults.clock_jumps))
            stack.enter_context(seeded_random(str(self.terms.seed)))
            stack.enter_context(use_portal(portal))
            stack.enter_context(portal.from_thread())
            stack.enter_context(inline_threads(threads))
            stack.enter_context(self.watchdog.watching())
            stack.enter_context(self.realities.kept_out(modules_of(self.terms.deployments)))
            stack.enter_context(ordered(self.order))
            stack.enter_context(cancelled_in_order())
            yield

    def halt(self, error: BaseException) -> None:
        """End the simulation now, because of this."""
        self._failure = self._failure or error
        self._scope.cancel("the simulation is halted")

    def _note_answer(self, answer: object) -> None:
        for what in in_answer(answer):
            self.journal.note(what)

    def _tell_spinning(self, task: trio.lowlevel.Task) -> None:
        tasks = "\n  ".join(waiting(trio.lowlevel.current_root_task()))
        self.halt(
            SimulationError(
                f"no virtual time passes: {task.name} goes on and on, at {place_of_task(task)}. Code that waits must "
                f"sleep (`await trio.sleep(seconds)`) or wait for something. All tasks:\n  {tasks}"
            )
        )

    def halt_if_touched(self) -> None:
        """End it if something in it reached out of it."""
        if self.realities.error is not None:
            self.halt(self.realities.error)

    # --- the play

    async def play(self) -> None:
        """All that happens in the `trio.run`."""
        self.realities.begin(self.halt_if_touched)
        async with trio.open_nursery() as ground:
            machine = Machine(ground, self.order, self.journal)
            self.oracle.is_over = machine.is_over
            trio.lowlevel.add_instrument(StepsTaken(machine.stepped))
            try:
                with self._scope:
                    await self._acts(machine)
            finally:
                machine.unwind()
                ground.cancel_scope.cancel()
        if self._failure is not None:
            raise self._failure

    async def _acts(self, machine: Machine) -> None:
        async with trio.open_nursery() as nursery:
            simulation = await self._begun(machine, nursery)
            services = self._services(simulation)
            async with trio.open_nursery() as serving:
                for service in services:
                    serving.start_soon(service.keep_running)
                await self._middle(simulation, services)
                await self._wait_ended(simulation)
                for service in services:
                    service.stop()
                serving.cancel_scope.deadline = trio.current_time() + _END_SECONDS
            self.database.look(self.oracle.ended)
            self._runs = self.database.look(self.oracle.begun_runs)
            self._seconds = trio.current_time()
            nursery.cancel_scope.cancel()

    async def _begun(self, machine: Machine, nursery: trio.Nursery) -> Simulation:
        """Somebody outside, who has a client: the one that whoever looks for one finds, too."""
        view = View(self.database, None)
        client: LocalClient = await nursery.start(serve_store, view)
        use_client(client)
        for tag, limit in self.terms.limits.items():
            await client.call(SET_CONCURRENCY_LIMIT, SetConcurrencyLimit(tag=tag, limit=limit))
        return Simulation(
            client=client,
            machine=machine,
            database=self.database,
            journal=self.journal,
            world=self.world,
            chance=self.world.stream("script"),
        )

    def _services(self, simulation: Simulation) -> list[Service]:
        flows = Flows(self.terms.models)
        chance = self.world.stream("hosts")
        hosts = [chance.choice(("here", "there")) for _ in range(self.terms.runners)]
        return [
            Service(f"runner-{number}", host, simulation, self.terms, flows, self.store_plan)
            for number, host in enumerate(hosts, 1)
        ]

    async def _middle(self, simulation: Simulation, services: list[Service]) -> None:
        """The time in which schedules fire, and faults come."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(Chaos(simulation, self.world.stream("chaos")).rage)
            if self.terms.script is not None:
                nursery.start_soon(self._perform, self.terms.script, simulation, services[0])
            await trio.sleep(self.terms.duration.total_seconds())
            nursery.cancel_scope.cancel()
        if self.terms.script is not None and not self._is_performed:
            raise SimulationError(
                f"the script had not ended after {self.terms.duration}: let it end, or give it a longer duration"
            )
        self.database.faults = NO_FAULTS
        self.database.outage_until = 0.0
        for process in simulation.machine.alive:
            simulation.machine.go_on(process)

    async def _perform(self, script: Script, simulation: Simulation, service: Service) -> None:
        await service.ready.wait()
        await script(simulation)
        self._is_performed = True

    async def _wait_ended(self, simulation: Simulation) -> None:
        """Nothing is planned any more: wait until all that has begun is over."""
        self.database.look(self.oracle.check_fires)
        found = await simulation.client.call(FIND_DEPLOYMENTS, FindDeployments(filter=DeploymentFilter()))
        for deployment in found.deployments:
            request = PauseSchedules(deployment_id=deployment.id, by=PausedBy.OPERATOR)
            await simulation.client.call(PAUSE_SCHEDULES, request)
        end = trio.current_time() + _END_SECONDS
        while left := self.database.look(self.oracle.open_runs):
            if trio.current_time() > end:
                raise AssertionError(
                    f"not over {timedelta(seconds=_END_SECONDS)} after the last fault: {left}"
                )
            await trio.sleep(_LOOK_SECONDS)

    # --- telling

    def told(self, error: BaseException) -> BaseException:
        """What to raise for what the `trio.run` has raised."""
        cause = (
            self.realities.error or self.watchdog.error or self._failure or self.time.error or _first(error)
        )
        if not isinstance(cause, Exception):
            return cause
        if isinstance(cause, SimulationError):
            return cause
        last = "".join(self.journal.last)
        return SimulationFailed(
            f"seed {self.terms.seed}: {type(cause).__name__}: {cause}\n\n"
            f"The last events:\n{last}\nTo simulate it again:\n  {replay_command(self.terms.seed)}"
        )

    def outcome(self) -> Outcome:
        """What came of it."""
        return Outcome(
            seed=self.terms.seed,
            digest=self.journal.digest,
            runs=tuple(self._runs),
            faults=self.journal.faults,
            steps=self.journal.steps,
            transitions=self.oracle.transitions,
            simulated=timedelta(seconds=self._seconds),
            visited=frozenset(self.oracle.visited),
            sometimes=frozenset(self.journal.noted),
        )


def _first(error: BaseException | BaseExceptionGroup[BaseException]) -> BaseException:
    """The first exception in a group that is none itself, and no cancellation."""
    match error:
        case BaseExceptionGroup(exceptions=several):
            inner = [_first(each) for each in several]
            return next((each for each in inner if not isinstance(each, trio.Cancelled)), inner[0])
        case _:
            return error
