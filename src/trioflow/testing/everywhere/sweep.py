"""Sweeps: a scenario is run once for each of its points, and something is done to it there."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Literal, final

import trio
import trio.testing
from attrs import evolve, frozen

from trioflow import clock
from trioflow.core.states import StateType
from trioflow.errors import ScenarioBroken, ScenarioUnfit
from trioflow.settings import current_settings, use_settings
from trioflow.testing.everywhere.guard import Guard
from trioflow.testing.everywhere.judging import faults_of
from trioflow.testing.everywhere.points import Point, Side
from trioflow.testing.everywhere.recovery import Ends
from trioflow.testing.everywhere.trial import Deed, Outcome, Scenario, Trial
from trioflow.testing.simulation.scheduling import Order, Strategy, ordered
from trioflow.testing.simulation.threads import InlineThreads, inline_threads
from trioflow.testing.simulation.virtual import VirtualWorld

_START = datetime(2026, 1, 1, tzinfo=UTC)
_SHOWN = 5
"""How many broken points are told of."""
_SIDES: tuple[Side, ...] = ("after", "before")


@final
@frozen
class Swept:
    """What was seen."""

    points: int
    """How often the scenario was interrupted."""
    sites: int
    """In how many different lines of trioflow and of the scenario."""
    ends: Mapping[StateType, int]
    """How many runs have ended in which state, over all points."""


def cancel_everywhere(
    scenario: Scenario, *, by: Literal["host", "request"] = "host", only: str | None = None
) -> Swept:
    """Cancel the scenario at each of its steps, and look at what it leaves behind.

    After each, every run is over or can be claimed, no lease, slot or task is left, every log record is stored, and
    what was answered stands; the cancellation went through, within the grace period.

    Args:
        scenario: see `Scenario`.
        by: the ``host`` cancels the scope around the scenario, as a Trio program does that ends; or the end of every
            root run is asked for, by ``request``, as ``trioflow flow-run cancel`` does.
        only: the one point to try, as a failure names it: ``"after 17"``.

    Raises:
        ScenarioBroken: something was not as it must be; tells where, and how to replay it.
        ScenarioUnfit: it cannot be tried: it does not end, or not well, or not the same way twice, or it uses a real
            thread, socket, process or sleep.
    """
    return _sweep(scenario, Deed.CANCEL if by == "host" else Deed.REQUEST, only)


def crash_everywhere(scenario: Scenario, *, only: str | None = None) -> Swept:
    """Kill the process of the scenario at each of its steps, and have another one take up what it finds.

    Killed, a process says nothing more to the store. Once its leases have run out, a second one opens the store: every
    run is over or can be claimed then, no lease or slot is left, and what was answered stands. It reruns each root
    run that the death has ended: that ends as it does undisturbed, and no recorded result is computed again.

    Code in ``finally`` runs here, as it does not after a real ``kill -9``: do not count what it does.

    Args:
        scenario: see `Scenario`.
        only: the one point to try, as a failure names it: ``"after 17"``.

    Raises:
        ScenarioBroken, ScenarioUnfit: as `cancel_everywhere`.
    """
    return _sweep(scenario, Deed.KILL, only)


def fail_store_at_every_call(scenario: Scenario, *, only: str | None = None) -> Swept:
    """Let each call of the store fail, before its commit and after it, and look at what the scenario leaves behind.

    It may end well or raise, but nothing else than trioflow's own errors. After each, every run is over or can be
    claimed, no lease, slot or task is left, and what was answered stands.

    Args:
        scenario: see `Scenario`.
        only: the one call to let fail, as a failure names it: ``"before 5"``, or ``"after 5"`` its commit.

    Raises:
        ScenarioBroken, ScenarioUnfit: as `cancel_everywhere`.
    """
    return _sweep(scenario, Deed.FAIL, only)


_CALLS = {
    Deed.CANCEL: "cancel_everywhere({}, only={!r})",
    Deed.REQUEST: 'cancel_everywhere({}, by="request", only={!r})',
    Deed.KILL: "crash_everywhere({}, only={!r})",
    Deed.FAIL: "fail_store_at_every_call({}, only={!r})",
}
"""How one point is tried again."""


def _sweep(scenario: Scenario, deed: Deed, only: str | None) -> Swept:
    name = _name(scenario)
    with _stage() as order:
        undisturbed = _undisturbed(scenario, order)
        outcomes: list[Outcome] = []
        broken: list[str] = []
        for point in _points(deed, undisturbed, only):
            outcome = _tried(scenario, deed, point, undisturbed.ends, order)
            _check_repeats(name, deed, point, outcome, undisturbed)
            if faults := faults_of(deed, outcome, undisturbed):
                replay = _CALLS[deed].format(name, str(point))
                broken.append(
                    f"{deed.value} {point}, at {outcome.where}:\n    " + "\n    ".join([*faults, replay])
                )
            outcomes.append(outcome)
    if broken:
        more = [f"... and {len(broken) - _SHOWN} more"] if len(broken) > _SHOWN else []
        told = [f"{name} breaks at {len(broken)} of {len(outcomes)} points", *broken[:_SHOWN], *more]
        raise ScenarioBroken("\n".join(told))
    ends = Counter(type_ for outcome in outcomes for _, type_ in outcome.ends.values())
    return Swept(len(outcomes), len({outcome.where for outcome in outcomes}), ends)


def _name(scenario: Scenario) -> str:
    return getattr(scenario, "__name__", type(scenario).__name__)


def _points(deed: Deed, undisturbed: Outcome, only: str | None) -> Iterator[Point]:
    count = undisturbed.calls if deed is Deed.FAIL else undisturbed.steps
    found = {str(point): point for side in _SIDES for point in (Point(side, k) for k in range(1, count + 1))}
    if only is None:
        yield from found.values()
    elif only in found:
        yield found[only]
    else:
        raise ScenarioUnfit(
            f"there is no point {only!r}: give 'after' or 'before' and a number from 1 to {count}"
        )


def _undisturbed(scenario: Scenario, order: Order) -> Outcome:
    """The scenario as it goes when nothing is done to it."""
    name = _name(scenario)
    first, second = (_tried(scenario, Deed.NOTHING, None, {}, order) for _ in range(2))
    for error in first.raised:
        raise ScenarioUnfit(f"{name} does not end well by itself: {type(error).__name__}: {error}") from error
    if first.wrong:
        raise ScenarioBroken("\n    ".join([f"{name} breaks by itself:", *first.wrong]))
    if (differs := _difference(first, second)) is not None:
        raise ScenarioUnfit(
            f"{name} does not go the same way twice: {differs}; make all that it uses anew at each call"
        )
    return first


def _difference(first: Outcome, second: Outcome) -> str | None:
    for number, (one, other) in enumerate(zip(first.sites, second.sites, strict=False), 1):
        if one != other:
            return f"step {number} was at {one}, and then at {other}"
    if (first.steps, first.calls) != (second.steps, second.calls):
        return f"it took {first.steps} steps and {first.calls} store calls, then {second.steps} and {second.calls}"
    return None if first.ends == second.ends else f"its runs ended as {first.ends}, and then as {second.ends}"


def _check_repeats(name: str, deed: Deed, point: Point, outcome: Outcome, undisturbed: Outcome) -> None:
    if not outcome.acted:
        raise ScenarioUnfit(f"{name} does not go the same way twice: there was no point {str(point)!r}")
    if deed is Deed.FAIL or point.side == "before":
        return
    usual = undisturbed.sites[point.number - 1]
    if outcome.where != usual:
        raise ScenarioUnfit(
            f"{name} does not go the same way twice: step {point.number} was at {outcome.where}, usually at {usual}"
        )


def _tried(scenario: Scenario, deed: Deed, point: Point | None, expected: Ends, order: Order) -> Outcome:
    world = VirtualWorld(_START, "everywhere")
    virtual = trio.testing.MockClock(autojump_threshold=0)
    with Guard() as guard, clock.use(world), inline_threads(InlineThreads(world.stream("threads"))):
        trial = Trial(scenario, deed, point, expected, guard)
        order.keep = partial(_abandon, trial)
        try:
            outcome = trio.run(trial.main, clock=virtual)
        except trio.TrioInternalError as error:
            raise ScenarioUnfit(_endless(scenario, trial)) from error
    if guard.found is not None:
        raise guard.found
    if trial.endless is not None:
        raise ScenarioUnfit(_endless(scenario, trial))
    return outcome


def _endless(scenario: Scenario, trial: Trial) -> str:
    done = "" if trial.point is None else f", {trial.deed.value} {trial.point},"
    stubborn = ", and heeds no cancellation" if trial.is_hopeless else ""
    return f"{_name(scenario)}{done} never ends: {trial.endless}{stubborn}"


def _abandon(trial: Trial, _: object) -> None:
    """Called between steps: the only place from which a scenario that heeds nothing can be left."""
    if trial.is_hopeless:
        raise ScenarioUnfit


@contextmanager
def _stage() -> Generator[Order]:
    """A home of its own, and Trio's tasks in the order of their making."""
    order = Order(Strategy.FIFO, VirtualWorld(_START, "everywhere").stream("order"))
    with tempfile.TemporaryDirectory(prefix="trioflow-") as home, ordered(order):
        settings = evolve(current_settings(), home=Path(home))
        with use_settings(settings):
            yield order
