"""Speakers: whose words a record is, by name. Names of late are known; there is no end to how many there were."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import final
from uuid import UUID

from attrs import define, field

from trioflow.core.runs import FlowRun, TaskRun
from trioflow.runner.witness import Said
from trioflow.wire.replies import TaskRunAnswer
from trioflow.wire.requests import BeginTaskRun, CreateFlowRun, LogRecord, RenameRun

MOST_NAMES = 10_000


@final
@define(eq=False)
class Speakers:
    """The runs under one root, as far as their process has named them."""

    _root: FlowRun
    _names: dict[UUID, str] = field(factory=dict[UUID, str], init=False)
    """The newest of them; what a run says comes a moment after it has ended."""

    def hear(self, request: object, reply: object) -> None:
        """A run may have been given a name."""
        match request, reply:
            case BeginTaskRun(), TaskRunAnswer(run=TaskRun(id=id_, name=name)):
                self._name(id_, name)
            case (CreateFlowRun(id=id_, name=name), _) | (RenameRun(run_id=id_, name=name), _):
                self._name(id_, name)
            case _:
                pass

    def said(self, records: Sequence[LogRecord]) -> tuple[Said, ...]:
        """The records, with who speaks."""
        return tuple(Said(self._speaker(record), record) for record in records)

    def _name(self, run_id: UUID, name: str) -> None:
        self._names[run_id] = name
        if len(self._names) > MOST_NAMES:
            for forgotten in list(islice(self._names, MOST_NAMES // 10)):
                del self._names[forgotten]

    def _speaker(self, record: LogRecord) -> str:
        if record.task_run_id is not None:
            return f"Task run {self._names.get(record.task_run_id, str(record.task_run_id))!r}"
        run_id = record.flow_run_id or self._root.id
        return f"Flow run {self._names.get(run_id, self._root.name)!r}"
