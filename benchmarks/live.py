"""A live monitor over 25 students at one sample a second: what it costs and how fast a label is stored.

    python -m benchmarks.live [--seconds 60] [--students 25]

The last line is one JSON object: `core_share` (CPU time of the whole monitor per second of class, 1 = one core),
`p95_ms` (picture captured to labels stored), `queued_max` (frames that waited at once), `dropped`, `moments`.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

from benchmarks.lectures import write_lecture
from monitor.config import MonitorSettings
from monitor.live import LiveMonitor

WARM_UP_S = 5
"""Loading and first reading of all names is not the steady state; it is reported apart."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--students", type=int, default=25)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        recording = Path(folder) / "class.mp4"
        write_lecture(recording, students=arguments.students, seconds=arguments.seconds)
        print(json.dumps(measure(recording, Path(folder) / "live.db")))


def measure(recording: Path, store: Path) -> dict[str, float | int]:
    """Watch the recording in real time in this process and take the figures."""
    started_s = time.perf_counter()
    monitor = LiveMonitor(str(recording), MonitorSettings(), store=str(store))
    loaded_s = time.perf_counter() - started_s
    marks: list[tuple[float, float]] = []
    queued: list[int] = []

    def moment_stored(latency_ms: float, waiting: int) -> None:
        marks.append((time.process_time(), time.perf_counter()))
        latencies.append(latency_ms)
        queued.append(waiting)

    latencies: list[float] = []
    monitor.on_stored = moment_stored
    try:
        monitor.run()
    finally:
        monitor.close()
    warm = marks[WARM_UP_S], marks[-1]
    steady = sorted(latencies[WARM_UP_S:])
    counts = monitor.counts
    return {
        "core_share": round((warm[1][0] - warm[0][0]) / (warm[1][1] - warm[0][1]), 3),
        "p95_ms": round(steady[int(len(steady) * 0.95)], 1),
        "p50_ms": round(steady[len(steady) // 2], 1),
        "queued_max": max(queued),
        "dropped": counts.dropped,
        "moments": len(marks),
        "load_s": round(loaded_s, 2),
        "first_ms": round(latencies[0], 1),
    }


if __name__ == "__main__":
    main()
