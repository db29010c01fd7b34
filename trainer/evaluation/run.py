"""Runs an evaluation from paths to files: opens the model and the corpus, asks, measures, writes the report.

This file joins the parts and knows their order; it computes no figure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monitor.errors import BadInputError
from monitor.rubric import Rubric
from trainer.corpora import classroom
from trainer.corpora.open import open_corpus
from trainer.corpora.record import Corpus, Item, labelled, require_classes
from trainer.evaluation.answerer import Answerer, open_answerer
from trainer.evaluation.evaluation import Beside, Elsewhere, Evaluation, Rival, assess
from trainer.evaluation.gather import Evidence, Progress, gather
from trainer.evaluation.humans import HumanAgreement, human_agreement
from trainer.evaluation.judge import Judge, JudgeSettings
from trainer.evaluation.metrics import score
from trainer.evaluation.report_html import report_html
from trainer.evaluation.settings import EvaluationSettings
from trainer.evaluation.similarity import Embedder
from trainer.evaluation.written import (
    ANSWERS_FILE,
    FIGURES_FILE,
    REPORT_FILE,
    answers_csv,
    figures_json,
    read_answers,
    write_text,
)

Tell = Callable[[str, int, int], None]
"""What is being asked, pictures done, pictures in all."""


@dataclass(frozen=True)
class Extras:
    """What an evaluation may have beside a model and a set."""

    adapter: Path | None = None
    quantize: str | None = None
    kind: str = "auto"
    """Of the corpus."""
    part: str = ""
    """Only items of this part of the corpus's own split; empty = all."""
    validation: Path | None = None
    """Another corpus, of other people: where adversarial probes take their confusions from."""
    against: Path | None = None
    """Another model, or the folder of its evaluation on the same set."""
    against_adapter: Path | None = None
    judge: JudgeSettings | None = None
    embedder: Embedder | None = None


def evaluate_model(
    answerer: Answerer,
    corpus: Corpus,
    items: Sequence[Item],
    rubric: Rubric,
    settings: EvaluationSettings | None = None,
    *,
    beside: Beside | None = None,
    progress: Progress | None = None,
) -> tuple[Evaluation, Evidence]:
    """Ask a model about labelled items and compute every figure.

    Args:
        answerer: who is asked.
        corpus: whose the items are.
        items: at least two classes of them.
        rubric: what is asked.
        settings: how much; None = the defaults.
        beside: what else there is: a rival, another set, a judge.
        progress: told after each batch.

    Raises:
        BadInputError: no labelled items, one class alone, or too many unreadable pictures.
    """
    chosen = settings or EvaluationSettings()
    known = labelled(items)
    require_classes(known, rubric.names, corpus.name)
    evidence = gather(answerer, corpus, known, rubric, chosen, progress=progress)
    evaluation = assess(
        evidence,
        rubric,
        chosen,
        model={"model_id": answerer.model_id, **answerer.about},
        data={"corpus": corpus.name, "unlabelled": len(items) - len(known), "refused": len(corpus.refused)},
        threshold=answerer.threshold,
        beside=beside,
    )
    return evaluation, evidence


def run_evaluation(
    model: str,
    data: Path,
    out: Path,
    rubric: Rubric,
    settings: EvaluationSettings,
    extras: Extras | None = None,
    tell: Tell | None = None,
) -> Evaluation:
    """Evaluate the model at a path on the corpus at another; write report.html, evaluation.json, predictions.csv.

    Raises:
        ClassroomError: whatever a person can mend: no model, no corpus, a damaged file, people in both sets.
    """
    extra = extras or Extras()
    judge = Judge(extra.judge) if extra.judge else None  # a wrong address is told before the work, not after it
    answerer = open_answerer(model, rubric, adapter=extra.adapter, quantize=extra.quantize)
    corpus = open_corpus(data, rubric, extra.kind)
    items = choose_items(corpus, extra.part, settings)
    say = tell or (lambda what, done, total: None)
    elsewhere = _ask_elsewhere(answerer, extra, rubric, items, settings, say) if extra.validation else None

    def rival(evidence: Evidence) -> Rival:
        return _rival(extra, corpus, items, rubric, settings, evidence, say)

    evaluation, evidence = evaluate_model(
        answerer,
        corpus,
        items,
        rubric,
        settings,
        beside=Beside(
            elsewhere, rival if extra.against else None, judge, extra.embedder, data.name, _humans(corpus, data, rubric)
        ),
        progress=lambda done, total: say(answerer.model_id, done, total),
    )
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / ANSWERS_FILE, answers_csv(evidence, rubric))
    write_text(out / FIGURES_FILE, figures_json(evaluation))
    write_text(out / REPORT_FILE, report_html(evaluation))
    return evaluation


def choose_items(corpus: Corpus, part: str, settings: EvaluationSettings) -> list[Item]:
    """The labelled items of a part; with a limit, those of people drawn at random, whole people at a time.

    Raises:
        BadInputError: the corpus has no such part.
    """
    items = labelled(item for item in corpus.items if not part or item.part == part)
    if part and not items:
        parts = sorted({item.part for item in corpus.items if item.part})
        raise BadInputError(
            f"{corpus.name}: no labelled pictures in part {part!r}; its parts are {', '.join(parts) or 'none'}."
        )
    if not settings.limit or len(items) <= settings.limit:
        return items
    people = sorted({item.owner for item in items})
    order = np.random.default_rng(settings.seed).permutation(len(people))
    rank = {people[place]: number for number, place in enumerate(order)}
    chosen = sorted(items, key=lambda item: rank[item.owner])
    last = rank[chosen[settings.limit - 1].owner]
    return [item for item in items if rank[item.owner] <= last]


def _ask_elsewhere(
    answerer: Answerer, extra: Extras, rubric: Rubric, items: Sequence[Item], settings: EvaluationSettings, say: Tell
) -> Elsewhere:
    assert extra.validation is not None
    corpus = open_corpus(extra.validation, rubric)
    others = choose_items(corpus, "", settings)
    shared = {item.owner for item in items} & {item.owner for item in others}
    if shared:
        raise BadInputError(
            f"{extra.validation}: {len(shared)} people are in the evaluated set too (first: {min(shared)}). What is "
            "fitted on people must be measured on others; give a set of other people."
        )
    require_classes(others, rubric.names, str(extra.validation))
    evidence = gather(
        answerer, corpus, others, rubric, settings, plain_only=True,
        progress=lambda done, total: say(f"{answerer.model_id} on {corpus.name}", done, total),
    )  # fmt: skip
    confusion = score(evidence.truth, evidence.answers, len(rubric.labels)).confusion
    return Elsewhere(extra.validation.name, confusion)


def _rival(
    extra: Extras,
    corpus: Corpus,
    items: Sequence[Item],
    rubric: Rubric,
    settings: EvaluationSettings,
    evidence: Evidence,
    say: Tell,
) -> Rival:
    assert extra.against is not None
    if (extra.against / FIGURES_FILE).is_file():
        written = read_answers(extra.against, rubric)
        return Rival(written.model_id, _in_rows(written.answers, evidence, str(extra.against)))
    other = open_answerer(str(extra.against), rubric, adapter=extra.against_adapter)
    asked = gather(
        other, corpus, items, rubric, settings, plain_only=True,
        progress=lambda done, total: say(other.model_id, done, total),
    )  # fmt: skip
    answers = dict(zip(asked.item_ids, map(int, asked.answers), strict=True))
    return Rival(other.model_id, _in_rows(answers, evidence, str(extra.against)))


def _humans(corpus: Corpus, data: Path, rubric: Rubric) -> HumanAgreement | None:
    if corpus.name != classroom.NAME:
        return None
    found = classroom.doubly_labelled(data, rubric)
    columns = [one.person for one in found], [one.first for one in found], [one.second for one in found]
    return human_agreement(*columns, len(rubric.labels))


def _in_rows(answers: Mapping[str, int], evidence: Evidence, where: str) -> NDArray[np.int64]:
    absent = [item for item in evidence.item_ids if item not in answers]
    if absent:
        raise BadInputError(
            f"{where}: {len(absent)} of {len(evidence.item_ids)} pictures have no answer there (first: {absent[0]}). "
            "Two models are compared on the same pictures alone; evaluate both on the same set."
        )
    return np.array([answers[item] for item in evidence.item_ids], dtype=np.int64)
