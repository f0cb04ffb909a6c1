"""The mutation score: how many small faults of the code that decides the tests notice.

`python tests/mutation/measure.py [--write] [--left] [FILE ...]` (or `nox -s mutation -- ...`) measures these files, or
all in `GROUPS`, and prints each mutant that no test notices. With `--write` the figures go to `measured.json`, and the
table in docs/reliability.md is renewed from there, with the reasons of `reasons.toml`. With `--left` only those are
tried that nobody noticed the last time: enough where only tests came to it. `--page` measures nothing, and renews the
page where a reason was added. No test measures: that takes minutes.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path

from attrs import field, frozen

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.architecture.sources import ROOT
from tests.mutation.judging import Modules, survivors
from tests.mutation.mutants import mutants

PAGE = ROOT / "docs/reliability.md"
BEGIN = "<!-- mutants: begin -->"
END = "<!-- mutants: end -->"
MEASURED = Path(__file__).with_name("measured.json")
REASONS = Path(__file__).with_name("reasons.toml")
NO_REASON = "no test tells the difference yet"


@frozen
class Group:
    """Files that the same tests judge."""

    name: str
    globs: Sequence[str]
    tests: Sequence[str]
    without: frozenset[str] = field(factory=frozenset, converter=frozenset)
    """Names of files that are not measured."""

    def files(self) -> list[str]:
        """The files, relative to the repository, the smallest first."""
        found = {path for glob in self.globs for path in (ROOT / "src/trioflow").glob(glob)}
        kept = [path for path in found if path.name not in {"__init__.py", *self.without}]
        return [str(path.relative_to(ROOT)) for path in sorted(kept, key=lambda path: path.stat().st_size)]

    def has(self, file: str) -> bool:
        """Whether the file belongs here, be it there or not."""
        parent = str(Path(file).parent)
        return any(f"src/trioflow/{glob}" in {file, f"{parent}/*.py"} for glob in self.globs)


DRAWINGS = frozenset({"draw.py", "picture.py"})
"""They say how the tables look, not what they decide; a test compares each whole drawing with the committed one."""

GROUPS = (
    Group("The runner's limiter", ["runner/limiter.py"], ["tests/runner/test_limiter.py"]),
    Group(
        "States, rules, tables, leases, retries",
        ["core/*.py", "core/rules/*.py", "core/tables/*.py"],
        [
            "tests/core",
            "--ignore=tests/core/schedules",
            *(f"tests/property/test_{name}.py" for name in ("decide", "lifecycle", "parameter_schema")),
        ],
        without=DRAWINGS,
    ),
    Group(
        "Schedules",
        ["core/schedules/*.py"],
        ["tests/core/schedules"],
    ),
    Group(
        "Leases, slots and hooks in the store",
        [f"orchestrator/{name}.py" for name in ("endings", "ready", "turns", "handlers/owed_hooks")],
        ["tests/orchestrator"],
    ),
)


@frozen
class Score:
    """How the tests did on one file."""

    mutants: int
    left: Sequence[str]
    """The names of those that nobody noticed."""

    @property
    def percent(self) -> float:
        """Of a hundred mutants, how many were noticed."""
        return 100 * (1 - len(self.left) / self.mutants) if self.mutants else 100.0


Scores = dict[str, Score]


def measure(group: Group, files: Sequence[str], before: Scores) -> Iterator[tuple[str, Score]]:
    """Judge every mutant of these files; of those that were judged before, the ones that nobody noticed."""
    every = {str(ROOT / file): mutants((ROOT / file).read_text(encoding="utf-8")) for file in files}
    asked = dict(every)
    for file in before.keys() & set(files):
        path = str(ROOT / file)
        asked[path] = [mutant for mutant in every[path] if mutant.name in before[file].left]
    for path, left in survivors(Modules(asked, group.tests, _teller())):
        names = [asked[path][number].name for number in left]
        yield str(Path(path).relative_to(ROOT)), Score(len(every[path]), names)


def _teller() -> Callable[[str], None]:
    """Say how far it is, also from a fork that is silenced."""
    screen = os.fdopen(os.dup(sys.stderr.fileno()), "w", buffering=1)
    return lambda line: print(line, file=screen)


# --- the record, and the page


def measured() -> Scores:
    """The figures of the last measurements."""
    return {file: Score(**score) for file, score in json.loads(MEASURED.read_text(encoding="utf-8")).items()}


def record(scores: Scores) -> None:
    """Keep the figures, those of files that are gone no longer."""
    there = {file for group in GROUPS for file in group.files()}
    kept = {file: score for file, score in {**measured(), **scores}.items() if file in there}
    data = {
        file: {"mutants": score.mutants, "left": list(score.left)} for file, score in sorted(kept.items())
    }
    MEASURED.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def reasons() -> dict[str, dict[str, str]]:
    """Why a mutant of a file may stay unnoticed."""
    return tomllib.loads(REASONS.read_text(encoding="utf-8"))


def table() -> str:
    """What stands between the markers in the page."""
    scores = measured()
    lines = [*_figures(scores), "", *_left(scores, reasons())]
    return "\n".join([BEGIN, "", *lines, "", END])


def _figures(scores: Scores) -> Iterator[str]:
    yield from ("| code | mutants | noticed | score |", "|---|--:|--:|--:|")
    for group in GROUPS:
        of_group = {file: score for file, score in scores.items() if group.has(file)}
        if of_group:
            yield _row(f"**{group.name}**", list(of_group.values()))
        for file, score in of_group.items():
            yield _row(f"`{file.removeprefix('src/trioflow/')}`", [score])


def _row(name: str, scores: Sequence[Score]) -> str:
    total = sum(score.mutants for score in scores)
    left = [name for score in scores for name in score.left]
    return f"| {name} | {total} | {total - len(left)} | {Score(total, left).percent:.1f} % |"


def _left(scores: Scores, why: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    yield from ("| not noticed in | mutant | because |", "|---|---|---|")
    for file, score in scores.items():
        for name in score.left:
            place, _, change = name.partition(": ")
            module = file.removeprefix("src/trioflow/")
            reason = why.get(file, {}).get(name, NO_REASON)
            yield f"| `{module}` {place} | {_as_code(change)} | {reason} |"


def _as_code(change: str) -> str:
    was, arrow, becomes = change.partition(" -> ")
    if arrow:
        return f"{_quoted(was)} → {_quoted(becomes)}"
    return f"{_quoted(change.removesuffix(' is left out'))} is left out"


def _quoted(text: str) -> str:
    return "`` {} ``".format(text.replace("|", "\\|"))


def renewed() -> str:
    """The page with its table renewed."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    return before + table() + rest.partition(END)[2]


def preload() -> None:
    """Import what every fork needs, but nothing of ours: that is what mutants change."""
    for name in ("attrs", "dateutil.rrule", "hypothesis.stateful", "pendulum", "pytest_trio", "trio"):
        import_module(name)


def main(arguments: Sequence[str]) -> None:
    """Measure, print, and write if told to."""
    options = {argument for argument in arguments if argument.startswith("--")}
    wanted = [argument for argument in arguments if argument not in options]
    before = measured() if "--left" in options else {}
    preload()
    for group in GROUPS if options != {"--page"} else ():
        files = [file for file in group.files() if not wanted or file in wanted]
        for file, score in measure(group, files, before) if files else ():
            told = f"{score.percent:6.1f} % of {score.mutants:4} {file}"
            print(told, *score.left, sep="\n    ", flush=True)
            if "--write" in options:
                record({file: score})
    if options & {"--write", "--page"}:
        PAGE.write_text(renewed(), encoding="utf-8")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"{(used.ru_utime + used.ru_stime) / 60:.1f} minutes of CPU time")


if __name__ == "__main__":
    main(sys.argv[1:])
