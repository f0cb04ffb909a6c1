"""Schedules agree with clocks read second by second, and do not depend on where one starts to look."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise

import pytest
from attrs import frozen
from dateutil.rrule import rrulestr
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.property.clock_model import CHANGES, once_each, readings, whenever_shown
from trioflow.core.schedules import CronSchedule, IntervalSchedule, RRuleSchedule
from trioflow.core.schedules.window import (
    CatchUp,
    Overlap,
    Planning,
    Standing,
    last_fires,
    plan,
    take_turns,
)
from trioflow.errors import InvalidSchedule

TICK = timedelta.resolution
changes = st.sampled_from(CHANGES)
zones = st.sampled_from([*sorted({zone for zone, _ in CHANGES}), "UTC"])
walls = st.datetimes(datetime.fromisoformat("1975-01-01"), datetime.fromisoformat("2060-01-01"))
instants = walls.map(lambda wall: wall.replace(tzinfo=UTC))


# --- cron


@frozen
class Written:
    """A field as it is written, and the values that it means."""

    text: str
    values: frozenset[int]

    @property
    def starred(self) -> bool:
        return self.text.startswith("*")


@st.composite
def parts(draw, high, values):
    a, b = sorted(draw(st.tuples(values, values)))
    step = draw(st.integers(1, 20))
    kind = draw(st.sampled_from(["n", "a-b", "a-b/n", "a/n"]))
    match kind:
        case "n":
            return Written(f"{a}", frozenset({a}))
        case "a-b":
            return Written(f"{a}-{b}", frozenset(range(a, b + 1)))
        case "a-b/n":
            return Written(f"{a}-{b}/{step}", frozenset(range(a, b + 1, step)))
        case _:
            return Written(f"{a}/{step}", frozenset(range(a, high + 1, step)))


@st.composite
def fields(draw, low, high, stars=("*", "*/2", "*/7", "*/15"), values=None):
    star = draw(st.none() | st.sampled_from(stars))
    drawn = parts(high, st.integers(low, high) if values is None else values)
    found = draw(st.lists(drawn, min_size=0 if star else 1, max_size=2))
    if star:
        step = int(star.partition("/")[2] or 1)
        found.insert(0, Written(star, frozenset(range(low, high + 1, step))))
    return Written(",".join(f.text for f in found), frozenset().union(*(f.values for f in found)))


every = st.just(Written("*", frozenset(range(32))))
night = st.sampled_from([0, 1, 2, 3, 23])
hours = fields(0, 23) | fields(0, 23, values=night)


@frozen
class Model:
    """A cron expression with what it means."""

    minute: Written
    hour: Written
    day: Written
    month: Written
    weekday: Written
    day_or: bool

    @property
    def text(self) -> str:
        written = (self.minute, self.hour, self.day, self.month, self.weekday)
        return " ".join(field.text for field in written)

    def matches(self, wall: datetime) -> bool:
        if wall.minute not in self.minute.values or wall.hour not in self.hour.values:
            return False
        by_day = wall.day in self.day.values
        by_weekday = bool({wall.isoweekday() % 7, wall.isoweekday()} & self.weekday.values)
        either = self.day_or and not self.day.starred and not self.weekday.starred
        return wall.month in self.month.values and (
            (by_day or by_weekday) if either else (by_day and by_weekday)
        )

    def fires(self, read):
        model = whenever_shown if self.minute.starred or self.hour.starred else once_each
        return model(self.matches, read)


models = st.builds(
    Model,
    minute=fields(0, 59),
    hour=hours,
    day=every | fields(1, 31, stars=("*", "*/2")),
    month=every | fields(1, 12),
    weekday=every | fields(0, 7, stars=("*", "*/2")),
    day_or=st.booleans(),
)


@given(models, changes)
def test_cron_agrees_with_clocks_read_second_by_second(model, change):
    try:
        schedule = CronSchedule(model.text, change[0], day_or=model.day_or)
    except InvalidSchedule:
        assume(False)
    read = readings(*change)
    start, end = read[0].instant, read[-1].instant

    assert schedule.between(start - TICK, end, 10_000) == model.fires(read)


@pytest.mark.parametrize("change", CHANGES, ids=" ".join)
@pytest.mark.parametrize("text", ["30 2 * * *", "0 0 * * *", "45 23 * * *", "*/15 * * * *", "0 * * * *"])
def test_common_expressions_agree_with_the_clocks_around_every_change(text, change):
    minute, hour, *_ = text.split()
    minutes = {"0": {0}, "30": {30}, "45": {45}, "*/15": {0, 15, 30, 45}}[minute]
    model = Model(
        Written(minute, frozenset(minutes)),
        Written(hour, frozenset(range(24) if hour == "*" else {int(hour)})),
        *[Written("*", frozenset(range(32)))] * 3,
        day_or=True,
    )
    read = readings(*change)

    assert CronSchedule(text, change[0]).between(
        read[0].instant - TICK, read[-1].instant, 10_000
    ) == model.fires(read)


# --- intervals and RRULEs, by what must be the same


@given(changes, st.integers(0, 23), st.integers(0, 59))
def test_a_day_long_interval_a_daily_rule_and_a_fixed_cron_time_are_the_same(change, hour, minute):
    zone = change[0]
    read = readings(*change)
    window = (read[0].instant, read[-1].instant, 100)
    wanted = CronSchedule(f"{minute} {hour} * * *", zone).between(*window)

    assert (
        IntervalSchedule(
            timedelta(days=1), datetime.fromisoformat(f"1980-01-01T{hour:02}:{minute:02}"), zone
        ).between(*window)
        == RRuleSchedule(f"DTSTART:19800101T{hour:02}{minute:02}00\nRRULE:FREQ=DAILY", zone).between(*window)
        == wanted
        == once_each(lambda wall: (wall.hour, wall.minute) == (hour, minute), read[1:])
    )


@given(zones, st.integers(1, 50_000), instants)
def test_a_rule_of_minutes_counts_real_time_as_an_interval_does(zone, minutes, instant):
    assume(minutes % 1_440)
    assume(instant.year > 1980)
    interval = IntervalSchedule(minutes * 60, datetime.fromisoformat("1980-01-01T05:07"), zone)
    rule = RRuleSchedule(f"DTSTART:19800101T050700\nRRULE:FREQ=MINUTELY;INTERVAL={minutes}", zone)

    assert list(islice(rule.fires(instant), 20)) == list(islice(interval.fires(instant), 20))


@given(
    changes, st.sets(st.integers(0, 23), min_size=1), st.sets(st.sampled_from([0, 5, 30, 45, 59]), min_size=1)
)
def test_an_hourly_rule_looks_at_the_clocks_as_a_wildcard_does(change, hours, minutes):
    read = readings(*change)
    text = f"FREQ=HOURLY;BYHOUR={','.join(map(str, hours))};BYMINUTE={','.join(map(str, minutes))}"
    rule = RRuleSchedule(f"DTSTART:19800101T000000\nRRULE:{text}", change[0])

    assert rule.between(read[0].instant - TICK, read[-1].instant, 10_000) == whenever_shown(
        lambda wall: wall.hour in hours and wall.minute in minutes, read
    )


def numbers(low, high, size=3):
    values = st.integers(low, high).filter(bool) if low < 0 else st.integers(low, high)
    return st.lists(values, min_size=1, max_size=size, unique=True).map(lambda v: ",".join(map(str, v)))


weekdays = st.lists(st.sampled_from(["MO", "TU", "WE", "FR", "SU"]), min_size=1, max_size=3, unique=True)
ordinals = st.lists(
    st.sampled_from(["1MO", "-1FR", "2TU", "-2SU", "5WE"]), min_size=1, max_size=2, unique=True
)
BY_ANY = {
    "BYMONTH": numbers(1, 12),
    "BYMONTHDAY": numbers(-31, 31),
    "BYHOUR": numbers(0, 23),
    "BYMINUTE": numbers(0, 59),
    "BYDAY": weekdays.map(",".join),
    "WKST": st.sampled_from(["MO", "SU", "WE"]),
}
LONG = {"BYDAY": weekdays.map(",".join) | ordinals.map(",".join), "BYSETPOS": numbers(-4, 4, 2)}
BY = {
    "YEARLY": BY_ANY | LONG | {"BYYEARDAY": numbers(-366, 366), "BYWEEKNO": numbers(-53, 53)},
    "MONTHLY": BY_ANY | LONG,
    "WEEKLY": BY_ANY,
    "DAILY": BY_ANY | {"BYSETPOS": numbers(-2, 2, 2)},
    "HOURLY": BY_ANY,
}


@st.composite
def rules(draw):
    freq = draw(st.sampled_from(sorted(BY)))
    chosen = draw(st.sets(st.sampled_from(sorted(BY[freq])), max_size=3))
    values = {name: draw(BY[freq][name]) for name in sorted(chosen)}
    start = draw(walls).replace(microsecond=0)
    interval = draw(st.integers(1, 4))
    text = ";".join([f"FREQ={freq}", f"INTERVAL={interval}", *(f"{k}={v}" for k, v in values.items())])
    end = draw(st.sampled_from(["", ";COUNT=7", ";UNTIL=20350101T000000Z"]))
    return f"DTSTART:{start:%Y%m%dT%H%M%S}\nRRULE:{text}{end}"


@given(rules(), st.integers(0, 1_000))
def test_a_rule_in_utc_gives_what_dateutil_gives(text, days):
    try:
        ours = RRuleSchedule(text)
    except InvalidSchedule:
        assume(False)
    start = datetime.strptime(text[8:23], "%Y%m%dT%H%M%S").replace(tzinfo=UTC) - TICK
    start += timedelta(days=days)
    found = ours.between(start, start + timedelta(days=4_000), 12)
    theirs = rrulestr(text.replace("T000000Z", "T000000"))
    wanted = theirs.xafter(start.replace(tzinfo=None), count=len(found)) if found else []

    assert found == [fire.replace(tzinfo=UTC) for fire in wanted]


# --- what holds for every schedule

intervals = st.builds(
    IntervalSchedule,
    every=st.timedeltas(timedelta(seconds=1), timedelta(days=9))
    | st.integers(1, 40).map(lambda days: timedelta(days=days)),
    anchor=st.none() | walls,
    zone=zones,
)
crons = st.builds(lambda model, zone: (model.text, zone), models, zones)


@st.composite
def schedules(draw):
    kind = draw(st.sampled_from([intervals, crons, rules()]))
    drawn = draw(kind)
    try:
        match drawn:
            case tuple():
                return CronSchedule(*drawn)
            case str():
                return RRuleSchedule(drawn, draw(zones))
            case _:
                return drawn
    except InvalidSchedule:
        assume(False)


@st.composite
def moments(draw, schedule):
    """An instant: near a change of the schedule's clocks, or anywhere."""
    days = [day for zone, day in CHANGES if zone == schedule.zone]
    if not days or draw(st.booleans()):
        return draw(instants)
    day = datetime.fromisoformat(draw(st.sampled_from(days))).replace(tzinfo=UTC)
    return day + draw(st.timedeltas(timedelta(days=-1), timedelta(days=2)))


@given(st.data())
def test_the_next_fire_is_later_and_the_same_from_anywhere_before_it(data):
    schedule = data.draw(schedules())
    instant = data.draw(moments(schedule))
    fire = schedule.next_after(instant)
    assume(fire is not None)
    between = instant + data.draw(st.floats(0, 1)) * (fire - TICK - instant)

    assert fire > instant
    assert fire.tzinfo is UTC
    assert schedule.next_after(between) == schedule.next_after(fire - TICK) == fire
    assert (schedule.next_after(fire) or fire + TICK) > fire


@given(st.data())
def test_an_interval_split_anywhere_has_the_same_fires(data):
    schedule = data.draw(schedules())
    start = data.draw(moments(schedule))
    whole = schedule.between(start, start + timedelta(days=400), 40)
    end = whole[-1] if whole else start + timedelta(days=400)
    cut = data.draw(st.sampled_from(whole) if whole else st.just(end)) + data.draw(
        st.sampled_from([-TICK, timedelta(), TICK])
    )

    assert schedule.between(start, cut, 40) + schedule.between(cut, end, 40) == whole
    assert [schedule.next_after(fire) for fire in whole[:-1]] == whole[1:]
    assert all(a < b for a, b in pairwise(whole))


@given(st.data(), st.integers(0, 5), st.timedeltas(timedelta(), timedelta(days=1)))
def test_the_last_fires_are_the_end_of_all_of_them(data, count, length):
    schedule = data.draw(schedules())
    start = data.draw(moments(schedule))
    everything = schedule.between(start, start + length, 100_000)

    assert last_fires(schedule, start, start + length, count) == everything[max(0, len(everything) - count) :]


# --- which runs are owed


@given(st.data(), st.integers(0, 6), st.timedeltas(timedelta(minutes=2), timedelta(hours=8)))
def test_after_a_downtime_exactly_what_the_policy_says_has_a_run(data, limit, down):
    schedule = IntervalSchedule(data.draw(st.integers(60, 3_600)))
    looked = data.draw(instants)
    now = looked + down
    missed = schedule.between(looked, now, 1_000)
    planned = frozenset(data.draw(st.lists(st.sampled_from(missed)))) if missed else frozenset()
    standing = Standing(schedule=schedule, looked=looked, planned=planned)

    decided = plan(standing, now, Planning(catch_up=CatchUp(limit), runs_ahead=0))
    left = planned.difference(decided.drop).union(decided.create)

    assert sorted(left) == missed[max(0, len(missed) - limit) :]
    again = Standing(schedule=schedule, looked=looked, planned=left)
    assert plan(again, now, Planning(catch_up=CatchUp(limit), runs_ahead=0)).create == ()


@given(
    st.sampled_from(Overlap), st.lists(st.integers(), unique=True), st.lists(st.integers(1_000), max_size=3)
)
def test_every_due_run_has_one_fate_and_only_allow_lets_two_run_together(overlap, due, active):
    turns = take_turns(overlap, due, active)

    assert sorted([*turns.start, *turns.wait, *turns.drop]) == sorted(due)
    assert overlap is Overlap.ALLOW or len(active) + len(turns.start) <= max(1, len(active))
    assert len(turns.wait) <= 1
    assert list(turns.cancel) in ([], active)
