"""Splits: whole students, classes near their shares, the same for the same seed; frames and leaks are refused."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from monitor.errors import BadInputError
from trainer.corpora.record import NO_LABEL, Item
from trainer.split import owners, refuse_shared, split

SHARES = {"train": 0.6, "selection": 0.2, "test": 0.2}


def item(number: int, label: int, person: str = "", video: str = "") -> Item:
    return Item(f"i{number}", "x.jpg", number, label, person, video)


def classroom(students: int = 40, seed: int = 0) -> list[Item]:
    """Students who differ in how much there is of them and in where they look."""
    rng = random.Random(seed)
    found: list[Item] = []
    for student in range(students):
        weights = [rng.random() + 0.1, rng.random() * 0.5, rng.random() * 0.2, 0.05]
        for _ in range(rng.randint(5, 40)):
            label = rng.choices([0, 1, 2, NO_LABEL], weights)[0]
            found.append(item(len(found), label, f"s{student}", f"v{rng.randint(0, 3)}"))
    return found


def test_no_student_is_on_two_sides_and_classes_keep_their_shares() -> None:
    items = classroom()
    parts = split(items, SHARES, seed=1)
    refuse_shared(parts)
    assert sum(map(len, parts.values())) == len(items)
    totals = Counter(one.label for one in items)
    for part, share in SHARES.items():
        counts = Counter(one.label for one in parts[part])
        for label in (0, 1, 2):
            assert abs(counts[label] / totals[label] - share) < 0.06, (part, label)


def test_the_seed_decides_and_the_order_of_items_does_not() -> None:
    items = classroom()
    shuffled = random.Random(5).sample(items, len(items))
    assert owners(split(items, SHARES, 1)) == owners(split(shuffled, SHARES, 1))
    assert owners(split(items, SHARES, 1)) != owners(split(items, SHARES, 2))


def test_a_corpus_grows_and_students_stay() -> None:
    before = owners(split(classroom(20), SHARES, 1))
    after = owners(split(classroom(40), SHARES, 1, fixed=before))
    assert {owner: after[owner] for owner in before} == before
    assert Counter(after.values())["train"] > Counter(before.values())["train"]
    with pytest.raises(BadInputError, match=r"was in part 'selection', and the parts now are train, test"):
        split(classroom(20), {"train": 0.5, "test": 0.5}, 1, fixed=before)


def test_videos_stand_in_for_students_that_are_not_known() -> None:
    items = [item(number, number % 3, "", f"v{number // 10}") for number in range(200)]
    for by in ("student", "video"):
        parts = split(items, {"train": 0.5, "test": 0.5}, 0, by=by)
        refuse_shared(parts)
        assert len(parts["train"]) == 100


def test_every_part_gets_somebody() -> None:
    items = [item(number, number % 3, f"s{number // 30}") for number in range(90)]
    parts = split(items, {"train": 0.98, "selection": 0.01, "test": 0.01}, 0)
    assert [len(part) for part in parts.values()] == [30, 30, 30]
    with pytest.raises(BadInputError, match="2 students or videos cannot fill 3 parts"):
        split(items[:60], SHARES, 0)


def test_a_split_by_frame_is_refused_with_the_reason() -> None:
    with pytest.raises(BadInputError, match=r"nearly the same picture.*Split by student"):
        split(classroom(), SHARES, 0, by="frame")
    with pytest.raises(BadInputError, match=r"by video is refused where students are known \(i0 is of s0\)"):
        split(classroom(), SHARES, 0, by="video")
    with pytest.raises(BadInputError, match="one of student, video, frame, found 'row'"):
        split(classroom(), SHARES, 0, by="row")


@pytest.mark.parametrize("shares", [{}, {"train": 0.5}, {"train": 1.2, "test": -0.2}])
def test_shares_that_are_none(shares: dict[str, float]) -> None:
    with pytest.raises(BadInputError, match="shares over 0 that make 1"):
        split(classroom(), shares, 0)


def test_a_split_that_leaks_is_refused() -> None:
    leaking = {"train": [item(0, 0, "ada"), item(1, 1, "bob")], "test": [item(2, 0, "ada")]}
    with pytest.raises(BadInputError, match=r"leaks: 1 students or videos .* \(ada; the first in test and train\)"):
        refuse_shared(leaking)
    unnamed = {"train": [item(0, 0, "", "v1")], "test": [item(3, 0, "", "v1")]}
    with pytest.raises(BadInputError, match=r"\(v1;"):
        refuse_shared(unnamed)
    refuse_shared({"train": [item(0, 0, "ada", "lecture")], "test": [item(1, 0, "bob", "lecture")]})
