"""What a classroom's network and people do to a camera that is shared: cut for 10 s, monitor killed, tab reloaded.

    python -m benchmarks.webrtc_faults [--times 20] [--seed 0]

A headless Chromium publishes a student's camera to `classroom live`; each fault happens so many times, in random order,
at a random moment. After each, a new label of the same student must come, and every row that was stored before must be
there as it was. The network is a namespace of its own in which all packets are dropped: Linux with `unshare`, `ip` and
`tc`. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from playwright.sync_api import Page, sync_playwright

from benchmarks.gallery import RECORDING
from benchmarks.webrtc import _CAMERA, _free_port
from benchmarks.webrtc_film import _as_camera
from benchmarks.webrtc_soak import ONE_STUDENT
from monitor.store.reader import StoreReader
from tests.chromium import find_chromium

FAULTS = ("cut", "kill", "reload")
CUT_S = 10.0
RECOVERS_WITHIN_S = 120.0
SETTLED_S = 3.0
"""Between two faults: that many labels at least, so that each finds a running class."""
_INSIDE = "CLASSROOM_FAULTS_INSIDE"
_NETWORK = (
    "ip link set lo up",
    "ip link add v0 type veth peer v1",
    "ip address add 10.9.9.1/24 dev v0",  # browsers offer no loopback address
    "ip link set v0 up",
    "ip link set v1 up",
)
_CUT = "tc qdisc add dev lo root tbf rate 8bit burst 1 latency 1ms"
_MEND = "tc qdisc del dev lo root"

Row = tuple[str, int, float, str | None, str, str, tuple[int, int, int, int]]
"""Student, index, media time, label, presence, when it was stored, and where."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--recording", type=Path, default=RECORDING)
    arguments = parser.parse_args()
    if _INSIDE not in os.environ:
        sys.exit(_in_a_network_of_its_own())
    for command in _NETWORK:
        subprocess.run(command.split(), check=True)
    faults = [*FAULTS] * arguments.times
    random.Random(arguments.seed).shuffle(faults)
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(Faults(Path(folder), arguments.recording).run(faults, random.Random(arguments.seed))))


def _in_a_network_of_its_own() -> int:
    missing = [name for name in ("unshare", "ip", "tc") if shutil.which(name) is None]
    if missing:
        raise SystemExit(f"benchmarks.webrtc_faults: expected {', '.join(missing)} on this machine (Linux, iproute2)")
    command = ["unshare", "--map-root-user", "--net", sys.executable, "-m", "benchmarks.webrtc_faults", *sys.argv[1:]]
    return subprocess.run(command, env=os.environ | {_INSIDE: "1"}, check=False).returncode


class Faults:
    """One lecture that is disturbed.

    Args:
        folder: for the film and the store.
        recording: of which one tile is the camera's picture.
    """

    def __init__(self, folder: Path, recording: Path) -> None:
        self._store = folder / "live.db"
        self._film = folder / "camera.mjpeg"
        self._port = _free_port()
        self._monitor: subprocess.Popen[bytes] | None = None
        self._page: Page | None = None
        self._wrong: list[str] = []
        self._recovered_s: dict[str, list[float]] = {fault: [] for fault in FAULTS}
        write_camera(recording, self._film)

    def run(self, faults: list[str], random_: random.Random) -> dict[str, Any]:
        """Do all of it, and say what was found."""
        try:
            self._start_monitor()
            with self._sharing() as page:
                before = self._wait_for_news([], "start")
                for number, fault in enumerate(faults):
                    time.sleep(SETTLED_S + random_.random())
                    before = self._wait_for_news(self._rows(), fault)
                    getattr(self, f"_{fault}")(page)
                    began_s = time.monotonic()
                    after = self._wait_for_news(self._rows(), fault)
                    self._recovered_s[fault].append(time.monotonic() - began_s)
                    self._compare(before, after, f"{fault}, fault {number + 1}")
                    print(f"{number + 1} of {len(faults)}: {fault}, {len(after)} rows", file=sys.stderr, flush=True)
        finally:
            self._kill_monitor()
        return self._figures(self._rows())

    def _cut(self, page: Page) -> None:
        subprocess.run(_CUT.split(), check=True)
        try:
            time.sleep(CUT_S)
        finally:
            subprocess.run(_MEND.split(), check=True)

    def _kill(self, page: Page) -> None:
        self._kill_monitor()
        self._start_monitor()

    def _reload(self, page: Page) -> None:
        page.reload()

    def _start_monitor(self) -> None:
        listen = f"127.0.0.1:{self._port}"
        command = [sys.executable, "-m", "classroom", "live", "--source", "webrtc", "--listen", listen]
        command += ["--store", str(self._store), "--no-dashboard"]
        log = self._store.with_name("monitor.log").open("ab")
        with log:
            self._monitor = subprocess.Popen(command, stdout=log, stderr=log)

    def _kill_monitor(self) -> None:
        if self._monitor is not None:
            self._monitor.kill()
            self._monitor.wait()

    @contextmanager
    def _sharing(self) -> Iterator[Page]:
        with sync_playwright() as playwright:
            film = f"--use-file-for-fake-video-capture={self._film}"
            path = find_chromium(playwright)
            browser = playwright.chromium.launch(executable_path=path, args=[*_CAMERA, film])
            page = browser.new_context(permissions=["camera"]).new_page()
            _goto(page, f"http://127.0.0.1:{self._port}")
            page.get_by_role("button", name="A camera").click()
            self._page = page
            yield page
            browser.close()

    def _rows(self) -> list[Row]:
        if not self._store.exists():
            return []
        with StoreReader(self._store) as reader:
            lectures = reader.lectures()
            if len(lectures) > 1:
                self._wrong.append(f"{len(lectures)} lectures")
            seen = [row for one in reversed(lectures) for row in reader.observations(one.lecture_id)]
        return [
            (
                *(row.student_id, row.index, row.pts_s, row.label, row.presence.value),
                *(row.committed_at.isoformat(), row.box.as_tuple()),
            )
            for row in seen
        ]

    def _wait_for_news(self, before: list[Row], fault: str) -> list[Row]:
        """The rows, once there are labels that were not there before."""
        until_s = time.monotonic() + RECOVERS_WITHIN_S
        newest = max((row[1] for row in before), default=-1)
        while time.monotonic() < until_s:
            rows = self._rows()
            if any(row[1] > newest and row[3] is not None for row in rows):
                return rows
            time.sleep(0.25)
        log = self._store.with_name("monitor.log").read_text(errors="replace")
        shown = self._page.locator("body").inner_text() if self._page else ""
        raise SystemExit(
            f"no label within {RECOVERS_WITHIN_S:g} s after {fault}; the tab shows:\n{shown}\nThe monitor said:\n"
            f"{log[-2000:]}"
        )

    def _compare(self, before: list[Row], after: list[Row], when: str) -> None:
        if after[: len(before)] != before:
            self._wrong.append(f"{when}: rows that were stored are gone or changed")
        if len({row[:2] for row in after}) != len(after):
            self._wrong.append(f"{when}: a row twice")
        newcomers = {row[0] for row in after} - {row[0] for row in before}
        if newcomers:
            first = next(row for row in after if row[0] in newcomers)
            self._wrong.append(f"{when}: another student, {first} after {before[-1]}")

    def _figures(self, rows: list[Row]) -> dict[str, Any]:
        times = self._recovered_s
        return {
            "faults": {fault: len(found) for fault, found in times.items()},
            "recovered_max_s": {fault: round(max(found, default=0.0), 1) for fault, found in times.items()},
            "students": sorted({row[0] for row in rows}),
            "rows": len(rows),
            "wrong": self._wrong,
            "load": round(os.getloadavg()[0], 1),
        }


def write_camera(recording: Path, film: Path, *, seconds: float = 20.0, fps: int = 15) -> None:
    """One student's tile of a recording at 640 x 360, as the film of a fake camera."""
    with av.open(str(recording)) as source, av.open(str(film), "w", format="mjpeg") as out:
        stream = out.add_stream("mjpeg", rate=fps, options={"qmin": "2", "qmax": "4"})
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuvj420p"
        number = 0
        for frame in source.decode(video=0):
            if float(frame.time or 0.0) < number / fps:
                continue
            if number >= seconds * fps:
                break
            tile = ONE_STUDENT.cut(np.asarray(frame.to_ndarray(format="bgr24"), np.uint8))
            picture = av.VideoFrame.from_ndarray(np.asarray(cv2.resize(tile, (640, 360)), np.uint8), format="bgr24")
            picture.pts, picture.time_base = number, Fraction(1, fps)
            out.mux(stream.encode(_as_camera(picture.reformat(format="yuv420p"))))
            number += 1
        out.mux(stream.encode(None))


def _goto(page: Page, url: str) -> None:
    until_s = time.monotonic() + RECOVERS_WITHIN_S
    while True:
        try:
            page.goto(url)
            return
        except Exception:
            if time.monotonic() > until_s:
                raise
            time.sleep(0.5)


if __name__ == "__main__":
    main()
