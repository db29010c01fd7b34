"""How fast the bundle labels crops on one core at batch 25, and what it weighs.

`python -m benchmarks.labels [--bundle DIR] [--rubric ID]`; the last line is one JSON object: ms_per_crop_1core
(processor time of scaling and graph together), ms_per_crop_wall (the same by the clock), ms_graph_1core (the graph
alone), load_ms, bundle_mb, peak_mb.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil

from monitor.bundle import Bundle, open_bundle
from monitor.rubric import Rubric, load_rubric
from monitor.schema import Box, Crop
from monitor.vlm.bundled import BundledClassifier

_BATCH = 25
_CROP_PX = 180  # a head in a 25-tile gallery at 720p is somewhat smaller


def make_crops(count: int = _BATCH, side_px: int = _CROP_PX) -> list[Crop]:
    """Random pictures: the graph's cost does not depend on what they show."""
    rng = np.random.default_rng(0)
    return [
        Crop(
            crop_id=f"c{number}",
            student_id=f"s{number:02d}",
            pts_s=0.0,
            box=Box(0, 0, side_px, side_px),
            pixels_bgr=rng.integers(0, 256, (side_px, side_px, 3), dtype=np.uint8),
        )
        for number in range(count)
    ]


def measure(bundle: Bundle, rubric: Rubric, repeats: int) -> dict[str, object]:
    """All figures of one bundle."""
    process = psutil.Process()
    started = time.perf_counter()
    classifier = BundledClassifier(bundle, rubric, threads=1)
    load_ms = (time.perf_counter() - started) * 1e3
    crops = make_crops()
    pixels = np.zeros((_BATCH, bundle.image_size, bundle.image_size, 3), np.uint8)
    classifier.predict(crops)
    whole_s = _median_s(lambda: classifier.predict(crops), repeats)
    graph_s = _median_s(lambda: classifier.probabilities(pixels), repeats)
    files = [path for path in bundle.path.rglob("*") if path.is_file()]
    return {
        "ms_per_crop_1core": round(whole_s[0] / _BATCH * 1e3, 3),
        "ms_per_crop_wall": round(whole_s[1] / _BATCH * 1e3, 3),
        "ms_graph_1core": round(graph_s[0] / _BATCH * 1e3, 3),
        "batch": _BATCH,
        "load_ms": round(load_ms, 1),
        "bundle_mb": round(sum(path.stat().st_size for path in files) / 1e6, 2),
        "peak_mb": round(_peak_bytes(process) / 1e6, 1),
        "model_id": bundle.model_id,
    }


def _median_s(call: Callable[[], object], repeats: int) -> tuple[float, float]:
    """(processor seconds, seconds on the clock) of one call; the first is not disturbed by others on the machine."""
    times = []
    for _ in range(repeats):
        wall, work = time.perf_counter(), time.process_time()
        call()
        times.append((time.process_time() - work, time.perf_counter() - wall))
    work_s, wall_s = np.median(times, axis=0)
    return float(work_s), float(wall_s)


def _peak_bytes(process: psutil.Process) -> int:
    memory = process.memory_info()
    peak = getattr(memory, "peak_wset", None)  # Windows
    if peak is None:
        import resource
        import sys

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return int(peak)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.labels", description=__doc__)
    parser.add_argument("--bundle", type=Path, default=None, help="a bundle's folder; the shipped one by default")
    parser.add_argument("--rubric", default="attention")
    parser.add_argument("--repeats", type=int, default=30)
    given = parser.parse_args()
    print(json.dumps(measure(open_bundle(given.bundle), load_rubric(given.rubric), given.repeats)))


if __name__ == "__main__":
    main()
