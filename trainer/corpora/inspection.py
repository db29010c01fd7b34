"""Says what a corpus holds: counts by class, student and split, and what was refused and why. Knows no file format."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from trainer.corpora.record import NO_LABEL, Corpus, Item
from trainer.leakage import Copy, look_alikes

UNLABELLED = "unlabelled"
_PART_PX = 32
"""Side of the squares in which pictures are compared."""
_EXAMPLES = 3
_ROWS = 40
"""Students in the printed table; --json has all."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """What `classroom corpus inspect` says."""

    kind: str
    labels: tuple[str, ...]
    pictures: int
    by_part: Mapping[str, Mapping[str, int]]
    """The corpus's own split -> class -> pictures; the part is empty where there is no split."""
    by_owner: Mapping[str, Mapping[str, int]]
    """Student, else video -> class -> pictures, the biggest first."""
    students: int
    """People that are known; 0 where a corpus names none."""
    videos: int
    refused: Mapping[str, tuple[int, tuple[str, ...]]]
    """Reason -> how many, and some of them, the commonest first."""
    shared: tuple[str, ...]
    """Students or videos in more than one of the corpus's own parts."""
    copies: tuple[Copy, ...] | None = None
    """Nearly equal pictures of different students (or videos), where it was asked for."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for --json."""
        refused = {why: {"count": count, "examples": list(some)} for why, (count, some) in self.refused.items()}
        return {
            **{name: getattr(self, name) for name in ("kind", "labels", "pictures", "by_part", "by_owner")},
            **{name: getattr(self, name) for name in ("students", "videos", "shared")},
            "refused": refused,
            "copies": None if self.copies is None else [asdict(copy) for copy in self.copies],
        }


def inspect_corpus(corpus: Corpus, *, copies: bool = False) -> Inspection:
    """Count a corpus; with `copies`, read every picture and look for nearly equal ones of different students.

    Raises:
        BadInputError: `copies`, and too many pictures that cannot be read.
    """
    columns = (*corpus.label_names, UNLABELLED)
    parts: dict[str, list[Item]] = defaultdict(list)
    owned: dict[str, list[Item]] = defaultdict(list)
    places: dict[str, set[str]] = defaultdict(set)
    for item in corpus.items:
        parts[item.part].append(item)
        owned[item.owner].append(item)
        places[item.owner].add(item.part)
    biggest = sorted(owned, key=lambda owner: (-len(owned[owner]), owner))
    return Inspection(
        kind=corpus.name,
        labels=columns,
        pictures=len(corpus.items),
        by_part={part: _counts(items, columns) for part, items in sorted(parts.items())},
        by_owner={owner: _counts(owned[owner], columns) for owner in biggest},
        students=len({item.person for item in corpus.items if item.person}),
        videos=len({item.video for item in corpus.items if item.video}),
        refused=_refused(corpus),
        shared=tuple(sorted(owner for owner, found in places.items() if len(found) > 1)),
        copies=look_alikes(corpus.load(corpus.items, _PART_PX)) if copies else None,
    )


def print_inspection(found: Inspection) -> None:
    """As tables for a person."""
    console = Console()
    people = f"{found.students} students" if found.students else "students not named"
    console.print(f"[b]{found.kind}[/b]: {found.pictures} pictures, {people}, {found.videos} videos")
    if list(found.by_part) != [""]:
        console.print(_table("split", found.labels, {part or "-": row for part, row in found.by_part.items()}))
    whose = "student" if found.students else "video"
    alone = len(found.by_owner) == found.pictures  # as rendered students are: a table of ones says nothing
    rows = {} if alone else dict(list(found.by_owner.items())[:_ROWS])
    console.print(_table(whose, found.labels, rows, total=found.by_part))
    if alone:
        console.print(f"Each is of another {whose}.")
    elif len(found.by_owner) > _ROWS:
        console.print(f"... and {len(found.by_owner) - _ROWS} more; --json has all.")
    if found.shared:
        console.print(
            f"[yellow]Its own split leaks[/yellow]: {len(found.shared)} of {len(found.by_owner)} are in more than one "
            f"part ({', '.join(found.shared[:_EXAMPLES])}). Split it anew; the trainer does."
        )
    if found.copies is not None:
        console.print(f"Nearly the same picture under two {whose}s: {len(found.copies)} pairs")
    for copy in (found.copies or ())[:_EXAMPLES]:
        named = " and ".join(f"{copy.pictures[k]} of {copy.persons[k]}" for k in (0, 1))
        console.print(f"  {named} (likeness {copy.likeness:.2f})", markup=False, highlight=False, soft_wrap=True)
    total = sum(count for count, _ in found.refused.values())
    console.print(f"Refused: {total}" if total else "Nothing refused.")
    for why, (count, some) in found.refused.items():
        more = ", ..." if count > len(some) else ""
        console.print(f"  {count} {why}: {', '.join(some)}{more}", markup=False, highlight=False, soft_wrap=True)


def _counts(items: Sequence[Item], columns: Sequence[str]) -> dict[str, int]:
    counts = Counter(UNLABELLED if item.label == NO_LABEL else columns[item.label] for item in items)
    return {name: counts[name] for name in columns}


def _refused(corpus: Corpus) -> dict[str, tuple[int, tuple[str, ...]]]:
    by_reason: dict[str, list[str]] = defaultdict(list)
    for refusal in corpus.refused:
        by_reason[refusal.why].append(refusal.what)
    order = sorted(by_reason, key=lambda why: (-len(by_reason[why]), why))
    return {why: (len(by_reason[why]), tuple(by_reason[why][:_EXAMPLES])) for why in order}


def _table(
    what: str,
    columns: Sequence[str],
    rows: Mapping[str, Mapping[str, int]],
    *,
    total: Mapping[str, Mapping[str, int]] | None = None,
) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column(what)
    for name in (*columns, "all"):
        table.add_column(name, justify="right")
    for name, row in rows.items():
        table.add_row(name, *(str(row[column]) for column in columns), str(sum(row.values())))
    if total is not None:
        sums = [sum(row[column] for row in total.values()) for column in columns]
        table.add_row("all", *map(str, sums), str(sum(sums)), style="bold")
    return table
