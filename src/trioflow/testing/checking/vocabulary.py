"""The texts and numbers that a rule's own code compares with: drawn with others, so that it meets them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from types import CodeType, FunctionType, MethodType
from typing import Any, cast

from attrs import frozen
from hypothesis import strategies as st

from trioflow.core.decisions import Rule
from trioflow.testing.pools import TAGS

_MOST = 12
_LONGEST = 40


@frozen
class Vocabulary:
    """What tags, and names and values of parameters, are drawn from. The plainest first."""

    texts: tuple[str, ...] = TAGS
    numbers: tuple[float, ...] = (0, 1)

    def parameters(self) -> st.SearchStrategy[Mapping[str, Any]]:
        """Parameters of a flow run, as JSON can hold them."""
        values = st.sampled_from([None, *self.numbers, *self.texts])
        return st.dictionaries(st.sampled_from(self.texts), values, max_size=2)


def vocabulary_of(rules: Iterable[Rule]) -> Vocabulary:
    """What stands in the code of these rules, and in the constants that it names."""
    found = [constant for rule in rules for constant in _constants(rule.fn, set())]
    texts = [
        word for word in found if isinstance(word, str) and 0 < len(word) <= _LONGEST and " " not in word
    ]
    numbers = [word for word in found if isinstance(word, (int, float)) and not isinstance(word, bool)]
    return Vocabulary(_first([*TAGS, *texts]), _first([0, 1, *numbers]))


def _first(words: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(words))[:_MOST]


def _constants(value: Any, seen: set[int]) -> Iterator[Any]:
    """What is written in a value; in a function, in its code and in the globals that it names."""
    if id(value) in seen:
        return
    seen.add(id(value))
    match value:
        case str() | int() | float():
            yield value
        case tuple() | list() | set() | frozenset() | dict():
            for each in cast("Iterable[Any]", value):
                yield from _constants(each, seen)
        case CodeType():
            for each in value.co_consts:
                yield from _constants(each, seen)
        case MethodType():
            yield from _constants(value.__func__, seen)
        case partial():
            yield from _constants([value.func, *value.args, *value.keywords.values()], seen)
        case FunctionType():
            named = [value.__globals__.get(name) for name in value.__code__.co_names]
            around = [getattr(cell, "cell_contents", None) for cell in value.__closure__ or ()]
            near = [
                each
                for each in (*named, *around)
                if getattr(each, "__module__", value.__module__) == value.__module__
            ]
            yield from _constants([value.__code__, *near], seen)
        case _:
            return
