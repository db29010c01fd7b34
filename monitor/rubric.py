"""Rubrics: the question asked of each student and the labels that may answer it.

A rubric is a TOML file. Three ship with the package; any path to another works as well. This file does not know how a
model turns a rubric into tokens.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any

from monitor.errors import RubricError
from monitor.schema import UNSURE, Presence

_RESERVED = {UNSURE, *Presence}
_RUBRIC_KEYS = {"id", "title", "kind", "question", "paraphrases", "labels"}
_LABEL_KEYS = {"name", "phrase", "definition", "color", "paraphrases"}


@dataclass(frozen=True, slots=True)
class Label:
    """One possible answer."""

    name: str
    """The word in tables and columns: p_<name>."""
    phrase: str
    """What the model says: the answer's text."""
    definition: str
    """What an annotator must see to choose it."""
    color: str
    """#rrggbb, the same everywhere the label is drawn; colour-blind-safe within its rubric."""
    paraphrases: tuple[str, ...] = ()
    """Other ways to say the same, for training and for consistency checks."""


@dataclass(frozen=True)
class Rubric:
    """A question and its labels, in a fixed order."""

    rubric_id: str
    title: str
    kind: str
    """"behaviour": visible orientation. "affect": inner states, refused without --research."""
    question: str
    labels: tuple[Label, ...]
    paraphrases: tuple[str, ...] = ()
    """Other ways to ask the same question."""

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Label names in order: the columns of every probability table."""
        return tuple(label.name for label in self.labels)

    def label(self, name: str) -> Label:
        """The label of that name.

        Raises:
            KeyError: the rubric has no such label.
        """
        for label in self.labels:
            if label.name == name:
                return label
        raise KeyError(f"rubric {self.rubric_id!r} has no label {name!r}, only {', '.join(self.names)}")


def shipped_rubrics() -> list[str]:
    """Ids of the rubrics inside the package."""
    folder = resources.files("monitor") / "rubrics"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def load_rubric(name_or_path: str, *, research: bool = False) -> Rubric:
    """Read a rubric by its id, or from a TOML file.

    Args:
        name_or_path: id of a shipped rubric ("attention"), or a path that ends in .toml.
        research: allow rubrics whose labels name affect.

    Raises:
        RubricError: no such rubric, a broken rule (with the file and the key), or an affect rubric without research.
    """
    if name_or_path.endswith(".toml"):
        path = Path(name_or_path)
        if not path.is_file():
            raise RubricError(f"{path}: no such rubric file. Give a path to a TOML file, or one of {_shipped()}.")
        text = path.read_text(encoding="utf-8")
    elif name_or_path in shipped_rubrics():
        text = (resources.files("monitor") / "rubrics" / f"{name_or_path}.toml").read_text(encoding="utf-8")
    else:
        raise RubricError(f"{name_or_path!r}: no such rubric. Shipped: {_shipped()}; or give a path ending in .toml.")
    rubric = parse_rubric(text, where=name_or_path)
    if rubric.kind == "affect" and not research:
        raise RubricError(
            f"rubric {rubric.rubric_id!r} names inner states (affect), not visible behaviour, and some laws forbid "
            "that in classrooms. For research with consent, add --research."
        )
    return rubric


def parse_rubric(text: str, *, where: str) -> Rubric:
    """Turn TOML text into a rubric.

    Raises:
        RubricError: names `where`, the key, what was expected and what was found.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RubricError(f"{where}: not valid TOML: {error}") from error
    _refuse_unknown(data, _RUBRIC_KEYS, where)
    kind = _text(data, "kind", where)
    if kind not in ("behaviour", "affect"):
        raise RubricError(f'{where}: kind must be "behaviour" or "affect", found {kind!r}')
    return Rubric(
        rubric_id=_word(data, "id", where),
        title=_text(data, "title", where),
        kind=kind,
        question=_text(data, "question", where),
        labels=_labels(data, where),
        paraphrases=tuple(data.get("paraphrases", ())),
    )


def _labels(data: dict[str, Any], where: str) -> tuple[Label, ...]:
    entries = data.get("labels", [])
    if not isinstance(entries, list) or len(entries) < 2:
        raise RubricError(f"{where}: a rubric needs at least two [[labels]], found {len(entries)}")
    labels = []
    for number, entry in enumerate(entries, start=1):
        here = f"{where}, label {number}"
        _refuse_unknown(entry, _LABEL_KEYS, here)
        color = _text(entry, "color", here)
        if not re.fullmatch(r"#[0-9a-fA-F]{6}", color):
            raise RubricError(f"{here}: color must look like #0072B2, found {color!r}")
        labels.append(
            Label(
                name=_word(entry, "name", here),
                phrase=_text(entry, "phrase", here),
                definition=_text(entry, "definition", here),
                color=color,
                paraphrases=tuple(entry.get("paraphrases", ())),
            )
        )
    for what in ("name", "phrase"):
        values = [getattr(label, what).casefold() for label in labels]
        twice = sorted({value for value in values if values.count(value) > 1})
        if twice:
            raise RubricError(f"{where}: each label needs its own {what}, found {twice[0]!r} more than once")
    for label in labels:
        if label.name in _RESERVED:
            raise RubricError(f"{where}: {label.name!r} is reserved for what is not a label; choose another name")
    return tuple(labels)


def _text(data: dict[str, Any], key: str, where: str) -> str:
    value = data.get(key)
    if not isinstance(value, str) or not value.strip():
        raise RubricError(f"{where}: {key!r} must be a text, found {value!r}")
    return value.strip()


def _word(data: dict[str, Any], key: str, where: str) -> str:
    value = _text(data, key, where)
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", value):
        raise RubricError(f"{where}: {key!r} must be one word of letters, digits, - and _, found {value!r}")
    return value


def _refuse_unknown(data: dict[str, Any], known: set[str], where: str) -> None:
    unknown = sorted(set(data) - known)
    if unknown:
        raise RubricError(f"{where}: unknown key {unknown[0]!r}; known keys are {', '.join(sorted(known))}")


def _shipped() -> str:
    return ", ".join(shipped_rubrics())
