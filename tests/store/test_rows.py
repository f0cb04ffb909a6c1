"""How instants stand in rows, and that SQLite plans a statement once, whatever is bound to it."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import apsw

from trioflow.store.rows import instant_text
from trioflow.store.sqlite import memory_connection


def test_equal_instants_are_spelt_alike_in_utc_whatever_zone_came_first():
    berlin = datetime(2026, 7, 1, 12, tzinfo=ZoneInfo("Europe/Berlin"))
    spelt = "2026-07-01T10:00:00.000000+00:00"
    assert [instant_text(berlin), instant_text(berlin.astimezone(UTC))] == [spelt, spelt]


def test_no_statement_is_planned_anew_for_the_values_that_are_bound_to_it():
    assert memory_connection()._sqlite.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, -1) == 1
