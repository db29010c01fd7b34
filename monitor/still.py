"""Labels single pictures: the shortest way from a file to an answer. Knows no time, no names and no store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from monitor.bundle import open_bundle
from monitor.config import MonitorSettings, inference_threads
from monitor.rubric import load_rubric
from monitor.schema import Box, Crop, Image
from monitor.sources.stills import read_picture
from monitor.students.crops import cut_crop
from monitor.students.facemodel import open_face_finder
from monitor.vlm.bundled import BundledClassifier


def label_pictures(
    pictures: Sequence[Path], settings: MonitorSettings, *, whole: bool = False
) -> Iterator[dict[str, Any] | str]:
    """Yield one answer per student found, or a message where a picture gives none.

    Args:
        pictures: image files of any size and depth.
        settings: rubric and bundle to use.
        whole: the whole picture is one student; no face is looked for.

    Raises:
        RubricError, BundleError: before the first picture.
    """
    rubric = load_rubric(settings.rubric, research=settings.research)
    classifier = BundledClassifier(open_bundle(settings.bundle), rubric, threads=inference_threads())
    finder = None if whole else open_face_finder(settings.face_model, settings.face_model_sha256)
    for picture in pictures:
        image = read_picture(picture)
        if image is None:
            yield _unreadable(picture)
            continue
        faces = [_whole(image)] if finder is None else [face.box for face in finder.find([image])[0]]
        if not faces:
            yield f"{picture}: no student found; if the picture is one student's head, add --whole"
            continue
        faces.sort(key=lambda box: (box.y1, box.x1))
        crops = [
            Crop(f"{picture.name}.{number}", f"s{number:02d}", 0.0, box, image if whole else _head(image, box))
            for number, box in enumerate(faces, start=1)
        ]
        for crop, answer in zip(crops, classifier.predict(crops), strict=True):
            yield {
                "image": str(picture),
                "student": crop.student_id,
                "box": list(crop.box.as_tuple()),
                "label": answer.label,
                "confidence": round(answer.confidence, 4),
                "probabilities": {name: round(value, 4) for name, value in answer.probabilities.items()},
                "model_id": answer.model_id,
            }


def _whole(image: Image) -> Box:
    height, width = image.shape[:2]
    return Box(0, 0, width, height)


def _head(image: Image, face: Box) -> Image:
    return cut_crop(image, face, _whole(image))


def _unreadable(picture: Path) -> str:
    if not picture.exists():
        return f"{picture}: no such file. Check the path."
    if picture.is_dir():
        return f"{picture}: a folder, expected a picture. Name its pictures, or score the folder: classroom score."
    return f"{picture}: not a picture that can be read ({picture.stat().st_size} bytes). Expected jpg, png, webp, tiff…"
