"""What people read of values."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from trioflow.cli.render import print_table, result_text, spoken_times
from trioflow.core.runs import RunTimes
from trioflow.spoken import short_id, spoken_age, spoken_duration


def test_the_short_id_is_the_end_that_chance_has_drawn():
    assert short_id(UUID("0198c2f1-a3b4-7c5d-8e6f-00003f9a01bc")) == "3f9a01bc"


@pytest.mark.parametrize(
    ("seconds", "spoken"),
    [
        (0, "0.00 s"),
        (0.34, "0.34 s"),
        (9.994, "9.99 s"),
        (9.996, "10.0 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 00 s"),
        (185, "3 min 05 s"),
        (3599.6, "1 h 00 min"),
        (7440, "2 h 04 min"),
    ],
)
def test_a_duration_is_as_exact_as_one_wants_to_know(seconds, spoken):
    assert spoken_duration(seconds) == spoken


@pytest.mark.parametrize(
    ("age", "spoken"),
    [
        (0, "now"),
        (-1, "now"),
        (12, "12 s ago"),
        (60, "1 min ago"),
        (-300, "in 5 min"),
        (3600, "1 h ago"),
        (172_800, "2 days ago"),
    ],
)
def test_an_age_says_how_long_ago_or_how_soon(age, spoken):
    assert spoken_age(timedelta(seconds=age)) == spoken


def test_times_are_those_of_the_last_start_or_of_the_next_one():
    now = datetime(2026, 1, 1, 12, tzinfo=UTC)
    minute = timedelta(minutes=1)

    assert spoken_times(RunTimes(), now) == ("", "")
    assert spoken_times(RunTimes(next_scheduled_start=now + 5 * minute), now) == ("in 5 min", "")
    assert spoken_times(RunTimes(started=now - minute), now) == ("1 min ago", "1 min 00 s")
    assert spoken_times(RunTimes(started=now - 3 * minute, ended=now - minute), now) == (
        "3 min ago",
        "2 min 00 s",
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        ("ä", '"ä"'),
        ([1, 2.5], "[\n  1,\n  2.5\n]"),
        ({1: datetime(2026, 1, 1, tzinfo=UTC)}, '{\n  "1": "2026-01-01T00:00:00+00:00"\n}'),
        ({1}, "{1}"),
        (2**70, str(2**70)),
        (b"bytes", "b'bytes'"),
    ],
)
def test_a_result_is_json_where_it_can_be(value, text):
    assert result_text(value) == text


def test_a_table_that_nobody_watches_is_as_wide_as_it_needs(capsys):
    print_table(("ID", "NAME"), [("1", "x" * 300), ("22", "y")])

    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines] == [["ID", "NAME"], ["1", "x" * 300], ["22", "y"]]
