"""Judging mutants: run the tests that reach one, and see whether any of them objects.

Theory of operation. Starting Python, importing everything and collecting tests takes seconds, a test of the core takes
milliseconds. So one process collects the tests and never runs any. Each thing that runs is a fork of it: first one
that runs every test once and tells which lines each reaches; then one for each mutant, which gives the functions that
are there already the code of the mutant, and runs the tests that reach its lines, the quickest first, until one fails.

What happens on import (a table, the body of a class, a function that was called meanwhile) cannot be changed
afterwards. Mutants of that are judged by forks of a process that has not imported the code yet: they import the
mutant, and collect the test files one by one, those first that have found a mutant of the module before.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from functools import partial
from importlib.machinery import SourceFileLoader
from itertools import accumulate
from types import CodeType, FrameType, FunctionType
from typing import Any

import pytest
from attrs import Factory, define, frozen

from tests.mutation.mutants import Mutant
from tests.mutation.processes import in_a_fork

IMPORT = -1
"""What stands for a test where a line runs while tests are collected."""
IN_A_FUNCTION = 0x1
"""`inspect.CO_OPTIMIZED`: no code of a module or a class."""
OPTIONS = (
    "--quiet",
    "--exitfirst",
    "--tb=native",  # what nobody reads is not worth a comparison of two trees
    "--assert=plain",
    "--hypothesis-profile=mutation",
    *("-p", "no:cacheprovider"),
    *("-m", "not nightly"),
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),  # what is imported already is not ours
)
ENOUGH_SECONDS = 2.0
"""Of CPU time, for the tests of one mutant: what only slower ones notice counts as not noticed."""
SPARE_SECONDS = 2.0
"""How much longer than without the mutant tests may take, before it counts as one that never ends."""


@frozen
class Modules:
    """What is mutated, and the tests that judge it."""

    mutants: Mapping[str, Sequence[Mutant]]
    """By the absolute path of the file."""
    tests: Sequence[str]
    tell: Callable[[str], None]


def survivors(modules: Modules) -> Iterator[tuple[str, list[int]]]:
    """For each path, the numbers of the mutants that no test notices."""
    warm: _Warm = in_a_fork(lambda: _warm(modules))
    if warm is None or warm.broken:
        raise SystemExit(f"the tests do not pass as it is: {warm and warm.broken}")
    for path, mutants in modules.mutants.items():
        afresh = _Afresh(path, mutants, warm.files[path])
        yield path, sorted([*warm.survivors[path], *(n for n in warm.to_ask[path] if not afresh.noticed(n))])


# --- forks of a process that has collected the tests


@define(eq=False)
class _Warm:
    """What the process that collects the tests finds out."""

    broken: str = ""
    survivors: dict[str, list[int]] = Factory(dict[str, list[int]])
    to_ask: dict[str, list[int]] = Factory(dict[str, list[int]])
    """Which mutants have to be imported."""
    files: dict[str, dict[str, set[str]]] = Factory(dict[str, dict[str, set[str]]])
    """The ids of tests, by their file; those that reach a module come first, and among them the quickest."""


def _warm(modules: Modules) -> _Warm:
    silence()
    reached = _Reached({path: defaultdict(set) for path in modules.mutants})
    session = _Session(modules, reached)
    with reached.by(IMPORT):
        status = pytest.main([*OPTIONS, *modules.tests], plugins=[session])
    if status and not session.found.broken:
        session.found.broken = f"pytest says {status!r}"
    return session.found


@frozen
class _Reached:
    """Which lines run during which test."""

    lines: dict[str, defaultdict[int, set[int]]]

    @contextmanager
    def by(self, test: int) -> Iterator[None]:
        """Watch, in every thread that is started meanwhile."""
        calls = partial(self._calls, test)
        threading.settrace(calls)
        sys.settrace(calls)
        try:
            yield
        finally:
            unwatched()

    def _calls(self, test: int, frame: FrameType, _event: str, _arg: Any) -> Callable[..., Any] | None:
        code = frame.f_code
        lines = self.lines.get(code.co_filename)
        if lines is None or not code.co_flags & IN_A_FUNCTION:
            return None

        def see(frame: FrameType, _event: str, _arg: Any) -> Any:
            lines[frame.f_lineno].add(test)
            return see

        return see(frame, "call", None)

    def tests(self, path: str, lines: range) -> set[int]:
        """The tests that reach any of the lines."""
        return set().union(*(self.lines[path][line] for line in lines if line in self.lines[path]))

    def all_tests(self, path: str) -> set[int]:
        return set().union(*self.lines[path].values())


def unwatched() -> None:
    """See no more what runs."""
    sys.settrace(None)
    threading.settrace(None)  # type: ignore[arg-type]


@define(eq=False)
class _Session:
    """A pytest plugin that judges mutants where pytest would run the tests."""

    modules: Modules
    reached: _Reached
    found: _Warm = Factory(_Warm)
    failed: list[str] = Factory(list[str])
    seconds: dict[int, float] = Factory(dict[int, float])
    functions: dict[str, list[FunctionType]] = Factory(dict[str, list[FunctionType]])

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.found.broken = str(report.longrepr)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.append(f"{report.nodeid}\n{report.longrepr}")

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        unwatched()
        if self.found.broken:
            return True
        first = in_a_fork(lambda: self._each_once(session.items))
        if first is None or first[0]:
            self.found.broken = first[0][0] if first else "they crash"
            return True
        _, self.seconds, lines = first
        for path, by_line in lines.items():
            for line, tests in by_line.items():
                self.reached.lines[path][line] |= tests
        self.functions = {path: functions_of(path) for path in self.modules.mutants}
        gc.freeze()  # or each fork copies every page, to count what it does not touch
        for path, mutants in self.modules.mutants.items():
            self._judge(session.items, path, mutants)
        return True

    def _each_once(self, items: Sequence[pytest.Item]) -> tuple[Any, ...]:
        for number, _ in enumerate(items):
            start = time.process_time()
            with self.reached.by(number):
                self._run(items, number)
            self.seconds[number] = time.process_time() - start
        return self.failed, self.seconds, {path: dict(lines) for path, lines in self.reached.lines.items()}

    def _run(self, items: Sequence[pytest.Item], number: int) -> bool:
        """Whether the test objects."""
        item = items[number]
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
        return bool(self.failed)

    def _judge(self, items: Sequence[pytest.Item], path: str, mutants: Sequence[Mutant]) -> None:
        killers: list[int] = []
        ask, left = [], []
        for number, mutant in enumerate(mutants):
            tests = self.reached.tests(path, mutant.lines)
            if mutant.place.runs_later and tests - {IMPORT}:
                order = sorted(self._quickest(tests), key=self._eagerness(killers))
                killer = self._killer(items, (path, mutant), order)
                if killer is not None:
                    killers.append(killer)
                    continue
            (ask if IMPORT in tests or not mutant.place.runs_later else left).append(number)
        self.found.survivors[path], self.found.to_ask[path] = left, ask
        for test in (*self._quickest(self.reached.all_tests(path)), *self._quickest(range(len(items)))):
            self.found.files.setdefault(path, {}).setdefault(str(items[test].path), set()).add(
                items[test].nodeid
            )
        self.modules.tell(f"{path}: {len(mutants) - len(ask) - len(left)} of {len(mutants)} noticed so far")

    def _quickest(self, tests: Collection[int]) -> list[int]:
        """As many tests as there is time for."""
        order = sorted(set(tests) - {IMPORT}, key=self.seconds.__getitem__)
        until = accumulate(self.seconds[test] for test in order)
        return [test for test, seconds in zip(order, until, strict=True) if seconds <= ENOUGH_SECONDS]

    def _eagerness(self, killers: Sequence[int]) -> Callable[[int], tuple[bool, float]]:
        latest = set(killers[-5:])
        return lambda test: (test not in latest, self.seconds[test])

    def _killer(self, items: Sequence[pytest.Item], what: tuple[str, Mutant], order: list[int]) -> int | None:
        """The test that objects; None if all are content. One that never ends is taken for the first."""
        path, mutant = what
        code = mutant.code(path)

        def killer() -> int:
            change(self.functions[path], code)
            return next((test for test in order if self._run(items, test)), IMPORT)

        seconds = SPARE_SECONDS + 2 * sum(self.seconds[test] for test in order)
        found = in_a_fork(killer, seconds=seconds)
        return order[0] if found is None else None if found == IMPORT else found


def functions_of(path: str) -> list[FunctionType]:
    """The functions of a file that are there, whoever holds them."""
    every = (each for each in gc.get_objects() if isinstance(each, FunctionType))
    return [each for each in every if each.__code__.co_filename == path]


def change(functions: Sequence[FunctionType], code: CodeType) -> None:
    """Give functions of a file the code that it has now, unless it is not clear which one is whose."""
    codes: defaultdict[tuple[str, int], list[CodeType]] = defaultdict(list)
    for each in _codes_in(code):
        codes[each.co_qualname, each.co_firstlineno].append(each)
    for function in functions:
        old = function.__code__
        match codes[old.co_qualname, old.co_firstlineno]:
            case [new] if new.co_freevars == old.co_freevars:
                function.__code__ = new


def _codes_in(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _codes_in(constant)


# --- forks of a process that has not imported the code yet


@define(eq=False)
class _Afresh:
    """Mutants of one module that are imported."""

    path: str
    mutants: Sequence[Mutant]
    tests: Mapping[str, AbstractSet[str]]
    """The ids of the tests to run, by their file."""
    files: list[str] = Factory(lambda self: list(self.tests), takes_self=True)

    def noticed(self, number: int) -> bool:
        """Whether a test objects to the mutant, or it cannot be imported."""
        code = self.mutants[number].code(self.path)
        killer = in_a_fork(lambda: self._killer(code), seconds=60)
        if killer is None:
            return True
        if killer:
            self.files.remove(killer)
            self.files.insert(0, killer)
        return bool(killer)

    def _killer(self, code: CodeType) -> str:
        silence()
        import_instead(self.path, code)
        return next((file for file in self.files if self._objects(file)), "")

    def _objects(self, file: str) -> bool:
        status = pytest.main([*OPTIONS, file], plugins=[_Only(self.tests[file])])
        return status not in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}


@frozen
class _Only:
    """A pytest plugin that runs no other tests than these."""

    ids: AbstractSet[str]

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if item.nodeid in self.ids]


def import_instead(path: str, code: CodeType) -> None:
    """Have this code run where the file is imported."""
    usual = SourceFileLoader.get_code

    def get_code(loader: SourceFileLoader, fullname: str) -> CodeType | None:
        return code if loader.path == path else usual(loader, fullname)

    SourceFileLoader.get_code = get_code  # type: ignore[method-assign]


def silence() -> None:
    """Nobody listens to a process that judges."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
