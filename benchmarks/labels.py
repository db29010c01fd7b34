"""How fast the bundle labels crops, and against `generate` of `transformers` on the same weights, in one run.

    python -m benchmarks.labels [--bundle DIR] [--checkpoint DIR] [--shape 256m|500m|narrow-256m|none]

The last line is one JSON object. Of the bundle on one core at batch 25: ms_per_crop_1core (processor time of scaling
and graphs together), ms_per_crop_wall (the same by the clock), ms_graph_1core (graphs alone), load_ms, bundle_mb,
peak_mb. Against `generate` in fp32, both on `--threads` cores by the clock, crops already scaled, each at its best
batch: ratio (crops a second of the bundle over those of `generate`), ratio_one_by_one (over those of batches of 1),
bundle_per_s (batches of 25 and 64), generate_per_s (of 1, 8, 25 and 64), load_average (others on the machine slow
`generate` more: its threads wait for each other). The same of a shape of SmolVLM with random weights, static int8,
answers of the shortest length (batches of 1 and --batch): ratio_256m, ratio_256m_one_by_one, bundle_per_s_256m,
generate_per_s_256m, mb_256m.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from monitor.bundle import Bundle, open_bundle
from monitor.rubric import Rubric, load_rubric
from monitor.schema import Box, Crop
from monitor.vlm.bundled import BundledClassifier

_TRAINABLE = Path(__file__).parents[1] / "monitor" / "assets" / "trainable"
_BATCH = 25
_LABELLED = (_BATCH, 64)
_GENERATED = (1, 8, 25, 64)
"""Batches of the bundle and of `generate`; the fastest of each counts, the first of the second is one by one."""
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


def compare(bundle: Bundle, rubric: Rubric, checkpoint: Path, threads: int, repeats: int) -> dict[str, Any]:
    """The bundle against `generate` of the checkpoint it came from."""
    from benchmarks.generation import Generator, crops_per_s
    from export.checkpoint import open_checkpoint

    generator = Generator(checkpoint, open_checkpoint(checkpoint).asked(rubric.rubric_id), threads)
    classifier = BundledClassifier(bundle, rubric, threads)
    pixels = random_pixels(max(_GENERATED), bundle.image_size)
    batches = [pixels[:size] for size in (*_LABELLED, *_GENERATED)]
    answerers: list[Callable[[Any], object]] = [classifier.probabilities] * len(_LABELLED)
    answerers += [generator.answer] * len(_GENERATED)
    found = crops_per_s(answerers, batches, time.perf_counter, repeats)
    ours, theirs = found[: len(_LABELLED)], found[len(_LABELLED) :]
    load = {"load_average": round(os.getloadavg()[0], 1)} if hasattr(os, "getloadavg") else {}
    return {**_ratios("", ours, theirs), "threads": threads, **load}


def compare_shape(name: str, rubric: Rubric, threads: int, batch: int, repeats: int) -> dict[str, Any]:
    """The graphs of a random checkpoint of a shape, in static int8, against its `generate`."""
    from benchmarks.generation import Generator, crops_per_s
    from benchmarks.smolvlm_shapes import SHAPES, write_random
    from export.checkpoint import open_checkpoint
    from export.graph_runs import GraphRun

    pixels = random_pixels(batch, SHAPES[name].image_size)
    with tempfile.TemporaryDirectory() as scratch:
        folder = write_random(Path(scratch) / "random", SHAPES[name], rubric)
        asked = open_checkpoint(folder).asked(rubric.rubric_id)
        small = static_graphs(folder, rubric, pixels, Path(scratch))
        size_mb = small.size_bytes / 1e6
        run = GraphRun(small, threads)
        generator = Generator(folder, asked, threads)

        def generate(part: Any) -> object:
            return generator.answer(part, generator.shortest)

        ours, *theirs = crops_per_s(
            [run.score, generate, generate], [pixels, pixels[:1], pixels], time.perf_counter, repeats
        )
    tag = "_" + name.removeprefix("narrow-").replace(".", "_")
    return {**_ratios(tag, [ours], theirs), f"mb{tag}": round(size_mb, 1), f"batch{tag}": batch}


def static_graphs(checkpoint: Path, rubric: Rubric, pixels: np.ndarray[Any, np.dtype[np.uint8]], folder: Path) -> Any:
    """Write a checkpoint's graphs in static int8, calibrated on crops (B, S, S, 3): export.graph_files.GraphFiles."""
    from export.checkpoint import open_checkpoint
    from export.fold import fold_norms
    from export.fuse import fuse_attention
    from export.graph_files import write_graphs
    from export.label_graph import build
    from export.quantize import quantize

    model = build(open_checkpoint(checkpoint), rubric.rubric_id)
    model.vision = fold_norms(model.vision)
    plain = write_graphs(model, pixels.shape[1], folder / "fp32")
    small = quantize("int8-static", plain, folder / "int8", pixels)
    fuse_attention(small.vision)
    return small


def _ratios(tag: str, ours: list[float], theirs: list[float]) -> dict[str, Any]:
    return {
        f"ratio{tag}": round(max(ours) / max(theirs), 2),
        f"ratio{tag}_one_by_one": round(max(ours) / theirs[0], 2),
        f"bundle_per_s{tag}": [round(one, 2) for one in ours],
        f"generate_per_s{tag}": [round(one, 2) for one in theirs],
    }


def random_pixels(count: int, side_px: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Crops (count, side, side, 3) RGB, already scaled; the cost does not depend on what they show."""
    return np.random.default_rng(0).integers(0, 256, (count, side_px, side_px, 3), dtype=np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, default=None, help="a bundle's folder; the shipped one by default")
    parser.add_argument("--checkpoint", type=Path, default=_TRAINABLE, help="the same weights, for `generate`")
    parser.add_argument("--rubric", default="attention")
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--threads", type=int, default=2, help="of both sides of a comparison")
    parser.add_argument("--shape", default="256m", help="of SmolVLM, with random weights; none leaves it out")
    parser.add_argument("--batch", type=int, default=8, help="crops a batch of that shape")
    given = parser.parse_args()
    bundle, rubric = open_bundle(given.bundle), load_rubric(given.rubric)
    found = measure(bundle, rubric, given.repeats)
    print(json.dumps(found), flush=True)
    found |= compare(bundle, rubric, given.checkpoint, given.threads, max(3, given.repeats // 6))
    if given.shape != "none":
        print(json.dumps(found), flush=True)
        found |= compare_shape(given.shape, rubric, given.threads, given.batch, max(3, given.repeats // 10))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
