"""Names and keys that must be the same in every process."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioflow.core.keys import cache_key, default_flow_name, drawn_run_name, run_name, task_key, task_run_name

HERE = __name__


def add(x: int, y: int) -> int:
    return x + y


class Adder:
    def __call__(self, x: int) -> int:
        return x

    def add(self, x: int) -> int:
        return x


def test_a_task_is_known_by_the_qualified_name_of_its_function() -> None:
    def inner() -> None: ...

    assert task_key(add) == f"{HERE}.add"
    assert task_key(partial(partial(add, 1), 2)) == f"{HERE}.add"
    assert task_key(inner) == f"{HERE}.{inner.__qualname__}"
    assert task_key(Adder()) == f"{HERE}.Adder"
    assert task_key(Adder().add) == f"{HERE}.Adder.add"


def test_a_script_and_the_module_that_it_is_give_the_same_key(tmp_path: Path) -> None:
    script = tmp_path / "flows.py"
    script.write_text("from trioflow.core.keys import task_key\ndef add(): ...\nprint(task_key(add))\n")
    commands = ([str(script)], ["-c", "import flows"])
    shown = [
        subprocess.run(
            [sys.executable, *command], cwd=tmp_path, capture_output=True, text=True, check=True
        ).stdout
        for command in commands
    ]
    assert shown == ["flows.add\n"] * 2


def test_a_callable_of_a_script_that_is_no_function_is_known_by_its_module() -> None:
    there = type("Adder", (), {"__call__": Adder.__call__, "__module__": "__main__"})()
    on_windows = eval(compile("lambda: None", r"C:\jobs\flows.py", "eval"), {"__name__": "__main__"})

    assert task_key(there) == "__main__.Adder"
    assert task_key(on_windows) == "flows.<lambda>"


@pytest.mark.behaviour("FL-27")
def test_a_flow_without_a_name_has_its_function_s_with_dashes() -> None:
    assert default_flow_name("load_all_data") == "load-all-data"
    assert default_flow_name("<lambda>") == "unknown-lambda"


@pytest.mark.behaviour("TA-09")
def test_a_task_run_is_named_by_its_task_and_which_call_it_is() -> None:
    assert task_run_name("add", "3") == "add-3"


def test_there_are_4096_run_names_and_equal_draws_give_equal_ones() -> None:
    names = [run_name(draw) for draw in range(8192)]
    assert names[:4096] == names[4096:]
    assert len(set(names)) == 4096
    assert (names[0], names[4095]) == ("able-badger", "witty-wren")


def test_each_part_of_the_unit_interval_stands_for_a_run_name_of_its_own() -> None:
    assert [drawn_run_name(draw) for draw in (0.0, 1 / 4096, 0.5, 1 - 2**-53)] == [
        run_name(number) for number in (0, 1, 2048, 4095)
    ]


def test_a_cache_key_stays_what_it_is_since_it_is_stored() -> None:
    assert cache_key(b"a", b"") == hashlib.sha256(b"\0" * 7 + b"\1a" + b"\0" * 8).hexdigest()


@given(parts=st.lists(st.binary(max_size=3), max_size=3), others=st.lists(st.binary(max_size=3), max_size=3))
def test_cache_keys_are_equal_for_equal_parts_and_no_others(parts: list[bytes], others: list[bytes]) -> None:
    assert (cache_key(*parts) == cache_key(*others)) == (parts == others)
