"""The test sets of the experiment, all of people that nothing was learned from or chosen by."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from benchmarks.iterations.plan import Data
from monitor.errors import BadInputError
from monitor.rubric import Rubric
from trainer.corpora.open import open_corpus
from trainer.corpora.record import PictureSet, labelled
from trainer.corpora.testsets import balanced_rows, hard_rows, imbalanced_rows
from trainer.round_data import load_parts
from trainer.round_parts import Parts
from trainer.round_settings import RoundData

MAIN_SETS = ("selection", "final", "balanced", "imbalanced", "hard")


def load_domain(data: Data, rubric: Rubric, side_px: int) -> Parts:
    """Training, selection and final people of the new domain."""
    shares = RoundData(data.domain, "auto", data.selection_share, data.final_share, data.train_limit)
    return load_parts(shares, rubric, side_px, data.split_seed)


def test_sets(parts: Parts, data: Data, rubric: Rubric, real: Path | None) -> dict[str, PictureSet]:
    """Every set by its name; "selection" is there to choose among arms, and no result.

    Args:
        parts: of the domain.
        data: the prior, and sets out of distribution.
        rubric: the labels.
        real: a folder of real stills with labels.csv, tested and never learned from.

    Raises:
        BadInputError: a set that cannot be opened, a class without pictures, or people who were learned from.
    """
    final, names, seed = parts.final, rubric.names, data.split_seed
    prior = dict(zip(names, data.prior, strict=True))
    found = {
        "selection": parts.selection,
        "final": final,
        "balanced": final.take(balanced_rows(final.labels, final.persons, names, seed)),
        "imbalanced": final.take(imbalanced_rows(final.labels, final.persons, names, prior, seed)),
        "hard": final.take(sorted(hard_rows(final))),
    }
    side_px = final.images_rgb.shape[1]
    learned_from = set(parts.train.persons) | set(parts.selection.persons)
    for name, place in _others(data, real).items():
        corpus = open_corpus(place, rubric)
        found[name] = corpus.load(labelled(corpus.items), side_px)
        shared = learned_from & set(found[name].persons)
        if shared:
            raise BadInputError(
                f"{place}: {len(shared)} people were learned from ({min(shared)}): no test of anything."
            )
    return {name: pictures for name, pictures in found.items() if len(pictures)}


def _others(data: Data, real: Path | None) -> Mapping[str, Path]:
    places: dict[str, Path] = {}
    for entry in data.others:
        name, separator, place = entry.partition("=")
        if not separator or name in MAIN_SETS:
            raise BadInputError(f"[data]: 'others' needs name=folder with a name of its own, found {entry!r}")
        places[name] = Path(place)
    return places | ({"real": real} if real is not None else {})
