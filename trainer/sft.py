"""Supervised training of the embedded model: settings in, checkpoint folder out. Resumable, and ends cleanly on Ctrl-C.

This file joins the parts and knows their order; the losses are in student.py, the pictures in feed.py.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from monitor.errors import BadInputError
from monitor.rubric import Rubric, load_rubric
from trainer.augment import Augmentation, plain
from trainer.corpora.facecut import cut_around_faces
from trainer.corpora.record import PictureSet, join
from trainer.corpora.synthetic import list_shards, read_shard
from trainer.dialogue import Dialogue
from trainer.evaluation.held_out import evaluate
from trainer.feed import Feed
from trainer.model import (
    Card,
    Checkpoint,
    ModelShape,
    build_model,
    describe_rubric,
    normalise_floats,
    save_checkpoint,
)
from trainer.probe_stage import teach_probes
from trainer.renders import render_missing
from trainer.schedule import Schedule
from trainer.settings import SftSettings, read_settings
from trainer.start import go_on, is_finished, read_start, run_before
from trainer.student import Student
from trainer.synthetic.recipe import read_recipe
from trainer.synthetic.shards import MANIFEST, count_pictures
from trainer.teaching import load_or_train, teacher_macro_f1
from trainer.tokenizer import train_tokenizer
from trainer.vision_start import whiten_patches

STATE_FILE = "state.pt"
TEACHER_FILE = "teacher.pt"
LOG_FILE = "log.jsonl"
LOG_EVERY_S = 20.0
SAMPLE = 512
"""Pictures that the patch embedding starts from."""


def train_sft(config: Path, *, out: Path | None = None, resume: bool = False) -> Path:
    """Train the embedded model as a configuration says, on pictures that are rendered first where they are missing.

    Args:
        config: a TOML file, see `trainer.settings.SftSettings`.
        out: where the checkpoint, the log and the state go; None = as the configuration says.
        resume: go on where an earlier run in `out` stopped.

    Returns:
        the checkpoint folder.

    Raises:
        BadInputError: a bad configuration, no data, or a folder that holds another run.
        ClassroomError: pictures are missing and cannot be rendered here.
        KeyboardInterrupt: after Ctrl-C, once the state is saved.
    """
    settings = read_settings(config)
    folder = out or Path(settings.out)
    state = folder / STATE_FILE
    before = run_before(config, settings)
    if resume and before is not None and not state.is_file():
        resume = False  # it was the run before that was interrupted
    if state.is_file() != resume:
        raise BadInputError(
            f"{folder}: holds a run already; add --resume to go on with it, or give another --out."
            if not resume
            else f"{folder}: no run to resume ({STATE_FILE} is missing); start it without --resume."
        )
    if before is not None:
        settings = replace(settings, training=replace(settings.training, start=str(_finished(before))))
    render_missing(settings.data)
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(settings.training.threads)
    return _Run(settings, folder, resume).go()


def _finished(config: Path) -> Path:
    """The checkpoint folder of another configuration's run, which is made or finished where it is not."""
    folder = Path(read_settings(config).out)
    if not is_finished(folder):
        train_sft(config, resume=(folder / STATE_FILE).is_file())
    return folder


class _Run:
    """One process of a run."""

    def __init__(self, settings: SftSettings, folder: Path, resume: bool) -> None:
        self.settings, self.folder, self.resume = settings, folder, resume
        self.rubric: Rubric = load_rubric(settings.data.rubric)
        self.shape = _shape(settings)
        self.start = read_start(settings, self.shape)
        self.feed = Feed(
            [Path(place) for place in settings.data.folders],
            self.rubric.names,
            settings.data.development_share,
            settings.data.limit,
            read_recipe(settings.data.limits) if settings.data.limits else None,
        )
        self.held_out = self._read_held_out()
        self._logged_at = 0.0
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:3.0f} %"),
            TimeElapsedColumn(), TimeRemainingColumn(),
        )  # fmt: skip
        self._tasks = {
            name: self._bar.add_task(name, total=1.0, visible=False) for name in ("teacher", "student", "probes")
        }

    def go(self) -> Path:
        """Teacher, then student, then the last figures."""
        with self._bar:
            teacher = load_or_train(
                self.folder / TEACHER_FILE,
                self.feed, self.shape.image_size, len(self.rubric.labels), self.settings, self._report,
            )  # fmt: skip
            if teacher is not None:
                figure = teacher_macro_f1(teacher, self.held_out, len(self.rubric.labels))
                self._log({"phase": "teacher", "macro_f1": round(figure, 4)})
            begun = self._begin()
            dialogue = Dialogue(self.rubric, begun.tokenizer, self.shape.image_tokens)
            student = Student(begun, dialogue, self.settings, teacher)
            self._train(student)
            taught = student.averaged()
            if self.settings.probes.steps > 0:
                taught = teach_probes(taught, self.feed, dialogue, self.settings, self._report)
            self._finish(taught)
        return self.folder

    def _begin(self) -> Checkpoint:
        """The model as the run finds it: another run's, or random weights."""
        training = self.settings.training
        if self.start is not None:
            return go_on(self.start, self.shape, self._card(), training.seed)
        tokenizer = train_tokenizer()
        model = build_model(self.shape, tokenizer, training.seed)
        sample = next(self.feed.epoch(SAMPLE, torch.Generator().manual_seed(training.seed)))
        whiten_patches(model.model.vision_model, normalise_floats(plain(sample.images, self.shape.image_size)))
        return Checkpoint(model, tokenizer, self._card())

    def _train(self, student: Student) -> None:
        training = self.settings.training
        done = student.restore(self.folder / STATE_FILE)["progress"] if self.resume else 0.0
        schedule = Schedule(steps=training.steps, seconds=training.minutes * 60, warmup=training.warmup, done=done)
        chance = torch.Generator().manual_seed(training.seed + int(1e6 * done))
        saved_at = evaluated_at = time.monotonic()
        try:
            while not schedule.over:
                self.feed.refresh()
                for batch in self.feed.epoch(training.batch_size, chance):
                    losses = student.step(batch, schedule.advance(), schedule.progress)
                    self._report(
                        "student",
                        schedule.progress,
                        {**losses, "pictures": float(self.feed.size), "step": float(schedule.step)},
                    )
                    now = time.monotonic()
                    if now - evaluated_at > training.evaluate_every_s:
                        evaluated_at = now
                        self._measure(student, schedule.progress)
                    if now - saved_at > training.save_every_s:
                        saved_at = now
                        self._save(student, schedule)
                    if schedule.over:
                        break
        finally:
            # Also on Ctrl-C: what was learned is kept, and --resume goes on from here.
            self._save(student, schedule)

    def _measure(self, student: Student, progress: float) -> None:
        if progress < self.settings.training.text_from:
            self._log({"phase": "glance", "macro_f1": round(student.glance(self.held_out), 4)})
            return
        figures = evaluate(student.averaged(), self.held_out, self.rubric, draws=100)
        self._log({"phase": "evaluation", **figures})

    def _save(self, student: Student, schedule: Schedule) -> None:
        student.checkpoint.card.data = self._data()
        student.checkpoint.card.training["progress"] = round(schedule.progress, 4)
        student.save(self.folder / STATE_FILE, {"progress": schedule.progress})
        save_checkpoint(self.folder, student.averaged())

    def _finish(self, taught: Checkpoint) -> None:
        """Final figures go into the card."""
        card = taught.card
        whole = self._held_out_whole() or cut_around_faces(self.feed.development(10**9))
        card.metrics = {"held_out": evaluate(taught, whole, self.rubric)}
        card.training["finished_at"] = datetime.now(UTC).isoformat(timespec="seconds")
        save_checkpoint(self.folder, taught)
        self._log({"phase": "final", **card.metrics["held_out"]})

    def _read_held_out(self) -> PictureSet:
        """What is measured on the way: other people's renders, or the people kept aside; cut as the monitor cuts."""
        most = self.settings.training.evaluate_most
        whole = self._held_out_whole()
        return whole.take(range(min(most, len(whole)))) if whole else cut_around_faces(self.feed.development(most))

    def _held_out_whole(self) -> PictureSet | None:
        place = self.settings.data.held_out
        shards = list_shards(Path(place)) if place else []
        return cut_around_faces(join([read_shard(shard, self.rubric.names) for shard in shards])) if shards else None

    def _card(self) -> Card:
        training: dict[str, Any] = {"settings": _told(self.settings), "torch": torch.__version__}
        if self.start is not None:
            training["start"] = {"model_id": self.start.card.model_id, **self.start.card.training}
        return Card(
            model_id=f"{self.settings.name}-{datetime.now(UTC):%Y%m%d}",
            image_size=self.shape.image_size,
            image_tokens=self.shape.image_tokens,
            rubrics={self.rubric.rubric_id: describe_rubric(self.rubric)},
            data=self._data(),
            training=training,
        )

    def _data(self) -> dict[str, Any]:
        before = self.start.card.data if self.start else {}
        recipes = dict(before.get("recipes", {}))
        for place in self.settings.data.folders:
            manifest = Path(place) / MANIFEST
            if manifest.is_file():
                told = json.loads(manifest.read_text(encoding="utf-8"))
                known = recipes.get(Path(place).name, {}).get("pictures", 0)
                recipes[Path(place).name] = {**told, "pictures": max(known, count_pictures(Path(place)))}
        runs = [*before.get("runs_before", []), before["pictures"]] if "pictures" in before else []
        return {"recipes": recipes, "pictures": self.feed.size, "shards": self.feed.shards, "runs_before": runs}

    def _report(self, phase: str, progress: float, figures: dict[str, float]) -> None:
        self._bar.update(self._tasks[phase], completed=progress, visible=True)
        now = time.monotonic()
        if now - self._logged_at >= LOG_EVERY_S or progress >= 1.0:
            self._logged_at = now
            self._log({"phase": phase, "progress": round(progress, 4), **{k: round(v, 4) for k, v in figures.items()}})

    def _log(self, entry: dict[str, Any]) -> None:
        entry = {"at": datetime.now(UTC).isoformat(timespec="seconds"), **entry}
        with (self.folder / LOG_FILE).open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")


def _shape(settings: SftSettings) -> ModelShape:
    """The model's sizes; also refuses unknown keys of [augmentation], before anything is trained."""
    for table, kind, values in (
        ("model", ModelShape, settings.model),
        ("augmentation", Augmentation, settings.augmentation),
        ("late_augmentation", Augmentation, settings.late_augmentation),
    ):
        try:
            kind(**values)
        except (TypeError, ValueError) as error:
            raise BadInputError(f"[{table}] of the configuration: {error}") from error
    return ModelShape(**settings.model)


def _told(settings: SftSettings) -> dict[str, Any]:
    """The settings as the card tells them: folders by their last name, for a card travels and machines differ."""
    told = asdict(settings)
    told.pop("out")
    told["training"]["start"] = Path(settings.training.start).name
    told["data"]["folders"] = [Path(place).name for place in settings.data.folders]
    told["data"]["held_out"] = Path(settings.data.held_out).name
    for render in told["data"]["render"]:
        render["out"] = Path(render["out"]).name
    return told
