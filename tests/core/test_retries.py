"""Delays, jitter, and what a definition may ask for."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.asking import task_run
from trioflow.core.retries import (
    MAX_DELAY_SECONDS,
    clamped_poisson,
    exponential_backoff,
    next_try,
    retries_left,
    retry_policy,
)
from trioflow.core.runs import RetryPolicy
from trioflow.errors import FlowDefinitionError

NOW = datetime(2026, 7, 1, tzinfo=UTC)
draws = st.floats(0, 1, exclude_max=True)


def due_after(policy: RetryPolicy, used: int, draw: float = 0.5) -> float:
    return (next_try(task_run(retry=policy, retries_used=used), NOW, draw) - NOW).total_seconds()


@pytest.mark.behaviour("RT-02")
def test_the_last_delay_serves_all_further_retries() -> None:
    policy = retry_policy(5, [1, 10])
    assert [due_after(policy, used) for used in range(4)] == [1, 10, 10, 10]
    assert due_after(retry_policy(1), 0) == 0
    assert due_after(retry_policy(1, 7), 0) == 7


@pytest.mark.behaviour("RT-02")
def test_backoff_doubles_for_as_many_retries_as_there_are() -> None:
    assert retry_policy(4, exponential_backoff(3)).delays == (3, 6, 12, 24)
    many = retry_policy(80, exponential_backoff(0.001)).delays
    assert (len(many), many[-1]) == (50, MAX_DELAY_SECONDS)


@pytest.mark.behaviour("RT-02")
@given(average=st.floats(0.001, 1e6), factor=st.floats(0.01, 5), draw=draws)
def test_jitter_stays_within_its_factor(average: float, factor: float, draw: float) -> None:
    delay = clamped_poisson(average, factor, draw)
    assert max(0.0, average * (1 - factor)) <= delay <= average * (1 + factor)


@pytest.mark.behaviour("RT-02")
def test_jitter_is_spread_over_its_whole_range_and_rises_with_the_draw() -> None:
    delays = [clamped_poisson(100, 0.5, draw / 1000) for draw in range(1000)]
    assert delays == sorted(delays)
    assert (round(delays[0]), round(delays[-1])) == (50, 150)
    assert 90 < sum(delays) / len(delays) < 100


@pytest.mark.behaviour("RT-02")
@given(average=st.floats(0.01, 1e4), factor=st.floats(0.05, 3), draw=draws)
def test_the_draw_is_the_share_of_shorter_delays(average: float, factor: float, draw: float) -> None:
    """Of an exponential distribution cut off at both ends: the area under its density, summed in small steps."""

    def area(start: float, end: float, steps: int = 2000) -> float:
        width = (end - start) / steps
        return sum(math.exp(-(start + (step + 0.5) * width) / average) for step in range(steps)) * width

    lower, upper = max(0.0, average * (1 - factor)), average * (1 + factor)
    delay = clamped_poisson(average, factor, draw)
    assert area(lower, delay) / area(lower, upper) == pytest.approx(draw, abs=1e-4)


@pytest.mark.behaviour("RT-02")
def test_a_jitter_without_a_delay_stretches_nothing() -> None:
    assert clamped_poisson(0, 0.5, 0.9) == 0
    assert due_after(retry_policy(1, jitter=0.5), 0) == 0


def test_equal_draws_give_equal_delays() -> None:
    policy = retry_policy(1, 100, jitter=0.3)
    assert due_after(policy, 0, 0.25) == due_after(policy, 0, 0.25) != due_after(policy, 0, 0.75)


def test_retries_are_left_until_they_are_used_up() -> None:
    assert [retries_left(task_run(retry=retry_policy(2), retries_used=used)) for used in (0, 1, 2, 3)] == [
        True,
        True,
        False,
        False,
    ]


REFUSED = {
    "retries": ({"retries": -1}, "retries must be 0 or more, not -1"),
    "many delays": ({"delays": [1.0] * 51}, "at most 50 retry delays can be given, not 51"),
    "negative delay": ({"delays": [1, -0.5]}, "a retry delay is a number of seconds, 0 or more, not -0.5"),
    "no number": ({"delays": math.nan}, "a retry delay is a number of seconds, 0 or more, not nan"),
    "never": ({"delays": math.inf}, "a retry delay is a number of seconds, 0 or more, not inf"),
    "function": ({"delays": lambda _: [-9]}, "a retry delay is a number of seconds, 0 or more, not -9"),
    "endless jitter": ({"jitter": math.inf}, "a retry jitter is a fraction of the delay, 0 or more, not inf"),
    "negative jitter": ({"jitter": -0.1}, "a retry jitter is a fraction of the delay, 0 or more, not -0.1"),
    "no jitter": ({"jitter": math.nan}, "a retry jitter is a fraction of the delay, 0 or more, not nan"),
}


@pytest.mark.behaviour("RT-07")
@pytest.mark.parametrize(("asked", "complaint"), REFUSED.values(), ids=REFUSED)
def test_a_policy_that_cannot_be_is_refused_where_it_is_defined(asked: dict, complaint: str) -> None:
    with pytest.raises(FlowDefinitionError) as refusal:
        retry_policy(**asked)
    assert str(refusal.value) == complaint


def test_a_policy_is_what_was_asked_for_and_nothing_by_itself() -> None:
    assert retry_policy() == RetryPolicy(retries=0, delays=(), jitter=None, on_crash=False)
    assert retry_policy(3, [1, 2.5], jitter=0.0, on_crash=True) == RetryPolicy(
        retries=3, delays=(1, 2.5), jitter=0.0, on_crash=True
    )


def test_fifty_delays_of_a_century_are_the_most_that_can_be_asked_for() -> None:
    century = timedelta(days=36_600).total_seconds()
    assert retry_policy(1, [0] + [century] * 49).delays == (0, *[century] * 49)
    with pytest.raises(FlowDefinitionError):
        retry_policy(1, century + 1)
    assert exponential_backoff(century)(2) == [century, century]


@pytest.mark.behaviour("RT-07")
@pytest.mark.parametrize("factor", [-1, math.nan])
def test_a_backoff_with_a_factor_below_nothing_is_refused(factor: float) -> None:
    with pytest.raises(FlowDefinitionError) as refusal:
        exponential_backoff(factor)
    assert str(refusal.value) == f"the factor of a backoff is a number of seconds, 0 or more, not {factor}"


def test_a_backoff_of_nothing_is_no_delay() -> None:
    assert exponential_backoff(0)(3) == [0, 0, 0]


@given(used=st.integers(0, 60), delays=st.lists(st.floats(0, 1e9), max_size=50), draw=draws)
def test_the_next_try_is_never_in_the_past(used: int, delays: list[float], draw: float) -> None:
    policy = retry_policy(100, delays, jitter=0.5)
    assert next_try(task_run(retry=policy, retries_used=used), NOW, draw) >= NOW - timedelta(0)
