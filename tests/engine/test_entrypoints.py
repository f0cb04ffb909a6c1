"""Entry points: a flow is found by file and name, and what is wrong is named with its mend."""

from __future__ import annotations

import functools
import sys
import textwrap
from pathlib import Path

import pytest

from trioflow.engine.entrypoints import entrypoint_of, load_flow
from trioflow.errors import EntrypointError

FLOW = """
    from trioflow.engine.flows import flow

    @flow
    async def audit(n: int = 1):
        return n
"""


@pytest.fixture
def script(tmp_path, monkeypatch):
    """Writes a file, and forgets afterwards that it was ever imported."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    before = set(sys.modules)

    def write(text, name="some_flows.py"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(textwrap.dedent(text))
        return path

    yield write
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def refusal(entrypoint):
    with pytest.raises(EntrypointError) as caught:
        load_flow(str(entrypoint))
    return str(caught.value)


# --- found


def test_a_flow_is_found_by_file_and_name(script):
    path = script(FLOW)

    flow = load_flow(f"{path}:audit")

    assert (flow.name, flow.fn.__module__, flow.entrypoint) == ("audit", "some_flows", f"{path}:audit")
    assert load_flow("some_flows.py:audit") is load_flow("some_flows.py") is flow


def test_the_only_flow_of_a_file_needs_no_name(script):
    script(FLOW, "other_flows.py")
    path = script("from other_flows import audit\n" + textwrap.dedent(FLOW).replace("def audit", "def own"))

    assert load_flow(str(path)).name == "own"


def test_a_flow_that_is_only_imported_is_the_only_one_too(script):
    script(FLOW, "other_flows.py")
    path = script("from other_flows import audit\nalias = audit")

    assert load_flow(str(path)) is load_flow("other_flows.py")


def test_a_flow_is_found_by_the_name_of_the_function_that_it_was_made_of(script):
    path = script("""
        from trioflow.engine.flows import flow

        async def check():
            pass

        audit = flow(check)
    """)

    assert load_flow(f"{path}:check") is load_flow(f"{path}:audit") is load_flow(f"{path}")
    assert load_flow(f"{path}").entrypoint == f"{path}:check"


def test_a_file_may_import_its_neighbours_also_later(script):
    script("value = 5", "neighbour.py")
    path = script(FLOW.replace("return n", "import neighbour; return neighbour.value"))

    load_flow(str(path))
    import neighbour

    assert neighbour.value == 5


def test_two_files_of_one_name_are_two_modules(script):
    one, two = script(FLOW, "one/flows_here.py"), script(FLOW, "two/flows_here.py")

    assert load_flow(str(one)).entrypoint == f"{one}:audit"
    assert load_flow(str(two)).entrypoint == f"{two}:audit"


def test_a_file_called_like_a_module_that_is_in_use_leaves_that_alone(script):
    import textwrap as theirs

    path = script(FLOW, "textwrap.py")

    assert load_flow(str(path)).fn.__module__ == "textwrap"
    assert sys.modules["textwrap"] is theirs


def test_the_code_under_main_is_not_run(script):
    load_flow(str(script(FLOW + "\n    if __name__ == '__main__':\n        raise SystemExit\n")))


# --- not found


def test_a_missing_file_is_named(script, tmp_path):
    assert refusal("nowhere.py:audit") == (
        f"there is no file {tmp_path}/nowhere.py: an entry point is path/to/file.py:function"
    )


@pytest.mark.parametrize("entrypoint", ["flows.txt:audit", "", ":", "audit", ".", "C:\\flows"])
def test_what_is_no_python_file_is_refused(script, entrypoint):
    assert refusal(entrypoint).endswith("is no Python file: an entry point is path/to/file.py:function")


@pytest.mark.promise("P17")
def test_a_syntax_error_is_named_with_its_line(script):
    path = script("a = 1\nb = = 2\n")

    assert refusal(path) == f"{path}, line 2: invalid syntax"


@pytest.mark.promise("P17")
def test_an_import_that_raises_is_named_with_its_line(script):
    path = script("import os\n\ndef f():\n    return {}['a']\n\nf()\n")

    assert refusal(path) == f"{path}, line 4: importing it raised KeyError: 'a'"


@pytest.mark.promise("P17")
def test_an_import_that_exits_is_told_what_to_do(script):
    path = script("import sys\nsys.exit(3)\n")

    assert refusal(path) == (
        f'importing {path} called sys.exit(3): put what the script does under `if __name__ == "__main__":`'
    )


@pytest.mark.parametrize("text", ["\0", "# coding: nothing\n", "\udcff"])
def test_a_file_that_is_no_text_is_refused(script, tmp_path, text):
    path = tmp_path / "some_flows.py"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))

    assert str(path) in refusal(path)


def test_an_interrupt_is_no_mistake_of_the_file(script):
    with pytest.raises(KeyboardInterrupt):
        load_flow(str(script("raise KeyboardInterrupt")))


def test_a_file_that_failed_is_read_anew(script):
    path = script("raise ValueError")
    refusal(path)
    path.write_text(textwrap.dedent(FLOW))

    assert load_flow(str(path)).name == "audit"


def test_a_file_without_flows_is_told_how_to_have_one(script):
    path = script("a = 1")

    assert refusal(path) == f"there is no flow in {path}: decorate a function with @flow"
    assert refusal(f"{path}:b") == f"there is no b in {path}: decorate a function with @flow"


def test_of_several_flows_one_must_be_named(script):
    path = script(FLOW + FLOW.replace("def audit", "def check"))

    assert (
        refusal(path) == f"there are several flows in {path}: say some_flows.py:audit or some_flows.py:check"
    )
    assert load_flow(f"{path}:check").name == "check"


def test_a_wrong_name_is_answered_with_the_nearest(script):
    path = script(FLOW)

    assert refusal(f"{path}:audits") == f"there is no audits in {path}: did you mean some_flows.py:audit?"


def test_what_is_no_flow_is_refused_by_its_type(script):
    path = script(FLOW + "\n    def check():\n        pass\n")

    assert refusal(f"{path}:check") == f"check in {path} is no flow but a function: decorate it with @flow"


# --- where a function is


def here():
    """A function that another process finds."""


class Holder:
    def method(self):
        """One that it does not."""


def test_a_function_of_a_module_has_an_entry_point():
    assert entrypoint_of(here) == f"{Path(__file__).absolute()}:here"
    assert entrypoint_of(functools.wraps(here)(lambda: None)) == f"{Path(__file__).absolute()}:here"


def test_what_another_process_cannot_find_has_none():
    namespace = {}
    exec("def prompted(): pass", namespace)
    exec(compile("def lost(): pass", "/no/longer/there.py", "exec"), namespace)

    def inner():
        pass

    nowhere = [
        inner,
        lambda: None,
        Holder().method,
        functools.partial(here),
        Holder(),
        len,
        namespace["prompted"],
        namespace["lost"],
    ]
    assert [entrypoint_of(fn) for fn in nowhere] == [None] * len(nowhere)
