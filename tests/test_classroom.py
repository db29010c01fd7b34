"""The front door as a person uses it: a real process, its exit code, what it prints."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest

from monitor.errors import StoreError
from monitor.store.reader import StoreReader
from tests.galleries import person_picture


def classroom(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "classroom", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, encoding="utf-8", env={**os.environ, **environment}, check=False
    )


def test_help_names_every_command() -> None:
    done = classroom("--help")
    assert done.returncode == 0
    for command in ("live", "score", "label", "dashboard", "doctor", "train", "synthesize", "export", "models"):
        assert command in done.stdout


def test_the_door_opens_no_room() -> None:
    code = (
        "import sys, classroom\n"
        "opened = {'commands', 'monitor', 'trainer', 'export', 'dashboard', 'numpy'} & set(sys.modules)\n"
        "sys.exit(opened != {'commands'} and str(opened))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_help_and_live_load_no_training_library() -> None:
    code = (
        "import sys, classroom, monitor.live, monitor.score, dashboard.process\n"
        "heavy = {'torch', 'transformers', 'streamlit', 'pandas'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_picture_of_one_student_gives_one_answer(tmp_path: Path) -> None:
    picture = tmp_path / "student.png"
    cv2.imwrite(str(picture), person_picture(3))
    done = classroom("label", picture, "--whole")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert list(answer) == ["image", "student", "box", "label", "confidence", "probabilities", "model_id"]
    assert 0 <= answer["box"][0] < answer["box"][2] <= 640
    assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-3)
    assert answer["label"] in (*answer["probabilities"], "unsure")


def test_a_picture_that_cannot_be_read_does_not_stop_the_others(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.png", tmp_path / "bad.png"
    cv2.imwrite(str(good), person_picture(3))
    bad.write_text("not a picture")
    done = classroom("label", bad, good, "--whole")
    assert done.returncode == 2
    assert "bad.png" in done.stderr
    assert json.loads(done.stdout)["image"] == str(good)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("score", "missing.mp4", "--out", "{out}"), 2, "missing.mp4"),
        (("live", "--source", "missing.mp4", "--store", "{out}/live.db", "--no-dashboard"), 2, "missing.mp4"),
        (("score", "missing.mp4", "--out", "{out}", "--rubric", "engagenet"), 2, "--research"),
        (("score", "missing.mp4", "--out", "{out}", "--rubric", "nowhere.toml"), 2, "nowhere.toml"),
        (("score", "missing.mp4", "--out", "{out}", "--rate", "99"), 2, "--rate"),
        (("live", "--source", "demo", "--store", "mysql://host/db", "--no-dashboard"), 4, "mysql"),
        (("score", "missing.mp4", "--out", "{out}", "--bundle", "{out}"), 3, "manifest.json"),
    ],
)
def test_what_a_person_can_mend_is_told_without_a_traceback(
    arguments: tuple[str, ...], code: int, words: str, tmp_path: Path
) -> None:
    done = classroom(*(argument.replace("{out}", str(tmp_path)) for argument in arguments))
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as page:
            return bool(page.status == 200)
    except OSError:
        return False


def moments_in(store: Path) -> int:
    """Moments of the newest lecture; 0 while the store is being made."""
    if not store.exists():
        return 0
    try:
        with StoreReader(store) as reader:
            return reader.lectures()[0].moments if reader.lectures() else 0
    except StoreError:
        return 0


def wait_until(reached: Callable[[], bool], process: subprocess.Popen[str], patience_s: float = 60) -> bool:
    deadline = time.monotonic() + patience_s
    while not reached() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.1)
    return reached()


def test_live_shows_the_demo_and_one_ctrl_c_ends_both(tmp_path: Path) -> None:
    store, port = tmp_path / "live.db", free_port()
    arguments = ["live", "--source", "demo", "--store", str(store), "--port", str(port)]
    process = subprocess.Popen(
        [sys.executable, "-m", "classroom", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    watching = wait_until(lambda: moments_in(store) >= 3, process)
    shown = wait_until(lambda: answers(port), process)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=30)
    assert watching, errors
    assert shown, errors
    assert process.returncode == 0, errors
    assert f"http://127.0.0.1:{port}" in output
    assert "Stopped" in output
    assert not answers(port), "the dashboard outlived the monitor"


def test_the_dashboard_leaves_with_a_killed_monitor(tmp_path: Path) -> None:
    store, port = tmp_path / "live.db", free_port()
    arguments = ["live", "--source", "demo", "--store", str(store), "--port", str(port)]
    process = subprocess.Popen([sys.executable, "-m", "classroom", *arguments], stdout=subprocess.PIPE, text=True)
    assert wait_until(lambda: answers(port), process)
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 10
    while answers(port) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not answers(port)


def test_a_taken_port_names_a_free_one(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = classroom("live", "--source", "demo", "--store", tmp_path / "live.db", "--port", port)
    assert done.returncode == 5
    assert str(port) in done.stderr
    assert "--port" in done.stderr
