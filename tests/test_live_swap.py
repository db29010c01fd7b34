"""Models that change while a lecture is watched: which sample is answered by which, and what the store tells of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from monitor.config import MonitorSettings
from monitor.hotswap import Change
from monitor.live import LiveMonitor
from monitor.schema import Image
from monitor.store.control import notes_of
from monitor.store.reader import StoreReader
from monitor.store.records import StoredObservation
from monitor.store.review import predictions_on, waiting
from tests.galleries import name_of, person_picture
from tests.monitor.models import choose, spoil, write_swappable, write_turned
from trainer.synthetic.gallery_video import Attendee, PictureAt, Recording, Schedule, write_gallery_video

RATE = 5
SETTINGS = MonitorSettings(rate=RATE)
SECONDS = 12
"""Far more than any test watches on a machine that keeps up: on a busy one frames are dropped, and it takes longer."""


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Three people in red light: the models of these tests go by colour."""
    path = tmp_path_factory.mktemp("red") / "class.mp4"
    people = [Attendee(f"p{number}", name_of(number), in_red_light(number)) for number in range(3)]
    write_gallery_video(path, Schedule(people, SECONDS), Recording((640, 360), fps=RATE))
    return str(path)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A bundle that is in use, and adapters that turn its answers: red is screen, paper with turn-1."""
    models = tmp_path / "models"
    base = write_swappable(models / "colors-1")
    write_turned(models / "turn-1", base)
    write_turned(models / "bad", base, 2)
    choose(models, "colors-1")
    return models


@dataclass(frozen=True)
class Watched:
    """A lecture that was watched to its end."""

    lecture_id: str
    samples: Mapping[int, list[StoredObservation]]
    """Those judged, by number of the moment."""
    changes: list[Change]
    said: list[str]

    def adapter(self, index: int) -> str | None:
        """The one adapter of a sample."""
        (found,) = {row.adapter_id for row in self.samples[index]}
        return found

    def best(self, index: int) -> str | None:
        """The one answer of a sample."""
        (found,) = {row.best for row in self.samples[index]}
        return found


def watch(
    recording: str,
    store: Path,
    after: Mapping[int, Callable[[LiveMonitor], object]],
    moments: int,
    settings: MonitorSettings = SETTINGS,
) -> Watched:
    """Watch so many moments; after: what happens when the n-th, from 0, is stored and the next is yet to come."""
    monitor = LiveMonitor(recording, settings, store=str(store))
    stored = 0
    changes: list[Change] = []
    said: list[str] = []

    def happen(latency_ms: float, waiting: int) -> None:
        nonlocal stored
        if stored in after:
            after[stored](monitor)
        stored += 1
        if stored == moments:
            raise KeyboardInterrupt

    monitor.on_stored, monitor.on_change = happen, changes.append
    try:
        with pytest.raises(KeyboardInterrupt):
            monitor.run(report=said.append)
    finally:
        monitor.close()
    samples: dict[int, list[StoredObservation]] = {}
    with StoreReader(store) as reader:
        rows = [row for row in reader.observations(monitor.lecture_id) if row.best is not None]
    numbers = {index: number for number, index in enumerate(sorted({row.index for row in rows}))}
    for row in rows:
        samples.setdefault(numbers[row.index], []).append(row)
    return Watched(monitor.lecture_id, samples, changes, said)


def test_a_promotion_counts_from_the_next_sample_and_a_rollback_brings_the_old_labels(
    recording: str, models: Path, tmp_path: Path
) -> None:
    promoted_after, back_after = 3, 8
    watched = watch(
        recording,
        tmp_path / "live.db",
        {
            promoted_after: lambda monitor: choose(models, "turn-1"),
            back_after: lambda monitor: choose(models, "colors-1"),
            back_after + 1: lambda monitor: monitor.wait_for_model(),
        },
        moments=back_after + 4,
    )
    assert [watched.adapter(index) for index in range(back_after + 1)] == [None] * 4 + ["turn-1"] * 5
    assert [watched.best(index) for index in range(back_after + 1)] == ["screen"] * 4 + ["paper"] * 5
    second = back_after + 2
    assert (watched.adapter(second), watched.best(second)) == (None, "screen")
    assert [change.model for change in watched.changes] == ["colors-1 with turn-1", "colors-1"]
    states = {row.state for row in watched.samples[second + 1]}
    assert states == {"screen"}, "what people see is smoothed, and old again, too"


def test_the_store_tells_which_model_the_lecture_goes_on_with(recording: str, models: Path, tmp_path: Path) -> None:
    store = tmp_path / "live.db"
    watched = watch(recording, store, {2: lambda monitor: choose(models, "turn-1")}, moments=5)
    with StoreReader(store) as reader:
        record = reader.lecture(watched.lecture_id)
        (note,) = notes_of(reader, watched.lecture_id)
    assert record is not None
    assert (record.model_id, record.adapter_id) == ("colors-1", "turn-1")
    assert note.text == "From here on the model is colors-1 with turn-1"
    assert note.pts_s == min(row.pts_s for row in watched.samples[3])


def test_a_tampered_adapter_is_told_on_the_dashboard_and_changes_no_label(
    recording: str, models: Path, tmp_path: Path
) -> None:
    store = tmp_path / "live.db"
    states: list[str] = []

    def remember(monitor: LiveMonitor) -> None:
        with StoreReader(store) as reader:
            status = reader.status(monitor.lecture_id)
        states.append(status.source_state if status else "")

    def tamper(monitor: LiveMonitor) -> None:
        choose(models, "bad")
        spoil(models / "bad" / "adapter.onnx_adapter")

    after = {3: tamper, 5: remember, 6: lambda _: choose(models, "turn-1"), 8: remember}
    watched = watch(recording, store, after, moments=9)
    assert [bool(change.refused) for change in watched.changes] == [True, False]
    assert {watched.best(index) for index in range(7)} == {"screen"}
    assert watched.best(7) == "paper"
    assert "champion refused: " in states[0]
    assert "adapter.onnx_adapter: changed or damaged" in states[0]
    assert states[1] == ""
    assert sum("champion refused, colors-1 goes on" in line for line in watched.said) == 1


def test_disagreements_with_a_challenger_wait_for_a_person(recording: str, models: Path, tmp_path: Path) -> None:
    store = tmp_path / "live.db"
    after = {1: lambda monitor: choose(models, "turn-1", alias="challenger")}
    watched = watch(recording, store, after, moments=4)
    assert {row.best for rows in watched.samples.values() for row in rows} == {"screen"}
    with StoreReader(store) as reader:
        queued = [one for one in waiting(reader, "attention", "ada") if one.reason == "challenger"]
        assert queued
        (shown,) = predictions_on(reader, queued[0].crop.crop_id).values()
        (aside,) = predictions_on(reader, queued[0].crop.crop_id, shadow=True).values()
    assert (shown.best, shown.adapter_id) == ("screen", None)
    assert (aside.best, aside.adapter_id) == ("paper", "turn-1")


def test_a_bundle_given_by_hand_is_never_swapped(recording: str, models: Path, tmp_path: Path) -> None:
    by_hand = replace(SETTINGS, bundle=models / "colors-1")
    after = {0: lambda monitor: choose(models, "turn-1")}
    watched = watch(recording, tmp_path / "live.db", after, moments=3, settings=by_hand)
    assert watched.changes == []
    assert {watched.adapter(index) for index in watched.samples} == {None}


def test_another_folder_of_models_may_be_named(recording: str, models: Path, tmp_path: Path) -> None:
    elsewhere = models.rename(tmp_path / "elsewhere")
    choose(elsewhere, "turn-1")
    watched = watch(recording, tmp_path / "live.db", {}, moments=1, settings=replace(SETTINGS, models=elsewhere))
    assert {watched.adapter(index) for index in watched.samples} == {"turn-1"}


def in_red_light(seed: int) -> PictureAt:
    """Somebody who sways a little, to and fro between four pictures."""
    films = [
        (person_picture(seed, step / 2).astype(np.float32) * (0.3, 0.3, 0.7) + (0, 0, 70)).astype(np.uint8)
        for step in range(4)
    ]

    def picture_at(time_s: float) -> Image:
        return films[round(time_s * RATE) % len(films)]

    return picture_at
