"""kill -9 at any moment: no committed row is lost, no store is corrupt, the next start goes on in the same lecture."""

import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.galleries import name_of, portrait
from trainer.synthetic.gallery_video import Attendee, Event, Recording, Schedule, write_gallery_video

KILLS = 20
RATE = 5


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four drawn students for a minute; one leaves and comes back."""
    path = tmp_path_factory.mktemp("killed") / "class.mp4"
    people = [Attendee(f"p{number}", name_of(number), portrait(number)) for number in range(4)]
    events = [Event(20, "leave", "p2"), Event(40, "join", "p2")]
    write_gallery_video(path, Schedule(people, 60, events), Recording((640, 360), fps=RATE))
    return path


def start(*arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "classroom", *arguments]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def committed(store: Path) -> int:
    """Moments in the store; it must be whole."""
    if not store.exists():
        return 0
    with sqlite3.connect(store) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        has_tables = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'moments'").fetchone()[0]
        return int(connection.execute("SELECT count(*) FROM moments").fetchone()[0]) if has_tables else 0


def kill_when(process: subprocess.Popen[bytes], store: Path, moments: int, patience_s: float) -> None:
    """SIGKILL a little after the store holds so many moments, wherever the program then is."""
    deadline = time.monotonic() + patience_s
    while process.poll() is None and time.monotonic() < deadline and committed(store) < moments:
        time.sleep(0.02)
    time.sleep(random.random() * 0.05)
    process.send_signal(signal.SIGKILL if sys.platform != "win32" else signal.SIGTERM)
    process.wait()


@pytest.mark.timeout(600)
def test_score_survives_twenty_kills_and_gives_the_same_bytes(recording: Path, tmp_path: Path) -> None:
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    arguments = ("score", str(recording), "--rate", str(RATE), "--layout", "gallery", "--quiet")
    assert start(*arguments, "--out", str(straight)).wait() == 0
    store, before = killed / "classroom.db", 0
    for number in range(KILLS):
        process = start(*arguments, "--out", str(killed))
        # Some die while they still load, the others after some more moments.
        kill_when(process, store, before + number % 5 * 3, patience_s=30)
        now = committed(store)
        assert now >= before, "a committed moment is gone"
        before = now
    assert 0 < before < 60 * RATE, "the kills must hit a run that is under way"
    assert start(*arguments, "--out", str(killed)).wait() == 0
    for name in ("labels.parquet", "students.csv", "episodes.csv", "report.html", "lecture.json"):
        assert (killed / name).read_bytes() == (straight / name).read_bytes(), name


@pytest.mark.timeout(600)
def test_live_survives_twenty_kills_in_one_lecture(recording: Path, tmp_path: Path) -> None:
    store, before = tmp_path / "live.db", 0
    for number in range(KILLS):
        process = start(
            "live", "--source", str(recording), "--rate", str(RATE), "--store", str(store), "--no-dashboard"
        )
        kill_when(process, store, before + number % 4 * 2, patience_s=30)
        now = committed(store)
        assert now >= before, "a committed moment is gone"
        before = now
    assert before > 0
    with sqlite3.connect(store) as connection:
        assert connection.execute("SELECT count(*) FROM lectures").fetchone() == (1,)
        doubled = connection.execute("SELECT idx FROM moments GROUP BY lecture_no, idx HAVING count(*) > 1").fetchall()
        assert doubled == []
