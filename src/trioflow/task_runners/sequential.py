"""Calls are made one at a time, in the order in which they were submitted."""

from __future__ import annotations

from typing import final

from attrs import frozen

from trioflow.task_runners.nursery import NurserySession
from trioflow.task_runners.turns import Turns


@final
@frozen
class SequentialTaskRunner:
    """Runs the tasks of a flow run one after the other, as submitted."""

    @property
    def concurrency(self) -> str:
        """As `TaskRunner.concurrency`."""
        return "sequentially"

    def session(self) -> NurserySession:
        """A fresh session, for one flow run."""
        return NurserySession(Turns(1))
