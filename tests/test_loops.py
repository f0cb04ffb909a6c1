"""Loops under virtual time: what passes is waited out, a defect starts them over, nobody is alive and idle."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
import trio
import trio.testing
from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st

from trioflow import clock
from trioflow.core.retries import clamped_poisson
from trioflow.errors import StoreClosed, StoreError, StoreFull, StoreGone, TrioflowBug
from trioflow.loops import MOST_SECONDS, WELL, Health, Loop, may_pass

START = datetime(2026, 1, 1, tzinfo=UTC)
FULL = StoreFull("no space")


@define
class World(clock.RealWorld):
    """A wall clock that goes with Trio's until somebody sets it, and chance that is always the same."""

    drawn: float = 0.5
    ahead: timedelta = timedelta()

    def now(self) -> datetime:
        return START + timedelta(seconds=trio.current_time()) + self.ahead

    def draw(self) -> float:
        return self.drawn


@pytest.fixture
def world():
    world = World()
    with clock.use(world):
        yield world


@define(eq=False)
class Turns:
    """A loop's turns as a test lays them down: an exception is raised, an instant returned. Then nothing happens."""

    outcomes: list[object]
    at: list[float] = field(factory=list)
    """When each turn was taken, in seconds."""

    async def __call__(self) -> datetime | None:
        await trio.lowlevel.checkpoint()
        self.at.append(round(trio.current_time(), 6))
        match self.outcomes.pop(0) if self.outcomes else None:
            case Exception() as error:
                raise error
            case due:
                return due


async def taken(turns: Turns, loop: Loop, seconds: float) -> list[float]:
    """When the loop took its turns in that time."""
    with trio.move_on_after(seconds):
        await loop.keep_going()
    return turns.at


def steady(outcomes: Iterable[object] = (), seconds: float = 10.0) -> tuple[Turns, Loop]:
    turns = Turns(list(outcomes))
    return turns, Loop("Counting", turns, seconds, jitter=0.0)


# --- pace


async def test_a_loop_takes_a_turn_at_once_and_then_every_so_many_seconds(autojump_clock, world):
    turns, loop = steady()

    assert await taken(turns, loop, 35) == [0, 10, 20, 30]
    assert loop.health == WELL


async def test_a_bell_brings_the_next_turn_on_and_one_rung_during_a_turn_another_one(
    autojump_clock, world, nursery
):
    turns, loop = steady()
    nursery.start_soon(loop.keep_going)
    await trio.sleep(3)
    loop.bell.ring()
    loop.bell.ring()
    await trio.sleep(1)

    assert turns.at == [0, 3]

    async def ring_in_the_third(before: Callable = loop._turn) -> None:
        await before()
        if len(turns.at) == 3:
            loop.bell.ring()

    loop._turn = ring_in_the_third
    await trio.sleep(10)

    assert turns.at == [0, 3, 13, 13]


async def test_a_loop_is_there_at_the_instant_that_its_turn_named(autojump_clock, world):
    turns, loop = steady([START + timedelta(seconds=4), START + timedelta(seconds=60)])

    assert await taken(turns, loop, 20) == [0, 4, 14]


async def test_an_instant_that_is_past_is_taken_up_at_once(autojump_clock, world):
    turns, loop = steady([START - timedelta(days=1)])

    assert await taken(turns, loop, 5) == [0, 0]


async def test_when_the_wall_clock_is_set_an_hour_ahead_what_is_due_is_found_within_ten_seconds(
    autojump_clock, world, nursery
):
    turns, loop = steady([START + timedelta(hours=1)], seconds=86_400.0)
    nursery.start_soon(loop.keep_going)
    await trio.sleep(1)
    world.ahead = timedelta(hours=1)
    await trio.sleep(10)

    assert turns.at == [0, 10]


@pytest.mark.behaviour("RL-01", "SL-04")
@given(drawn=st.floats(0, 1, exclude_max=True))
def test_the_pace_varies_at_random_within_the_jitter(drawn):
    turns = Turns([])
    loop = Loop("Counting", turns, 10.0)

    async def first_two() -> list[float]:
        return await taken(turns, loop, 14)

    with clock.use(World(drawn=drawn)):
        _, second = trio.run(first_two, clock=trio.testing.MockClock(autojump_threshold=0))[:2]

    assert second == pytest.approx(clamped_poisson(10, 0.3, drawn), abs=1e-5)
    assert 7 <= second <= 13


@pytest.mark.behaviour("SL-05", "RL-02")
async def test_a_loop_that_is_run_once_takes_one_turn_and_hides_nothing(autojump_clock, world):
    turns, loop = steady([None, FULL])
    await loop.run_once()

    assert turns.at == [0]
    with pytest.raises(StoreFull, match="no space"):
        await loop.run_once()


# --- trouble that passes


@pytest.mark.behaviour("SL-01", "SL-03", "QK-14")
async def test_trouble_is_waited_out_with_pauses_that_double_up_to_a_cap_and_a_success_resets_them(
    autojump_clock, world
):
    turns, loop = steady([FULL] * 13 + [None, FULL], seconds=4.0)

    at = await taken(turns, loop, 190)
    assert [after - before for before, after in pairwise(at)] == (
        [4] * 2 + [8] * 3 + [16] * 3 + [20] * 5 + [4] * 2
    )


@pytest.mark.behaviour("SL-02")
async def test_every_third_failure_in_a_row_is_summed_up_in_one_line_for_each_kind_of_error(
    autojump_clock, world, caplog
):
    turns, loop = steady([FULL, ConnectionResetError("reset"), StoreFull("still none"), FULL, None])
    with caplog.at_level(logging.INFO, logger="trioflow.loops"):
        await taken(turns, loop, 61)

    assert [record.getMessage() for record in caplog.records] == [
        "Counting: 2 of the last 3 attempts failed with StoreFull.",
        "Counting: 1 of the last 3 attempts failed with ConnectionResetError.",
        (
            "Counting: Backing off due to consecutive errors, using increased interval of 20 s. "
            "The last error: StoreFull: still none"
        ),
        "Counting works again.",
    ]


async def test_fewer_failures_in_a_row_are_not_worth_a_line_but_can_be_seen(autojump_clock, world, caplog):
    turns, loop = steady([None, FULL, StoreError("locked")])
    await taken(turns, loop, 25)

    assert caplog.records == []
    since = START + timedelta(seconds=10)
    assert loop.health == Health(failures=2, error="StoreError: locked", since=since)
    assert not loop.health.is_well


@pytest.mark.promise("P4")
@given(
    seconds=st.floats(0.1, 3600),
    trouble=st.floats(0, 1800),
    drawn=st.floats(0, 1, exclude_max=True),
)
def test_polling_resumes_within_half_a_minute_of_any_trouble(seconds, trouble, drawn):
    times: list[float] = []

    async def turn() -> None:
        await trio.lowlevel.checkpoint()
        if trio.current_time() <= trouble:
            raise StoreError("out of order")
        times.append(trio.current_time())

    async def until_it_works() -> None:
        with trio.move_on_after(trouble + 30):
            await Loop("Polling", turn, seconds).keep_going()

    with clock.use(World(drawn=drawn)):
        trio.run(until_it_works, clock=trio.testing.MockClock(autojump_threshold=0))

    assert times
    assert times[0] <= trouble + MOST_SECONDS * 1.3


async def test_a_loop_whose_store_is_gone_ends_at_its_first_turn_and_says_so_in_one_line(
    autojump_clock, caplog
):
    async def turn():
        raise StoreGone

    with pytest.raises(StoreGone):
        await Loop("Claiming runs", turn, 1.0).keep_going()

    (record,) = caplog.records
    assert record.getMessage().startswith("Claiming runs is given up: The file of the database was deleted")
    assert (record.exc_info, trio.current_time()) == (None, 0)


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (FULL, True),
        (TimeoutError(), True),
        (ExceptionGroup("two", [FULL, OSError()]), True),
        (ExceptionGroup("two", [FULL, TrioflowBug()]), False),
        (StoreClosed(), False),
        (ValueError(), False),
    ],
)
@pytest.mark.behaviour("SL-01")
def test_only_trouble_of_the_store_or_the_network_may_pass(error, passes):
    assert may_pass(error) is passes


# --- defects


async def test_a_defect_is_logged_with_its_traceback_and_the_loop_starts_over(autojump_clock, world, caplog):
    defect = ZeroDivisionError("ours")
    turns, loop = steady([defect, defect, None])

    assert await taken(turns, loop, 5) == [0, 0.25, 0.75]
    assert [(record.getMessage(), record.exc_info[1]) for record in caplog.records] == [
        ("Counting: a turn failed, and is tried again.", defect)
    ] * 2
    assert loop.health == WELL


@pytest.mark.behaviour("SL-02")
async def test_five_defects_in_a_row_end_the_loop_within_ten_seconds_with_the_last_of_them(
    autojump_clock, world, caplog
):
    turns, loop = steady([ValueError(str(i)) for i in range(9)])

    with pytest.raises(ValueError, match="4"):
        await loop.keep_going()

    assert turns.at == [0, 0.25, 0.75, 1.75, 3.75]
    assert caplog.records[-1].getMessage() == "Counting: failed 5 times in a row, and is given up."
    assert loop.health.failures == 5


async def test_a_turn_that_goes_well_forgives_the_defects_before(autojump_clock, world):
    turns, loop = steady([ValueError(), ValueError(), ValueError(), ValueError(), None] * 3, seconds=1.0)

    assert len(await taken(turns, loop, 60)) > 15
    assert loop.health == WELL
