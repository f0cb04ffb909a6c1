"""Orders: lets Hypothesis choose the order in which Trio runs tasks.

Trio shuffles the tasks that can run by a generator of its own. Importing Hypothesis seeds that one alike before every
example: a property under ``@given`` then sees one order only, however many examples there are.
"""

from __future__ import annotations

from hypothesis import strategies as st

from trioflow.testing.simulation.scheduling import private_trio


def task_orders() -> st.SearchStrategy[int]:
    """Seeds for `take_order`; each stands for an order of tasks."""
    return st.integers(0, 2**32 - 1)


def take_order(seed: int) -> None:
    """From now on, until the next example, Trio runs tasks in the order that this seed stands for.

    Call it first in the test, before ``trio.run`` or inside it::

        @given(order=task_orders())
        def test_anything(order):
            take_order(order)
            trio.run(scenario)

    Args:
        seed: a draw of `task_orders`.

    Raises:
        AttributeError: this version of Trio names its generator otherwise.
    """
    private_trio()._r.seed(seed)  # pyright: ignore[reportPrivateUsage]
