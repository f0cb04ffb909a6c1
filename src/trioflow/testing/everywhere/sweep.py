"""Sweeps: a scenario is run once for each of its points, and something is done to it there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Literal, final

from attrs import frozen

from trioflow.core.states import StateType
from trioflow.errors import ScenarioBroken, ScenarioUnfit
from trioflow.testing.everywhere.judging import faults_of
from trioflow.testing.everywhere.points import Point, Side
from trioflow.testing.everywhere.served import Served, ServedStage
from trioflow.testing.everywhere.staging import Stage, scenario_name
from trioflow.testing.everywhere.trial import Deed, Outcome, Scenario

_SHOWN = 5
"""How many broken points are told of."""


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
    scenario: Scenario | Served, *, by: Literal["host", "request"] = "host", only: str | None = None
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
        ScenarioUnfit: it cannot be tried: it does not end, or not well, or not the same way twice.
        SimulationError: it uses a real thread, socket, process or sleep; tells where, and what to use instead.
    """
    return _sweep(scenario, Deed.CANCEL if by == "host" else Deed.REQUEST, only)


def crash_everywhere(scenario: Scenario | Served, *, only: str | None = None) -> Swept:
    """Kill the process of the scenario at each of its steps, and have another one take up what it finds.

    Killed, a process says nothing more to the store. Once its leases have run out, a second one opens the store: every
    run is over or can be claimed then, no lease or slot is left, and what was answered stands. It reruns each root
    run that the death has ended: that ends as it does undisturbed, and no recorded result is computed again.

    Code in ``finally`` runs here, as it does not after a real ``kill -9``: do not count what it does.

    Args:
        scenario: see `Scenario`.
        only: the one point to try, as a failure names it: ``"after 17"``.

    Raises:
        ScenarioBroken, ScenarioUnfit, SimulationError: as `cancel_everywhere`.
    """
    return _sweep(scenario, Deed.KILL, only)


def fail_store_at_every_call(scenario: Scenario | Served, *, only: str | None = None) -> Swept:
    """Let each call of the store fail, before its commit and after it, and look at what the scenario leaves behind.

    It may end well or raise, but nothing else than trioflow's own errors. After each, every run is over or can be
    claimed, no lease, slot or task is left, and what was answered stands.

    Args:
        scenario: see `Scenario`.
        only: the one call to let fail, as a failure names it: ``"before 5"``, or ``"after 5"`` its commit.

    Raises:
        ScenarioBroken, ScenarioUnfit, SimulationError: as `cancel_everywhere`.
    """
    return _sweep(scenario, Deed.FAIL, only)


_CALLS = {
    Deed.CANCEL: "cancel_everywhere({}, only={!r})",
    Deed.REQUEST: 'cancel_everywhere({}, by="request", only={!r})',
    Deed.KILL: "crash_everywhere({}, only={!r})",
    Deed.FAIL: "fail_store_at_every_call({}, only={!r})",
}
"""How one point is tried again."""


def _sweep(scenario: Scenario | Served, deed: Deed, only: str | None) -> Swept:
    name = scenario_name(scenario)
    on_stage = ServedStage(scenario) if isinstance(scenario, Served) else Stage(scenario)
    with on_stage.set_up() as stage:
        undisturbed = _undisturbed(stage)
        outcomes: list[Outcome] = []
        broken: list[str] = []
        every = scenario.every if isinstance(scenario, Served) else 1
        for point in _points(deed, undisturbed, stage.sides(deed), every, only):
            outcome = stage.tried(deed, point, undisturbed.ends)
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


def _points(
    deed: Deed, undisturbed: Outcome, sides: tuple[Side, ...], every: int, only: str | None
) -> Iterator[Point]:
    count = undisturbed.calls if deed is Deed.FAIL else undisturbed.steps
    found = {str(point): point for side in sides for point in (Point(side, k) for k in range(1, count + 1))}
    if only is None:
        yield from (point for point in found.values() if point.number % every == 0)
    elif only in found:
        yield found[only]
    else:
        raise ScenarioUnfit(
            f"there is no point {only!r}: give 'after' or 'before' and a number from 1 to {count}"
        )


def _undisturbed(stage: Stage | ServedStage) -> Outcome:
    """The scenario as it goes when nothing is done to it."""
    name = scenario_name(stage.scenario)
    first, second = (stage.tried(Deed.NOTHING, None, {}) for _ in range(2))
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
