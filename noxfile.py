"""What a contributor runs before a change lands: `nox`, or one session of it, `nox -s tests`.

Another interpreter: `nox -s tests --force-python 3.13`. Arguments after `--` go to pytest.
"""

from __future__ import annotations

import nox

nox.options.default_venv_backend = "virtualenv"
nox.options.error_on_external_run = True

PYPROJECT = nox.project.load_toml("pyproject.toml")


def install(session: nox.Session, group: str, *extra: str) -> None:
    """Install a dependency group, and no version that `constraints.txt` does not name."""
    wanted = nox.project.dependency_groups(PYPROJECT, group)
    session.install("--quiet", "--constraint", "constraints.txt", *wanted, *extra)


@nox.session
def lint(session: nox.Session) -> None:
    """Style, layout, async mistakes, a newsfragment with each change of src."""
    install(session, "lint")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("flake8-async", "--enable=ASYNC", "--disable=ASYNC109,ASYNC124", "src")


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
    session.run("lint-imports")


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation, strict, without the network."""
    install(session, "docs", "--editable", ".")
    session.run("mkdocs", "build", "--strict", "--quiet", "--site-dir", session.create_tmp())


@nox.session
def tests(session: nox.Session) -> None:
    """Everything that pytest collects; the last session, so that its summary is what one sees."""
    install(session, "test", "--editable", ".")
    session.run("pytest", *session.posargs)
