"""Figures of named sets: the trainer's own formulas, read from stills with a table or from shards."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from export.figures import calibration_error, confusion, f1_per_label, interval, macro_f1, reliability
from export.heldout import Heldout, named_folders, read_measured
from export.measure import measure, surest_macro_f1
from export.probes import hang_together
from monitor.errors import BadInputError
from monitor.sources.picture_file import read_picture
from monitor.vlm.pixels import fit_square
from tests.export.checkpoints import write_shards
from trainer.evaluation import counts, metrics
from trainer.evaluation.intervals import bootstrap_counts, counts_by_person
from trainer.evaluation.intervals import interval as trainers_interval
from trainer.evaluation.probes import probe

LABELS = ("screen", "paper", "wander")


def draw(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities, truth that follows them, people."""
    rng = np.random.default_rng(seed)
    odds = rng.dirichlet((0.6, 0.5, 0.4), count)
    truth = (rng.random((count, 1)) > odds.cumsum(1)).sum(1).clip(0, 2)
    return odds, truth, np.array([f"p{number}" for number in rng.integers(0, 20, count)])


def test_figures_are_those_of_the_trainer() -> None:
    odds, truth, people = draw(400)
    answers = odds.argmax(1)
    ours, theirs = confusion(truth, answers, 3), metrics.score(truth, answers, 3)
    assert ours.tolist() == theirs.confusion.tolist()
    assert f1_per_label(ours) == pytest.approx(theirs.f1)
    assert float(macro_f1(ours)) == pytest.approx(theirs.macro_f1)
    assert calibration_error(truth, odds) == pytest.approx(metrics.expected_calibration_error(odds, truth))
    drawn = bootstrap_counts(counts_by_person(list(people), truth, answers, 3), draws=2000, seed=0)
    span = trainers_interval(theirs.macro_f1, counts.macro_f1(drawn))
    assert interval(people, truth, answers, 3) == pytest.approx((span.low, span.high))


def test_a_label_that_nobody_shows_leaves_the_mean_alone() -> None:
    truth, answers = np.array([0, 0, 1, 1]), np.array([0, 0, 1, 0])
    found = confusion(truth, answers, 3)
    assert np.isnan(f1_per_label(found)[2])
    assert float(macro_f1(found)) == pytest.approx((0.8 + 2 / 3) / 2)


def test_probes_are_those_of_the_trainer() -> None:
    rng = np.random.default_rng(3)
    yes, truth = rng.random((200, 3)), rng.integers(0, 3, 200)
    direct = np.where(rng.random(200) < 0.7, yes.argmax(1), truth)
    ours, theirs = hang_together(yes, truth, direct), probe(yes, truth, direct, {"random": (truth + 1) % 3})
    assert ours["exactly_one_yes"] == pytest.approx(theirs.exactly_one_yes, abs=1e-4)
    assert ours["agreement"] == pytest.approx(theirs.agreement, abs=1e-4)
    assert ours["no_yes"] == pytest.approx(theirs.no_yes, abs=1e-4)
    assert ours["accuracy_by_likeliest_yes"] == pytest.approx(theirs.accuracy_by_likeliest_yes, abs=1e-4)
    assert ours["yes_to_the_true_label"] == pytest.approx(theirs.strategies["random"].recall, abs=1e-4)


def test_reliability_goes_from_the_least_sure_to_the_surest() -> None:
    odds, truth, _ = draw(2000)
    parts = reliability(truth, odds)
    assert [part["pictures"] for part in parts] == [400] * 5
    assert parts == sorted(parts, key=lambda part: part["confidence"])
    for part in parts:
        assert part["accuracy"] == pytest.approx(part["confidence"], abs=0.08)  # the truth was drawn from the odds


def pictures(count: int, seed: int = 0) -> tuple[np.ndarray, Heldout]:
    odds, truth, people = draw(count, seed)
    clear = np.arange(count) % 10 != 0
    groups = tuple({"glasses": "yes" if number % 4 == 0 else "no"} for number in range(count))
    return odds, Heldout(np.zeros((count, 2, 2, 3), np.uint8), truth, clear, people, groups)


def test_a_set_is_measured_whole() -> None:
    odds, shown = pictures(300)
    found = measure(odds, shown, LABELS, threshold=0.6)
    assert found["pictures"] == 270 and sum(map(sum, found["confusion"])) == 270
    low, high = found["macro_f1_interval"]
    assert low < found["macro_f1"] < high
    assert found["majority_macro_f1"] < 0.3
    assert found["coverage"] == pytest.approx((odds[shown.clear].max(1) >= 0.6).mean(), abs=1e-4)
    assert found["macro_f1_when_sure"] > found["surest_80_macro_f1"] > found["macro_f1"]
    assert found["ambiguous_unsure"] == pytest.approx((odds[~shown.clear].max(1) < 0.6).mean(), abs=1e-4)
    glasses = found["groups"]["glasses"]
    assert glasses["yes"]["pictures"] + glasses["no"]["pictures"] == 270
    assert glasses["no"]["to_mean"] == pytest.approx(glasses["no"]["macro_f1"] - found["macro_f1"], abs=2e-4)


def test_what_calibration_moves_is_reported_on_people_it_has_not_seen() -> None:
    odds, shown = pictures(300)
    unseen = np.arange(300) >= 150
    part, whole = measure(odds, shown, LABELS, 0.6, unseen), measure(odds, shown, LABELS, 0.6)
    assert part["macro_f1"] == whole["macro_f1"]
    rows = unseen & shown.clear
    assert part["calibration_error"] == pytest.approx(calibration_error(shown.truth[rows], odds[rows]), abs=1e-4)
    assert part["calibration_error"] != whole["calibration_error"]


def test_the_surest_are_better_than_all() -> None:
    odds, truth, _ = draw(1000)
    assert surest_macro_f1(odds, truth, 0.5) > surest_macro_f1(odds, truth, 1.0)


def write_stills(folder: Path, rows: list[str]) -> Path:
    """Red, green and blue pictures of odd sizes, and a table."""
    for name, color, shape in (("a.png", (0, 0, 255), (40, 30)), ("b.png", (0, 255, 0), (9, 9))):
        cv2.imwrite(str(folder / name), np.full((*shape, 3), color, np.uint8))
    (folder / "labels.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder


def test_stills_with_a_table_are_read(tmp_path: Path) -> None:
    rows = ["file,set,person,label,licence", "a.png,one,anna,paper,none", "b.png,two,ben,screen,none"]
    found = read_measured(write_stills(tmp_path, rows), LABELS, 16)
    assert found.pixels.shape == (2, 16, 16, 3)
    assert found.pixels[0, 5, 5].tolist() == [255, 0, 0], "red-green-blue"
    assert found.truth.tolist() == [1, 0] and found.people.tolist() == ["anna", "ben"]
    assert found.groups == ({"set": "one"}, {"set": "two"})
    assert found.clear.all()


def test_a_still_is_read_as_the_runtime_reads_it(tmp_path: Path) -> None:
    """The same pixels on both sides, whatever the picture: smaller, larger, not square, grey, 16 bit, transparent."""
    chance = np.random.default_rng(0)
    shapes = [(60, 60, 3), (300, 300, 3), (120, 128, 3), (90, 160), (50, 40, 4)]
    pictures = [chance.integers(0, 256, shape, dtype=np.uint8) for shape in shapes]
    rows = ["file,person,label"]
    for number, picture in enumerate([*pictures, pictures[0].astype(np.uint16) * 257]):
        cv2.imwrite(str(tmp_path / f"{number}.png"), picture)
        rows.append(f"{number}.png,p{number},screen")
    (tmp_path / "labels.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    for number, image_rgb in enumerate(read_measured(tmp_path, LABELS, 64).pixels):
        picture_bgr = read_picture(tmp_path / f"{number}.png")
        assert picture_bgr is not None
        np.testing.assert_array_equal(image_rgb, fit_square(picture_bgr, 64)[:, :, ::-1])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["file,person,label", "a.png,anna,asleep"], "label 'asleep' is not one of screen, paper, wander"),
        (["file,person,label", "gone.png,anna,paper"], "gone.png: expected a picture.*found no such file"),
        (["file,person,label", "labels.csv,anna,paper"], r"found \d+ bytes that are no picture"),
        (["file,label", "a.png,paper"], r"missing: \['person'\]"),
        (["file,person,label"], "needs rows"),
    ],
)
def test_broken_tables_are_refused(tmp_path: Path, rows: list[str], message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        read_measured(write_stills(tmp_path, rows), LABELS, 16)


def test_shards_are_a_set_too_and_a_missing_folder_is_named(tmp_path: Path) -> None:
    assert len(read_measured(write_shards(tmp_path, 20), LABELS, 16)) == 20
    with pytest.raises(BadInputError, match="no such folder"):
        read_measured(tmp_path / "none", LABELS, 16)


def test_of_many_pictures_some_are_read_evenly_spread_over_all(tmp_path: Path) -> None:
    shards = write_shards(tmp_path / "shards", 20)
    whole, some = (read_measured(shards, LABELS, 16, most) for most in (None, 4))
    places = [0, 6, 13, 19]
    np.testing.assert_array_equal(some.pixels, whole.pixels[places])
    assert some.people.tolist() == whole.people[places].tolist()
    assert some.groups == tuple(whole.groups[place] for place in places)
    rows = ["file,person,label", *["a.png,anna,paper", "b.png,ben,screen"] * 3]
    (tmp_path / "stills").mkdir()
    assert read_measured(write_stills(tmp_path / "stills", rows), LABELS, 16, 3).truth.tolist() == [1, 1, 0]


def test_shards_without_any_picture_are_told(tmp_path: Path) -> None:
    np.savez(tmp_path / "shard_00000.npz", images=np.zeros((0, 8, 8, 3), np.uint8))
    (tmp_path / "shard_00000.jsonl").write_text("", encoding="utf-8")
    with pytest.raises(BadInputError, match="1 shards hold no pictures"):
        read_measured(tmp_path, LABELS, 16)


@pytest.mark.parametrize("told", ["hard", "=folder", "hard=", "heldout=folder"])
def test_named_folders_need_a_free_name_and_a_folder(told: str) -> None:
    with pytest.raises(BadInputError, match="--measure"):
        named_folders([told])
    with pytest.raises(BadInputError, match="taken"):
        named_folders(["hard=a", "hard=b"])
    assert named_folders(["hard=a=b"]) == {"hard": Path("a=b")}
