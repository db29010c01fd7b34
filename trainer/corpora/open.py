"""Opens any corpus: finds out which one a path holds, and refuses an empty one. Knows no pixels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from monitor.errors import BadInputError
from monitor.rubric import Rubric
from trainer.corpora import classroom, daisee, engagenet, pictures_table, student_engagement, synthetic
from trainer.corpora.record import Corpus


@dataclass(frozen=True, slots=True)
class Kind:
    """How one corpus is told and opened."""

    looks_like: Callable[[Path], bool]
    open: Callable[[Path, Rubric], Corpus]


KINDS: Mapping[str, Kind] = {
    classroom.NAME: Kind(classroom.is_classroom, classroom.open_classroom),
    synthetic.NAME: Kind(synthetic.is_synthetic, synthetic.open_synthetic),
    daisee.NAME: Kind(daisee.is_daisee, daisee.open_daisee),
    engagenet.NAME: Kind(engagenet.is_engagenet, engagenet.open_engagenet),
    pictures_table.NAME: Kind(pictures_table.is_pictures_table, pictures_table.open_pictures_table),
    student_engagement.NAME: Kind(student_engagement.is_student_engagement, student_engagement.open_student_engagement),
}
"""In the order in which a path is tried: from the surest signs to the vaguest."""


def open_corpus(path: Path, rubric: Rubric, kind: str = "auto") -> Corpus:
    """List what a corpus holds under a rubric; no pixels are read.

    Args:
        path: the corpus's folder, or the file of a store.
        rubric: whose labels the items get.
        kind: one of KINDS, or "auto" to find out.

    Raises:
        BadInputError: no such path, no corpus known here, an unknown kind, or a corpus without a single picture.
    """
    if kind != "auto" and kind not in KINDS:
        raise BadInputError(f"no kind of corpus {kind!r}; known are auto, {', '.join(KINDS)}.")
    if not path.exists():
        raise BadInputError(f"{path}: no such corpus. Check the path.")
    found = kind if kind != "auto" else _kind_of(path)
    if path.is_dir() == (found == classroom.NAME):
        expected = "the file of a store" if found == classroom.NAME else "the corpus's folder"
        raise BadInputError(f"{path}: a {'folder' if path.is_dir() else 'file'}, expected {expected} for {found!r}.")
    corpus = KINDS[found].open(path, rubric)
    if not corpus.items:
        why = "; ".join(f"{refusal.what}: {refusal.why}" for refusal in corpus.refused[:3])
        raise BadInputError(
            f"{path}: an empty corpus ({found}): no picture can be used, {len(corpus.refused)} things were refused"
            f"{f' ({why})' if why else ''}. Check that it was copied whole."
        )
    return corpus


def _kind_of(path: Path) -> str:
    for name, kind in KINDS.items():
        if kind.looks_like(path):
            return name
    raise BadInputError(
        f"{path}: not a corpus known here. Expected the layout of one of {', '.join(KINDS)}, as their files in "
        "trainer/corpora describe it; or name it with --kind."
    )
