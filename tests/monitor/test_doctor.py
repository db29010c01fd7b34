"""Each check sees the trouble it is for, made for real where this machine allows, and says how to mend it."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import sys
from pathlib import Path

import pytest

from monitor import bundle, doctor
from monitor.doctor import Finding, Status, examine
from monitor.store.database import Store
from monitor.store.migrations import MIGRATIONS, Migration, migrate

NAMES = [
    "python",
    "libraries",
    "opencv",
    "codecs",
    "camera",
    "model",
    "faces",
    "demo",
    "port",
    "disk",
    "store",
    "webrtc",
    "screen",
]


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_everything_is_looked_at_and_whatever_is_wrong_has_a_fix(tmp_path: Path, free_port: int) -> None:
    findings = examine(tmp_path / "class.db", port=free_port, camera="97")
    assert [finding.name for finding in findings] == NAMES
    for finding in findings:
        assert finding.found
        assert bool(finding.fix) == (finding.status is not Status.OK), finding
    by_name = {finding.name: finding for finding in findings}
    for name in ("python", "libraries", "opencv", "codecs", "port", "disk", "store"):
        assert by_name[name].status is Status.OK, by_name[name]
    assert not (tmp_path / "class.db").exists()  # looking changes nothing


def test_a_port_in_use_is_told_with_another(free_port: int) -> None:
    assert doctor.check_port(free_port).status is Status.OK
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", free_port))
        taken.listen()
        finding = doctor.check_port(free_port)
    assert finding.status is Status.WARN
    assert f"{free_port} is taken" in finding.found and f"--port {free_port + 1}" in finding.fix


def test_opencv_packages_of_unequal_versions_are_a_failure() -> None:
    finding = doctor.check_opencv({"opencv-python": "5.0.0.93", "opencv-python-headless": "4.11.0.86"})
    assert finding.status is Status.FAIL
    assert finding.fix.endswith("opencv-python==5.0.0.93 opencv-python-headless==5.0.0.93")
    assert doctor.check_opencv({"opencv-python": "5.0.0.9", "opencv-python-headless": "5.0.0.9"}).status is Status.OK
    assert doctor.check_opencv({}).status is Status.FAIL


@pytest.mark.parametrize(("free_mib", "status"), [(100, Status.FAIL), (1000, Status.WARN), (100_000, Status.OK)])
def test_little_room_on_the_disk(tmp_path: Path, free_mib: int, status: Status) -> None:
    finding = doctor.check_disk(tmp_path / "not" / "made" / "yet.db", free_mib * 2**20)
    assert finding.status is status
    assert str(tmp_path) in finding.found


def test_a_store_is_opened_without_being_changed(tmp_path: Path) -> None:
    path = tmp_path / "class.db"
    Store.open(path).close()
    before = path.read_bytes()
    finding = doctor.check_store(path)
    assert finding.status is Status.OK and "version" in finding.found
    assert path.read_bytes() == before


def test_a_store_of_a_newer_version_is_a_failure(tmp_path: Path) -> None:
    path = tmp_path / "class.db"
    Store.open(path).close()
    connection = sqlite3.connect(path, isolation_level=None)
    migrate(connection, path, (*MIGRATIONS, Migration("of next year", ("CREATE TABLE later (x)",))))
    connection.close()
    finding = store_finding(path)
    assert finding.status is Status.FAIL
    assert f"version {len(MIGRATIONS) + 1}" in finding.found and "--upgrade" in finding.fix


def test_what_is_no_store_is_a_failure(tmp_path: Path) -> None:
    path = tmp_path / "class.db"
    path.write_text("not a database, but long enough to be taken for one " * 40, encoding="utf-8")
    assert store_finding(path).status is Status.FAIL
    assert store_finding(tmp_path).status is Status.FAIL


@pytest.mark.skipif(sys.platform == "win32" or not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may all")
def test_a_folder_one_may_not_write_is_a_failure(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    finding = doctor.check_store(tmp_path / "class.db")
    tmp_path.chmod(0o700)
    assert finding.status is Status.FAIL and "--store" in finding.fix


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="devices are files on Linux")
def test_no_camera_is_a_warning_with_a_way_on() -> None:
    finding = doctor.check_camera("97")
    assert finding.status is Status.WARN
    assert "Recordings and the demo work without" in finding.found and "--source demo" in finding.fix
    assert "another program holds" in doctor.check_camera("/dev/null").found


def test_a_model_that_is_not_there_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "_SHIPPED", tmp_path)
    finding = doctor.check_model()
    assert finding.status is Status.FAIL and finding.fix


def test_a_check_that_breaks_is_a_finding_and_stops_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Finding:
        raise RuntimeError("a driver fell over")

    monkeypatch.setattr(doctor, "check_codecs", broken)
    findings = {finding.name: finding for finding in examine(tmp_path / "class.db", camera="97")}
    assert findings["codecs"].status is Status.FAIL
    assert "a driver fell over" in findings["codecs"].found
    assert findings["store"].status is Status.OK


def test_findings_are_printed_for_people_and_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    findings = [
        Finding("disk", Status.OK, "72 GiB free"),
        Finding("port", Status.WARN, "8501 is taken " + "by something " * 12, "choose --port 8502"),
    ]
    doctor.print_findings(findings)
    text = capsys.readouterr().out
    assert text.startswith("ok   disk  72 GiB free\nWARN port  8501 is taken")
    assert "Fix: choose --port 8502" in text
    assert max(map(len, text.splitlines())) <= 120
    doctor.print_findings(findings, as_json=True)
    assert json.loads(capsys.readouterr().out)["findings"][1] == {
        "name": "port", "status": "warn", "found": findings[1].found, "fix": "choose --port 8502",
    }  # fmt: skip


def store_finding(path: Path) -> Finding:
    return next(finding for finding in examine(path, camera="97") if finding.name == "store")
