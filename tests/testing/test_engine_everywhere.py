"""Cancelled, killed or denied the store at any point, the engine leaves nothing behind that it should not."""

from __future__ import annotations

from functools import partial

import pytest

from tests.testing.scenarios import SCENARIOS
from trioflow.testing.everywhere import cancel_everywhere, crash_everywhere, fail_store_at_every_call

each_scenario = pytest.mark.parametrize(
    "scenario", SCENARIOS, ids=[scenario.__name__ for scenario in SCENARIOS]
)
INTERRUPTED = {
    "cancelled": cancel_everywhere,
    "asked to cancel": partial(cancel_everywhere, by="request"),
    "killed": crash_everywhere,
}


@pytest.mark.promise("P2", "P3", "P7", "P8", "P12", "P16")
@pytest.mark.parametrize("interrupt", INTERRUPTED.values(), ids=list(INTERRUPTED))
@each_scenario
def test_wherever_it_is_interrupted_nothing_is_left_undone(scenario, interrupt):
    assert interrupt(scenario).points >= 30


@pytest.mark.promise("P3", "P8")
@each_scenario
def test_whichever_call_of_the_store_fails_nothing_is_left_undone(scenario):
    assert fail_store_at_every_call(scenario).points >= 6
