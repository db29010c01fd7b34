"""How fast the label graphs judge crops, against llama.cpp that writes the answer, on the same weights, in one run.

    python -m benchmarks.llama_cpp --converter CONVERT_HF_TO_GGUF.PY [--kinds q8_0 bf16] [--threads N] [--keep DIR]

A shape of SmolVLM with random weights: the graphs in static int8 (every label scored), llama.cpp with GGUF files made
by its own converter (the shortest answer, greedily, the question kept in its cache, crops prepared beforehand). They
take the same crops in turn. Needs `pip install llama-cpp-python gguf sentencepiece`, which nothing else here needs, and
says so where they are missing; the converter is in the sources of llama.cpp.

The last line is one JSON object: ratio (crops a second of the graphs over those of llama.cpp at its fastest) and
ratio_work (the same by processor time); crops_per_s and work_s_per_crop of each kind of GGUF one by one, in a batch
that the cores share, and with a model a core; mb. Whether it is the same work: prompt_tokens (of which only the last is
not cached), image_tokens, answer_tokens, and `gap`, the worst distance of a label's log-probability to that of
transformers in fp32, beside `spread`, by how much these differ from crop to crop. Others on the machine slow a batch
that cores share more.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.gguf_files import CONVERTED, GgufFiles, write_gguf
from benchmarks.llama_cpp_run import ROUNDED, LlamaCpp, Pace, Prompt, quantize
from monitor.rubric import Rubric, load_rubric
from monitor.vlm.prompt import IMAGE, answer_text, prompt_text

_NEEDED = ("llama_cpp", "gguf", "sentencepiece")
_GRAPHS = "graphs"


def missing() -> list[str]:
    """Modules that this benchmark needs and that are not installed."""
    return [name for name in _NEEDED if importlib.util.find_spec(name) is None]


def measure(given: argparse.Namespace, rubric: Rubric, folder: Path) -> dict[str, Any]:
    """All figures of a shape; what the folder holds from another run is taken as it is."""
    from benchmarks.labels import static_graphs
    from benchmarks.smolvlm_shapes import SHAPES, write_random
    from export.graph_files import files_in
    from export.graph_runs import GraphRun

    shape = SHAPES[given.shape]
    pixels = varied_pixels(given.batch, shape.image_size)
    checkpoint = _once(folder / "random", lambda made: write_random(made, shape, rubric))
    question = read_question(checkpoint, rubric, pixels)
    rounded = _once(folder / _GRAPHS, lambda made: static_graphs(checkpoint, rubric, pixels, made))
    graphs = GraphRun(files_in(rounded / "int8"), given.threads)
    found = question.told() | {"gap": {_GRAPHS: question.gap(graphs.score(pixels))}, "mb": {}}
    runs: dict[str, Callable[[], object]] = {_GRAPHS: lambda: graphs.score(pixels)}
    for kind in given.kinds:
        files = _files(kind, checkpoint, given.converter, folder / "gguf")
        found["mb"][kind] = round(files.size_bytes / 1e6, 1)
        runs |= _ways(kind, files, question, pixels, given.threads)
        found["gap"][kind] = question.gap(_scores(files, question, pixels, given.threads))
    counts = {name: 1 if name.endswith(" at 1") else given.batch for name in runs}
    return found | compared(times(runs, given.repeats), counts)


def _once(folder: Path, write: Callable[[Path], object]) -> Path:
    """A folder that is there already, or is written now; a half-written one has another name."""
    if not folder.is_dir():
        half = folder.with_name(f"{folder.name}.half")
        shutil.rmtree(half, ignore_errors=True)
        write(half)
        half.rename(folder)
    return folder


@dataclass(frozen=True, slots=True)
class Question:
    """What both sides are asked, in token numbers, and what transformers says to it."""

    prompt: Prompt
    answers: list[list[int]]
    """Of each label, the end included."""
    truth: NDArray[np.float32]
    """Log-probabilities (B, labels) by transformers in fp32."""

    @property
    def shortest(self) -> int:
        """Tokens of the shortest answer."""
        return min(map(len, self.answers))

    def gap(self, scores: NDArray[Any]) -> float:
        """The worst distance of a log-probability."""
        return round(float(np.abs(scores - self.truth).max()), 5)

    def told(self) -> dict[str, Any]:
        """How much there is to compute for a crop, and by how much the truth differs from crop to crop."""
        return {
            "prompt_tokens": len(self.prompt.before) + len(self.prompt.after),
            "image_tokens": self.prompt.image_tokens,
            "answer_tokens": self.shortest,
            "spread": round(float(np.ptp(self.truth, axis=0).max()), 5),
        }


def read_question(checkpoint: Path, rubric: Rubric, pixels: NDArray[np.uint8]) -> Question:
    """A rubric's question as a checkpoint is asked it, with transformers' answers about crops (B, S, S, 3)."""
    from export.checkpoint import open_checkpoint
    from export.parity import plain_scores

    opened = open_checkpoint(checkpoint)
    asked = opened.asked(rubric.rubric_id)

    def ids(text: str) -> list[int]:
        return list(opened.tokenizer.encode(text, add_special_tokens=False).ids)

    prompt = Prompt.around(
        ids(prompt_text(asked.question, int(opened.card["image_tokens"]))), opened.tokenizer.token_to_id(IMAGE)
    )
    answers = [ids(answer_text(phrase)) for phrase in asked.phrases]
    return Question(prompt, answers, plain_scores(opened, asked, pixels))


def _ways(
    kind: str, files: GgufFiles, question: Question, pixels: NDArray[np.uint8], threads: int
) -> dict[str, Callable[[], object]]:
    """llama.cpp one by one, in a batch that the cores share, and with a model a core that has its own crops."""
    count, tokens = len(pixels), question.shortest
    shared = LlamaCpp(files, question.prompt, tokens, Pace(threads, count))
    crops = shared.prepare(pixels)
    ways: dict[str, Callable[[], object]] = {
        f"{kind} at 1": lambda: shared.answer(crops[:1], tokens),
        f"{kind} at {count}": lambda: shared.answer(crops, tokens),
    }
    if 1 < threads <= count:
        parts = np.array_split(pixels, threads)
        alone = [LlamaCpp(files, question.prompt, tokens, Pace(1, len(part))) for part in parts]
        shares = [model.prepare(part) for model, part in zip(alone, parts, strict=True)]
        pool = ThreadPoolExecutor(threads)
        ways[f"{kind} at {count}, a model a core"] = lambda: list(
            pool.map(lambda model, share: model.answer(share, tokens), alone, shares)
        )
    return ways


def _scores(files: GgufFiles, question: Question, pixels: NDArray[np.uint8], threads: int) -> NDArray[np.float64]:
    model = LlamaCpp(files, question.prompt, max(map(len, question.answers)), Pace(threads, len(pixels)))
    crops = model.prepare(pixels)
    found = model.scores(crops, question.answers)
    model.free(crops)
    model.close()
    return found


def _files(kind: str, checkpoint: Path, converter: Path, folder: Path) -> GgufFiles:
    """A checkpoint's GGUF files, of a kind that its converter writes or that llama.cpp makes of those."""
    if kind not in ROUNDED:
        return write_gguf(checkpoint, converter, kind, folder)
    whole = write_gguf(checkpoint, converter, "f32", folder)
    paths = (quantize(path, kind, folder / f"{path.stem}-{kind}.gguf") for path in (whole.text, whole.vision))
    return GgufFiles(*paths)


def varied_pixels(count: int, side_px: int) -> NDArray[np.uint8]:
    """Coarse random pictures (count, side, side, 3) RGB: noise without any shape looks the same to every model."""
    coarse = np.random.default_rng(0).integers(0, 256, (count, 4, 4, 3), dtype=np.uint8)
    across = -(-side_px // 4)
    return np.ascontiguousarray(coarse.repeat(across, 1).repeat(across, 2)[:, :side_px, :side_px])


def times(runs: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, tuple[float, float]]:
    """(seconds on the clock, processor seconds) of each, the median of rounds in which they run in turn."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    for call in runs.values():
        call()
    for _ in range(repeats):
        for name, call in runs.items():
            wall, work = time.perf_counter(), time.process_time()
            call()
            taken[name].append((time.perf_counter() - wall, time.process_time() - work))
    medians = {name: np.median(rows, axis=0) for name, rows in taken.items()}
    return {name: (float(row[0]), float(row[1])) for name, row in medians.items()}


def compared(seconds: Mapping[str, tuple[float, float]], counts: Mapping[str, int]) -> dict[str, Any]:
    """Crops a second, processor seconds a crop, and the graphs against the fastest of the others."""
    per_s = {name: counts[name] / wall for name, (wall, _) in seconds.items()}
    work_s = {name: work / counts[name] for name, (_, work) in seconds.items()}
    others = [name for name in seconds if name != _GRAPHS]
    return {
        "ratio": round(per_s[_GRAPHS] / max(per_s[name] for name in others), 2),
        "ratio_work": round(min(work_s[name] for name in others) / work_s[_GRAPHS], 2),
        "crops_per_s": {name: round(one, 3) for name, one in per_s.items()},
        "work_s_per_crop": {name: round(one, 4) for name, one in work_s.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--converter", type=Path, required=True, help="convert_hf_to_gguf.py of llama.cpp's sources")
    parser.add_argument("--shape", default="256m", help="of SmolVLM, with random weights")
    parser.add_argument("--kinds", nargs="+", default=["q8_0", "bf16"], choices=[*CONVERTED, *ROUNDED])
    parser.add_argument("--threads", type=int, default=2, help="of both sides")
    parser.add_argument("--batch", type=int, default=8, help="crops at a time")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--keep", type=Path, default=None, help="a folder for the files, which another run may use")
    given = parser.parse_args()
    if missing():
        print(json.dumps({"ratio": None, "skipped": f"not installed: {', '.join(missing())}"}))
        return
    if not given.converter.is_file():
        parser.error(f"{given.converter}: no such file; give convert_hf_to_gguf.py of llama.cpp's sources")
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        found = measure(given, load_rubric("attention"), folder)
    load = {"load_average": round(os.getloadavg()[0], 1)} if hasattr(os, "getloadavg") else {}
    print(json.dumps({"shape": given.shape, "threads": given.threads, "batch": given.batch, **found, **load}))


if __name__ == "__main__":
    main()
