"""A quiet time costs next to nothing: where no news can get lost, nobody looks around for them."""

from __future__ import annotations

from datetime import timedelta

import trio

import trioflow
from trioflow.core.states import StateType
from trioflow.testing.simulation import NO_FAULTS, Faults, Terms, simulate


@trioflow.flow
async def yearly() -> None:
    await trio.sleep(5)


async def nothing_happens(_: object) -> None:
    await trio.lowlevel.checkpoint()


def test_a_quiet_year_takes_a_few_thousand_steps():
    outcome = simulate(yearly.to_deployment("y", cron="0 0 1 7 *"), duration=timedelta(days=365))
    assert outcome.states == {StateType.COMPLETED: 1}
    assert outcome.steps < 10_000


def test_where_news_can_get_lost_or_somebody_can_be_killed_everybody_looks_around():
    def looks(terms: Terms) -> tuple[float, float]:
        return terms.seconds_between_queries, terms.seconds_between_looks

    day = 86_400.0
    assert looks(Terms(faults=NO_FAULTS)) == (day, day)
    assert looks(Terms(query_seconds=30.0)) == (30.0, day)
    assert looks(Terms(faults=Faults(lost_answers=0.1))) == (10.0, 30.0)
    assert looks(Terms(script=nothing_happens)) == (10.0, 30.0)
