"""An import-linter contract that is a table: each row names all that a folder or a module may import.

Import-linter's own contracts say what is forbidden, so a new package is free until somebody thinks of it.
Here what is not listed is forbidden. A row reads `subject -> object object ...`:

* A subject is a module of the root package, without the root's name (`store`, `client.local`), and stands for
  all that is below it. `__init__` is the root module itself. It may hold wildcards (`store.sqlite*`).
* A module may import what its own row or a row of a package around it lists, and its own package's modules.
* `*` among the objects means everything.

The option `of` chooses the imports that the rows speak about: `ours`, `third-party` or `stdlib`. With
the option `within`, only modules in the packages that it lists are judged.
"""

from __future__ import annotations

import sys
from fnmatch import fnmatchcase

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output

Link = tuple[str, str]


class OnlyContract(Contract):
    """Keeps a root package to its import table."""

    type_name = "only"

    of = fields.StringField()
    rows = fields.ListField(subfield=fields.StringField())
    within = fields.ListField(subfield=fields.StringField(), required=False, default=["*"])

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Find the imports of kind `of` that no row allows."""
        (root,) = self.session_options["root_packages"]
        table = parse(self.rows)
        judged = [
            (short(importer, root), short(imported, root))
            for importer, imported in links(graph, root)
            if kind(imported, root) == self.of
        ]
        illegal = [
            (importer, imported)
            for importer, imported in judged
            if any(covers(package, importer) for package in self.within)
            and not allowed(table, importer, imported)
        ]
        output.verbose_print(verbose, f"{len(judged)} {self.of} imports, {len(table)} rows")
        return ContractCheck(kept=not illegal, metadata={"illegal": illegal})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print one line for each import that no row allows."""
        for importer, imported in check.metadata["illegal"]:
            output.print_error(f"{importer} may not import {imported}", bold=False)


def parse(rows: list[str]) -> dict[str, frozenset[str]]:
    """Read `subject -> object object` rows."""
    halves = [row.split("->") for row in rows]
    return {subject.strip(): frozenset(objects.split()) for subject, objects in halves}


def links(graph: ImportGraph, root: str) -> list[Link]:
    """List every (importer, imported) pair whose importer is ours, in order."""
    ours = [module for module in graph.modules if top(module) == root]
    return sorted((module, to) for module in ours for to in graph.find_modules_directly_imported_by(module))


def kind(module: str, root: str) -> str:
    """Say whether a module is `ours`, from the `stdlib` or `third-party`."""
    if top(module) == root:
        return "ours"
    return "stdlib" if top(module) in sys.stdlib_module_names else "third-party"


def top(module: str) -> str:
    """Name the outermost package of a module."""
    return module.partition(".")[0]


def short(module: str, root: str) -> str:
    """Name a module as the rows do."""
    return "__init__" if module == root else module.removeprefix(f"{root}.")


def allowed(table: dict[str, frozenset[str]], importer: str, imported: str) -> bool:
    """Whether a row lets `importer` import `imported`; both named as the rows name them."""
    if top(importer) == top(imported):
        return True
    listed = {name for subject, names in table.items() if covers(subject, importer) for name in names}
    return "*" in listed or any(covers(name, imported) for name in listed)


def covers(pattern: str, module: str) -> bool:
    """Whether a module is what the pattern names, or lies below it."""
    return fnmatchcase(module, pattern) or fnmatchcase(module, f"{pattern}.*")
