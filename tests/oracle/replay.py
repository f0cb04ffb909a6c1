"""Replay recorded cases against the tables: ``python tests/oracle/replay.py [DIR]``.

Prints ``N agree, N claimed, N unclaimed``, after the first unclaimed cases, and exits with 1 if there are any.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from attrs import Factory, define

sys.path.insert(0, str(Path(__file__).parents[2]))  # this file is run by its path

from tests.oracle.asking import ask
from tests.oracle.cases import Answer, Case, read_cases, recorded
from tests.oracle.differences import DIFFERENCES

DATA = Path(__file__).parent / "data"
SHOWN = 20


@define
class Replay:
    """What became of a set of cases."""

    agree: int = 0
    claimed: int = 0
    unclaimed: list[tuple[Case, Answer, Answer]] = Factory(list)
    """With what was expected, and what we answered."""
    claims: Counter[str] = Factory(Counter)
    """How many answers each difference changed."""
    examples: dict[str, Case] = Factory(dict)
    """The first case that each of them claimed."""

    def __str__(self) -> str:
        return f"{self.agree} agree, {self.claimed} claimed, {len(self.unclaimed)} unclaimed"


def replay(cases: Iterable[Case]) -> Replay:
    """Ask our tables every question, and hold the answers against the recorded ones."""
    result = Replay()
    for case in cases:
        expected, claims = expect(case)
        answer = ask(case)
        if answer != expected:
            result.unclaimed.append((case, expected, answer))
        elif claims:
            result.claimed += 1
            result.claims.update(claims)
            for claim in claims:
                result.examples.setdefault(claim, case)
        else:
            result.agree += 1
    return result


def expect(case: Case) -> tuple[Answer, list[str]]:
    """What we should answer, and the differences that make it so."""
    answer, claims, asked = recorded(case), list[str](), case
    for difference in DIFFERENCES:
        if difference.applies(asked):
            before = answer
            match difference.instead(asked, answer):
                case Case() as other:
                    asked, answer = other, recorded(other)
                case Answer() as answer:
                    pass
            if answer != before:
                claims.append(difference.name)
    return answer, claims if answer != recorded(case) else []


def main(arguments: list[str]) -> int:
    """Replay a folder and print the figures; 1 when a case is unclaimed."""
    result = replay(read_cases(Path(arguments[0]) if arguments else DATA))
    for case, expected, answer in result.unclaimed[:SHOWN]:
        sys.stdout.write(
            f"{case}\n  recorded: {recorded(case)}\n  expected: {expected}\n  ours:     {answer}\n"
        )
    sys.stdout.write(f"{result}\n")
    return 1 if result.unclaimed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
