"""The pace of a disk: slow until it has been quick for a while, and for a while after it was slow."""

from __future__ import annotations

from trioflow.store.pace import Pace


def quick_after(pace: Pace, seconds: float) -> int:
    """How often it must take so long before it counts as quick."""
    times = 0
    while not pace.is_quick and times < 1000:
        pace.took(seconds)
        times += 1
    return times


def test_a_disk_that_nobody_has_tried_is_slow() -> None:
    assert not Pace().is_quick
    assert quick_after(Pace(), 0.0002) == 32


def test_a_slow_disk_never_is_quick() -> None:
    assert quick_after(Pace(), 0.0011) == 1000


def test_one_slow_sync_is_remembered_for_a_while() -> None:
    pace = Pace()
    quick_after(pace, 0.0002)
    pace.took(0.05)
    assert not pace.is_quick
    assert quick_after(pace, 0.0002) == 18


def test_a_limit_of_nothing_is_never_kept() -> None:
    assert quick_after(Pace(0.0), 0.0) == 1000
