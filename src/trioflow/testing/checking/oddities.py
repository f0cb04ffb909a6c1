"""What nobody thinks of: the same proposal about a run with odd names, tags, parameters, retries, at an odd instant.

Each of them may be met: users name runs and tags as they like, and a run may be years old.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

from attrs import evolve

from trioflow.core.decisions import Proposal
from trioflow.core.runs import FlowRun, RetryPolicy
from trioflow.wire.converter import from_json

_TEXTS = ("näht 夜", "a:b:c", "100% {x} (", "-1", "x" * 20_000)
"""What breaks code that splits a text, formats with it, makes a number or a pattern of it."""

_VALUES: tuple[Any, ...] = (
    *(None, -1, 0.5, 2**63 - 1, True, "", *_TEXTS),
    *([], {}, ["a", 1], {"a": None}, from_json("[" * 40 + "]" * 40, list[Any])),
)

_MAPPINGS: tuple[Mapping[str, Any], ...] = (
    {},
    *({text: 1} for text in ("", *_TEXTS)),
    {f"p{number}": number for number in range(100)},
)

_RETRIES: tuple[dict[str, Any], ...] = (
    {"retry": RetryPolicy(retries=3)},
    {"retry": RetryPolicy(retries=10, delays=(0.5, 9.0), jitter=0.5), "retries_used": 10, "attempt": 12},
)

_INSTANTS = (
    datetime(2028, 2, 29, 12, tzinfo=UTC),
    datetime(2032, 12, 31, 23, 59, 59, 999_999, UTC),
    datetime(2037, 10, 25, 1, 30, tzinfo=UTC),
)
"""A leap day; the last microsecond of a year, a month, a day; an hour that there is twice in Europe."""


def odd(proposal: Proposal, words: tuple[str, ...]) -> Iterator[tuple[str, Proposal]]:
    """The proposal with one thing about it odd, each with what that is; values of parameters under these names too."""
    for told, changes in _runs(proposal, words):
        yield told, evolve(proposal, run=evolve(proposal.run, **changes))
    for instant in _INSTANTS:
        if instant > proposal.now:
            yield f"at {instant:%Y-%m-%d %H:%M:%S.%f}", evolve(proposal, now=instant)


def _runs(proposal: Proposal, words: tuple[str, ...]) -> Iterator[tuple[str, dict[str, Any]]]:
    for text in _TEXTS:
        yield f"with the name {text[:20]!r}", {"name": text}
        yield f"with the tag {text[:20]!r}", {"tags": proposal.run.tags | {text}}
    yield "with the tag ''", {"tags": proposal.run.tags | {""}}
    for changes in _RETRIES:
        yield f"with {changes['retry']}", changes
    if isinstance(proposal.run, FlowRun):
        yield "without an entrypoint", {"entrypoint": None}
        named = [dict.fromkeys(words, value) for value in _VALUES]
        for parameters in (*_MAPPINGS, *named):
            told = repr(parameters)
            shown = told if len(told) <= _LONGEST else f"{told[:_LONGEST]}..."
            yield f"with the parameters {shown}", {"parameters": deepcopy(parameters)}


_LONGEST = 60
