"""Retries: how many are left, and after which delay the next one is due. Arithmetic; randomness is a parameter."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from trioflow.core.runs import RetryPolicy, Run
from trioflow.errors import FlowDefinitionError

MAX_DELAYS = 50
MAX_DELAY_SECONDS = 100 * 366 * 86_400.0
"""A century: beyond it a due date leaves what the databases and their clients can write down."""


def retries_left(run: Run) -> bool:
    """Whether the run may be tried once more."""
    return run.retries_used < run.retry.retries


def next_try(run: Run, now: datetime, draw: float) -> datetime:
    """When the run's next retry is due; ``draw`` is a number from [0, 1) for the jitter."""
    base = _base_delay(run.retry.delays, run.retries_used)
    seconds = clamped_poisson(base, run.retry.jitter, draw) if run.retry.jitter else base
    return now + timedelta(seconds=seconds)


def _base_delay(delays: Sequence[float], retries_used: int) -> float:
    return delays[min(retries_used, len(delays) - 1)] if delays else 0.0


def clamped_poisson(average: float, factor: float, draw: float) -> float:
    """An exponentially distributed delay around ``average`` seconds, within a factor of ``1 ± factor`` of it.

    As in Prefect 2: the distribution is cut off at the upper bound and, symmetrically in probability, at the
    lower one, so that the mean stays close to the average.

    Args:
        average: the base delay in seconds.
        factor: how far, as a fraction of the average, the delay may deviate at most.
        draw: a number from [0, 1).
    """
    if average <= 0:
        return 0.0
    upper = average * (1 + factor)
    lower = max(0.0, average * (1 - factor))
    low, high = (1 - math.exp(-bound / average) for bound in (lower, upper))
    delay = -average * math.log1p(-(low + draw * (high - low)))
    return min(upper, max(lower, delay))


def exponential_backoff(factor: float) -> Callable[[int], list[float]]:
    """Delays that double: ``factor`` seconds, then twice, then four times that, for each retry up to the 50th.

    Raises:
        FlowDefinitionError: ``factor`` is negative.
    """
    if not factor >= 0:
        raise FlowDefinitionError(f"the factor of a backoff is a number of seconds, 0 or more, not {factor}")

    def delays(retries: int) -> list[float]:
        return [min(factor * 2.0**retry, MAX_DELAY_SECONDS) for retry in range(min(retries, MAX_DELAYS))]

    return delays


def retry_policy(
    retries: int = 0,
    delays: float | Sequence[float] | Callable[[int], Sequence[float]] = (),
    *,
    jitter: float | None = None,
    on_crash: bool = False,
) -> RetryPolicy:
    """Give the policy that a definition asks for.

    Args:
        retries: how often a failed run is tried again.
        delays: seconds before a retry: one number, one for each retry (the last one serves all others), or a
            function of ``retries`` that gives them, such as ``exponential_backoff(1)``.
        jitter: stretch or shrink each delay at random by up to this fraction of it.
        on_crash: whether a run whose process died is tried again too.

    Raises:
        FlowDefinitionError: a number is negative or not finite, or there are more than 50 delays.
    """
    given = _as_sequence(delays, retries)
    if retries < 0:
        raise FlowDefinitionError(f"retries must be 0 or more, not {retries}")
    if len(given) > MAX_DELAYS:
        raise FlowDefinitionError(f"at most {MAX_DELAYS} retry delays can be given, not {len(given)}")
    for delay in given:
        if not 0 <= delay <= MAX_DELAY_SECONDS:
            raise FlowDefinitionError(f"a retry delay is a number of seconds, 0 or more, not {delay}")
    if jitter is not None and not 0 <= jitter < math.inf:
        raise FlowDefinitionError(f"a retry jitter is a fraction of the delay, 0 or more, not {jitter}")
    return RetryPolicy(retries=retries, delays=given, jitter=jitter, on_crash=on_crash)


def _as_sequence(
    delays: float | Sequence[float] | Callable[[int], Sequence[float]], retries: int
) -> tuple[float, ...]:
    if callable(delays):
        return tuple(delays(retries))
    return (delays,) if isinstance(delays, (int, float)) else tuple(delays)
