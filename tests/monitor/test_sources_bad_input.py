"""What cannot be read says what it is, what was expected and what to do; what can be read is."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from monitor.errors import BadInputError, SourceError
from monitor.sources.recording import Recording
from monitor.sources.source import open_source
from tests.recordings import Film, cut, damage, number_in, steady, write_recording, write_sound_only

TEN_SECONDS = steady(250)
INDEX_FIRST = {"movflags": "faststart"}


def write_text(path: Path) -> Path:
    path.write_text("minutes of the meeting\n" * 40, encoding="utf-8")
    return path


def write_noise(path: Path) -> Path:
    path.write_bytes(np.random.default_rng(0).integers(0, 256, 50_000, np.uint8).tobytes())
    return path


def write_empty(path: Path) -> Path:
    path.touch()
    return path


def write_playlist(path: Path) -> Path:
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n/etc/hostname\n#EXT-X-ENDLIST\n", encoding="utf-8")
    return path


def write_picture(path: Path) -> Path:
    path.write_bytes(cv2.imencode(".jpg", np.zeros((48, 64, 3), np.uint8))[1].tobytes())
    return path


def write_without_moov(path: Path) -> Path:
    whole = write_recording(path.with_name("whole.mp4"), Film(steady(50)))
    return cut(whole, path, 0.6)


def write_header_only(path: Path) -> Path:
    whole = write_recording(path.with_name("whole.mp4"), Film(steady(50), container_options=INDEX_FIRST))
    data = whole.read_bytes()
    path.write_bytes(data[: data.index(b"mdat") + 4])
    return path


@pytest.mark.parametrize(
    ("name", "write", "found", "next_step"),
    [
        ("gone.mp4", lambda path: path, "no such file", "check the path"),
        ("text.mp4", write_text, "found a text file", "give the recording"),
        ("notes.txt", write_text, "found a text file", "give the recording"),
        ("list.mp4", write_playlist, "found a text file", "give the recording"),
        ("noise.mp4", write_noise, "found something else", "remux it"),
        ("empty.mp4", write_empty, "zero length", "download or copy it again"),
        ("truncated.mp4", write_without_moov, "no moov atom", "Download or copy it again"),
        ("header.mp4", write_header_only, "not one frame", "download or copy it again"),
        ("sound.m4a", write_sound_only, "found audio only", "recording with video"),
        ("sound.mp4", write_sound_only, "found audio only", "recording with video"),
        ("picture.mp4", write_picture, "a picture, not a recording", "classroom label"),
    ],
)
def test_what_is_no_recording_is_refused_in_words(
    tmp_path: Path, name: str, write: Callable[[Path], Path], found: str, next_step: str
) -> None:
    path = write(tmp_path / name)
    with pytest.raises(SourceError) as caught:
        open_source(str(path))
    text = str(caught.value)
    for part in (str(path), "Expected", found, next_step):
        assert part in text
    assert isinstance(caught.value, BadInputError)
    assert caught.value.exit_code == 2


@pytest.mark.skipif(sys.platform == "win32" or not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may all")
def test_a_file_one_may_not_read_is_refused(tmp_path: Path) -> None:
    path = write_recording(tmp_path / "locked.mp4", Film(steady(5)))
    path.chmod(0)
    with pytest.raises(SourceError, match="permissions"):
        open_source(str(path))


@pytest.mark.parametrize(
    ("name", "film"),
    [
        ("lecture.mp4", Film(TEN_SECONDS, container_options=INDEX_FIRST, sound="aac")),
        ("lecture.mkv", Film(TEN_SECONDS)),
        ("lecture.webm", Film(TEN_SECONDS, codec="libvpx", tick_s=Fraction(1, 1000))),
    ],
)
def test_a_recording_cut_in_the_middle_gives_what_is_there_and_says_how_much(
    tmp_path: Path, name: str, film: Film
) -> None:
    path = cut(write_recording(tmp_path / f"whole-{name}", film), tmp_path / name, 0.5)
    with open_source(str(path)) as source:
        frames = list(source.frames())
        assert 3 <= len(frames) <= 7
        assert [number_in(frame.image_bgr) for frame in frames] == [25 * k for k in range(len(frames))]
        (fault,) = source.faults
        assert fault.startswith("cut short: read ")
        assert " of 10.0 s" in fault


@pytest.mark.parametrize("name", ["lecture.mp4", "lecture.mkv", "lecture.ts"])
def test_damage_in_the_middle_is_passed_over_and_told(tmp_path: Path, name: str) -> None:
    whole = write_recording(tmp_path / f"whole-{name}", Film(TEN_SECONDS, container_options={}))
    path = damage(whole, tmp_path / name, 0.4, 0.55)
    with Recording(path) as recording:
        numbers = {frame.index: number_in(frame.image_bgr) for frame in recording.frames()}
        assert recording.faults
    assert {0, 1, 2, 3, 8, 9} <= numbers.keys()
    assert len(numbers) < 10
    # A sample may come late, after the hole, but it never shows a smeared picture: its number is of its own second.
    assert all(25 * index <= number < 25 * (index + 1) for index, number in numbers.items())


@pytest.mark.parametrize(
    ("rate", "start_s"), [(0.0, 0.0), (-1.0, 0.0), (1000.0, 0.0), (float("nan"), 0.0), (1.0, -2.0)]
)
def test_impossible_rates_and_starts_are_refused(tmp_path: Path, rate: float, start_s: float) -> None:
    with pytest.raises(SourceError, match="must be"):
        open_source(str(tmp_path), rate=rate, start_s=start_s)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm", ".ts"])
def test_no_damage_raises_anything_but_a_source_error(tmp_path: Path, suffix: str) -> None:
    codec = "libvpx" if suffix == ".webm" else "libx264"
    film = Film(steady(100), codec=codec, tick_s=Fraction(1, 1000))
    data = write_recording(tmp_path / f"whole{suffix}", film).read_bytes()
    chance = random.Random(5)
    read = 0
    for _ in range(25):
        broken = bytearray(data)
        at = chance.randrange(len(data))
        length = chance.choice([1, 100, 3000])
        broken[at : at + length] = chance.choice([b"", bytes(length), chance.randbytes(length)])
        path = tmp_path / f"broken{suffix}"
        path.write_bytes(broken)
        try:
            with open_source(str(path), rate=5.0, start_s=chance.choice([0.0, 1.5])) as source:
                indices = [frame.index for frame in source.frames()]
        except SourceError:
            continue
        assert indices == sorted(set(indices))
        read += bool(indices)
    assert read >= 8


def test_a_start_after_the_end_gives_nothing(tmp_path: Path) -> None:
    path = write_recording(tmp_path / "short.mp4", Film(steady(50)))
    with open_source(str(path), start_s=30.0) as source:
        assert list(source.frames()) == []
        assert source.faults == []
