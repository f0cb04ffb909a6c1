"""Each program in the documentation runs as it is written there, and prints what it is said to print."""

from __future__ import annotations

import runpy

import pytest

from tests.docs.programs import PAGES, programs
from trioflow.settings import Settings, use_settings

ALL = [program for page in PAGES for program in programs(page)]


@pytest.mark.parametrize("program", ALL, ids=str)
def test_a_program_runs_as_written_and_prints_what_stands_under_it(program, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "shop.py"
    file.write_text(program.code, encoding="utf-8")

    with use_settings(Settings(home=tmp_path / "home")):
        runpy.run_path(str(file), run_name="__main__")

    assert capsys.readouterr().out == program.prints
