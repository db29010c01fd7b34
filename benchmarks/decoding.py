"""What sampling a recording costs the processor, and what the parts of the plan save.

    python -m benchmarks.decoding RECORDING [--rate 1] [--repeats 3]

The last line is one JSON object: `media_s_per_core_s` (seconds of recording read per second of one core, all threads
counted), `core_share` (of one core, were it played in real time), `plain_media_s_per_core_s` (the same with every frame
decoded), `gain` (the one over the other), `wall_s`, `samples`, `growth_mb` (memory, from the tenth sample to the last).
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import av
import psutil

from monitor.sources.source import open_source


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recording", type=Path)
    parser.add_argument("--rate", type=float, default=1.0, help="samples per second")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    runs = [sampled(arguments.recording, arguments.rate) for _ in range(arguments.repeats)]
    median = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
    plain_s = statistics.median(plain(arguments.recording, arguments.rate) for _ in range(arguments.repeats))
    figures = {
        "media_s_per_core_s": round(median["media_s"] / median["core_s"], 1),
        "core_share": round(median["core_s"] / median["media_s"], 4),
        "plain_media_s_per_core_s": round(median["media_s"] / plain_s, 1),
        "gain": round(plain_s / median["core_s"], 2),
        "wall_s": round(median["wall_s"], 2),
        "samples": int(median["samples"]),
        "growth_mb": round(median["growth_mb"], 1),
    }
    print(json.dumps(figures))


def sampled(recording: Path, rate: float) -> dict[str, float]:
    """One reading as the monitor does it."""
    process = psutil.Process()
    samples, early_rss = 0, 0
    begun, begun_core = time.perf_counter(), time.process_time()
    with open_source(str(recording), rate=rate) as source:
        for frame in source.frames():
            samples += 1
            media_s = frame.pts_s
            if samples == 10:
                early_rss = process.memory_info().rss
        media_s = source.duration_s or media_s
    late_rss = process.memory_info().rss
    return {
        "core_s": time.process_time() - begun_core,
        "wall_s": time.perf_counter() - begun,
        "media_s": media_s,
        "samples": samples,
        "growth_mb": (late_rss - early_rss) / 2**20 if early_rss else 0.0,
    }


def plain(recording: Path, rate: float) -> float:
    """Core seconds of the simplest reading: decode all, convert the samples."""
    begun = time.process_time()
    with av.open(str(recording)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        last = -1
        for frame in container.decode(stream):
            index = int((frame.time or 0.0) * rate)
            if index > last:
                last = index
                frame.to_ndarray(format="bgr24")
    return time.process_time() - begun


if __name__ == "__main__":
    main()
