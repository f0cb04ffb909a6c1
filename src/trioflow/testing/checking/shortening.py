"""Makes a trial that has failed shorter: fewer moves, a plainer world. Hypothesis makes it simpler, no shorter."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import evolve

from trioflow.testing.checking.birth import Birth
from trioflow.testing.checking.trials import Trial

_PLAIN = Birth()


def shorter(trial: Trial) -> Iterator[Trial]:
    """The trial without one of its moves, for each; then with one thing about its world as plain as can be."""
    for number in range(len(trial.moves)):
        yield evolve(trial, moves=trial.moves[:number] + trial.moves[number + 1 :])
    for name in ("owned", "role", "retry"):
        birth = evolve(trial.birth, **{name: getattr(_PLAIN, name)})
        if birth != trial.birth:
            yield evolve(trial, birth=birth)
