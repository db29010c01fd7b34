"""Reads EngageNet: ten-second webcam clips in four levels of engagement, as stills taken once a second.

{Train,Validation,Test}/*.mp4 and tables of labels (.xlsx or .csv, columns chunk, label) whose spelling of the labels
varies; clips without a student ("SNP") are dropped and counted. Under another rubric than engagenet a still has what
<rubric>.csv beside the tables says (columns chunk, second, label), so that it can be annotated anew.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from monitor.errors import BadInputError
from monitor.rubric import Rubric
from trainer.corpora.clips import Clip, stills_of, unknown_relabels
from trainer.corpora.pictures import CLIP_SUFFIXES, read_clips
from trainer.corpora.record import NO_LABEL, Corpus, Item, Refusal
from trainer.corpora.tables import read_relabels, read_table

NAME = "engagenet"
OWN_RUBRIC = "engagenet"
_PARTS = ("Train", "Validation", "Test")
_LEVELS = ("notengaged", "barelyengaged", "engaged", "highlyengaged")
"""Labels without case and signs, in the order of the rubric."""
_ABSENT = ("snp", "subjectnotpresent")
"""How the label of a clip without a student begins."""


def is_engagenet(folder: Path) -> bool:
    """Whether a folder looks like this corpus."""
    return any((folder / part).is_dir() for part in _PARTS) and bool(_tables(folder))


def open_engagenet(folder: Path, rubric: Rubric) -> Corpus:
    """List the stills of all clips.

    Raises:
        BadInputError: no table of labels, a label that is none of the corpus's or outside the rubric, two labels for
            one clip.
    """
    refused: list[Refusal] = []
    levels = _labels(folder)
    relabels = read_relabels(folder, rubric.rubric_id, rubric.names, "chunk")
    own = rubric.rubric_id == OWN_RUBRIC and len(rubric.names) == len(_LEVELS)
    items: dict[str, Item] = {}
    met: set[str] = set()
    for path, part in _clips(folder):
        name = path.stem
        person = _person(name)
        why = _why_not(name, person, levels, met, own=own)
        met.add(name)
        if why:
            refused.append(Refusal(str(path), why))
            continue
        label = levels.get(name) if own else None
        stills = stills_of(Clip(path, person, part, NO_LABEL if label is None else label), relabels)
        if isinstance(stills, Refusal):
            refused.append(stills)
        else:
            items |= {item.item_id: item for item in stills}
    refused += [Refusal(name, "a label without its clip") for name in sorted(levels.keys() - met)]
    refused += unknown_relabels(relabels, items)
    return Corpus(NAME, rubric.names, tuple(items.values()), tuple(refused), read_clips, frames=True)


def _clips(folder: Path) -> Iterator[tuple[Path, str]]:
    for part in _PARTS:
        if (folder / part).is_dir():
            for path in sorted((folder / part).iterdir()):
                if path.suffix.lower() in CLIP_SUFFIXES:
                    yield path, part.casefold()


def _why_not(name: str, person: str, levels: dict[str, int | None], met: set[str], *, own: bool) -> str:
    """Why a clip is not used, or nothing."""
    if name in met:
        return "a clip of the same name again"
    if name in levels and levels[name] is None:
        return "no student in it (SNP)"
    if not person:
        return "not named subject_<number>_..."
    return "a clip without a label" if own and name not in levels else ""


def _person(name: str) -> str:
    """The first two fields of a clip's name are its student."""
    match = re.match(r"(subject_\d+)_", name)
    return f"engagenet-{match[1]}" if match else ""


def _tables(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in (".xlsx", ".csv") and "labels" in path.name and not path.name.startswith("~")
    )


def _labels(folder: Path) -> dict[str, int | None]:
    """Level by clip; None where the student is not present."""
    tables = _tables(folder)
    if not tables:
        raise BadInputError(f"{folder}: no table of labels in it, expected train_engagement_labels.xlsx and its like.")
    found: dict[str, int | None] = {}
    for table in tables:
        for line, row in read_table(table, ("chunk", "label")):
            clip, level = Path(row["chunk"]).stem, _level(row["label"], f"{table}, line {line}")
            if found.setdefault(clip, level) != level:
                raise BadInputError(f"{table}, line {line}: a second, different label for {clip}. Keep one of them.")
    return found


def _level(written: str, where: str) -> int | None:
    plain = re.sub(r"[^a-z]", "", written.casefold())
    if plain.startswith(_ABSENT):
        return None
    if plain not in _LEVELS:
        raise BadInputError(
            f"{where}: label {written!r} is none of Not-Engaged, Barely-engaged, Engaged, Highly-Engaged, SNP."
        )
    return _LEVELS.index(plain)
