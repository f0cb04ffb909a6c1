"""The example audits a small environment: it finds what was altered, and reads again only what was touched."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest
import trio
from attrs import evolve, frozen

from tests.architecture.sources import ROOT
from trioflow.deployments.describe import described
from trioflow.engine.entrypoints import load_flow
from trioflow.settings import current_settings, use_settings
from trioflow.spoken import spoken_schedule


def hashed(content: str) -> str:
    digest = hashlib.sha256(content.encode()).digest()
    return "sha256=" + base64.urlsafe_b64encode(digest).decode().rstrip("=")


def install(site: Path, name: str, files: dict[str, str], *, without_hash: tuple[str, ...] = ()) -> None:
    """Put a distribution into the directory, as pip does."""
    info = f"{name}-1.0.dist-info"
    files = {**files, f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"}
    rows = [
        f"{path},{'' if path in without_hash else hashed(text)},{len(text)}" for path, text in files.items()
    ]
    rows += [f"{info}/RECORD,,", f"{name}/__pycache__/there_is_none.pyc,,"]
    for path, text in {**files, f"{info}/RECORD": "\n".join(rows)}.items():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_text(text)


@frozen
class Audited:
    """What the flow returned, and the report for programs, by distribution."""

    summary: dict[str, Any]
    found: dict[str, dict[str, Any]]


@pytest.fixture
def site(tmp_path):
    site = tmp_path / "site"
    install(site, "apple", {"apple/__init__.py": "red = True\n", "apple/core.py": "seeds = 5\n"})
    install(site, "pear", {"pear.py": "green = True\n", "pear.txt": ""}, without_hash=("pear.txt",))
    return site


@pytest.fixture
def audit(site, tmp_path):
    """Runs the flow on the small environment, each time in the same home."""
    flow = load_flow(f"{ROOT / 'examples/audit_environment.py'}:audit_environment")
    report = tmp_path / "report"

    def audit() -> Audited:
        with use_settings(evolve(current_settings(), home=tmp_path / "home")):
            summary = trio.run(flow, str(site), str(report))
        audits = json.loads((report / "report.json").read_text())["audits"]
        return Audited(summary, {audit["name"]: audit for audit in audits})

    return audit


def test_an_untouched_environment_has_no_findings_and_a_report(audit, tmp_path):
    audited = audit()

    assert audited.summary == {
        "distributions": 2,
        "answered_from_cache": 0,
        "files": 8,
        "bytes": sum(path.stat().st_size for path in (tmp_path / "site").rglob("*") if path.is_file()),
        "missing": 0,
        "altered": 0,
        "unreadable": 0,
        "report": f"{tmp_path}/report/index.html",
    }
    assert audited.found["pear"]["unhashed"] == ["pear.txt"]
    page = (tmp_path / "report/index.html").read_text()
    assert '"name": "apple"' in page
    assert "{audit}" not in page


def test_an_untouched_distribution_is_answered_from_the_cache_for_an_hour(audit):
    first, second = audit(), audit()

    assert second.summary == {**first.summary, "answered_from_cache": 2}
    assert second.found == first.found


def test_an_altered_file_is_found_even_if_it_looks_as_old_and_as_long_as_before(audit, site):
    audit()
    file = site / "apple/core.py"
    before = file.stat()
    file.write_text("seeds = 6\n")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))

    audited = audit()

    assert (audited.summary["altered"], audited.summary["answered_from_cache"]) == (1, 1)
    assert audited.found["apple"]["altered"] == ["apple/core.py"]
    assert audit().found == audited.found


def test_a_missing_file_is_found_and_a_link_is_followed(audit, site):
    (site / "apple/core.py").unlink()
    (site / "pear.py").rename(site / "elsewhere.py")
    (site / "pear.py").symlink_to("elsewhere.py")

    audited = audit()

    assert (audited.summary["missing"], audited.summary["altered"]) == (1, 0)
    assert audited.found["apple"]["missing"] == ["apple/core.py"]


def test_what_cannot_be_compared_is_listed_as_such(audit, site):
    (site / "old.egg-info").write_text("Metadata-Version: 2.1\nName: old\nVersion: 2.0\n")
    left_over = site / "~eft-1.0.dist-info"
    left_over.mkdir()
    (site / "apple/__init__.py").unlink()
    (site / "apple/__init__.py").mkdir()

    audited = audit()

    assert sorted(audited.found) == ["apple", "old", "pear"]
    assert audited.found["old"]["note"] == "nothing to compare with: it brings no RECORD"
    assert audited.found["apple"]["unreadable"] == ["apple/__init__.py"]


def test_a_zip_file_is_listed_and_not_read(audit, tmp_path, site):
    archive = tmp_path / "zipped.zip"
    install(tmp_path / "unzipped", "plum", {"plum.py": ""})
    with zipfile.ZipFile(archive, "w") as zipped:
        for path in sorted((tmp_path / "unzipped").rglob("*")):
            zipped.write(path, path.relative_to(tmp_path / "unzipped"))
    flow = load_flow(f"{ROOT / 'examples/audit_environment.py'}:audit_environment")

    with use_settings(evolve(current_settings(), home=tmp_path / "home")):
        summary = trio.run(flow, str(archive), str(tmp_path / "report"))

    assert (summary["distributions"], summary["files"], summary["missing"]) == (1, 0, 0)


def test_the_announcement_fails_at_its_first_attempt_and_tells_what_was_found_at_its_second(audit, tmp_path):
    audit()
    flow = load_flow(f"{ROOT / 'examples/audit_environment.py'}:announce_audit")

    with use_settings(evolve(current_settings(), home=tmp_path / "home")):
        said = trio.run(flow.with_options(retry_delay_seconds=0), str(tmp_path / "report"))

    assert said.startswith("8 files of 2 distributions, 0 faults, at 20")


def test_the_sync_flow_weighs_what_is_installed(tmp_path, site):
    flow = load_flow(f"{ROOT / 'examples/audit_environment.py'}:measure_disk")

    with use_settings(evolve(current_settings(), home=tmp_path / "home")):
        weighed = flow(str(site), 1)

    assert weighed == {
        "apple": sum(path.stat().st_size for path in site.rglob("apple*/**/*") if path.is_file())
    }


def test_its_deployments_are_what_is_served():
    found = trio.run(described, str(ROOT / "examples/audit_environment.py"), [])

    assert [(each.full_name, spoken_schedule(each.schedules[0].schedule)) for each in found] == [
        ("audit-environment/half-minutely", "every 30 s"),
        ("announce-audit/every-20-s", "every 20 s"),
        ("measure-disk/minutely", "cron * * * * *"),
    ]
