"""Which deployments a file makes, and what they may be called by."""

from __future__ import annotations

import textwrap
from itertools import count

import pytest

from trioflow.deployments.listing import deployments_in
from trioflow.errors import DeploymentError, EntrypointError

_NUMBERS = count()


@pytest.fixture
def write(tmp_path):
    """Writes a file with flows, never twice under one module's name; its path."""

    def write(code: str) -> str:
        path = tmp_path / f"listed_{next(_NUMBERS)}.py"
        path.write_text("from trioflow import flow\n" + textwrap.dedent(code))
        return str(path)

    return write


def names(file, *wanted):
    return [each.full_name for each in deployments_in(file, wanted)]


FLOWS = """
@flow
def pack(): ...

@flow(name="send off")
async def ship(): ...

express = ship.with_options(name="express")
same = pack
"""
MADE = (
    FLOWS
    + """
nightly = pack.to_deployment("nightly", cron="@daily")
hourly = pack.to_deployment("hourly", cron="@hourly")
also_nightly = nightly
"""
)


def test_of_a_file_without_deployments_each_flow_is_one_under_its_own_name(write):
    file = write(FLOWS)

    assert [(each.full_name, each.entrypoint) for each in deployments_in(file)] == [
        ("pack/pack", f"{file}:pack"),
        ("send off/send off", f"{file}:ship"),
        ("express/express", f"{file}:express"),
    ]


def test_of_a_file_with_deployments_these_are_meant(write):
    assert names(write(MADE)) == ["pack/nightly", "pack/hourly"]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("nightly", ["pack/nightly"]),
        ("pack/hourly", ["pack/hourly"]),
        ("also_nightly", ["pack/nightly"]),
        ("pack", ["pack/nightly", "pack/hourly"]),
        ("ship", ["send off/send off", "express/express"]),
        ("send off", ["send off/send off"]),
        ("express", ["express/express"]),
    ],
)
def test_a_name_is_that_of_a_deployment_a_flow_or_a_function(write, name, found):
    file = write(MADE)

    assert names(file, name) == names(f"{file}:{name}") == found


def test_several_names_are_each_looked_up_and_nothing_is_meant_twice(write):
    assert names(write(MADE), "hourly", "express", "pack") == [
        "pack/hourly",
        "express/express",
        "pack/nightly",
    ]


def test_flows_that_are_imported_are_meant_only_by_name(write):
    library = write("@flow\ndef borrowed(): ...\n")
    module = library.rpartition("/")[2].removesuffix(".py")
    file = write(f"from {module} import borrowed\n@flow\ndef own(): ...\n")

    assert names(file) == ["own/own"]
    assert [each.entrypoint for each in deployments_in(file, ["borrowed"])] == [f"{file}:borrowed"]


@pytest.mark.parametrize(
    ("code", "wanted", "error", "says"),
    [
        ("x = 1", [], EntrypointError, "there is no flow in {file}: decorate a function with @flow"),
        (
            MADE,
            ["nigtly"],
            EntrypointError,
            "there is no flow or deployment 'nigtly' in {file}: did you mean nightly?",
        ),
        (
            MADE,
            ["quarterly"],
            EntrypointError,
            "there is no flow or deployment 'quarterly' in {file}: there is ",
        ),
        (
            "@flow\ndef f(): ...\na = f.to_deployment('x')\nb = f.to_deployment('x', cron='@daily')",
            [],
            DeploymentError,
            "2 deployments are called 'f/x': give each a name of its own",
        ),
        (
            "@flow\ndef f(): ...\na = f.to_deployment(timezone='UTC')",
            [],
            EntrypointError,
            "{file}, line 4: importing it raised InvalidSchedule: the zone 'UTC' needs an interval, cron or rrule",
        ),
        ("x = (", [], EntrypointError, "{file}, line 2: '(' was never closed"),
    ],
)
def test_what_cannot_be_listed_is_one_clear_line(write, code, wanted, error, says):
    file = write(code)

    with pytest.raises(error) as refusal:
        deployments_in(file, wanted)

    assert str(refusal.value).startswith(says.format(file=file))


def test_a_file_that_is_not_there_is_said_to_be_missing(tmp_path):
    with pytest.raises(EntrypointError, match="there is no file"):
        deployments_in(str(tmp_path / "nowhere.py"))
