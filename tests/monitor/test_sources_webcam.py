"""A camera that can be unplugged: a real recording read by the real cv2.VideoCapture, behind a switch."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import cv2
import pytest

from monitor.errors import BusyError, SourceError
from monitor.schema import Image
from monitor.sources import webcam
from monitor.sources.source import SourceCounts, open_source
from monitor.sources.webcam import Webcam
from tests.recordings import Film, steady, write_recording

CAMERA_FPS = 50.0


class Socket:
    """Where a camera is plugged in, or not; counts how often it was opened and given back."""

    def __init__(self, film: Path) -> None:
        self.film = film
        self.plugged = True
        self.held_elsewhere = False
        self.opened = 0
        self.released = 0

    def open(self, device: str) -> PluggedCamera:
        if not self.plugged:
            raise SourceError(f"camera {device}: no such camera")
        self.opened += 1
        return PluggedCamera(self)


class PluggedCamera:
    """Gives the film's pictures at a camera's pace, over and over, while it is plugged in."""

    def __init__(self, socket: Socket) -> None:
        self._socket = socket
        self._film = cv2.VideoCapture(str(socket.film))
        self._due = time.monotonic()

    def grab(self) -> bool:
        if not self._socket.plugged or self._socket.held_elsewhere:
            return False
        self._due = max(self._due + 1 / CAMERA_FPS, time.monotonic() - 0.1)
        time.sleep(max(0.0, self._due - time.monotonic()))
        if not self._film.grab():
            self._film.set(cv2.CAP_PROP_POS_FRAMES, 0)
            return bool(self._film.grab())
        return True

    def retrieve(self) -> tuple[bool, Image | None]:
        found, image = self._film.retrieve()
        return bool(found), image

    def release(self) -> None:
        self._film.release()
        self._socket.released += 1


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_recording(tmp_path_factory.mktemp("camera") / "room.mp4", Film(steady(40), key_every=10))


@pytest.fixture
def socket(film: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Socket]:
    monkeypatch.setattr(webcam, "_FIRST_WAIT_S", 0.05)
    monkeypatch.setattr(webcam, "_FAILURE_PAUSE_S", 0.005)
    before = threading.active_count()
    plugged = Socket(film)
    yield plugged
    assert threading.active_count() == before
    assert plugged.opened == plugged.released


def test_one_fresh_picture_comes_per_period(socket: Socket) -> None:
    with Webcam("0", rate=10, open_capture=socket.open) as source:
        assert source.live and source.uri == "webcam:0" and source.duration_s is None
        time.sleep(0.35)  # a model loads meanwhile; no picture of then may come
        asked = time.monotonic_ns()
        indices = []
        for frame in source.frames():
            assert frame.monotonic_ns >= asked - int(0.05e9)
            assert frame.image_bgr.shape == (96, 160, 3)
            assert frame.index == int(frame.pts_s * 10)
            assert frame.captured_at is not None and source.started_at is not None
            since_s = (frame.captured_at - source.started_at).total_seconds()
            assert abs(since_s - frame.pts_s) < 0.1
            assert abs((datetime.now(UTC) - frame.captured_at).total_seconds()) < 0.5
            indices.append(frame.index)
            if len(indices) == 8:
                break
    assert indices == sorted(set(indices))
    assert indices[0] >= 3
    assert source.faults == []


def test_a_sample_that_waits_is_kept_fresh(socket: Socket) -> None:
    with Webcam("0", rate=1, open_capture=socket.open) as source:
        frames = source.frames()
        first = next(frames)
        time.sleep(1.75 - (time.monotonic_ns() - first.monotonic_ns) / 1e9 - first.pts_s)
        second = next(frames)
        assert second.index == 1
        age_s = (time.monotonic_ns() - second.monotonic_ns) / 1e9
        assert age_s < 0.4  # some camera pictures old, not since the second began
        assert source.counts == SourceCounts(captured=2, dropped=0, delivered=2)


def test_the_samples_a_slow_taker_misses_are_counted(socket: Socket) -> None:
    with Webcam("0", rate=10, open_capture=socket.open) as source:
        frames = source.frames()
        first = next(frames)
        time.sleep(0.65)
        second = next(frames)
        assert second.index - first.index >= 5
        counts = source.counts
        assert counts.delivered == 2
        assert counts.dropped >= 4
        assert counts.captured - counts.dropped - counts.delivered in (0, 1)


def test_an_unplugged_camera_is_waited_for_and_told(socket: Socket) -> None:
    with Webcam("0", rate=20, open_capture=socket.open) as source:
        frames = source.frames()
        before = next(frames)
        socket.plugged = False
        plugging = threading.Timer(0.5, lambda: setattr(socket, "plugged", True))
        plugging.start()
        while not source.faults:
            time.sleep(0.01)
        assert source.faults[0].endswith("not back yet")
        after = next(frame for frame in frames if frame.pts_s > before.pts_s + 0.5)
        (fault,) = source.faults
        assert fault.startswith("camera 0 lost at ") and ", back at " in fault
        assert after.index > before.index  # the clock went on
    plugging.join()
    assert socket.opened == 2


def test_a_camera_that_stays_away_can_be_closed(socket: Socket) -> None:
    source = Webcam("0", rate=20, open_capture=socket.open)
    frames = source.frames()
    next(frames)
    socket.plugged = False
    closer = threading.Timer(0.3, source.close)
    closer.start()
    begun = time.monotonic()
    for _ in frames:
        pass
    closer.join()
    assert time.monotonic() - begun < 3.0


def test_a_camera_that_gives_no_picture_is_busy(socket: Socket) -> None:
    socket.held_elsewhere = True
    with pytest.raises(BusyError, match=r"camera 0: .* another program holds .* Close that program") as caught:
        Webcam("0", open_capture=socket.open)
    assert caught.value.exit_code == 5


def test_leaving_by_an_error_gives_the_camera_back(socket: Socket) -> None:
    with (
        pytest.raises(RuntimeError, match="a stage failed"),
        Webcam("0", rate=20, open_capture=socket.open) as source,
    ):
        for _ in source.frames():
            raise RuntimeError("a stage failed")


def test_a_driver_that_raises_is_heard_of(socket: Socket, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: PluggedCamera) -> tuple[bool, Image | None]:
        raise cv2.error("the driver failed")

    monkeypatch.setattr(PluggedCamera, "retrieve", broken)
    with Webcam("0", rate=20, open_capture=socket.open) as source, pytest.raises(cv2.error, match="driver failed"):
        next(source.frames())


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="devices are files on Linux")
def test_devices_that_are_no_camera_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no such camera\. Expected /dev/video97, found .* --source demo"):
        open_source("webcam:97")
    with pytest.raises(SourceError, match="no camera of that name"):
        open_source("webcam:no such name")
    plain = tmp_path / "video0"
    plain.touch()
    with pytest.raises(SourceError, match="is not a camera"):
        open_source(f"webcam:{plain}")
    with pytest.raises(BusyError, match="another program"):
        open_source("webcam:/dev/null")  # a device that opens and is no free camera
