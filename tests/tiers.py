"""The tiers: what is shown in each run of CI, and how much more of it in a night (`-m nightly`)."""

from __future__ import annotations

from typing import Any

import pytest


def in_both_tiers(quick: int, nightly: int) -> Any:
    """A parameter ``round_``: so many rounds each time, and so many more each night."""
    rounds = [
        pytest.param(number, marks=[pytest.mark.nightly] if number > quick else [])
        for number in range(1, quick + nightly + 1)
    ]
    return pytest.mark.parametrize("round_", rounds)
