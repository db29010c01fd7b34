"""Labels single pictures: the shortest way from a file to an answer. Knows no time, no names and no store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from monitor.config import MonitorSettings
from monitor.errors import BadInputError
from monitor.rubric import load_rubric
from monitor.schema import Box, Crop, Image
from monitor.sources.picture_file import read_picture
from monitor.students.crops import cut_crop, cut_student
from monitor.students.facemodel import FindsFaces, open_face_finder
from monitor.students.faces import TILE_SIDE_PX
from monitor.vlm.choice import Explains, choose_classifier, open_speaker

SMALLEST_PX = 8
"""Shorter sides show no face to anyone."""


def label_pictures(
    pictures: Sequence[Path], settings: MonitorSettings, *, whole: bool = False, explain: bool = False
) -> Iterator[dict[str, Any] | str]:
    """Yield one answer per student found, or a message where a picture gives none.

    Args:
        pictures: image files of any size and depth.
        settings: rubric and model to use.
        whole: the picture is of one student: the biggest head, or all of it where no head is found.
        explain: with a sentence for each answer, by models that can speak.

    Raises:
        RubricError, BundleError: before the first picture.
        BadInputError: nothing but scores can be had of this model, and a sentence is wanted.
    """
    rubric = load_rubric(settings.rubric, research=settings.research)
    classifier = choose_classifier(settings, rubric)
    speaker = open_speaker(classifier) if explain else None
    finder = open_face_finder(settings.face_model, settings.face_model_sha256)
    for picture in pictures:
        try:
            image = _open_picture(picture)
            crops = [_one_student(picture, image, finder)] if whole else _students(picture, image, finder)
        except BadInputError as error:
            yield str(error)
            continue
        answers = classifier.predict(crops)
        said = _sentences(speaker, crops, answers)
        for crop, answer, more in zip(crops, answers, said, strict=True):
            yield {
                "image": str(picture),
                "student": crop.student_id,
                "box": list(crop.box.as_tuple()),
                "label": answer.label,
                "confidence": round(answer.confidence, 4),
                "probabilities": {name: round(value, 4) for name, value in answer.probabilities.items()},
                "model_id": answer.model_id,
                **more,
            }


def _sentences(speaker: Explains | None, crops: Sequence[Crop], answers: Sequence[Any]) -> list[dict[str, str]]:
    if speaker is None:
        return [{} for _ in answers]
    return [{"explanation": sentence} for sentence in speaker.explain(crops, answers)]


def _one_student(picture: Path, image: Image, finder: FindsFaces) -> Crop:
    """The crop of the one student that a picture is of, around the biggest head; see `cut_student`."""
    head = max((face.box for face in finder.find([image], TILE_SIDE_PX)[0]), key=lambda box: box.area, default=None)
    return _crop(picture, 1, head or _whole(image), cut_student(image, head))


def _students(picture: Path, image: Image, finder: FindsFaces) -> list[Crop]:
    """A crop for each student, from the top of the picture to its bottom.

    Raises:
        BadInputError: nobody was found.
    """
    # Looked at closely a head that fills the picture is missed; from afar it is found.
    faces = [face.box for face in finder.find([image])[0] or finder.find([image], TILE_SIDE_PX)[0]]
    if not faces:
        raise BadInputError(f"{picture}: no student found; if the picture is one student's head, add --whole")
    faces.sort(key=lambda box: (box.y1, box.x1))
    return [
        _crop(picture, number, box, cut_crop(image, box, _whole(image))) for number, box in enumerate(faces, start=1)
    ]


def _crop(picture: Path, number: int, box: Box, pixels: Image) -> Crop:
    return Crop(f"{picture.name}.{number}", f"s{number:02d}", 0.0, box, pixels)


def _whole(image: Image) -> Box:
    height, width = image.shape[:2]
    return Box(0, 0, width, height)


def _open_picture(picture: Path) -> Image:
    """A picture in which a student could be seen.

    Raises:
        BadInputError: no file, no picture, too small, or one flat colour: a model would answer, and mean nothing.
    """
    image = read_picture(picture)
    if image is None:
        raise BadInputError(_unreadable(picture))
    height, width = image.shape[:2]
    if min(height, width) < SMALLEST_PX:
        raise BadInputError(
            f"{picture}: too small to show a student: expected at least {SMALLEST_PX} x {SMALLEST_PX} pixels, found "
            f"{width} x {height}. Give a larger picture."
        )
    if (image == image[0, 0]).all():
        raise BadInputError(
            f"{picture}: one flat colour, nobody can be seen: expected a student, found {width} x {height} equal "
            "pixels. Was the camera off?"
        )
    return image


def _unreadable(picture: Path) -> str:
    if not picture.exists():
        return f"{picture}: no such file. Check the path."
    if picture.is_dir():
        return f"{picture}: a folder, expected a picture. Name its pictures, or score the folder: classroom score."
    return f"{picture}: not a picture that can be read ({picture.stat().st_size} bytes). Expected jpg, png, webp, tiff…"
