"""Chaos: does the faults, at drawn moments, until they are over."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import final

import trio
from attrs import define

from trioflow.testing.simulation.machine import Process
from trioflow.testing.simulation.orders import Orders
from trioflow.testing.simulation.simulation import Simulation
from trioflow.testing.simulation.sometimes import LINK_CUT

_HOUR = 3600.0
_MOST_STEPS = 400
"""A process that is killed takes that many more steps at most."""
_JUMPS = (3600.0, -3600.0, 8 * 3600.0, 90.0, -90.0, 1.5)
_NOTHING_FOR = 120.0
"""Seconds for which a process is stopped, at most: four leases."""
_OUTAGE = 60.0


@final
@define(eq=False)
class Chaos:
    """Makes trouble for one simulation."""

    _simulation: Simulation
    _chance: random.Random

    async def rage(self) -> None:
        """Do what the faults say, until cancelled."""
        faults = self._simulation.database.faults
        rates: dict[Callable[[], object], float] = {
            self._kill_child: faults.child_kills,
            self._kill_runner: faults.runner_kills,
            self._stop_child: faults.child_stops,
            self._stop_runner: faults.runner_stops,
            self._begin_outage: faults.outages,
            self._set_clock: faults.clock_jumps,
            self._cut_link: faults.link_cuts,
        }
        async with trio.open_nursery() as nursery:
            for do, rate in rates.items():
                if rate:
                    nursery.start_soon(self._again_and_again, do, rate)
            if faults.cancels:
                nursery.start_soon(self._cancel_runs, faults.cancels)
            if faults.orders:
                nursery.start_soon(Orders(self._simulation, self._chance).give, faults.orders)

    async def _again_and_again(self, do: Callable[[], object], rate: float) -> None:
        while True:
            await trio.sleep(self._chance.expovariate(rate / _HOUR))
            do()

    def _kill_child(self) -> None:
        self._kill(self._children())

    def _kill_runner(self) -> None:
        self._kill(self._runners())

    def _kill(self, processes: list[Process]) -> None:
        if processes:
            victim, steps = self._chance.choice(processes), self._chance.randrange(1, _MOST_STEPS)
            self._simulation.machine.kill_after(victim, steps)

    def _stop_child(self) -> None:
        self._stop(self._children())

    def _stop_runner(self) -> None:
        self._stop(self._runners())

    def _stop(self, processes: list[Process]) -> None:
        if not processes:
            return
        victim, seconds = self._chance.choice(processes), self._chance.uniform(1, _NOTHING_FOR)
        if not victim.is_stopped:
            self._simulation.journal.fault(f"stop {victim.name} for {seconds:.3f} s")
            self._simulation.machine.stop(victim)
            self._simulation.machine.nursery.start_soon(self._continue, victim, seconds)

    async def _continue(self, process: Process, seconds: float) -> None:
        await trio.sleep(seconds)
        self._simulation.machine.go_on(process)

    def _begin_outage(self) -> None:
        seconds = self._chance.uniform(1, _OUTAGE)
        self._simulation.journal.fault(f"the database does not answer for {seconds:.3f} s")
        self._simulation.database.outage_until = trio.current_time() + seconds

    def _set_clock(self) -> None:
        self._simulation.jump(self._chance.choice(_JUMPS))

    def _cut_link(self) -> None:
        if children := self._children():
            victim = self._chance.choice(children)
            self._simulation.journal.fault(f"the link of {victim.name} is cut")
            self._simulation.journal.note(LINK_CUT)
            victim.cut()

    async def _cancel_runs(self, rate: float) -> None:
        while True:
            await trio.sleep(self._chance.expovariate(rate / _HOUR))
            if runs := await self._simulation.active_runs():
                run = self._chance.choice(runs)
                self._simulation.journal.line(self._simulation.world.now(), f"ask {run.id.hex[-12:]} to end")
                await self._simulation.cancel(run.id)

    def _children(self) -> list[Process]:
        return [each for each in self._simulation.machine.alive if each.parent is not None]

    def _runners(self) -> list[Process]:
        return [each for each in self._simulation.machine.alive if each.parent is None]
