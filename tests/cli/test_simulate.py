"""`trioflow simulate` says what a year of a file's schedules comes to."""

from __future__ import annotations

from pathlib import Path

import pytest

from trioflow.cli.main import main

FILE = """
import trioflow

@trioflow.flow
async def nightly():
    pass

simulate_durations = {"nightly": lambda chance: 60.0}
night = nightly.to_deployment("night", cron="30 2 * * *", timezone="Europe/Berlin")
"""


def test_a_month_is_told_in_lines_and_drawn_on_a_page(tmp_path: Path, capsys):
    file, report = tmp_path / "season.py", tmp_path / "report.html"
    file.write_text(FILE)
    assert main(["simulate", str(file), "--for", "28d", "--seed", "2", "--report", str(report)]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "28 runs of 1 deployments in 28 days"
    assert "       28  COMPLETED" in told
    assert report.read_text().startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--for", "a while"], "'a while' is no time: say 365d, 12w, 36h, 90m or 30s"),
        (["--start", "soon"], "'soon' is no instant: say 2026-01-01"),
    ],
)
def test_what_cannot_be_read_is_told(tmp_path: Path, capsys, arguments, complaint):
    file = tmp_path / "season.py"
    file.write_text(FILE)
    assert main(["simulate", str(file), *arguments]) == 2
    assert complaint in capsys.readouterr().err
