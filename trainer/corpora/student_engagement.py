"""Reads the Student Engagement Dataset: frames of students at a maths tutor, named <video>_<frame>.jpg.

Two layouts, with or without folders for the splits above them: a folder a class, and filter_cap.json (captions) beside
a folder image/. Frame numbers are not padded alike, so 165113_31 and 165113_031 are one frame. The names hold no
student; students.csv (columns video, student) adds them. This file knows no model.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from monitor.errors import BadInputError
from monitor.rubric import Rubric
from trainer.corpora.pictures import SUFFIXES, read_files
from trainer.corpora.record import NO_LABEL, Corpus, Item, Refusal
from trainer.corpora.tables import read_table

NAME = "student_engagement"
CAPTIONS = "filter_cap.json"
STUDENTS = "students.csv"

_CLASSES = {"screen": "screen", "paper": "paper", "wander": "wander", "wandering": "wander", "away": "wander"}
"""Folder of a class, lower case -> label of the rubric `attention`."""
_WORDS = {"screen": "screen", "paper": "paper", "away": "wander"}
"""The one word that tells a caption's class."""


@dataclass(frozen=True, slots=True)
class _Sighting:
    """One frame under one label, before duplicates are looked for."""

    path: Path
    key: tuple[str, int]
    label: str
    part: str


def is_student_engagement(folder: Path) -> bool:
    """Whether a folder looks like this corpus."""
    return any(True for _ in _class_folders(folder)) or any(True for _ in _caption_files(folder))


def open_student_engagement(folder: Path, rubric: Rubric) -> Corpus:
    """List the frames of the corpus.

    Raises:
        BadInputError: captions that are not JSON, or name no class or more than one; a label that the rubric lacks.
    """
    refused: list[Refusal] = []
    sightings = [*_from_classes(folder, refused), *_from_captions(folder, refused)]
    students = _students(folder / STUDENTS)
    items: dict[str, Item] = {}
    for seen in sightings:
        if seen.label not in rubric.names:
            raise BadInputError(
                f"{seen.path}: label {seen.label!r} is not one of the rubric's ({rubric.rubric_id}): "
                f"{', '.join(rubric.names)}. Use --rubric attention."
            )
        video, frame = seen.key
        item_id = f"{video}_{frame:03d}"
        label = rubric.names.index(seen.label)
        first = items.get(item_id)
        if first is None:
            source = str(seen.path)
            items[item_id] = Item(item_id, source, frame, label, students.get(video, ""), video, part=seen.part)
            continue
        refused.append(
            Refusal(str(seen.path), "the same frame again" if first.label == label else "the same frame, two labels")
        )
        if first.label not in (label, NO_LABEL):
            items[item_id] = replace(first, label=NO_LABEL)
    return Corpus(NAME, rubric.names, tuple(items.values()), tuple(refused), read_files, frames=True)


def _class_folders(folder: Path) -> Iterator[tuple[Path, str]]:
    """Folders named like a class, here and one level down; with the split they lie in."""
    if folder.is_dir():
        for entry in sorted(folder.iterdir()):
            if entry.is_dir() and entry.name.casefold() in _CLASSES:
                yield entry, ""
            elif entry.is_dir():
                inner = sorted(path for path in entry.iterdir() if path.is_dir())
                yield from ((path, entry.name) for path in inner if path.name.casefold() in _CLASSES)


def _caption_files(folder: Path) -> Iterator[tuple[Path, str]]:
    if (folder / CAPTIONS).is_file():
        yield folder / CAPTIONS, ""
    for path in sorted(folder.glob(f"*/{CAPTIONS}")):
        yield path, path.parent.name


def _from_classes(folder: Path, refused: list[Refusal]) -> Iterator[_Sighting]:
    for place, part in _class_folders(folder):
        for path in sorted(place.iterdir()):
            if path.is_dir() or path.name.startswith("."):
                continue
            key = _key(path.stem)
            if path.suffix.lower() not in SUFFIXES:
                refused.append(Refusal(str(path), "not a picture by its name"))
            elif key is None:
                refused.append(Refusal(str(path), "not named <video>_<frame>"))
            else:
                yield _Sighting(path, key, _CLASSES[place.name.casefold()], part)


def _from_captions(folder: Path, refused: list[Refusal]) -> Iterator[_Sighting]:
    for table, part in _caption_files(folder):
        frames = _frames(table.parent / "image")
        for number, entry in enumerate(_annotations(table), start=1):
            where = f"{table}, annotation {number}"
            image_id = str(entry.get("image_id", ""))
            key = _key(Path(image_id).stem if image_id.lower().endswith(SUFFIXES) else image_id)
            if key is None:
                refused.append(Refusal(f"{where}: {image_id!r}", "not named <video>_<frame>"))
                continue
            label = _caption_label(str(entry.get("caption", "")), where)
            if key not in frames:
                refused.append(Refusal(f"{where}: {image_id}", "a caption without its picture"))
            else:
                yield _Sighting(frames[key], key, label, part)


def _annotations(table: Path) -> list[dict[str, object]]:
    try:
        found = json.loads(table.read_text(encoding="utf-8"))["annotations"]
        if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
            raise TypeError("annotations must be a list of objects")
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise BadInputError(
            f'{table}: expected {{"annotations": [{{"image_id": ..., "caption": ...}}]}}, found something else '
            f"({error}). Copy the file again."
        ) from error
    return found


def _frames(folder: Path) -> dict[tuple[str, int], Path]:
    """Pictures by video and frame number; of two spellings of one frame the first by name."""
    found: dict[tuple[str, int], Path] = {}
    if folder.is_dir():
        for path in sorted(folder.iterdir()):
            key = _key(path.stem)
            if key is not None and path.suffix.lower() in SUFFIXES:
                found.setdefault(key, path)
    return found


def _key(stem: str) -> tuple[str, int] | None:
    """Video and frame number: the text before the last underscore, and the number after it."""
    match = re.fullmatch(r"(.+)_(\d+)", stem.strip())
    return (match[1], int(match[2])) if match else None


def _caption_label(caption: str, where: str) -> str:
    """The class of a caption, by the one word that occurs in it."""
    words = {_WORDS[word] for word in re.findall(r"[a-z]+", caption.casefold()) if word in _WORDS}
    if len(words) != 1:
        raise BadInputError(
            f"{where}: caption {caption!r} must hold exactly one of {', '.join(_WORDS)}. Correct it, or take it out."
        )
    return words.pop()


def _students(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    return {row["video"]: f"sed-{row['student']}" for _, row in read_table(path, ("video", "student"))}
