"""What every test stands on: Hypothesis profiles. `--hypothesis-profile nightly` looks longer."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("quick", max_examples=100, deadline=None, print_blob=True)
settings.register_profile("nightly", parent=settings.get_profile("quick"), max_examples=5_000)
settings.load_profile("quick")
