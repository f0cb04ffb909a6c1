"""A run in hand: one that this runner has, from before it is claimed until nothing of its process lives."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, final
from uuid import UUID

import trio
from attrs import define, field

from trioflow.core.runs import FlowRun
from trioflow.core.states import State, StateType

if TYPE_CHECKING:
    from collections.abc import Callable

    from trioflow.runner.supervise import Supervised

logger = logging.getLogger("trioflow.runner")


@final
@define(eq=False)
class Hand:
    """Holds one run; nobody else signals its process (QK-05).

    It is the `trio.TaskStatus` of the run's supervision. What is asked of it before there is a process is asked of the
    process as soon as there is one.
    """

    run_id: UUID
    run: FlowRun | None = None
    """As it was claimed; None until then, and for ever when the claim is refused."""
    refusal: str = ""
    """Why it is."""
    supervised: Supervised | None = None
    """None until its process has been started (RL-13)."""
    cancelling: bool = False
    """It has been asked to end because its run is CANCELLING."""
    outcome: State | None = None
    """What its supervision found it in; None while that goes on, and for ever when it failed."""
    over: trio.Event = field(factory=trio.Event)
    """Nothing of its process lives, its slot is free."""
    _waiting: list[Callable[[Supervised], None]] = field(factory=list["Callable[[Supervised], None]"])

    @property
    def may_owe_hooks(self) -> bool:
        """Whether somebody may have to call hooks for it: they are known, or it did not end in peace."""
        hooked = self.run.hooked if self.run else frozenset[StateType]()
        return self.outcome is None or not self.outcome.is_completed or self.outcome.type in hooked

    def started(self, value: Supervised) -> None:
        """Its process has been started."""
        self.supervised = value
        logger.info("Completed submission of flow run '%s'", self.run_id)
        while self._waiting:
            self._waiting.pop(0)(value)

    def request_cancel(self, reason: str) -> None:
        """Have its process end as a cancelled one does. Never waits."""
        self._ask(lambda supervised: supervised.request_cancel(reason))

    def request_end(self, state: State, grace: float) -> None:
        """Have its process end, ``grace`` seconds after it was asked at the latest, and close its run in ``state``."""
        self._ask(lambda supervised: supervised.request_end(state, grace))

    def tell(self, run: FlowRun) -> None:
        """Have its supervision know how the store has the run now: it may have another owner."""
        self._ask(lambda supervised: supervised.told(run))

    def _ask(self, what: Callable[[Supervised], None]) -> None:
        if self.supervised is None:
            self._waiting.append(what)
        else:
            what(self.supervised)
