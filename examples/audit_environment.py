"""Audit a Python environment: is every installed file still what its distribution promised?

An installed distribution brings a ``RECORD``: a list of its files with their SHA-256. The flow `audit_environment`
reads them all, eight distributions at a time, compares, and writes ``index.html`` and ``report.json`` into
``./audit-report/``:

    trioflow run examples/audit_environment.py:audit_environment

Run it again within the hour: what has not been touched is answered from the cache. Kill it half-way with ``kill -9``
and rerun it by its id (``trioflow flow-run ls`` lists it): what was verified is not verified again.

Two more flows go with it: `announce_audit` fails at its first attempt, on purpose, and is tried again; `measure_disk`
is sync. All three are deployed at the end of this file. This serves them, each run in a process of its own:

    trioflow serve examples/audit_environment.py
"""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any, TypedDict

import trio

from trioflow import NurseryTaskRunner, current_flow_run, flow, get_run_logger, task

FILES_AT_A_TIME = 200
"""How many files one visit to a worker thread reads; between two visits the task can be cancelled."""


class Installed(TypedDict):
    """One distribution, as it is found."""

    name: str
    version: str
    root: str
    fingerprint: str
    """Changes when any file of the distribution does, whatever its owner says about its age."""


class Audit(TypedDict):
    """What was found out about one distribution; files are named as in its RECORD."""

    name: str
    version: str
    root: str
    note: str
    files: int
    bytes: int
    missing: list[str]
    altered: list[str]
    unreadable: list[str]
    unhashed: list[str]
    seconds: float


@flow
async def audit_environment(
    site: str | None = None, report: str = "audit-report", at_most: int = 8
) -> dict[str, Any]:
    """Verify every distribution of this Python, or those in the directory ``site``, and write a report.

    Args:
        site: a directory with installed distributions; by default all that this Python can import.
        report: the directory of the report.
        at_most: how many distributions are verified at a time.
    """
    found = await survey(site)
    side_by_side = verify.with_options(task_runner=NurseryTaskRunner(max_workers=at_most))
    futures = side_by_side.map(found)
    audits = [await future for future in futures]
    states = [await future.wait() for future in futures]
    from_cache = sum(state.name == "Cached" for state in states)
    get_run_logger().info("%d of %d distributions answered from cache", from_cache, len(found))
    return await write_report(audits, site or sys.prefix, report, from_cache)


@task
async def survey(site: str | None) -> list[Installed]:
    """Find the distributions, and take each one's fingerprint."""
    return await trio.to_thread.run_sync(installed, site)


def unchanged(_context: object, parameters: dict[str, Any]) -> str:
    """The cache key of `verify`: equal as long as nobody has touched a file."""
    found: Installed = parameters["found"]
    return f"audit {found['name']} {found['version']} {found['fingerprint']}"


@task(task_run_name="verify {found[name]}", cache_key_fn=unchanged, cache_expiration=timedelta(hours=1))
async def verify(found: Installed) -> Audit:
    """Compare every file of one distribution with its RECORD; the reading is done in worker threads."""
    started = time.perf_counter()
    audit = Audit(
        name=found["name"],
        version=found["version"],
        root=found["root"],
        note="",
        files=0,
        bytes=0,
        missing=[],
        altered=[],
        unreadable=[],
        unhashed=[],
        seconds=0.0,
    )
    record = await trio.to_thread.run_sync(read_record, found)
    audit["note"] = "" if record else "nothing to compare with: it brings no RECORD"
    for start in range(0, len(record), FILES_AT_A_TIME):
        await trio.to_thread.run_sync(compare, audit, record[start : start + FILES_AT_A_TIME])
    audit["seconds"] = round(time.perf_counter() - started, 4)
    return audit


@task
async def write_report(audits: list[Audit], where: str, report: str, from_cache: int) -> dict[str, Any]:
    """Write the audits down, for people and for programs; gives the summary."""
    summary = {
        "distributions": len(audits),
        "answered_from_cache": from_cache,
        "files": sum(audit["files"] for audit in audits),
        "bytes": sum(audit["bytes"] for audit in audits),
        **{kind: sum(len(audit[kind]) for audit in audits) for kind in ("missing", "altered", "unreadable")},
        "report": f"{report}/index.html",
    }
    told = {
        "python": sys.version,
        "where": where,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    text = json.dumps({**told, "summary": summary, "audits": audits}, indent=1)
    page = await trio.Path(__file__).with_name("audit_report.html").read_text(encoding="utf-8")
    folder = trio.Path(report)
    await folder.mkdir(parents=True, exist_ok=True)
    await (folder / "report.json").write_text(text, encoding="utf-8")
    await (folder / "index.html").write_text(page.replace("{audit}", text.replace("<", r"\u003c")), "utf-8")
    return summary


# --- reading the environment: plain functions, called in worker threads


def installed(site: str | None) -> list[Installed]:
    """Every distribution once, by name; one without a name is what pip left behind, and is passed by."""
    seen: dict[tuple[str, str, str], Installed] = {}
    for distribution in distributions(path=[site] if site else sys.path):
        metadata = distribution.metadata or {}
        name, version = metadata.get("Name"), metadata.get("Version")
        root = str(Path(str(distribution.locate_file(""))).resolve())  # lib64 may be a link to lib
        if name and version and (name.lower(), version, root) not in seen:
            seen[name.lower(), version, root] = Installed(
                name=name, version=version, root=root, fingerprint=fingerprint(distribution, Path(root))
            )
    return [seen[key] for key in sorted(seen)]


def fingerprint(distribution: Distribution, root: Path) -> str:
    """A digest of the RECORD and of each file's size and times; the time of its change cannot be set back."""
    record = distribution.read_text("RECORD") or ""
    digest = hashlib.sha256(f"{root}\n{record}".encode())
    for path, _ in rows(record):
        try:
            stat = (root / path).stat()
        except OSError as error:
            digest.update(f"{path} {type(error).__name__}\n".encode())
        else:
            digest.update(f"{path} {stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns}\n".encode())
    return digest.hexdigest()


def read_record(found: Installed) -> list[tuple[str, str]]:
    """What the distribution promises; nothing when it brings no RECORD, or lives in a zip file."""
    for distribution in distributions(name=found["name"], path=[found["root"]]):
        if distribution.version == found["version"] and Path(found["root"]).is_dir():
            return list(rows(distribution.read_text("RECORD") or ""))
    return []


def rows(record: str) -> Iterator[tuple[str, str]]:
    """Each file with its hash, byte code aside: that is written anew as Python likes."""
    for path, *rest in filter(None, csv.reader(record.splitlines())):
        if not path.endswith(".pyc"):
            yield path, rest[0] if rest else ""


def compare(audit: Audit, promised: list[tuple[str, str]]) -> None:
    """Hold files against their hashes, and add what is found to the audit."""
    for path, hash_ in promised:
        file = Path(audit["root"], path)
        try:
            audit["bytes"] += file.stat().st_size
            audit["files"] += 1
            same = keeps(file, hash_)
        except (FileNotFoundError, NotADirectoryError):
            audit["missing"].append(path)
        except OSError:
            audit["unreadable"].append(path)
        else:
            match same:
                case False:
                    audit["altered"].append(path)
                case None if not path.endswith(".dist-info/RECORD"):  # which cannot hold its own hash
                    audit["unhashed"].append(path)


def keeps(file: Path, hash_: str) -> bool | None:
    """Whether the file has this hash; None when there is none to compare with."""
    algorithm, _, promised = hash_.partition("=")
    if algorithm not in {"sha256", "sha384", "sha512"}:
        return None
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, algorithm).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=") == promised.rstrip("=")


# --- a flow that is tried again


@flow(retries=2, retry_delay_seconds=1, log_prints=True)
async def announce_audit(report: str = "audit-report") -> str:
    """Tell what the newest audit found, on a line that is always engaged at the first call."""
    said = await trio.to_thread.run_sync(newest_summary, report)
    run = current_flow_run()
    if run is not None and run.attempt == 1:
        raise ConnectionError("the line is engaged; this happens at every first attempt, on purpose")
    print(said)
    return said


def newest_summary(report: str) -> str:
    """One sentence about the report."""
    path = Path(report, "report.json")
    if not path.exists():
        return "nothing has been audited yet"
    told = json.loads(path.read_text(encoding="utf-8"))
    summary = told["summary"]
    faults = summary["missing"] + summary["altered"] + summary["unreadable"]
    return f"{summary['files']} files of {summary['distributions']} distributions, {faults} faults, at {told['at']}"


# --- a sync flow: plain functions, in a worker thread of its process


@flow
def measure_disk(site: str | None = None, top: int = 5) -> dict[str, int]:
    """Weigh the largest distributions of this Python, in bytes."""
    weighed = {found["name"]: weigh(found) for found in heaviest_candidates(site, top)}
    for name, size in sorted(weighed.items(), key=lambda item: -item[1]):
        get_run_logger().info("%s: %.1f MB", name, size / 1e6)
    return weighed


@task
def heaviest_candidates(site: str | None, top: int) -> list[Installed]:
    """The distributions with the most files."""
    return sorted(installed(site), key=lambda found: -len(read_record(found)))[:top]


@task(task_run_name="weigh {found[name]}")
def weigh(found: Installed) -> int:
    """The bytes of all files of one distribution."""
    files = (Path(found["root"], path) for path, _ in read_record(found))
    return sum(file.stat().st_size for file in files if file.is_file())


# --- when they are due, wherever this file is served

audited = audit_environment.to_deployment("half-minutely", interval=30, overlap="skip")
announced = announce_audit.to_deployment("every-20-s", interval=20)
measured = measure_disk.to_deployment("minutely", cron="* * * * *")
