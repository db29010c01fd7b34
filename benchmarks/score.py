"""Scoring a 25-tile 720p recording at one sample a second, and each of its parts alone, in one run.

    python -m benchmarks.score [--seconds 120] [--repeats 3]

The last line is one JSON object: `ratio` (the whole over the sum of its parts; 1 is no overhead), `realtime` (media
time over wall time), `decode_share` (of the sum of parts), `peak_mb` (memory of `classroom score` in a process of its
own; `peak_half_mb` on half the length: equal means flat), and the parts in seconds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

from benchmarks.lectures import write_lecture
from monitor.bundle import open_bundle
from monitor.config import MonitorSettings
from monitor.rubric import load_rubric
from monitor.schema import Crop, Frame, Track
from monitor.score import score_recordings
from monitor.sources.source import open_source
from monitor.students.crops import cut_crop
from monitor.students.finder import StudentFinder
from monitor.vlm.bundled import BundledClassifier


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("--students", type=int, default=25)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        recording = Path(folder) / "class.mp4"
        write_lecture(recording, students=arguments.students, seconds=arguments.seconds)
        runs = [measure(recording, Path(folder) / f"out{number}") for number in range(arguments.repeats)]
        half = Path(folder) / "half.mp4"
        write_lecture(half, students=arguments.students, seconds=arguments.seconds // 2)
        peak_mb, peak_half_mb = (peak_memory_mb(path, Path(folder) / f"of-{path.stem}") for path in (recording, half))
    median = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
    parts_s = median["decode_s"] + median["find_s"] + median["label_s"]
    figures = {
        "ratio": round(median["total_s"] / parts_s, 3),
        "realtime": round(arguments.seconds / median["total_s"], 2),
        "decode_share": round(median["decode_s"] / parts_s, 3),
        "peak_mb": round(peak_mb),
        "peak_half_mb": round(peak_half_mb),
        **{key: round(value, 2) for key, value in median.items() if key.endswith("_s")},
    }
    print(json.dumps(figures))


def measure(recording: Path, out: Path) -> dict[str, float]:
    """The whole and its parts, each timed alone; seconds of wall time.

    Finding includes reading the names: `names_s` is the share of it spent on the first picture, where all are read.
    """
    frames: list[Frame] = []
    decode_s = timed(lambda: frames.extend(open_source(str(recording)).frames()))
    finder = StudentFinder("auto")
    names_s = timed(lambda: finder.find(frames[0]))
    sightings = [finder.find(frames[0])]
    find_s = names_s + timed(lambda: sightings.extend(finder.find(frame) for frame in frames[1:]))
    finder.close()
    batches = [
        [_crop(frame, track) for track in sighting.tracks if track.presence.judged]
        for frame, sighting in zip(frames, sightings, strict=True)
    ]
    classifier = BundledClassifier(open_bundle(), load_rubric("attention"))
    label_s = timed(lambda: [classifier.predict(crops) for crops in batches])
    frames.clear()
    batches.clear()
    total_s = timed(lambda: score_recordings([recording], out, MonitorSettings()))
    return {
        "total_s": total_s,
        "decode_s": decode_s,
        "find_s": find_s,
        "names_s": names_s,
        "label_s": label_s,
    }


def peak_memory_mb(recording: Path, out: Path) -> float:
    """Resident memory of `classroom score` at its highest, looked at fifty times a second."""
    command = [sys.executable, "-m", "classroom", "score", str(recording), "--out", str(out), "--quiet"]
    peak = 0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        watched = psutil.Process(process.pid)
        while process.poll() is None:
            with suppress(psutil.NoSuchProcess):
                peak = max(peak, watched.memory_info().rss)
            time.sleep(0.02)
    return peak / 2**20


def _crop(frame: Frame, track: Track) -> Crop:
    pixels_bgr = cut_crop(frame.image_bgr, track.face, track.box)
    return Crop(f"{track.student_id}.{frame.index}", track.student_id, frame.pts_s, track.box, pixels_bgr)


def timed(work: Callable[[], object]) -> float:
    """Wall seconds of one call."""
    started_s = time.perf_counter()
    work()
    return time.perf_counter() - started_s


if __name__ == "__main__":
    main()
