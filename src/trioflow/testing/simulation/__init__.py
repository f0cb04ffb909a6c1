"""Simulates: the real orchestrator, scheduler, runners, engines and flows in one `trio.run`, under virtual time.

Knows: how time, chance, threads, processes, links and databases are put in place so that one seed says all of it.
May import: everything but the command line.
Never: a loop, a rule or a state of its own; whatever is shown here is shown of the code that serves.
"""

from __future__ import annotations

from trioflow.testing.simulation.faults import NO_FAULTS, Faults
from trioflow.testing.simulation.scheduling import Strategy
from trioflow.testing.simulation.simulate import simulate
from trioflow.testing.simulation.simulation import Simulation
from trioflow.testing.simulation.terms import Outcome, Terms

__all__ = ["NO_FAULTS", "Faults", "Outcome", "Simulation", "Strategy", "Terms", "simulate"]
