"""Reads a folder of pictures with labels.csv beside them: columns file, person, label, and any others as groups.

The simplest way to bring one's own crops: each picture is one student's. This file knows no model.
"""

from __future__ import annotations

from pathlib import Path

from monitor.rubric import Rubric
from trainer.corpora.pictures import read_files
from trainer.corpora.record import NO_LABEL, Corpus, Item, Refusal, label_index
from trainer.corpora.tables import read_table

NAME = "pictures"
TABLE = "labels.csv"
_KNOWN = ("file", "person", "label", "video")


def is_pictures_table(folder: Path) -> bool:
    """Whether a folder looks like this corpus."""
    return (folder / TABLE).is_file()


def open_pictures_table(folder: Path, rubric: Rubric) -> Corpus:
    """List the pictures of the table; an empty label is one that nobody has given yet.

    Raises:
        BadInputError: a missing column, or a label outside the rubric.
    """
    items: dict[str, Item] = {}
    refused = []
    for line, row in read_table(folder / TABLE, ("file", "person", "label")):
        name = row["file"]
        if name in items:
            refused.append(Refusal(f"{TABLE}, line {line}: {name}", "a picture named twice"))
            continue
        if not (folder / name).is_file():
            refused.append(Refusal(f"{TABLE}, line {line}: {name}", "a label without its picture"))
            continue
        label = label_index(row["label"], rubric.names, f"{folder / TABLE}, line {line}") if row["label"] else NO_LABEL
        groups = {key: value for key, value in row.items() if key not in _KNOWN}
        video = row.get("video", "")
        items[name] = Item(name, str(folder / name), None, label, row["person"], video, groups, row.get("part", ""))
    return Corpus(NAME, rubric.names, tuple(items.values()), tuple(refused), read_files)
