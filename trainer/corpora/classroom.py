"""Reads the project's own store as a corpus: crops that people labelled and that may be trained on.

Under the rubric asked for, a crop has the label that all who judged it agree on; where they differ it is refused and
counted. Crops that nobody labelled yet are items without a label. Students who are set aside for ever are in the part
HELD_ASIDE: nothing is trained on them. This file knows no SQL and no model.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from monitor.errors import StoreError
from monitor.rubric import Rubric
from monitor.store.database import Store
from monitor.store.exports import TRAINING, note_export
from monitor.store.held_aside import Sides, sides_of
from monitor.store.people import people_of
from monitor.store.reader import StoreReader
from monitor.store.records import Annotation, KeptCrop
from monitor.store.review import current_annotations, double_annotations, kept_crop, kept_crops, predictions_on
from trainer.corpora.pictures import decode
from trainer.corpora.record import HELD_ASIDE, NO_LABEL, Corpus, Item, Reading, Refusal, label_index
from trainer.noise import DoubleLabel

NAME = "classroom"
_HEADER = b"SQLite format 3\x00"


def is_classroom(path: Path) -> bool:
    """Whether a path is the file of a store."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(_HEADER)) == _HEADER


def open_classroom(path: Path, rubric: Rubric) -> Corpus:
    """List the kept crops of a store.

    Raises:
        BadInputError: a stored label that the rubric lacks: it was changed since.
        StoreError: no store, or one of another version.
    """
    items: list[Item] = []
    refused: list[Refusal] = []
    with StoreReader(path) as reader:
        answers: dict[str, list[Annotation]] = defaultdict(list)
        for annotation in current_annotations(reader, rubric.rubric_id):
            answers[annotation.crop_id].append(annotation)
        sides = sides_of(reader)
        out = {one.student_id for one in people_of(reader) if one.opted_out}
        for crop in kept_crops(reader):
            if crop.student_id in out:
                answers.pop(crop.crop_id, None)
                refused.append(Refusal(crop.crop_id, "opted out"))
                continue
            label = _label(answers.pop(crop.crop_id, []), rubric, f"{path}, crop {crop.crop_id}")
            if isinstance(label, str):
                refused.append(Refusal(crop.crop_id, label))
            else:
                items.append(_item(crop, label, sides))
    refused += [Refusal(crop_id, "its picture was purged") for crop_id in answers]
    return Corpus(NAME, rubric.names, tuple(items), tuple(refused), _Pictures(path))


def note_run(corpora: Iterable[str | Path], run: Path) -> None:
    """Write down, in each store among some corpora, that a run learns from it: who erases a student looks there."""
    for place in map(Path, corpora):
        if is_classroom(place):
            with suppress(StoreError), Store.open(place) as store:  # nobody is erased from an archive
                note_export(store, TRAINING, str(run.resolve()))


def doubly_labelled(path: Path, rubric: Rubric) -> list[DoubleLabel]:
    """What two people said about one crop, for `trainer.noise.estimate_noise`: who answered first comes first.

    Crops on which one of them can't tell are left out; purged pictures count.

    Raises:
        BadInputError: a stored label that the rubric lacks.
        StoreError: no store, or one of another version.
    """
    found: list[DoubleLabel] = []
    with StoreReader(path) as reader:
        for pair in double_annotations(reader, rubric.rubric_id):
            first, second = sorted(pair, key=lambda annotation: annotation.created_at)
            if first.label is None or second.label is None:
                continue
            crop = kept_crop(reader, first.crop_id)
            assert crop is not None  # an annotation goes with its crop
            where = f"{path}, crop {first.crop_id}"
            one, other = (label_index(word, rubric.names, where) for word in (first.label, second.label))
            said = predictions_on(reader, first.crop_id).get(first.prediction_id or 0)
            predicted = label_index(said.best, rubric.names, where) if said is not None else None
            found.append(DoubleLabel(crop.student_id or crop.person or crop.video or "", one, other, predicted))
    return found


def _label(answers: Sequence[Annotation], rubric: Rubric, where: str) -> int | str:
    """The label that counts, NO_LABEL where nobody answered, or why the crop is not used."""
    if not answers:
        return NO_LABEL
    if not all(answer.may_train for answer in answers):
        return "may not be trained on"
    said = {answer.label for answer in answers}
    if said == {None}:
        return "can't tell"
    if len(said) > 1:
        return "people disagree"
    (only,) = said
    return label_index(str(only), rubric.names, where)


def _item(crop: KeptCrop, label: int, sides: Sides) -> Item:
    if crop.corpus is not None:
        corpus, person, video = crop.corpus, crop.person or "", crop.video or ""
    else:
        corpus, person, video = NAME, crop.student_id or "", crop.lecture_id or ""
    part = "" if sides.may_teach(person or video) else HELD_ASIDE
    return Item(crop.crop_id, crop.crop_id, None, label, person, video, {"corpus": corpus}, part, crop.pts_s)


class _Pictures:
    """Reads the pictures of crops, one look into the store at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self, items: Sequence[Item]) -> Iterator[Reading]:
        """Each item's picture, in order."""
        with StoreReader(self._path) as reader:
            for place, item in enumerate(items):
                crop = kept_crop(reader, item.source)
                if crop is None or crop.picture is None:
                    yield place, "its picture was purged"
                else:
                    yield place, decode(crop.picture)
