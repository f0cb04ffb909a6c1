"""What every rule must keep, and how it is said that one does not."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import TYPE_CHECKING

from trioflow.core.decisions import Rule

if TYPE_CHECKING:
    from trioflow.testing.checking.world import Asked


class Property(Enum):
    """One thing that a rule must keep; the value finishes the sentence "a rule ..."."""

    TOTAL = "answers every proposal and never raises"
    POSSIBLE = "says only what can be written"
    PURE = "answers from its proposal alone"
    ORDERLY = "does not depend on the order in a set or a dict, nor on hashes"
    DECLARED = "reads no facts but those that it declares"
    CLEAN = "changes nothing while it decides"
    FINAL = "leaves a run that is over as it is"
    SLOTS = "gives slots to tasks that need them to be at work, and to nobody else"
    PATIENT = "lets whoever waits go on, some day"
    ENDABLE = "lets every run end"
    STORED = "is heard by the store as by the table"


class Broken(BaseException):
    """A property does not hold. No `Exception`: `decide` answers those of a rule, and this is not the rule's."""

    def __init__(
        self, broken: Property, told: str, *, rule: Rule | None = None, line: int | None = None
    ) -> None:
        super().__init__(told)
        self.broken = broken
        self.told = told
        self.rule = rule
        """The rule that breaks it, where one alone can be named."""
        self.line = line
        """The line in the rule's file that does it, where there is one."""
        self.steps: Sequence[Asked] = ()
        """What had been asked when it broke, the last step included."""
