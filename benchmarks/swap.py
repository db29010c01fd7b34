"""Models swapped in a live monitor at 25 students, some of them tampered with: what it costs, and what gets lost.

    python -m benchmarks.swap [--swaps 100] [--tampered 20] [--students 25] [--rate 1] [--bundle FOLDER]

Someone else (a thread of its own) points the registry's alias at another entry at a random moment, waits for the answer
and goes on: adapters with random weights, the bundle without one, and entries spoilt in five ways.

The last line is one JSON object: `swap_ms` (the longest that a swap held up the samples; `swap_p50_ms` the middle),
`lost` (frames dropped, moments missing, students without a label), `first_prediction_s` (the longest from the promotion
of an adapter to the first moment stored with it; `first_prediction_p50_s`), `rollback_s` (the same for the bundle
alone), `taken`, `refused`, `wrong` (refused though good, or taken though bad), `unanswered`, `mixed` (moments answered
by two models), `growth_mb` (memory, over the second half of the swaps), `adapter_kb`, `moments`, `p95_ms` (captured to
stored). The bundle must be one that takes adapters; the default is the shipped one.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
import psutil

from benchmarks.lectures import write_lecture
from benchmarks.random_adapters import write_random_adapter
from monitor.adapter import ADAPTER_FILE
from monitor.bundle import MANIFEST, open_bundle, sha256_of
from monitor.config import MonitorSettings
from monitor.hotswap import Change
from monitor.live import LiveMonitor
from monitor.registry import SHIPPED
from monitor.store.reader import StoreReader

ADAPTERS = 4
WARM_UP_MOMENTS = 20
"""Names are read and sessions find their memory (+160 MB, with or without swaps); then the swaps begin."""
SAMPLES_PER_SWAP = 2.5
"""At most: one in which the choice is made, one that takes it up, and a little."""
ANSWERED_WITHIN_S = 60.0
CHANGED_LATER = "changed-later"
"""An entry whose manifest is not the one that was promoted."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One entry that somebody points the alias at."""

    model_id: str
    good: bool


@dataclass(slots=True)
class Swaps:
    """What is measured while the monitor runs; filled by its two callbacks and read by the promoter."""

    chosen_s: float | None = None
    """When the alias was last moved, until the first moment with that model is stored."""
    awaited: bool = False
    """The change was taken; its first moment is to come."""
    changes: list[Change] = field(default_factory=list)
    first_predictions_s: dict[bool, list[float]] = field(default_factory=lambda: {True: [], False: []})
    """Of adapters (True) and of the bundle alone."""
    rss_mb: list[float] = field(default_factory=list)
    latencies_ms: list[float] = field(default_factory=list)
    answered: SimpleQueue[None] = field(default_factory=SimpleQueue)
    """One item for each choice that was taken and used, or refused."""
    warm: threading.Event = field(default_factory=threading.Event)
    done: threading.Event = field(default_factory=threading.Event)
    """All choices were made."""
    over: threading.Event = field(default_factory=threading.Event)
    """The monitor has ended."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--swaps", type=int, default=100)
    parser.add_argument("--tampered", type=int, default=20)
    parser.add_argument("--students", type=int, default=25)
    parser.add_argument("--rate", type=float, default=1.0)
    parser.add_argument("--bundle", type=Path, default=None)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        settings = MonitorSettings(rate=arguments.rate, models=folder / "models")
        choices = prepare(folder / "models", arguments.bundle, arguments.swaps, arguments.tampered)
        seconds = int((WARM_UP_MOMENTS + SAMPLES_PER_SWAP * arguments.swaps) / arguments.rate) + 20
        recording = folder / "class.mp4"
        write_lecture(recording, students=arguments.students, seconds=seconds, fps=5)
        print(json.dumps(measure(recording, folder / "live.db", settings, choices)))


def prepare(models: Path, bundle: Path | None, swaps: int, tampered: int) -> list[Choice]:
    """Write a registry and decide in which order its entries are chosen; no good one twice in a row."""
    base = open_bundle(bundle)
    alone = SHIPPED if bundle is None else base.model_id
    if bundle is not None:
        shutil.copytree(base.path, models / alone)
    for seed in range(ADAPTERS):
        write_random_adapter(models / f"random-{seed}", base, seed=seed)
    bad = _spoilt(models)
    good = [f"random-{seed}" for seed in range(ADAPTERS)] + [alone]
    point(models, alone)
    rng = np.random.default_rng(0)
    are_bad = rng.permutation([index < tampered for index in range(swaps)])
    choices: list[Choice] = []
    now, turn = len(good) - 1, 0
    for is_bad in are_bad:
        if is_bad:
            choices.append(Choice(bad[turn % len(bad)], good=False))
            turn += 1
        else:
            now = (now + int(rng.integers(1, len(good)))) % len(good)
            choices.append(Choice(good[now], good=True))
    return choices


def measure(recording: Path, store: Path, settings: MonitorSettings, choices: Sequence[Choice]) -> dict[str, Any]:
    """Watch the recording while somebody chooses, and take the figures."""
    monitor = LiveMonitor(str(recording), settings, store=str(store))
    swaps = Swaps()
    memory = psutil.Process()
    assert settings.models is not None

    def moment_stored(latency_ms: float, waiting: int) -> None:
        swaps.latencies_ms.append(latency_ms)
        if swaps.awaited and swaps.chosen_s is not None:
            waited_s = time.perf_counter() - swaps.chosen_s
            swaps.first_predictions_s[" with " in swaps.changes[-1].model].append(waited_s)
            swaps.awaited = False
            swaps.answered.put(None)
        if len(swaps.latencies_ms) == WARM_UP_MOMENTS:
            swaps.warm.set()
        if swaps.done.is_set():
            raise KeyboardInterrupt

    def model_changed(change: Change) -> None:
        swaps.changes.append(change)
        swaps.rss_mb.append(memory.memory_info().rss / 2**20)
        if change.refused:
            swaps.answered.put(None)
        else:
            swaps.awaited = True

    monitor.on_stored, monitor.on_change = moment_stored, model_changed
    promoter = threading.Thread(target=_choose_all, args=(settings.models, choices, swaps, settings.sample_period_s))
    promoter.start()
    try:
        monitor.run()
    except KeyboardInterrupt:
        pass  # all choices were made
    finally:
        swaps.over.set()
        swaps.warm.set()
        swaps.answered.put(None)  # nobody answers any more, should the recording have ended first
        monitor.close()
        promoter.join()
    return _figures(swaps, choices, settings.models) | _losses(store, monitor)


def point(models: Path, model_id: str) -> None:
    """Make an entry the champion in one step, whatever it is worth."""
    manifest = models / model_id / MANIFEST
    known = manifest.is_file() and model_id != CHANGED_LATER
    sha256 = sha256_of(manifest.read_bytes()) if known else "0" * 64
    record = {"model_id": model_id, "sha256": sha256, "at": datetime.now(UTC).isoformat()}
    part = models / ".champion.part"
    part.write_text(json.dumps(record), encoding="utf-8")
    part.replace(models / "champion.json")


def _choose_all(models: Path, choices: Sequence[Choice], swaps: Swaps, period_s: float) -> None:
    """The other person: each choice falls at a random moment between two samples."""
    rng = np.random.default_rng(1)
    swaps.warm.wait()
    try:
        for choice in choices:
            if swaps.over.is_set():
                return
            time.sleep(float(rng.uniform(0, period_s)))
            swaps.chosen_s = time.perf_counter()
            point(models, choice.model_id)
            swaps.answered.get(timeout=ANSWERED_WITHIN_S)
    finally:
        swaps.done.set()


def _spoilt(models: Path) -> list[str]:
    """Entries that must not be taken: a changed byte, half a file, a missing file, another base, another manifest."""
    names = ["changed-byte", "half-written", "without-weights", "foreign", CHANGED_LATER]
    for name in names:
        shutil.copytree(models / "random-0", models / name)
    weights = bytearray((models / "changed-byte" / ADAPTER_FILE).read_bytes())
    weights[len(weights) // 2] ^= 1
    (models / "changed-byte" / ADAPTER_FILE).write_bytes(weights)
    (models / "half-written" / ADAPTER_FILE).write_bytes(weights[: len(weights) // 2])
    (models / "without-weights" / ADAPTER_FILE).unlink()
    path = models / "foreign" / MANIFEST
    told = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**told, "base_files": dict.fromkeys(told["base_files"], "0" * 64)}), encoding="utf-8")
    return names


def _figures(swaps: Swaps, choices: Sequence[Choice], models: Path) -> dict[str, Any]:
    taken = [change for change in swaps.changes if not change.refused]
    held_up_ms = [change.held_up_ms for change in taken]
    answered = zip(swaps.changes, choices, strict=False)
    if not swaps.first_predictions_s[True]:
        raise SystemExit("the recording ended before an adapter was taken up: this machine is too busy to measure on")
    steady = swaps.rss_mb[len(swaps.rss_mb) // 2 :]
    return {
        "swap_ms": round(max(held_up_ms), 1),
        "swap_p50_ms": round(statistics.median(held_up_ms), 1),
        "first_prediction_s": round(max(swaps.first_predictions_s[True]), 2),
        "first_prediction_p50_s": round(statistics.median(swaps.first_predictions_s[True]), 2),
        "rollback_s": round(max(swaps.first_predictions_s[False], default=0.0), 2),
        "taken": len(taken),
        "refused": len(swaps.changes) - len(taken),
        "unanswered": len(choices) - len(swaps.changes),
        "wrong": sum(bool(change.refused) == choice.good for change, choice in answered),
        "rss_mb": round(steady[-1], 1),
        "growth_mb": round(steady[-1] - steady[0], 1),
        "adapter_kb": round((models / "random-0" / ADAPTER_FILE).stat().st_size / 1e3, 1),
        "p95_ms": round(sorted(swaps.latencies_ms)[int(len(swaps.latencies_ms) * 0.95)], 1),
    }


def _losses(store: Path, monitor: LiveMonitor) -> dict[str, int]:
    """Frames and labels that are missing, and moments that two models answered."""
    by_moment: dict[int, set[tuple[str | None, str | None]]] = {}
    unlabelled = 0
    with StoreReader(store) as reader:
        for row in reader.observations(monitor.lecture_id):
            by_moment.setdefault(row.index, set()).add((row.model_id, row.adapter_id))
            unlabelled += row.presence.judged and row.label is None
    gaps = max(by_moment) - min(by_moment) + 1 - len(by_moment)
    dropped = monitor.counts.dropped
    return {
        "lost": max(gaps, dropped) + unlabelled,
        "dropped": dropped,
        "mixed": sum(len(models) > 1 for models in by_moment.values()),
        "moments": len(by_moment),
    }


if __name__ == "__main__":
    main()
