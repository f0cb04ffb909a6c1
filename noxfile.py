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

ASYNC_OFF = (
    "ASYNC109",  # `timeout=` belongs to the call that reports the timeout, as pyproject.toml says for ruff
    "ASYNC114",  # it wants every startable function by name, and ours are called `run` as others are
    "ASYNC122",  # since Trio 0.27, older than any that we allow, a scope's seconds count from where it is entered
    "ASYNC124",  # what a protocol awaits is async, also where it has nothing to wait for
    "ASYNC910",  # an early `return` may do without; a checkpoint in every layer of a call would only cost
    "ASYNC911",  # as ASYNC910
)
STARTABLE = ("open_link", "serve_link", "serve_store")
ASYNC_EXEMPT = {
    # Whose start is told by what they pass it on to.
    "src/trioflow/serving/home.py": "ASYNC128",
    "src/trioflow/testing/simulation/forecast.py": "ASYNC128",
    "src/trioflow/testing/simulation/modelled.py": "ASYNC128",
    # Shielded, with a deadline, by what is awaited.
    "src/trioflow/engine/served.py": "ASYNC102",
    # Outside of the loop that they run, or in a thread of it: what ended it is kept, and told.
    "src/trioflow/testing/simulation/baton.py": "ASYNC103",
    "src/trioflow/testing/simulation/machine.py": "ASYNC104",
    "src/trioflow/testing/simulation/simulate.py": "ASYNC104",
    # In a thread, or about one: no cancellation comes this way that a scope waits for.
    "src/trioflow/engine/blocking.py": "ASYNC103,ASYNC104",  # asks whether this thread is Trio's; does no more
    "src/trioflow/store/batch.py": "ASYNC103,ASYNC104",  # the error is handed to whoever asked, and raised there
    "src/trioflow/store/writer.py": "ASYNC103,ASYNC104",  # the same; and a thread's last words
    # A rule is a plain function, asked outside of any loop: whatever it raised is told.
    "src/trioflow/testing/checking/watching.py": "ASYNC104",
    # What a scenario raised is kept and looked at; around its `trio.run` there is nothing to cancel.
    "src/trioflow/testing/everywhere/served.py": "ASYNC103,ASYNC104",
    "src/trioflow/testing/everywhere/staging.py": "ASYNC104",
    "src/trioflow/testing/everywhere/trial.py": "ASYNC103",
    # Shielded, with a deadline, by what is awaited: `last_words`, `taken_down`, `process.end`.
    "src/trioflow/engine/flow_runs.py": "ASYNC102",
    "src/trioflow/engine/flows.py": "ASYNC128",  # `aserve` hands its task status on
    "src/trioflow/engine/making.py": "ASYNC120",
    "src/trioflow/engine/sessions.py": "ASYNC102",
    "src/trioflow/engine/subflows.py": "ASYNC102",
    "src/trioflow/engine/task_runs.py": "ASYNC102,ASYNC120",  # a cancellation outweighs a run that is not found
    "src/trioflow/infrastructure/process.py": "ASYNC102,ASYNC912",  # closing what is closed is over at once
    "src/trioflow/runner/conclude.py": "ASYNC913",  # every way through the loop awaits
    "src/trioflow/runner/hooks.py": "ASYNC121",  # what is returned ends the nursery: its process is gone
    "src/trioflow/runner/supervise.py": "ASYNC128",  # its task statuses are handed on
    "src/trioflow/runner/opened.py": "ASYNC102",  # `leave_at_once`, `_last_words`
    # To be cancelled as what they wrap is.
    "src/trioflow/engine/edges.py": "ASYNC102",  # Trio's own nursery, entered and left by hand
    "src/trioflow/runner/runner.py": "ASYNC102",  # an open runner, entered and left by hand
    "src/trioflow/task_runners/turns.py": "ASYNC102",  # a call that is cancelled needs no turn
    # Every way through the loop awaits; the `match` in it hides that.
    "src/trioflow/engine/drive.py": "ASYNC913",
}
"""What flake8-async cannot see in a file, and why it is right there."""


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
    check_async(session)
    session.run("towncrier", "build", "--draft", "--version", "next", silent=True)
    folders = {Path(path).parts[0] for path in changed_files()}
    if "src" in folders and "newsfragments" not in folders:
        session.error("src/ changed, and newsfragments/ does not tell users (see CONTRIBUTING.md)")


def check_async(session: nox.Session) -> None:
    """Flake8-async, on each file by name: it takes no folders, and no settings for single files."""
    files = sorted(path.as_posix() for path in Path("src").rglob("*.py"))
    groups = [[file for file in files if file not in ASYNC_EXEMPT], *([file] for file in ASYNC_EXEMPT)]
    for group in groups:
        off = ",".join((*ASYNC_OFF, ASYNC_EXEMPT.get(group[0], ""))).rstrip(",")
        startable = f"--startable-in-context-manager={','.join(STARTABLE)}"
        session.run("flake8-async", "--enable=ASYNC", f"--disable={off}", startable, *group, silent=True)


@nox.session
def types(session: nox.Session) -> None:
    """Mypy and pyright, both strict: src, and what they infer of calls (tests/typing)."""
    install(session, "types", "--editable", ".")
    session.run("mypy", "src", "tests/typing")
    session.run("pyright")
    session.run("pyright", "tests/typing")


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


@nox.session(default=False)
def mutation(session: nox.Session) -> None:
    """How many small faults of the core the tests notice; after `--`: files, and `--write` to renew the table."""
    install(session, "test", "--editable", ".")
    session.run("python", "tests/mutation/measure.py", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Everything that pytest collects; the last session, so that its summary is what one sees."""
    install(session, "test", "--editable", ".")
    session.run("pytest", *session.posargs)
