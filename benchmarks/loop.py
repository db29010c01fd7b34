"""The loop, whole: a lecture live, corrections, retraining, promotion while the monitor runs, another lecture live.

    python -m benchmarks.loop [--folder FOLDER] [--bundle FOLDER] [--base FOLDER]

The shipped model reads students with dark glasses well (of those rendered, the best read are taken), so that it must
be spoilt first: somebody labels them wrongly (`paper` while they look at the screen), retrains on it, harder than the
command would, and forces the model through the gate, which has much to say against it. From then on a student with
glasses is always misread. Then the story begins: a lecture is watched, an instructor corrects the students with
glasses in it, 40 times at most; `classroom retrain --promote` runs beside the monitor, which takes up what was
promoted; and another lecture is watched, with students with glasses whom nobody ever corrected.

The command replays only what the spoilt model gets right (`--replay-right`): with all of it, which is what people get,
the replayed labels alone would mend what was spoilt, and corrections would prove nothing. The gate is forced here as
well, for a demo has no five students set aside and labelled; `gate_reasons` tells whether it had any other objection.

The last line is one JSON object. Shares of samples that are right (the likeliest label is the true one):
`misread_before` (1 - share; students with glasses in the first lecture), `corrected_after` (the same, same lecture),
`unseen_before` and `unseen_after` (students with glasses in the second lecture, whom nobody corrected),
`others_before`, `others_after` (students without, first lecture), `others_unseen` (second lecture). And `corrections`;
`unlabelled` (students in samples without a label); `dropped` frames; `longest_gap_s` between two samples of the first
lecture, which goes on during the training; `taken_up_s` from the end of the command to the first sample with the new
model; `retrain_s`, `adapter_kb`, `gate_reasons`.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.loop_class import FPS, Classmate, render_class, who_is_at, write_class
from commands.retraining import Result, Retraining
from commands.retraining_plan import Wish
from export.registry.aliases import set_champion, writing
from export.registry.entries import add_entry
from monitor.config import MonitorSettings
from monitor.live import LiveMonitor
from monitor.registry import CHAMPION, Registry
from monitor.rubric import load_rubric
from monitor.schema import Box, Crop, Prediction
from monitor.store.annotations import annotate, keep_still, record_prediction
from monitor.store.corrections import correct_now
from monitor.store.database import Store, StoreReader
from monitor.store.held_aside import make_key
from monitor.store.records import Answer, StoredObservation
from monitor.store.wishes import change_wishes, current_wishes
from monitor.vlm.bundled import BundledClassifier
from trainer.corpora.record import head_cut

RUBRIC = load_rubric("attention")
WRONG = "paper"
"""What the students with glasses are taken for, while they look at the screen."""
DEMO_KEY = b"the key of a demo, 32 bytes long"
"""Nobody is set aside: with a handful of students, chance would take those who are to be learned from."""
FORCED = "a demo has too few students set aside"
HARD = {"learning_rate": 2e-3, "rounds": 1, "only_right": True}
ROOT = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class LoopSettings:
    """How big the demo is."""

    corrected: int = 4
    """Students with glasses in the first lecture."""
    unseen: int = 3
    """In the second one."""
    more: int = 3
    """Whom only the spoilt model was taught on."""
    spare: int = 4
    """Rendered as well, and left out where they are read worst."""
    others: int = 3
    """Students without glasses, in each lecture."""
    stills: int = 12
    """Pictures of each student with glasses."""
    corrections: int = 40
    samples: int = 16
    """Samples of each lecture that are counted."""
    recording_s: int = 900
    """Length of the first recording: the training must be over by then."""
    bundle: Path | None = None
    """Another bundle than the shipped one, and the checkpoint that it was made of."""
    base: Path | None = None


@dataclass
class Watch:
    """A monitor on a thread of its own, as `classroom live` runs one."""

    monitor: LiveMonitor
    tiles: Sequence[Box]
    classmates: Sequence[Classmate]
    moments: int = 0
    champion_at_s: list[float] = field(default_factory=list)
    stored_at_s: list[float] = field(default_factory=list)
    enough: threading.Event = field(default_factory=threading.Event)
    failed: list[BaseException] = field(default_factory=list)

    def start(self) -> None:
        """Begin to watch."""
        self.monitor.on_stored = self._stored
        self.monitor.on_change = lambda change: (
            self.champion_at_s.append(time.monotonic()) if change.alias == CHAMPION and not change.refused else None
        )
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def wait_for(self, reached: Callable[[], bool], what: str, patience_s: float = 900.0) -> None:
        """Until something is so; what the monitor met is raised here."""
        give_up_at_s = time.monotonic() + patience_s
        while not reached():
            if self.failed or not self._thread.is_alive() or time.monotonic() > give_up_at_s:
                cause = self.failed[0] if self.failed else None
                raise RuntimeError(f"the monitor ended, or did not come to: {what}") from cause
            self.enough.wait(0.2)

    def end(self) -> None:
        """Stop after the next sample, as Ctrl-C does."""
        self.enough.set()
        self._thread.join()
        self.monitor.close()

    def judged(self, store: Path) -> list[tuple[StoredObservation, Classmate]]:
        """All observations, with whose each is."""
        with StoreReader(store) as reader:
            rows = list(reader.observations(self.monitor.lecture_id))
        return [(row, self.classmates[who_is_at(row.box, self.tiles)]) for row in rows]

    def _stored(self, latency_ms: float, waiting: int) -> None:
        self.moments += 1
        self.stored_at_s.append(time.monotonic())
        if self.enough.is_set():
            raise KeyboardInterrupt

    def _run(self) -> None:
        try:
            self.monitor.run()
        except KeyboardInterrupt:
            pass
        except BaseException as error:  # told to who waits
            self.failed.append(error)


def run_loop(folder: Path, settings: LoopSettings, tell: Callable[[str], None] = lambda line: None) -> dict[str, Any]:
    """Run it all in a folder and return the figures."""
    models, store = folder / "models", folder / "classroom.db"
    registry = Registry(models)
    tell("rendering students")
    wearers = settings.corrected + settings.unseen + settings.more
    with_glasses, without = render_class(wearers + settings.spare, 2 * settings.others, settings.stills)
    begin_with(registry, settings.bundle)
    with_glasses = best_read(registry, with_glasses, wearers)
    known, unseen = with_glasses[: settings.corrected], with_glasses[settings.corrected :][: settings.unseen]
    first, second = [*known, *without[: settings.others]], [*unseen, *without[settings.others :]]
    tiles = [
        write_class(folder / "first.mp4", first, settings.recording_s),
        write_class(folder / "second.mp4", second, 2 * settings.samples // FPS + 30),
    ]
    tell("spoiling the model: students with glasses are taken for readers")
    write_wrong_labels(folder / "spoilt.db", with_glasses)
    spoilt = spoil(folder / "spoilt.db", models, settings)
    figures: dict[str, Any] = {"unseen_before": round(share_right(registry, unseen), 4)}
    make_key(store, DEMO_KEY, 0.0)
    with Store.open(store) as opened:
        change_wishes(opened, may_train=True)
    tell("the first lecture")
    watch = Watch(LiveMonitor(str(folder / "first.mp4"), _live(models), store=str(store)), tiles[0], first)
    watch.start()
    try:
        corrections = correct(watch, store, settings.corrections)
        before = watch.judged(store)
        tell(f"{corrections} corrections; retraining beside the monitor")
        began = time.monotonic()
        done = retrain(store, models, settings)
        retrain_s, promoted_at_s = time.monotonic() - began, time.monotonic()
        watch.wait_for(lambda: len(watch.champion_at_s) > 0, "the promoted model")
        seen = watch.moments
        watch.wait_for(lambda: watch.moments >= seen + settings.samples, "samples with the promoted model")
    finally:
        watch.end()
    after = [pair for pair in watch.judged(store) if pair[0].adapter_id == done["model_id"]]
    tell("the second lecture")
    other = Watch(LiveMonitor(str(folder / "second.mp4"), _live(models), store=str(store)), tiles[1], second)
    other.start()
    try:
        other.wait_for(lambda: other.moments >= settings.samples, "samples of the second lecture")
    finally:
        other.end()
    later = other.judged(store)
    gaps = np.diff(watch.stored_at_s)
    return figures | {
        "corrections": corrections,
        "misread_before": round(1 - right(before, wearing=True), 4),
        "corrected_after": round(right(after, wearing=True), 4),
        "unseen_after": round(right(later, wearing=True), 4),
        "others_before": round(right(before, wearing=False), 4),
        "others_after": round(right(after, wearing=False), 4),
        "others_unseen": round(right(later, wearing=False), 4),
        "unlabelled": unlabelled(watch.judged(store), len(first), watch.moments)
        + unlabelled(later, len(second), other.moments),
        "moments": watch.moments + other.moments,
        "dropped": watch.monitor.counts.dropped + other.monitor.counts.dropped,
        "longest_gap_s": round(float(gaps.max()), 2),
        "taken_up_s": round(_first_after(watch, promoted_at_s), 2),
        "retrain_s": round(retrain_s, 1),
        "adapter_kb": round(done["figures"]["export"]["bytes"] / 1e3),
        "gate_reasons": done["reasons"],
        "spoilt_gate_reasons": len(spoilt.reasons),
        "model_id": done["model_id"],
    }


def begin_with(registry: Registry, bundle: Path | None) -> None:
    """Let a bundle be the champion; the shipped one is so already."""
    if bundle is None:
        return
    name = add_entry(registry, bundle)
    with writing(registry):
        set_champion(registry, registry.entry(name), by="demo", reason="the first")


def best_read(registry: Registry, students: Sequence[Classmate], count: int) -> list[Classmate]:
    """So many of the students whom the champion reads best, in their order: what is misread later was spoilt."""
    shares = [share_right(registry, [one]) for one in students]
    chosen = sorted(sorted(range(len(students)), key=lambda place: -shares[place])[:count])
    return [students[place] for place in chosen]


def write_wrong_labels(store: Path, students: Sequence[Classmate]) -> None:
    """A store in which somebody has labelled all students with glasses wrongly."""
    make_key(store, DEMO_KEY, 0.0)
    cut = head_cut()
    with Store.open(store) as opened:
        for student in students:
            for number, still in enumerate(student.stills_bgr["screen"]):
                head = cut(np.ascontiguousarray(still[..., ::-1]))
                if head is None:
                    continue
                crop_id = f"spoilt.{students.index(student):02d}.{number:03d}"
                picture = bytes(cv2.imencode(".png", head[..., ::-1])[1].tobytes())
                keep_still(opened, crop_id, picture, ("spoilt", str(number), student.name, ""))
                odds = {name: 1.0 if name == "screen" else 0.0 for name in RUBRIC.names}
                said = Prediction(crop_id, "", 0.0, "screen", "screen", odds, "shipped", RUBRIC.rubric_id)
                shown = record_prediction(opened, said)
                annotate(opened, Answer(crop_id, WRONG, "careless", may_train=True, prediction_id=shown), RUBRIC)


def spoil(store: Path, models: Path, settings: LoopSettings) -> Result:
    """The same by hand and harder: with what people get by default, replayed pictures would outvote wrong labels."""
    wish = Wish(store, models, base=settings.base, promote=True, force=True, reason=FORCED, by="demo", teach=HARD)
    turn = Retraining(wish)
    return turn.run(turn.plan(), tell=lambda line: None)


def retrain(store: Path, models: Path, settings: LoopSettings) -> dict[str, Any]:
    """`classroom retrain --promote`, as a process of its own."""
    command = [sys.executable, "-m", "classroom", "retrain", "--store", str(store), "--models", str(models)]
    command += ["--promote", "--force", "--reason", FORCED, "--by", "demo", "--replay-right", "--json"]
    command += ["--base", str(settings.base)] if settings.base else []
    done = subprocess.run(
        command, capture_output=True, encoding="utf-8", cwd=ROOT, check=False, env={**os.environ, "PYTHONUTF8": "1"}
    )
    if done.returncode:
        raise RuntimeError(
            f"classroom retrain ended with {done.returncode}: {done.stdout[-2000:]} {done.stderr[-2000:]}"
        )
    told: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return told


def correct(watch: Watch, store: Path, most: int) -> int:
    """The instructor: whenever a student with glasses is misread, the newest picture gets its true label.

    Each picture is corrected once; returns how many were.
    """
    corrected: set[str] = set()

    def look() -> bool:
        with StoreReader(store) as reader:
            newest = [one.observation for one in reader.latest(watch.monitor.lecture_id) if one.present]
        with Store.open(store) as opened:
            wishes = current_wishes(opened)
            for row in newest:
                student = watch.classmates[who_is_at(row.box, watch.tiles)]
                truth = student.label_at(row.pts_s)
                if not student.wears or row.best in (None, truth) or len(corrected) >= most:
                    continue
                place, who = (watch.monitor.lecture_id, row.student_id), ("instructor", secrets.token_hex(8))
                corrected.add(correct_now(opened, place, truth, who, wishes).crop_id)
        return len(corrected) >= most

    watch.wait_for(lambda: watch.moments >= 2, "two samples")
    watch.wait_for(look, f"{most} corrections")
    return len(corrected)


def right(judged: Sequence[tuple[StoredObservation, Classmate]], *, wearing: bool) -> float:
    """Share of samples in which the likeliest label is the true one."""
    known = [
        row.best == one.label_at(row.pts_s) for row, one in judged if one.wears == wearing and row.best is not None
    ]
    return float(np.mean(known)) if known else float("nan")


def unlabelled(judged: Sequence[tuple[StoredObservation, Classmate]], students: int, moments: int) -> int:
    """Students in samples who have no label."""
    return students * moments - sum(row.best is not None for row, _ in judged)


def share_right(registry: Registry, students: Sequence[Classmate]) -> float:
    """What the champion says to the students' own pictures."""
    entry, cut = registry.champion(), head_cut()
    classifier = BundledClassifier(entry.bundle, RUBRIC, 1, adapter=entry.adapter)
    crops: list[Crop] = []
    truth: list[str] = []
    for student in students:
        for label, stills in student.stills_bgr.items():
            for number, still in enumerate(stills):
                head = cut(np.ascontiguousarray(still[..., ::-1]))
                if head is not None:
                    pixels = np.ascontiguousarray(head[..., ::-1])
                    box = Box(0, 0, pixels.shape[1], pixels.shape[0])
                    crops.append(Crop(f"{label}{len(crops)}", "s01", float(number), box, pixels))
                    truth.append(label)
    said = [one.best for one in classifier.predict(crops)]
    return float(np.mean([one == other for one, other in zip(said, truth, strict=True)]))


def _first_after(watch: Watch, since_s: float) -> float:
    """From a moment to the first sample that is stored after the model was taken up; 0 where that was before."""
    taken = watch.champion_at_s[0]
    stored = next((at for at in watch.stored_at_s if at >= taken), since_s)
    return max(0.0, stored - since_s)


def _live(models: Path) -> MonitorSettings:
    return MonitorSettings(rate=FPS, models=models)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=None, help="kept; default: a scratch folder")
    parser.add_argument("--bundle", type=Path, default=None)
    parser.add_argument("--base", type=Path, default=None)
    parser.add_argument("--recording-s", type=int, default=LoopSettings().recording_s)
    arguments = parser.parse_args()
    settings = LoopSettings(recording_s=arguments.recording_s, bundle=arguments.bundle, base=arguments.base)
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        print(json.dumps(run_loop(folder, settings, lambda line: print(line, flush=True))))


if __name__ == "__main__":
    main()
