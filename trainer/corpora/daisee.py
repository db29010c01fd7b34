"""Reads DAiSEE: ten-second webcam clips with four crowd-labelled states, as stills taken once a second.

DataSet/{Train,Validation,Test}/<user>/<clip>/<clip>.avi or .mp4, Labels/*.csv whose last column name ends in a space.
Under the rubric daisee-engagement a still has its clip's level of engagement; under another one what
Labels/<rubric>.csv says (columns ClipID, Second, Label), so that it can be annotated anew. This file knows no model.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from monitor.errors import BadInputError
from monitor.rubric import Rubric
from trainer.corpora.clips import Clip, stills_of, unknown_relabels
from trainer.corpora.pictures import CLIP_SUFFIXES, read_clips
from trainer.corpora.record import NO_LABEL, Corpus, Item, Refusal
from trainer.corpora.tables import read_relabels, read_table

NAME = "daisee"
OWN_RUBRIC = "daisee-engagement"
LEVELS = 4
_LABEL_FILES = ("AllLabels.csv", "TrainLabels.csv", "ValidationLabels.csv", "TestLabels.csv")
_GENDERS = {"Males.txt": "male", "Females.txt": "female"}
_USER_DIGITS = 6
"""The first digits of a clip's number are its user's."""


def is_daisee(folder: Path) -> bool:
    """Whether a folder looks like this corpus."""
    return (folder / "DataSet").is_dir() and (folder / "Labels").is_dir()


def open_daisee(folder: Path, rubric: Rubric) -> Corpus:
    """List the stills of all clips.

    Raises:
        BadInputError: no labels, a level outside of 0 to 3, two levels for one clip, or a label outside the rubric.
    """
    refused: list[Refusal] = []
    levels = _levels(folder / "Labels")
    relabels = read_relabels(folder / "Labels", rubric.rubric_id, rubric.names, "clipid")
    own = _is_own(rubric)
    genders = _genders(folder / "GenderClips")
    items: dict[str, Item] = {}
    met: set[str] = set()
    for path, part in _clips(folder / "DataSet", refused):
        name = path.stem
        if name in met:
            refused.append(Refusal(str(path), "a clip of the same name again"))
            continue
        met.add(name)
        if own and name not in levels:
            refused.append(Refusal(str(path), "a clip without a label"))
            continue
        groups = {"gender": genders[name]} if name in genders else {}
        person = f"daisee-{name[:_USER_DIGITS]}"
        stills = stills_of(Clip(path, person, part, levels[name] if own else NO_LABEL, groups), relabels)
        if isinstance(stills, Refusal):
            refused.append(stills)
        else:
            items |= {item.item_id: item for item in stills}
    refused += [Refusal(name, "a label without its clip") for name in sorted(levels.keys() - met)]
    refused += unknown_relabels(relabels, items)
    return Corpus(NAME, rubric.names, tuple(items.values()), tuple(refused), read_clips, frames=True)


def _is_own(rubric: Rubric) -> bool:
    """Whether the levels of the corpus are the labels of the rubric."""
    return rubric.rubric_id == OWN_RUBRIC and len(rubric.names) == LEVELS


def _clips(data: Path, refused: list[Refusal]) -> Iterator[tuple[Path, str]]:
    """Every clip and the split it lies in."""
    for folder in sorted(data.glob("*/*/*")):
        if not folder.is_dir():
            continue
        part, user = folder.parent.parent.name, folder.parent.name
        clips = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in CLIP_SUFFIXES]
        if not clips:
            refused.append(Refusal(str(folder), "a folder without its clip"))
        for path in clips:
            if not path.stem.isdigit() or len(path.stem) <= _USER_DIGITS:
                refused.append(Refusal(str(path), "not named by a DAiSEE clip number"))
            elif user.isdigit() and len(user) == _USER_DIGITS and not path.stem.startswith(user):
                refused.append(Refusal(str(path), "in the folder of another user"))
            else:
                yield path, part.casefold()


def _levels(folder: Path) -> dict[str, int]:
    """Level of engagement by clip, without the suffix: the tables say .avi where the file may be .mp4."""
    tables = [folder / name for name in _LABEL_FILES if (folder / name).is_file()]
    if not tables:
        raise BadInputError(f"{folder}: none of {', '.join(_LABEL_FILES)} in it. Copy the folder Labels again.")
    found: dict[str, int] = {}
    for table in tables:
        for line, row in read_table(table, ("clipid", "engagement")):
            written = row["engagement"]
            if not (written.isdigit() and int(written) < LEVELS):
                raise BadInputError(f"{table}, line {line}: engagement must be 0 to {LEVELS - 1}, found {written!r}")
            clip = Path(row["clipid"]).stem
            if found.setdefault(clip, int(written)) != int(written):
                raise BadInputError(
                    f"{table}, line {line}: {clip} has level {written} here and {found[clip]} elsewhere. Copy Labels "
                    "again, or delete the table that was changed."
                )
    return found


def _genders(folder: Path) -> dict[str, str]:
    """Gender by clip, where the two lists are there."""
    found = {}
    for name, gender in _GENDERS.items():
        if (folder / name).is_file():
            lines = (folder / name).read_text(encoding="utf-8-sig").splitlines()
            found.update({Path(line.strip()).stem: gender for line in lines if line.strip()})
    return found
