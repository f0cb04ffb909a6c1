"""Simulated runners: in each process what `trioflow.serving.serve_home` and a runner are in a real one.

A process that ends because the store was in trouble, or that was killed, is started again after a while, as whatever
watches over services does. Any other end is a defect.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, cast, final

import trio
from attrs import define, field

from trioflow.client.connect import serve_store
from trioflow.client.local import LocalClient
from trioflow.core.runs import FlowRun
from trioflow.core.states import State
from trioflow.deployments.deployment import FlowDeployment
from trioflow.engine.context import current_flow_run
from trioflow.engine.entrypoints import load_flow, parts_of
from trioflow.engine.flows import Flow
from trioflow.errors import StoreError
from trioflow.infrastructure.infrastructure import OutputLine
from trioflow.runner.runner import Runner
from trioflow.runner.witness import Said
from trioflow.scheduler import run_scheduler
from trioflow.testing.faults.store import FaultyStore, StorePlan
from trioflow.testing.simulation.database import View
from trioflow.testing.simulation.infrastructure import SimulatedInfrastructure
from trioflow.testing.simulation.machine import Process
from trioflow.testing.simulation.simulation import Simulation
from trioflow.testing.simulation.terms import Model, Terms
from trioflow.testing.simulation.unsteady import unsteady

_BACK_WITHIN = 60.0
"""Seconds after which a runner that has ended is there again, at most."""


@final
@define(eq=False)
class Service:
    """One runner that is kept running."""

    name: str
    host: str
    _simulation: Simulation
    _terms: Terms
    _flows: Flows
    _store_plan: StorePlan | None = None
    _stopping: bool = False
    _runner: Runner | None = None
    process: Process | None = None
    ready: trio.Event = field(factory=trio.Event)
    """Its deployments are known."""

    async def keep_running(self) -> None:
        """Start it, and start it again whenever it ends, until `stop` is called.

        Raises:
            Exception: it ended in a way that it must not.
        """
        chance = self._simulation.world.stream(f"service {self.name}")
        number = 0
        while not self._stopping:
            number += 1
            machine = self._simulation.machine
            self.process = machine.start(f"{self.name}.{number}", self._serve, host=self.host)
            await self.process.over.wait()
            if self.process.error is not None and not _is_trouble(self.process.error):
                raise self.process.error
            if not self._stopping:
                await trio.sleep(chance.uniform(0, _BACK_WITHIN))

    def stop(self) -> None:
        """End it in order: it claims nothing more, and its runs may end."""
        self._stopping = True
        if self._runner is not None and self._runner.started:
            self._runner.stop()

    async def _serve(self, process: Process) -> int:
        simulation, terms = self._simulation, self._terms
        chance = simulation.world.stream(f"links of {process.name}")
        upset = partial(
            unsteady, database=simulation.database, chance=simulation.world.stream(f"calls of {process.name}")
        )
        async with trio.open_nursery() as nursery:
            client, store = await nursery.start(self._open, View(simulation.database, process))
            looks = terms.seconds_between_looks
            nursery.start_soon(partial(run_scheduler, client.orchestrator, look_seconds=looks))
            runner = Runner(
                process.name,
                client=upset(client),
                limit=terms.runner_limit,
                query_seconds=terms.seconds_between_queries,
                witness=NobodyLooks(),
                infrastructure=SimulatedInfrastructure(
                    machine=simulation.machine,
                    runner=process,
                    delay=lambda: chance.uniform(0, simulation.database.faults.link_latency),
                    unsteady=upset,
                    load_flow=self._flows.load,
                ),
            )
            self._runner = runner
            try:
                await self._run(runner)
            finally:
                store.cancel()
            nursery.cancel_scope.cancel()
        return 0

    async def _open(
        self, view: View, *, task_status: trio.TaskStatus[tuple[LocalClient, trio.CancelScope]]
    ) -> None:
        """Have the store open until the scope that this starts with is cancelled: a runner that is has last words."""
        store = view if self._store_plan is None else FaultyStore(view, self._store_plan)
        with trio.CancelScope(shield=True) as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(view.tick)
                client: LocalClient = await nursery.start(serve_store, store)
                task_status.started((client, scope))

    async def _run(self, runner: Runner) -> None:
        for deployment in self._terms.deployments:
            await runner.add_deployment(deployment)
        self.ready.set()
        if not self._stopping:
            await runner.start()


def _is_trouble(error: BaseException) -> bool:
    """Whether the store was in trouble: others then find it closed."""
    match error:
        case BaseExceptionGroup(exceptions=several):
            return any(_is_trouble(each) for each in several)
        case _:
            return isinstance(error, StoreError)


@final
@define(eq=False)
class NobodyLooks:
    """A `trioflow.runner.witness.Witness` that tells nobody."""

    def started(self, run: FlowRun, pid: int) -> None:
        """Nothing."""

    def logs(self, run: FlowRun, said: Sequence[Said]) -> None:
        """Nothing."""

    def output(self, run: FlowRun, lines: Sequence[OutputLine]) -> None:
        """Nothing."""

    def tasks(self, run: FlowRun, done: int, of: int) -> None:
        """Nothing."""

    def ended(self, run: FlowRun, state: State) -> None:
        """Nothing."""


@final
@define(eq=False)
class Flows:
    """Finds the flows of simulated runs: in the modules that are there already, or else as an engine does."""

    _models: Mapping[str, Model]
    _known: dict[str, Flow[..., Any]] = field(factory=dict[str, Flow[..., Any]])

    def load(self, entrypoint: str) -> Flow[..., Any]:
        """The flow at ``path.py:name``, with a model in place of its function where there is one.

        Raises:
            EntrypointError: there is no such flow.
        """
        if entrypoint not in self._known:
            self._known[entrypoint] = self._modelled(_find(entrypoint) or load_flow(entrypoint))
        return self._known[entrypoint]

    def _modelled(self, flow: Flow[..., Any]) -> Flow[..., Any]:
        model = self._models.get(flow.name)
        if model is None:
            return flow

        async def body(*_args: Any, **_kwargs: Any) -> Any:
            return await model(current_flow_run())

        replaced: Flow[..., Any] = type(flow)(flow.fn, flow.keywords)
        replaced.body = body
        return replaced


def modules_of(deployments: Sequence[FlowDeployment]) -> list[ModuleType]:
    """The modules that are loaded already in which the flows of these are."""
    found = (_module_of(parts_of(deployment.entrypoint)[0]) for deployment in deployments)
    return list({module.__name__: module for module in found if module is not None}.values())


def _find(entrypoint: str) -> Flow[..., Any] | None:
    path, name = parts_of(entrypoint)
    found: Any = getattr(_module_of(path), name or "", None)
    return cast("Flow[..., Any]", found) if isinstance(found, Flow) else None


def _module_of(path: Path) -> ModuleType | None:
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if file is not None and Path(file).absolute() == path:
            return module
    return None
