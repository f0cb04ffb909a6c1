"""What every test stands on: Hypothesis profiles. `--hypothesis-profile nightly` looks longer."""

from __future__ import annotations

from hypothesis import Phase, settings

settings.register_profile("quick", max_examples=100, deadline=None, print_blob=True)
settings.register_profile("nightly", parent=settings.get_profile("quick"), max_examples=5_000)
settings.register_profile(  # for tests/mutation: the same examples each time, and a failure is one as it is found
    "mutation",
    parent=settings.get_profile("quick"),
    max_examples=10,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
)
settings.load_profile("quick")
