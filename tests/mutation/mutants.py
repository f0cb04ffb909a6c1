"""Mutants: all the small ways in which a module's text can be wrong, as changes of its syntax tree.

Whatever runs is mutated, the tables and class bodies too; what only describes is not: annotations, docstrings,
imports, and the options of a class decorator.
"""

from __future__ import annotations

import ast
import copy
from collections import Counter
from collections.abc import Iterator
from types import CodeType

from attrs import define, evolve, frozen

OTHER_COMPARISON = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
OTHER_OPERATOR = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.Pow: ast.Mult,
}
OTHER_FUNCTION = {"all": "any", "any": "all", "max": "min", "min": "max"}

GENERIC = frozenset(
    {"Callable", "Mapping", "Sequence", "defaultdict", "dict", "frozenset", "list", "set", "tuple"}
)
"""What is followed by types in brackets."""


@frozen
class Change:
    """A node that takes another one's place, and what a reader is told."""

    node: ast.AST
    was: str
    becomes: str


@frozen
class Place:
    """Where the walk through a module is."""

    function: str = ""
    """The qualified name, as `co_qualname` has it without its ``<locals>``; empty outside of classes and functions."""
    runs_later: bool = False
    """Whether this is inside a function's body, so that importing the module does not run it."""
    first: int = 0
    """The first line of the statement (or the case) around."""


@define(eq=False)
class Mutant:
    """One change at one place of a tree that all mutants of the module share."""

    tree: ast.Module
    holder: ast.AST
    slot: str
    index: int | None
    change: Change
    place: Place
    lines: range
    """Where it happens; a test that runs none of them cannot notice."""
    again: int = 0
    """How many mutants before it, in the same function, read the same."""

    @property
    def name(self) -> str:
        """``function: was -> becomes``, which stays the same when lines move."""
        becomes = f" -> {self.change.becomes}" if self.change.becomes else " is left out"
        count = f" ({self.again + 1})" if self.again else ""
        return f"{self.place.function or 'module'}: {self.change.was}{becomes}{count}"

    def code(self, path: str) -> CodeType:
        """Compile the module with the change."""
        original = self._put(self.change.node)
        try:
            return compile(ast.fix_missing_locations(self.tree), path, "exec", dont_inherit=True)
        finally:
            self._put(original)

    def _put(self, node: ast.AST) -> ast.AST:
        """Put a node at the place, and give back the one that was there."""
        if self.index is None:
            before = getattr(self.holder, self.slot)
            setattr(self.holder, self.slot, node)
        else:
            nodes = getattr(self.holder, self.slot)
            before, nodes[self.index] = nodes[self.index], node
        return before


def mutants(source: str) -> list[Mutant]:
    """Find every mutant of a module, in the order of its text."""
    tree = ast.parse(source)
    found = list(_Walk(tree).below(tree, Place()))
    seen: Counter[str] = Counter()
    for mutant in found:
        name = mutant.name
        mutant.again = seen[name]
        seen[name] += 1
    return found


@frozen
class _Walk:
    """A walk through a module's tree."""

    tree: ast.Module

    def below(self, node: ast.AST, place: Place) -> Iterator[Mutant]:
        """The mutants of a node's parts."""
        described = _only_described(node)
        for at, part in _parts(node):
            if at[0] not in described:
                yield from self.at(node, at, part, _place_within(node, at[0], place))

    def at(
        self, holder: ast.AST, at: tuple[str, int | None], node: ast.AST, place: Place
    ) -> Iterator[Mutant]:
        """The mutants of a node in its holder, then those of its parts."""
        slot, index = at
        if _is_docstring(node) or _names_a_type(holder, at):
            return
        if isinstance(node, (ast.stmt, ast.match_case)):
            place = evolve(place, first=_first_line(node))
        for change in (*_in_its_place(slot, node), *changes(node, is_data=not place.runs_later)):
            last = place.first if isinstance(node, ast.stmt) else getattr(node, "end_lineno", place.first)
            yield Mutant(
                self.tree, holder, slot, index, change, place, range(place.first, max(place.first, last) + 1)
            )
        yield from self.below(node, place)


def _parts(node: ast.AST) -> Iterator[tuple[tuple[str, int | None], ast.AST]]:
    """Each node in a slot of this one, and where it is: the slot, and its index if there are several."""
    for slot, value in ast.iter_fields(node):
        match value:
            case list():
                nodes = [(index, part) for index, part in enumerate(value) if isinstance(part, ast.AST)]
                yield from (((slot, index), part) for index, part in nodes)
            case ast.AST():
                yield (slot, None), value


def _first_line(node: ast.stmt | ast.match_case) -> int:
    return node.pattern.lineno if isinstance(node, ast.match_case) else node.lineno


def _only_described(node: ast.AST) -> tuple[str, ...]:
    """The slots of a node that describe, and do nothing."""
    match node:
        case ast.ClassDef():
            return "decorator_list", "bases", "keywords"
        case ast.FunctionDef() | ast.AsyncFunctionDef() if any(map(_is_cache, node.decorator_list)):
            return "decorator_list", "returns"
        case ast.Assign(targets=[ast.Name(id="__all__")]) | ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return node._fields
        case ast.Assign(value=value) if _is_union(value):
            return node._fields
        case ast.Subscript(value=ast.Name(id=name)) if name in GENERIC:
            return ("slice",)
        case ast.FormattedValue():
            return ("format_spec",)
        case _:
            return "annotation", "returns"


def _is_cache(decorator: ast.AST) -> bool:
    return "cache" in ast.unparse(decorator)


def _is_union(node: ast.expr) -> bool:
    """Whether it is an alias of types: ``Accept | Reject | None``."""
    match node:
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _is_union(left) and _is_union(right)
        case ast.Name(id=name):
            return name[:1].isupper()
        case _:
            return _is_none(node)


def _place_within(node: ast.AST, slot: str, place: Place) -> Place:
    match node:
        case ast.ClassDef(name=name):
            return evolve(place, function=f"{place.function}.{name}".lstrip("."))
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            inner = f"{place.function}.{name}".lstrip(".")
            return evolve(place, function=inner, runs_later=place.runs_later or slot == "body")
        case ast.Lambda() if slot == "body":
            return evolve(place, runs_later=True)
        case _:
            return place


def _is_docstring(node: ast.AST) -> bool:
    match node:
        case ast.Expr(value=ast.Constant(value=str())):
            return True
        case _:
            return False


def _names_a_type(holder: ast.AST, at: tuple[str, int | None]) -> bool:
    match holder:
        case ast.Call(func=ast.Name(id="cast" | "TypeVar")):
            return at == ("args", 0)
        case _:
            return False


def _swapped(node: ast.AST, other: ast.AST) -> Change:
    return Change(ast.copy_location(other, node), _text(node), _text(other))


def _text(node: ast.AST) -> str:
    match node:
        case ast.match_case(pattern=pattern, guard=guard):
            return f"case {ast.unparse(pattern)}" + (f" if {ast.unparse(guard)}" if guard else "")
        case _:
            return " ".join(ast.unparse(node).split())


def _without(node: ast.AST, slot: str) -> Iterator[Change]:
    """Leave out one element of a list after the other."""
    parts = getattr(node, slot)
    for index, part in enumerate(parts):
        other = copy.copy(node)
        setattr(other, slot, [*parts[:index], *parts[index + 1 :]])
        yield Change(other, _text(part), "")


def _fewer(node: ast.BoolOp | ast.MatchOr, slot: str) -> Iterator[Change]:
    """Leave out one alternative after the other; where one is left, it stands for itself."""
    parts = getattr(node, slot)
    for index, change in enumerate(_without(node, slot)):
        alone = parts[1 - index] if len(parts) == 2 else change.node
        yield Change(alone, f"{change.was} in {_text(node)}", "")


def _in_its_place(slot: str, node: ast.AST) -> Iterator[Change]:
    """What a node is changed into because of where it stands."""
    match slot, node:
        case "test" | "guard" | "ifs", ast.expr() if not _has_an_opposite(node):
            yield _swapped(node, ast.UnaryOp(op=ast.Not(), operand=node))
        case "decorator_list", ast.Call():
            yield from _without(node, "args")


def _has_an_opposite(node: ast.AST) -> bool:
    """Whether it is negated as what it is: ``a is b``, ``not a``."""
    match node:
        case ast.Compare(ops=[ast.Eq() | ast.NotEq() | ast.Is() | ast.IsNot() | ast.In() | ast.NotIn()]):
            return True
        case ast.UnaryOp(op=ast.Not()) | ast.Constant():
            return True
        case _:
            return False


def changes(node: ast.AST, *, is_data: bool) -> Iterator[Change]:
    """What a node is changed into, wherever it stands."""
    match node:
        case ast.stmt():
            return _statements(node)
        case ast.Tuple(ctx=ast.Load()) if is_data:
            return _neighbours(node)
        case ast.Dict():
            return _entries(node)
        case ast.Set() | ast.List(ctx=ast.Load()):
            return _without(node, "elts")
        case ast.MatchOr():
            return _fewer(node, "patterns")
        case ast.Slice():
            return _bounds(node)
        case _:
            return _expressions(node)


def _statements(node: ast.stmt) -> Iterator[Change]:
    """Leave it out; a jump becomes the other one."""
    match node:
        case ast.Return(value=ast.expr() as value) if not isinstance(value, ast.Constant):
            yield _swapped(node, ast.Return(value=ast.Constant(value=None)))
        case ast.Match(cases=cases) if len(cases) > 1:
            yield from _without(node, "cases")
        case ast.Continue():
            yield _swapped(node, ast.Break())
        case ast.Break():
            yield _swapped(node, ast.Continue())
        case ast.Expr() | ast.AugAssign() | ast.Raise():
            yield Change(ast.copy_location(ast.Pass(), node), _text(node), "")


def _expressions(node: ast.AST) -> Iterator[Change]:
    match node:
        case ast.Compare():
            yield from _comparisons(node)
        case ast.BoolOp():
            yield from _conditions(node)
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            yield _swapped(node, operand)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in OTHER_OPERATOR:
            yield _swapped(node, ast.BinOp(left=left, op=OTHER_OPERATOR[type(op)](), right=right))
        case ast.Constant():
            yield from _constants(node)
        case ast.Call():
            yield from _calls(node)


def _conditions(node: ast.BoolOp) -> Iterator[Change]:
    """Ask for one where all were asked for, or the other way; leave each out."""
    other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
    yield _swapped(node, ast.BoolOp(op=other, values=node.values))
    yield from _fewer(node, "values")


def _is_none(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _comparisons(node: ast.Compare) -> Iterator[Change]:
    for index, op in enumerate(node.ops):
        other = OTHER_COMPARISON[type(op)]()
        ops = [*node.ops[:index], other, *node.ops[index + 1 :]]
        yield _swapped(node, ast.Compare(left=node.left, ops=ops, comparators=node.comparators))


def _constants(node: ast.Constant) -> Iterator[Change]:
    match node.value:
        case bool() as value:
            yield _swapped(node, ast.Constant(value=not value))
        case int() | float() as value:
            yield _swapped(node, ast.Constant(value=value + 1))
        case str() as value if value.strip():
            yield _swapped(node, ast.Constant(value=f"XX{value}"))


def _calls(node: ast.Call) -> Iterator[Change]:
    """Leave out what has a name, and so perhaps a default; take the other function of a pair."""
    yield from _without(node, "keywords")
    match node.func:
        case ast.Name(id=name) if name in OTHER_FUNCTION:
            func = ast.copy_location(ast.Name(id=OTHER_FUNCTION[name], ctx=ast.Load()), node.func)
            yield _swapped(node, ast.Call(func=func, args=node.args, keywords=node.keywords))


def _neighbours(node: ast.Tuple) -> Iterator[Change]:
    """Put the neighbour's value into a cell, where the two differ."""
    names = [ast.unparse(part) for part in node.elts]
    for index, part in enumerate(node.elts):
        other = node.elts[index - 1]
        if isinstance(part, (ast.Name, ast.Attribute)) and names[index] != names[index - 1]:
            elts = [*node.elts[:index], other, *node.elts[index + 1 :]]
            yield Change(
                ast.copy_location(ast.Tuple(elts=elts, ctx=ast.Load()), node),
                f"{names[index]} in column {index + 1}",
                names[index - 1],
            )


def _entries(node: ast.Dict) -> Iterator[Change]:
    for index, key in enumerate(node.keys):
        other = copy.copy(node)
        other.keys = [*node.keys[:index], *node.keys[index + 1 :]]
        other.values = [*node.values[:index], *node.values[index + 1 :]]
        yield Change(other, f"the entry of {_text(key or node.values[index])}", "")


def _bounds(node: ast.Slice) -> Iterator[Change]:
    for slot in ("lower", "upper"):
        if getattr(node, slot) is not None:
            other = copy.copy(node)
            setattr(other, slot, None)
            yield _swapped(node, other)
