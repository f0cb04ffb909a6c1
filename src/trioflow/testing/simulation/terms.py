"""Terms: what a simulation is made with, and what came of it."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict

from attrs import field, frozen, validators

from trioflow.core.leases import GRACE_SECONDS
from trioflow.core.runs import FlowRun
from trioflow.core.states import StateType
from trioflow.scheduler.scheduler import LOOK_SECONDS
from trioflow.testing.simulation.faults import NO_FAULTS, Faults
from trioflow.testing.simulation.scheduling import Strategy

if TYPE_CHECKING:
    from trioflow.deployments.deployment import FlowDeployment
    from trioflow.testing.simulation.simulation import Simulation

SEED = "TRIOFLOW__SIMULATION_SEED"
"""The environment variable that replays one seed: `simulate` then takes it, whatever it is given."""

START = datetime(2026, 1, 1, tzinfo=UTC)

_QUERY_SECONDS = 10.0
_DAY_SECONDS = 86_400.0
_LONG_SECONDS = 900.0
"""Within which, whatever went wrong, a run that is to be cancelled is: stops, outages and leases come to an end."""

Script: TypeAlias = Callable[["Simulation"], Awaitable[object]]
"""What somebody does while the rest goes on; awaited beside it."""
Model: TypeAlias = Callable[[FlowRun], Awaitable[object]]
"""What a flow does in place of its function: sleeps for a drawn time, usually, or raises."""


class Keywords(TypedDict, total=False):
    """The keywords of `simulate`; see `Terms`."""

    seed: int
    start: datetime
    duration: timedelta
    runners: int
    runner_limit: int
    query_seconds: float
    limits: Mapping[str, int]
    faults: Faults
    strategy: Strategy
    models: Mapping[str, Model]
    script: Script
    log: str | os.PathLike[str]
    patience: float
    flows_may_fail: bool
    flows_may_wait: bool


def _aware(_: object, __: object, value: datetime) -> None:
    if value.tzinfo is None:
        raise ValueError("start must have a time zone")


@frozen(kw_only=True)
class Terms:
    """What a simulation is made with."""

    deployments: tuple[FlowDeployment, ...] = ()
    """What its runners serve."""
    seed: int = 0
    """Says all of its chance."""
    start: datetime = field(default=START, validator=_aware)
    """What the wall clock shows at its beginning, in any zone."""
    duration: timedelta = field(default=timedelta(hours=1), validator=validators.gt(timedelta()))
    """How long schedules fire, and faults come. Afterwards what has begun may end."""
    runners: int = field(default=1, validator=validators.ge(1))
    """How many processes serve, each with an orchestrator, a scheduler and a runner."""
    runner_limit: int = field(default=10, validator=validators.ge(1))
    """How many runs each of them has in hand at once."""
    query_seconds: float | None = field(default=None, validator=validators.optional(validators.gt(0.0)))
    """How often each of them asks for work when nothing wakes it: each 10 s, unless told or undisturbed."""
    limits: Mapping[str, int] = field(factory=dict[str, int])
    """Concurrency limits, by tag."""
    faults: Faults = NO_FAULTS
    strategy: Strategy = Strategy.RANDOM
    models: Mapping[str, Model] = field(factory=dict[str, Model])
    """What runs in place of a flow's function, by the flow's name."""
    script: Script | None = None
    log: str | os.PathLike[str] | None = None
    """The file that the journal is written to."""
    patience: float = 20.0
    """For how many real seconds nothing may happen before a simulation is given up."""
    flows_may_fail: bool = False
    """Whether runs may fail, crash and be tried again although no fault was done: their own code does so."""
    flows_may_wait: bool = False
    """Whether runs may start late although no fault was done: more are due than limits allow."""

    @property
    def is_calm(self) -> bool:
        """Whether nothing can go wrong."""
        return not self.faults.is_any and not self.flows_may_fail

    @property
    def is_undisturbed(self) -> bool:
        """Whether no news gets lost, and nobody who could act on them: a quiet time then needs no looking around."""
        return not self.faults.is_any and self.script is None

    @property
    def seconds_between_queries(self) -> float:
        """How often a runner asks for work when nothing wakes it."""
        return self.query_seconds or (_DAY_SECONDS if self.is_undisturbed else _QUERY_SECONDS)

    @property
    def seconds_between_looks(self) -> float:
        """How often a scheduler looks at schedules when none is due."""
        return _DAY_SECONDS if self.is_undisturbed else LOOK_SECONDS

    @property
    def is_roomy(self) -> bool:
        """Whether nothing has to wait."""
        return not self.flows_may_wait

    @property
    def spares_scheduling(self) -> bool:
        """Whether somebody could plan runs at all times, and nobody touched the schedules or the clock."""
        return self.script is None and self.faults.spares_runners

    @property
    def most_cancel_seconds(self) -> float:
        """How long a run may be CANCELLING: its grace and 2 s (P2), where whoever owns it lives on undisturbed."""
        if self.faults.is_any:
            return _LONG_SECONDS
        return GRACE_SECONDS + 2.0 + 10 * (self.faults.latency + self.faults.link_latency)


def terms_of(deployments: tuple[FlowDeployment, ...], keywords: Keywords) -> Terms:
    """The terms that these keywords make; the environment has the last word on the seed."""
    given: dict[str, Any] = {**keywords}
    if asked := os.environ.get(SEED):
        given["seed"] = int(asked)
    return Terms(deployments=deployments, **given)


@frozen(kw_only=True)
class Outcome:
    """What came of a simulation that broke no promise."""

    seed: int
    digest: str
    """Of every event and every step: equal for two simulations that did the same."""
    runs: tuple[FlowRun, ...]
    """The flow runs that have begun, the oldest first."""
    faults: int
    steps: int
    transitions: int
    simulated: timedelta
    """How long it took by its own clock."""
    visited: frozenset[tuple[str, str]]
    """The transitions of flow runs that were seen, by type: ``("PENDING", "RUNNING")``."""
    sometimes: frozenset[str]
    """What of `trioflow.testing.simulation.sometimes.SOMETIMES` has happened."""

    @property
    def states(self) -> dict[StateType, int]:
        """How many runs ended in which state."""
        ended: dict[StateType, int] = {}
        for run in self.runs:
            if run.state is not None:
                ended[run.state.type] = ended.get(run.state.type, 0) + 1
        return ended


def replay_command(seed: int) -> str:
    """The command that simulates this seed again, in a shell."""
    test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0]
    if test:
        return f"{SEED}={seed} python -m pytest {shlex.quote(test)}"
    name, *rest = sys.argv or [""]
    command = ["python", *([name] if Path(name).suffix == ".py" else ["-m", "trioflow"]), *rest]
    return f"{SEED}={seed} {shlex.join(command)}"
