"""The design's import table is kept, and the contract that keeps it can fail."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import grimp
import pytest
from importlinter import ContractCheck

from tests.architecture.import_table import OnlyContract, top

CONTRACTS = [
    contract
    for contract in tomllib.loads(Path("pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    if contract["type"] == "only"
]


def check(contract: dict, graph: grimp.ImportGraph) -> ContractCheck:
    options = {name: value for name, value in contract.items() if name not in {"name", "type"}}
    only = OnlyContract(contract["name"], {"root_packages": ["trioflow"]}, options)
    return only.check(graph, verbose=False)


def graph_of(importer: str, imported: str) -> grimp.ImportGraph:
    graph = grimp.ImportGraph()
    graph.add_module(importer)
    graph.add_module(imported, is_squashed=top(imported) in sys.stdlib_module_names)
    graph.add_import(importer=importer, imported=imported)
    return graph


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("trioflow", include_external_packages=True, cache_dir=None)


@pytest.mark.parametrize("contract", CONTRACTS, ids=[contract["of"] for contract in CONTRACTS])
def test_every_import_of_src_is_listed(contract, graph):
    assert check(contract, graph).metadata["illegal"] == []


@pytest.mark.parametrize(
    ("of", "importer", "imported"),
    [
        ("ours", "core.states", "store"),
        ("ours", "core.states", "clock"),
        ("ours", "engine.tasks", "store.sqlite"),
        ("ours", "engine.tasks", "serving"),
        ("ours", "client.remote", "orchestrator"),
        ("ours", "a_new_package", "core.states"),
        ("ours", "cli.main", "testing"),
        ("third-party", "core.states", "trio"),
        ("third-party", "engine.results", "cattrs"),
        ("third-party", "store.rows", "apsw"),
        ("third-party", "client.local", "httpx"),
        ("stdlib", "core.keys", "random"),
        ("stdlib", "wire.converter", "time"),
    ],
)
def test_an_import_that_no_row_lists_breaks_its_contract(of, importer, imported):
    (contract,) = [contract for contract in CONTRACTS if contract["of"] == of]
    full = f"trioflow.{imported}" if of == "ours" else imported

    answer = check(contract, graph_of(f"trioflow.{importer}", full))

    assert not answer.kept
    assert answer.metadata["illegal"] == [(importer, imported)]


@pytest.mark.parametrize(
    ("of", "importer", "imported"),
    [
        ("ours", "store.sqlite", "store.rows"),
        ("ours", "client.local", "orchestrator.orchestrator"),
        ("ours", "engine.flows", "serving"),
        ("ours", "cli.commands.check", "testing.rule_check"),
        ("third-party", "store.sqlite_files", "apsw"),
        ("stdlib", "engine.call", "time"),
    ],
)
def test_an_import_that_a_row_lists_is_allowed(of, importer, imported):
    (contract,) = [contract for contract in CONTRACTS if contract["of"] == of]
    full = f"trioflow.{imported}" if of == "ours" else imported

    assert check(contract, graph_of(f"trioflow.{importer}", full)).kept
