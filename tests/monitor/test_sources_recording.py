"""Recordings are sampled by time, whatever encoded them; every frame carries its number, so the truth is known."""

from __future__ import annotations

import random
import threading
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import psutil
import pytest

from monitor.schema import Frame, Image
from monitor.sources.recording import Recording
from monitor.sources.source import open_source
from tests.monitor.real_gallery import RECORDING, needs_recording
from tests.recordings import Film, number_in, steady, write_recording

FOUR_SECONDS = steady(100)
MILLISECONDS = Fraction(1, 1000)
RATES = (0.2, 0.3, 1.0, 2.5, 7.0, 100.0)


def x264(**options: object) -> dict[str, str]:
    return {"x264-params": ":".join(f"{name.replace('_', '-')}={value}" for name, value in options.items())}


def uneven(count: int) -> list[float]:
    steps = random.Random(3).choices([0.01, 0.02, 0.04, 0.1, 0.5], k=count)
    return [round(sum(steps[:i]), 3) for i in range(count)]


FILMS = {
    "h264.mp4": Film(FOUR_SECONDS),
    "h264.mkv": Film(FOUR_SECONDS),
    "h264.ts": Film(FOUR_SECONDS),
    "sound.mov": Film(FOUR_SECONDS, sound="aac"),
    "one_key_frame.mkv": Film(FOUR_SECONDS, key_every=999, options=x264(bframes=8, scenecut=0)),
    "open_groups.mp4": Film(FOUR_SECONDS, options=x264(open_gop=1, bframes=4, b_pyramid="normal", scenecut=0)),
    "key_frames_only.mp4": Film(FOUR_SECONDS, key_every=1),
    "intra_refresh.mp4": Film(FOUR_SECONDS, options=x264(intra_refresh=1)),
    "interlaced.mp4": Film(FOUR_SECONDS, options=x264(interlaced=1)),
    "hevc.mp4": Film(FOUR_SECONDS, codec="libx265", options={"x265-params": "log-level=none"}),
    "hevc_layers.mkv": Film(FOUR_SECONDS, codec="libx265", options={"x265-params": "log-level=none:temporal-layers=3"}),
    "vp8.webm": Film(FOUR_SECONDS, codec="libvpx", tick_s=MILLISECONDS, sound="libopus"),
    "vp9.webm": Film(
        FOUR_SECONDS, codec="libvpx-vp9", tick_s=MILLISECONDS, options={"cpu-used": "5", "lag-in-frames": "16"}
    ),
    "av1.mp4": Film(FOUR_SECONDS, codec="libsvtav1", options={"preset": "10", "crf": "15"}),
    "late_start.mkv": Film(steady(100, start_s=7.32)),
    "uneven.mp4": Film(uneven(90), tick_s=MILLISECONDS),
    "uneven.mkv": Film(uneven(90), tick_s=MILLISECONDS),
    "odd_size.mp4": Film(FOUR_SECONDS, size=(161, 97), pixels="yuv444p"),
    "ten_bit.mp4": Film(FOUR_SECONDS, codec="libx265", pixels="yuv420p10le", options={"x265-params": "log-level=none"}),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("recordings")


def film_file(folder: Path, name: str) -> Path:
    path = folder / name
    return path if path.exists() else write_recording(path, FILMS[name])


def read(path: Path, rate: float = 1.0, start_s: float = 0.0) -> list[Frame]:
    with Recording(path, rate=rate, start_s=start_s) as recording:
        frames = list(recording.frames())
        assert recording.faults == []
        assert recording.counts.captured == recording.counts.delivered == len(frames)
        assert recording.counts.dropped == 0
    return frames


def every_frame(path: Path) -> list[tuple[Fraction, Image]]:
    """All frames by the plainest reading there is, with exact times from the first one on."""
    pictures: list[tuple[Fraction, Image]] = []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            assert frame.pts is not None and frame.time_base is not None
            pictures.append((frame.pts * frame.time_base, np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)))
    return [(time_s - pictures[0][0], image) for time_s, image in pictures]


def samples(pictures: list[tuple[Fraction, Image]], rate: float) -> list[tuple[int, float, Image]]:
    """The definition: for each k the first frame at or after k / rate; each once, with the last k it stands for."""
    exact = Fraction(rate).limit_denominator(1000)
    chosen: list[tuple[int, int]] = []
    for k in range(int(pictures[-1][0] * exact) + 1):
        number = next(i for i, (time_s, _) in enumerate(pictures) if time_s >= k / exact)
        if chosen and chosen[-1][1] == number:
            chosen.pop()
        chosen.append((k, number))
    return [(k, float(pictures[i][0]), pictures[i][1]) for k, i in chosen]


@pytest.mark.parametrize("name", FILMS)
def test_the_samples_of_every_format_are_the_true_ones_from_any_start(folder: Path, name: str) -> None:
    path = film_file(folder, name)
    pictures = every_frame(path)
    assert [number_in(image) for _, image in pictures] == list(range(len(pictures))) or name == "interlaced.mp4"
    for rate in RATES:
        expected = samples(pictures, rate)
        for start_s in (0.0, 0.3, 2.0, 3.1):
            found = read(path, rate, start_s)
            wanted = [sample for sample in expected if sample[1] >= start_s]
            assert [(frame.index, frame.pts_s) for frame in found] == [sample[:2] for sample in wanted], (rate, start_s)
            for frame, (_, _, image) in zip(found, wanted, strict=True):
                assert np.array_equal(frame.image_bgr, image), (rate, start_s, frame.pts_s)


def test_a_gap_longer_than_the_period_gives_each_frame_once_and_is_told(tmp_path: Path) -> None:
    path = write_recording(tmp_path / "gap.mp4", Film(steady(40) + steady(40, start_s=9.9), tick_s=MILLISECONDS))
    with Recording(path) as recording:
        assert [(frame.index, number_in(frame.image_bgr)) for frame in recording.frames()] == [
            (0, 0), (1, 25), (9, 40), (10, 43), (11, 68),
        ]  # fmt: skip
        assert recording.faults == ["gaps: no picture between the samples at 1.0 and 9.9 s"]


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_a_rotated_recording_comes_upright(tmp_path: Path, rotation: int) -> None:
    plain = read(write_recording(tmp_path / "plain.mp4", Film(steady(5))), rate=25)
    turned = read(write_recording(tmp_path / "turned.mp4", Film(steady(5), rotation=rotation)), rate=25)
    for frame, same in zip(turned, plain, strict=True):
        assert np.array_equal(frame.image_bgr, np.rot90(same.image_bgr, rotation // 90))
        assert frame.image_bgr.flags.c_contiguous


def test_a_mirrored_recording_comes_as_a_player_shows_it(tmp_path: Path) -> None:
    plain = read(write_recording(tmp_path / "plain.mp4", Film(steady(3))), rate=25)
    mirrored = read(write_recording(tmp_path / "mirrored.mp4", Film(steady(3), mirrored=True)), rate=25)
    assert np.array_equal(mirrored[1].image_bgr, plain[1].image_bgr[:, ::-1])


def test_pixels_that_are_not_square_are_made_so(tmp_path: Path) -> None:
    (frame,) = read(write_recording(tmp_path / "wide.mp4", Film(steady(1), pixel_aspect=Fraction(4, 3))))
    assert frame.image_bgr.shape == (96, 213, 3)


def test_both_clocks_and_the_length_are_known_where_the_file_tells_them(tmp_path: Path) -> None:
    film = Film(FOUR_SECONDS, created="2026-03-02T09:15:00.000000Z")
    with Recording(write_recording(tmp_path / "dated.mp4", film), rate=0.5) as recording:
        begun = datetime(2026, 3, 2, 9, 15, tzinfo=UTC)
        assert recording.started_at == begun
        assert recording.duration_s == pytest.approx(4.0)
        assert [frame.captured_at for frame in recording.frames()] == [begun, begun + timedelta(seconds=2)]
    with Recording(write_recording(tmp_path / "undated.mp4", Film(FOUR_SECONDS))) as recording:
        assert recording.started_at is None
        assert next(recording.frames()).captured_at is None


def test_the_length_counts_from_the_first_picture(folder: Path) -> None:
    with Recording(film_file(folder, "late_start.mkv")) as recording:
        assert recording.duration_s == pytest.approx(4.0, abs=0.05)


def test_frames_between_samples_are_left_undecoded(folder: Path) -> None:
    """Counted where it happens: the decoder puts out far fewer frames than the file has."""
    path = film_file(folder, "h264.mp4")
    with Recording(path, rate=0.5) as recording:
        decoded = sum(1 for _ in recording._decoded())
    assert 2 <= decoded <= 20 < len(FOUR_SECONDS)


def test_open_source_reads_ahead_and_delivers_the_same(folder: Path) -> None:
    path = film_file(folder, "h264.mp4")
    with open_source(str(path), rate=7.0, start_s=0.5) as source:
        assert not source.live
        frames = list(source.frames())
    assert [frame.pts_s for frame in frames] == [frame.pts_s for frame in read(path, 7.0, 0.5)]
    assert source.counts.captured == source.counts.delivered == len(frames)


@pytest.mark.parametrize("leave", ["at the end", "by break", "by error", "unread"])
def test_the_file_and_the_thread_are_given_back(folder: Path, leave: str) -> None:
    path = film_file(folder, "h264.mp4").resolve()

    def held() -> bool:
        return any(Path(opened.path) == path for opened in psutil.Process().open_files())

    before = threading.active_count()
    try:
        with open_source(str(path), rate=25) as source:
            assert held()
            for number, _ in enumerate(source.frames() if leave != "unread" else ()):
                if number == 3 and leave == "by break":
                    break
                if number == 3 and leave == "by error":
                    raise RuntimeError("a stage failed")
    except RuntimeError:
        assert leave == "by error"
    source.close()
    assert not held()
    assert threading.active_count() == before


def test_memory_stays_flat_over_a_long_recording(tmp_path: Path) -> None:
    film = Film(steady(600), size=(1280, 720), options={"preset": "ultrafast"}, key_every=50)
    path = write_recording(tmp_path / "long.mp4", film)
    process = psutil.Process()
    marks = []
    with open_source(str(path), rate=25) as source:
        for frame in source.frames():
            if frame.index in (100, 590):
                marks.append(process.memory_info().rss)
    assert marks[1] - marks[0] < 30 * 1024 * 1024  # 490 frames of 2.6 MiB went through


@needs_recording
def test_the_real_gallery_is_sampled_once_a_second() -> None:
    with open_source(str(RECORDING)) as source:
        assert source.duration_s == pytest.approx(90.0)
        assert [(frame.index, frame.pts_s) for frame in source.frames()] == [(k, float(k)) for k in range(90)]
        assert source.faults == []
