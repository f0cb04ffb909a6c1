"""Carries the runs of a world to their ends, and tells who would never get there.

The world is kind here: time passes, paused runs are resumed, other tasks end and give back their slots, nobody's
process dies. Each run is driven by the real lifecycle (`trioflow.core.lifecycle`), all of them in turn. Who is told
to wait in such a world, however long he has waited, waits for ever; so does who waits for one who waits for him.
"""

from __future__ import annotations

from collections.abc import Generator
from datetime import datetime, timedelta
from typing import Final, final

from attrs import define

from trioflow.core.leases import LEASE_EXPIRED
from trioflow.core.lifecycle import Call, Propose, Sleep, Step, Stop
from trioflow.core.retries import MAX_DELAY_SECONDS
from trioflow.core.states import Cancelled, Cancelling, Crashed, Late, Running, State, StateType, resumed
from trioflow.core.verdicts import Accept, Reject, Verdict, Wait
from trioflow.testing.checking.properties import Broken, Property
from trioflow.testing.checking.telling import shown
from trioflow.testing.checking.world import AS_OPERATOR, AS_REAPER, FLOW, PLAINLY, Asked, How, World

_AS_ASKED: Final = 24
_HOUR: Final = timedelta(hours=1)
_LOOKS: Final = (*[_HOUR] * 48, *[31 * _HOUR] * 40, *[725 * _HOUR] * 24)
"""How long a door that stays shut is left alone between looks, after those that were asked for.

Each hour of two days, 31 hours apart for seven weeks, a month and five hours apart for two years: what opens at some
time of the day, the week or the year is found open.
"""
_CENTURY: Final = timedelta(seconds=MAX_DELAY_SECONDS)
_CALLS: Final = 40
"""So often the code of one run may be called; a policy that is drawn here allows a tenth of it."""

_AGAIN: Final = 2
"""In the second attempt everybody can be ended too."""

_Life = Generator["datetime | None", None, None]
"""A run on its way: gives the instant at which to go on; None is when nobody else is on his way any more."""


def carry_to_the_end(world: World, outcome: State) -> None:
    """Drive every run that has begun and is not over, until nothing more happens.

    Args:
        world: what there is; it is changed.
        outcome: the state that is proposed each time that code has been called and returns.

    Raises:
        Broken: somebody waits for ever, goes round for ever, or cannot say that his code has ended.
    """
    began = world.now
    lives = {number: _life(world, number, outcome) for number in world.runs}
    wakes: dict[int, datetime | None] = dict.fromkeys(lives, world.now)
    while lives:
        number = _next_up(wakes)
        world.now = max(world.now, wakes[number] or world.now)
        if world.now - began > _CENTURY:
            raise _stuck(world, f"{world.runs[number].name} is not over after a century")
        try:
            wakes[number] = next(lives[number])
        except StopIteration:
            del lives[number], wakes[number]


def check_that_all_can_be_ended(world: World) -> None:
    """Whoever has begun and is not over can be cancelled, and written off when his process is gone.

    Raises:
        Broken: one cannot.
    """
    for number, run in world.runs.items():
        if run.state is None or run.state.is_final:
            continue
        _insist(world.copy(), number, Cancelled(), PLAINLY)
        if run.state.type is StateType.CANCELLING:
            continue
        _insist(world.copy(), number, Crashed(cause=LEASE_EXPIRED), AS_REAPER)
        if number == FLOW:
            twin = world.copy()
            _insist(twin, number, Cancelling(), AS_OPERATOR)
            _insist(twin, number, Cancelled(), PLAINLY)


# --- one run


@final
@define(eq=False)
class _Patience:
    """How long somebody has waited, and how long he waits this time."""

    waits: int = 0

    def next(self, now: datetime, asked: timedelta) -> datetime | None:
        """When to ask again; None when there is no hope."""
        looks = self.waits - _AS_ASKED
        self.waits += 1
        if looks >= len(_LOOKS) or asked > _CENTURY:
            return None
        return now + (asked if looks < 0 else max(asked, _LOOKS[looks]))


def _life(world: World, number: int, outcome: State) -> _Life:
    """What engine, runner and operator do for one run."""
    for _ in range(_CALLS):
        first = yield from _opening(world, number)
        if first is None:
            return
        yield from _drive(world, number, first, outcome)
        state = world.runs[number].state
        if number != FLOW or state is None or state.type not in {StateType.SCHEDULED, StateType.SUSPENDED}:
            return
    raise _stuck(world, f"{world.runs[number].name} is taken up again and again")


def _opening(world: World, number: int) -> Generator[datetime | None, None, Step | None]:
    """The first step of whoever takes the run on as it is; None if there is nothing to take on."""
    state = world.runs[number].state
    if number == FLOW and state is not None and state.type is StateType.SUSPENDED:
        yield None
        world.leave()
        yield from _ask(world, number, resumed(state, world.now) or state, AS_OPERATOR)
        state = world.runs[number].state
    match state.type if state else None:
        case StateType.SCHEDULED if number == FLOW and not world.is_leased(FLOW):
            claimed = yield from _claim(world)
            return Propose(Running()) if claimed else None
        case StateType.RUNNING if state:
            return Call(state)
        case StateType.CANCELLING:
            return Propose(Cancelled())
        case StateType.SUSPENDED if number == FLOW:
            return None
        case type_:
            return None if type_ is None or type_.is_final else Propose(Running())


def _claim(world: World) -> Generator[datetime | None, None, bool]:
    """What runners do, and beside them the scheduler, which marks a run late that nobody may claim."""
    patience = _Patience()
    while (delay := _delay(world, world.claim().heard)) is not None:
        yield _wake(world, FLOW, delay, patience)
        state = world.flow.state
        if state is not None and state.name == "Scheduled":
            world.propose(FLOW, Late(state.details.scheduled_time or world.now), AS_OPERATOR)
    return isinstance(world.steps[-1].verdict, Accept)


def _delay(world: World, verdict: Verdict) -> timedelta | None:
    """How long it is until the next claim; None when there is none, for this one had its answer."""
    match verdict:
        case Wait(delay):
            return timedelta(seconds=delay)
        case Reject(State(type=StateType.SCHEDULED) as state, _, True):
            return max((state.details.scheduled_time or world.now) - world.now, timedelta())
        case _:
            return None


def _ask(world: World, number: int, state: State, how: How) -> Generator[datetime | None, None, Asked]:
    patience = _Patience()
    while isinstance(verdict := (asked := world.propose(number, state, how)).heard, Wait):
        yield _wake(world, number, timedelta(seconds=verdict.delay), patience)
    return asked


def _drive(world: World, number: int, step: Step, outcome: State) -> _Life:
    """The loop of `trioflow.core.lifecycle`."""
    patience, calls = _Patience(), 0
    while not isinstance(step, Stop):
        match step:
            case Propose(state):
                asked = world.propose(number, state)
                step = _heard(world, asked, step, called=calls > 0)
                if not isinstance(asked.verdict, Wait):
                    patience = _Patience()
            case Sleep(until=until, seconds=seconds):
                asked_for = until - world.now if until else timedelta(seconds=seconds)
                yield _wake(world, number, max(asked_for, timedelta()), patience)
                step = step.awoke()
            case Call():
                calls += 1
                if calls > _CALLS:
                    raise _stuck(world, f"{world.runs[number].name} is run again and again, however it ends")
                if calls == _AGAIN:
                    check_that_all_can_be_ended(world)
                if number == FLOW:
                    yield None
                step = step.ended(outcome)


def _heard(world: World, asked: Asked, step: Propose, *, called: bool) -> Step:
    """The step that follows the answer; an end that nobody leads on from is no end.

    Raises:
        Broken: the engine has gone, and left the run in the middle.
    """
    following, state = step.heard(asked.heard), asked.run.state
    if not isinstance(following, Stop) or state is None or state.is_final:
        return following
    if called and state.type is StateType.RUNNING:
        told = f"{asked.run.name} stays RUNNING when its code has ended: {following.reason}"
        raise _broken(world, Property.ENDABLE, told)
    put_there = isinstance(asked.verdict, Reject) and asked.verdict.written
    if put_there and state.type in {StateType.PENDING, StateType.RUNNING}:
        raise _stuck(
            world, f"{asked.run.name} was put into {shown(state)}, and nobody leads it on from there"
        )
    return following


def _insist(world: World, number: int, state: State, how: How) -> None:
    """Ask until there is an answer; it must be an end, or lead to one.

    Raises:
        Broken: it is refused, or there never is an answer.
    """
    if (now := world.runs[number].state) is None or now.is_final:
        return
    patience = _Patience()
    while isinstance(verdict := (asked := world.propose(number, state, how)).heard, Wait):
        wakes = patience.next(world.now, timedelta(seconds=verdict.delay))
        if wakes is None:
            told = f"{asked.run.name} cannot be ended: asked to be {shown(state)}, it waits for ever"
            raise _broken(world, Property.ENDABLE, told)
        world.now = wakes
    reached = asked.run.state
    enough = {state.type, StateType.SCHEDULED} if how.new_owner else {state.type}
    if reached is None or not (reached.is_final or reached.type in enough):
        told = f"{asked.run.name} cannot be ended: asked to be {shown(state)}, it stays {shown(reached)}"
        raise _broken(world, Property.ENDABLE, told)


# --- time


def _next_up(wakes: dict[int, datetime | None]) -> int:
    """Who goes on next: whoever is up first; those who wait for the others come last."""
    asleep = [(wake, number) for number, wake in wakes.items() if wake is not None]
    return min(asleep)[1] if asleep else next(iter(wakes))


def _wake(world: World, number: int, asked_for: timedelta, patience: _Patience) -> datetime:
    """When this run asks again.

    Raises:
        Broken: it has asked often enough.
    """
    wakes = patience.next(world.now, asked_for)
    if wakes is None:
        raise _stuck(world, f"{world.runs[number].name} waits for ever")
    return wakes


def _stuck(world: World, told: str) -> Broken:
    return _broken(world, Property.PATIENT, told)


def _broken(world: World, broken: Property, told: str) -> Broken:
    exception = Broken(broken, told)
    exception.steps = world.steps
    return exception
