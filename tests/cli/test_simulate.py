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
    assert told[0] == "28 runs of 1 deployment in 28 days"
    assert "       28  COMPLETED" in told
    assert report.read_text().startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--for", "a while"], "'a while' is no time: say 365d, 12w, 36h, 90m or 30s"),
        (["--start", "soon"], "'soon' is no instant: say 2026-01-01"),
        (["--for", "0d"], "'duration' must be > 0:00:00"),
        (["--limit", "0"], "'limit' must be >= 1: 0"),
        (["--away", "40d"], "'away' must be < 30 days"),
        (["--report", "nowhere/report.html"], "there is no folder nowhere for the report"),
    ],
)
def test_what_cannot_be_read_is_told(tmp_path: Path, capsys, arguments, complaint):
    file = tmp_path / "season.py"
    file.write_text(FILE)
    assert main(["simulate", str(file), *arguments]) == 2
    assert complaint in capsys.readouterr().err


@pytest.mark.parametrize(
    ("durations", "complaint"),
    [
        (
            "{'nightly': lambda chance: -1}",
            "the duration of 'nightly' was drawn as -1: it must be a number of seconds",
        ),
        ("{'nightly': lambda chance: 'ten'}", "the duration of 'nightly' was drawn as 'ten'"),
        ("{'nightly': 60}", "must say for each flow a function that draws seconds"),
        ("{'nihgtly': lambda chance: 1}", "speaks of nihgtly: its flows are nightly"),
    ],
)
def test_durations_that_are_none_are_told(tmp_path: Path, capsys, durations, complaint):
    file = tmp_path / "season.py"
    file.write_text(FILE.replace('{"nightly": lambda chance: 60.0}', durations))
    assert main(["simulate", str(file), "--for", "2d"]) != 0
    assert complaint in capsys.readouterr().err


def test_a_file_in_which_nothing_is_scheduled_is_told(tmp_path: Path, capsys):
    file = tmp_path / "season.py"
    file.write_text(FILE.partition("simulate_durations")[0])
    assert main(["simulate", str(file)]) == 2
    assert "has a schedule" in capsys.readouterr().err
