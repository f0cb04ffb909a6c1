"""Small, and flat to read: files, functions, parameters and nesting keep their limits."""

from __future__ import annotations

import ast
import itertools

import pytest

from tests.architecture.sources import FOLDERS, ROOT, Function, functions, python_files

FILE_LINES = 400
FUNCTION_LINES = 60
PARAMETERS = 5
NESTING = 3

BLOCKS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.TryStar, ast.Match)

MANY_PARAMETERS: dict[str, str] = {
    "src/trioflow/cli/commands/simulate.py::simulate": "each is an option of the command",
    "src/trioflow/runner/runner.py::Runner.__init__": "each is an independent switch of what users construct",
}
"""`path::function` that takes more than five parameters, and why it may."""


def length(function: Function) -> int:
    """Lines from `def` to the end without the docstring: a promise may be as long as it needs."""
    lines = function.end_lineno - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function) is not None:
        lines -= first.end_lineno - first.lineno + 1
    return lines


def parameters(function: Function) -> int:
    """How many parameters a caller chooses: `self` and `cls` are not among them."""
    given = function.args
    names = [argument.arg for argument in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return len(names) - (names[:1] in (["self"], ["cls"]))


def nesting(node: ast.AST) -> int:
    """The depth of blocks below a node; `elif` is no deeper than its `if`, a function inside starts anew."""
    return max((_depth(node, child) for child in ast.iter_child_nodes(node)), default=0)


def _depth(parent: ast.AST, node: ast.AST) -> int:
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return 0
        case ast.If() if isinstance(parent, ast.If) and parent.orelse == [node]:
            return nesting(node)
        case _:
            return nesting(node) + isinstance(node, BLOCKS)


ALL = [(f"{path}::{name}", function) for path in python_files(*FOLDERS) for name, function in functions(path)]


def test_files_are_short():
    texts = {str(path): (ROOT / path).read_text(encoding="utf-8") for path in python_files(*FOLDERS)}
    lines = {path: text.count("\n") for path, text in texts.items()}

    assert {path: count for path, count in lines.items() if count > FILE_LINES} == {}


def test_functions_are_short():
    assert {name: length(function) for name, function in ALL if length(function) > FUNCTION_LINES} == {}


def test_functions_are_flat():
    assert {name: nesting(function) for name, function in ALL if nesting(function) > NESTING} == {}


def test_functions_take_few_parameters_and_the_exceptions_are_named():
    """Tests take fixtures, as many as they need."""
    in_src = [(name, function) for name, function in ALL if not name.startswith("tests/")]

    assert {name for name, function in in_src if parameters(function) > PARAMETERS} == set(MANY_PARAMETERS)


MEASURED = '''
def f(self, a, /, b, *c, d, **e):
    """Two lines
    of promise."""
    for x in b:
        if x:
            pass
        elif a:
            with x:
                pass
        def inner():
            while x:
                pass
'''


@pytest.mark.parametrize(("measure", "value"), [(length, 10), (parameters, 3), (nesting, 3)])
def test_the_measures_measure(measure, value):
    (function, *_) = itertools.islice(ast.walk(ast.parse(MEASURED)), 1, None)

    assert measure(function) == value
