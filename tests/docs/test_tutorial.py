"""The tutorial's kill -9, with the program and the commands that stand there: the rerun does the rest."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.docs.programs import ROOT, programs
from tests.e2e.conftest import Home, kill, wait_for_line

TUTORIAL = ROOT / "docs/tutorial.md"
(PROGRAM,) = [program for program in programs(TUTORIAL) if "def ship_all" in program.code]
TYPED = re.findall(r"^\$ trioflow (.*)$", TUTORIAL.read_text(encoding="utf-8"), re.MULTILINE)
(RUN,) = [shlex.split(typed.partition(" & sleep ")[0]) for typed in TYPED if "kill -9 $!" in typed]
(RERUN,) = [shlex.split(typed) for typed in TYPED if "rerun" in typed]


def shipped(output: str) -> list[int]:
    return [int(order) for order in re.findall(r"^shipped (\d+)$", output, re.MULTILINE)]


@pytest.mark.promise("P12")
def test_the_shop_that_was_killed_ships_the_rest_when_it_is_run_again(tmp_path: Path):
    home = Home(tmp_path)
    home.write("shop.py", PROGRAM.code)
    process = home.start(*RUN)
    wait_for_line(process, "shipped 6")
    kill(process)
    (crashed,) = home.json("flow-run", "ls")

    again = home.run(*RERUN[:-1], crashed["name"])

    (completed,) = home.json("flow-run", "ls")
    assert (crashed["state"]["name"], completed["state"]["name"]) == ("Crashed", "Completed")
    # The seventh parcel may have gone out without a record: the process was killed as it said so.
    assert shipped(again.stdout) in ([7, 8, 9], [6, 7, 8, 9])
