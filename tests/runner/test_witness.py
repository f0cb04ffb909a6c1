"""Witnesses: what is shown of runs, and that nobody is harmed by who looks."""

from __future__ import annotations

import io
import sys
from datetime import datetime

import pytest

from trioflow import clock
from trioflow.core.runs import FlowRun
from trioflow.core.states import Completed, Running
from trioflow.infrastructure.infrastructure import OutputLine
from trioflow.runner.witness import GuardedWitness, Said, StreamWitness
from trioflow.wire.requests import LogRecord

AT = datetime(2026, 1, 1, 12, 0, 1, 123_456).astimezone()
ID = clock.new_id()
RUN = FlowRun(id=ID, flow_id=ID, root_id=ID, name="brave-otter", state=Running())


def said(message, level=20, speaker="Flow run 'brave-otter'"):
    record = LogRecord(
        flow_run_id=RUN.id, task_run_id=None, logger="trioflow.flow_runs", level=level, message=message, at=AT
    )
    return Said(speaker, record)


def tell(witness):
    witness.started(RUN, 1)
    witness.logs(RUN, [said("Beginning\x1b[2J"), said("two\nlines", 40, "Task run 'double-0'")])
    witness.output(
        RUN, [OutputLine("stdout", "said"), OutputLine("stderr", "warned\r"), OutputLine("stdout", "again")]
    )
    witness.tasks(RUN, 1, 2)
    witness.ended(RUN, Completed())


@pytest.mark.behaviour("PR-01")
def test_logs_are_shown_as_lines_and_output_where_it_was_written_with_no_control_characters(capsys):
    tell(StreamWitness())
    shown = capsys.readouterr()
    assert shown.out == "brave-otter | said\nbrave-otter | again\n"
    assert shown.err == (
        "12:00:01.123 | INFO    | Flow run 'brave-otter' - Beginning\\x1b[2J\n"
        "12:00:01.123 | ERROR   | Task run 'double-0' - two\nlines\n"
        "brave-otter | warned\\x0d\n"
    )


class Broken(io.StringIO):
    def write(self, text):
        raise BrokenPipeError


def closed():
    file = io.StringIO()
    file.close()
    return file


@pytest.mark.parametrize("file", [None, Broken(), closed()], ids=["none", "broken", "closed"])
def test_a_stream_that_cannot_be_written_harms_nobody(file, monkeypatch):
    monkeypatch.setattr(sys, "stdout", file)
    monkeypatch.setattr(sys, "stderr", file)
    tell(StreamWitness())


class Breaks:
    def __init__(self):
        self.asked = []

    def __getattr__(self, name):
        def asked(*told):
            self.asked.append(name)
            raise LookupError("the witness broke")

        return asked


def test_a_witness_that_raises_is_logged_and_told_no_more(caplog):
    witness = Breaks()
    tell(GuardedWitness(witness))
    assert witness.asked == ["started"]
    (told,) = caplog.records
    assert told.getMessage() == "a witness failed, and will hear no more of this run"
    assert "the witness broke" in caplog.text
