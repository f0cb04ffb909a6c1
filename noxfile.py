"""What a contributor runs before a change lands: `nox`, or one session of it, `nox -s tests`.

Another interpreter: `nox -s tests --force-python 3.13`. Arguments after `--` go to pytest.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import nox

nox.options.default_venv_backend = "virtualenv"
nox.options.error_on_external_run = True

PYPROJECT = nox.project.load_toml("pyproject.toml")


def install(session: nox.Session, group: str, *extra: str) -> None:
    """Install a dependency group, and no version that `constraints.txt` does not name."""
    wanted = nox.project.dependency_groups(PYPROJECT, group)
    session.install("--quiet", "--constraint", "constraints.txt", *wanted, *extra)


def changed_files() -> list[str]:
    """List what differs from the branch that this one left; nothing where git cannot tell."""
    if shutil.which("git") is None:
        return []
    command = ["git", "diff", "--name-only", "--merge-base", "origin/main"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    return answer.stdout.splitlines() if answer.returncode == 0 else []


@nox.session
def lint(session: nox.Session) -> None:
    """Style, layout, async mistakes, a newsfragment with each change of src."""
    install(session, "lint")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("flake8-async", "--enable=ASYNC", "--disable=ASYNC109,ASYNC124", "src")
    session.run("towncrier", "build", "--draft", "--version", "next", silent=True)
    folders = {Path(path).parts[0] for path in changed_files()}
    if "src" in folders and "newsfragments" not in folders:
        session.error("src/ changed, and newsfragments/ does not tell users (see CONTRIBUTING.md)")


@nox.session
def types(session: nox.Session) -> None:
    """Mypy and pyright, both strict, on src."""
    install(session, "types", "--editable", ".")
    session.run("mypy")
    session.run("pyright")


@nox.session
def imports(session: nox.Session) -> None:
    """The layers of the design: who may import whom."""
    install(session, "imports", "--editable", ".")
    session.run("lint-imports", "--no-logo")


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation, strict, without the network."""
    install(session, "docs", "--editable", ".")
    quiet = {"NO_MKDOCS_2_WARNING": "1"}
    session.run("mkdocs", "build", "--strict", "--quiet", "--site-dir", session.create_tmp(), env=quiet)


@nox.session
def tests(session: nox.Session) -> None:
    """Everything that pytest collects; the last session, so that its summary is what one sees."""
    install(session, "test", "--editable", ".")
    session.run("pytest", *session.posargs)
