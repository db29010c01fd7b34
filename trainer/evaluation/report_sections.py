"""The later sections of the evaluation report: confidence, collapse, consistency, probes, words, groups, a rival.

An evaluation in, markup out; a section without figures is an empty text. It computes no figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from trainer.evaluation.abstention import Point
from trainer.evaluation.calibration import Bin
from trainer.evaluation.charts import SHARES, UNIT, Axis, Row, interval_chart, mark, plane_chart, share_chart
from trainer.evaluation.compare import Comparison
from trainer.evaluation.consistency import REPEATED
from trainer.evaluation.evaluation import Evaluation
from trainer.evaluation.free_answers import FreeAnswers
from trainer.evaluation.judge import BEST, Marks
from trainer.evaluation.report_words import cell, chance, percent, row, said, section, table

_KINDS = {
    "question": "asked",
    "answer": "answers",
    "picture": "picture",
    "generic": "asked",
}


def confidence_section(evaluation: Evaluation) -> str:
    """Reliability and abstention, side by side."""
    words = (
        "Left: of the answers given with a certain confidence, how many are right; on the dashed line confidence is "
        "honest. Right: what leaving out the least sure answers gains."
    )
    return section(
        "How far its confidence can be believed",
        words,
        f"<div class='two'><div>{_reliability(evaluation)}</div><div>{_abstention(evaluation)}</div></div>"
        + _coverage_table(evaluation),
    )


def _reliability(evaluation: Evaluation) -> str:
    found = evaluation.calibration

    def dots(bins: Sequence[Bin], css_class: str, shape: int) -> tuple[str, int, list[float], list[float], list[float]]:
        used = [one for one in bins if one.answers]
        most = max((one.answers for one in used), default=1)
        sizes = [0.55 + 1.0 * (one.answers / most) ** 0.5 for one in used]
        return css_class, shape, [one.confidence for one in used], [one.accuracy for one in used], sizes

    groups = [dots(found.bins, "a", 0)]
    if found.scaled_bins:
        groups.append(dots(found.scaled_bins, "b", 1))
    lines = [("ideal", (0.0, 1.0), (0.0, 1.0)), *((f"s-{kind}", xs, ys) for kind, _, xs, ys, _ in groups)]
    chart = plane_chart(lines, groups, (SHARES, SHARES), ("confidence", "share that is right"), "Reliability")
    legend = f"<span>{mark(0, 'a')}as the model says it</span>"
    if found.scaled_bins:
        legend += f"<span>{mark(1, 'b')}after temperature scaling</span>"
    rows = [f"<tr><td>Calibration error</td>{cell(found.ece, 3)}{cell(found.scaled_ece, 3)}</tr>"]
    rows.append(row("Surprise, nats", said(found.surprise), said(found.scaled_surprise or float("nan"))))
    rows.append(row("Brier score", said(found.brier), "–"))
    coldest, hottest = (min(found.temperatures), max(found.temperatures)) if found.temperatures else (1.0, 1.0)
    note = (
        f"Temperatures {said(coldest)} to {said(hottest)}, each fitted on other people. " if found.temperatures else ""
    )
    return (
        f"<h3>Reliability</h3><div class='legend'>{legend}</div>{chart}"
        f"{table(('', 'As it is', 'Scaled'), rows)}<p class='quiet'>{note}Larger dots hold more answers.</p>"
    )


def _abstention(evaluation: Evaluation) -> str:
    found = evaluation.abstention
    lowest = min(0.9, float(found.accuracy.min()) if len(found.accuracy) else 0.0)
    axis = Axis.around([lowest, 1.0], percent=True)
    dots = []
    legend = "<span><i class='dash k-a'></i>most confident answers first</span>"
    if found.chosen:
        dots.append(("b", 1, [found.chosen.coverage], [found.chosen.accuracy], [1.3]))
        legend += f"<span>{mark(1, 'b')}threshold chosen on other people</span>"
    if evaluation.own_threshold:
        own = evaluation.own_threshold
        dots.append(("c", 2, [own.coverage], [own.accuracy], [1.3]))
        legend += f"<span>{mark(2, 'c')}the threshold that ships</span>"
    chart = plane_chart(
        [("s-a", list(found.coverage), list(found.accuracy))],
        dots,
        (SHARES, axis),
        ("share of pictures that get an answer", "share of those answers that is right"),
        "Coverage against accuracy",
    )
    return (
        f"<h3>Coverage against accuracy</h3><div class='legend'>{legend}</div>{chart}"
        f"<p class='quiet'>Mean error over the curve {said(found.area, 3)}.</p>"
    )


def _coverage_table(evaluation: Evaluation) -> str:
    found = evaluation.abstention
    points = [(f"Surest {percent(one.coverage)}", one) for one in found.points]
    if found.chosen:
        name = f"Threshold for {found.wanted:.0%} on other people: {percent(found.chosen.coverage)}"
        points.append((name, found.chosen))
    if evaluation.own_threshold:
        own = evaluation.own_threshold
        points.append((f"Threshold that ships: {percent(own.coverage)}", own))
    head = ("Pictures that get an answer", "Right", "Macro-F1", *(f"of {name}" for name in evaluation.rubric.names))
    return table(head, [_point(name, one) for name, one in points])


def _point(name: str, one: Point) -> str:
    return row(name, percent(one.accuracy), said(one.macro_f1), *(f"{share:.0%}" for share in one.by_label))


def collapse_section(evaluation: Evaluation) -> str:
    """Answers beside the truth."""
    found, labels = evaluation.collapse, evaluation.rubric.labels
    classes = [f"l{number}" for number in range(len(labels))]
    legend = "".join(
        f"<span>{mark(number, f'l{number}')}{escape(label.phrase)}</span>" for number, label in enumerate(labels)
    )
    chart = share_chart((("truth", found.occurs), ("answers", found.answered)), classes, "Labels in truth and answers")
    spreads = ", ".join(
        f"{said(spread)} ({escape(label.name)})" for spread, label in zip(found.spread, labels, strict=True)
    )
    told = (
        f"The answers use {said(found.effective_labels)} of {len(labels)} labels in effect and differ from the truth's "
        f"shares by {percent(found.distance)}. From picture to picture the probabilities vary by "
        f"{spreads}."
    )
    words = "A model that says one label to nearly every picture can look accurate on an uneven set."
    return section(
        "Does it fall back on one label?",
        words,
        f"<div class='legend'>{legend}</div>{chart}<p class='quiet'>{told}</p>",
    )


def consistency_section(evaluation: Evaluation) -> str:
    """Agreement of all runs with the plain one."""
    found = evaluation.consistency
    if found is None:
        return ""
    kept = [one for one in found.runs if one.run.kind in REPEATED]
    rows = [Row(f"{_KINDS[one.run.kind]}: {_short(one.run.name)}", one.agreement) for one in kept]
    axis = Axis.around([*(one.agreement.low for one in kept), 1.0], percent=True)
    low, high = found.accuracy_span
    told = (
        f"Over all {len(kept) + 1} runs, {percent(found.unanimous)} of the pictures always get the same label; "
        f"{percent(found.unanimous_wrong)} always the same wrong one, for consistent is not correct. Agreement beyond "
        f"chance (Fleiss' kappa) {said(found.fleiss_kappa)}; accuracy from {percent(low)} to {percent(high)}. Asked "
        f"again at temperature 1, two answers would agree on {percent(found.sampled_agreement)}, five on "
        f"{percent(found.sampled_unanimous)}; this is exact, not sampled."
    )
    words = (
        "Share of pictures that keep their label when the question or the answers are worded otherwise, or the picture "
        "changes in ways that do not matter."
    )
    chart = f"<div class='scroll'>{interval_chart(rows, axis, 'Agreement with the plain run', left=300)}</div>"
    return section("Does the answer stay the same?", words, f"{chart}<p>{told}</p>{_prompts(evaluation)}")


def _prompts(evaluation: Evaluation) -> str:
    """The ablation of prompts: macro-F1 by question."""
    assert evaluation.consistency is not None
    asked = [one for one in evaluation.consistency.runs if one.run.kind != "picture"]
    if not asked:
        return ""
    rows = [Row(_short(evaluation.rubric.question), evaluation.headline["macro_f1"], "as trained")]
    notes = {"question": ("paraphrase", "a", 0), "answer": ("other answers", "b", 2), "generic": ("generic", "n", 1)}
    for one in asked:
        note, css_class, shape = notes[one.run.kind]
        rows.append(Row(_short(one.run.name, 40), one.macro_f1, note, css_class=css_class, shape=shape))
    words = (
        "Macro-F1 by wording. A generic question names no task: how much the specific one is worth shows against it. "
        "“Other answers” are the same labels in words that may never have been taught."
    )
    chart = f"<div class='scroll'>{interval_chart(rows, UNIT, 'Macro-F1 by question', left=440)}</div>"
    return f"<h3>What the wording is worth</h3><p class='quiet'>{words}</p>{chart}"


def probes_section(evaluation: Evaluation) -> str:
    """POPE-style figures."""
    found = evaluation.probes
    if found is None:
        return ""
    rows = [
        row(name, f"{one.questions:,}", percent(one.accuracy), percent(one.precision), percent(one.recall),
            said(one.f1), percent(one.yes_share))
        for name, one in found.strategies.items()
    ]  # fmt: skip
    words = (
        "“Is the student looking at paper?”, once for a label that is true and once for one that is not: any other "
        "(random), the commonest other (popular), the one most often confused with the truth elsewhere (adversarial). "
        "Half of the right answers is yes."
    )
    told = (
        f"Asked about every label, {percent(found.exactly_one_yes)} of the pictures get exactly one yes, "
        f"{percent(found.no_yes)} none. The likeliest yes is the direct answer on {percent(found.agreement)} of them, "
        f"and right on {percent(found.accuracy_by_likeliest_yes)}."
    )
    if found.adversarial_from:
        told += f" Confusions are taken from {found.adversarial_from}."
    head = ("Wrong label asked about", "Questions", "Accuracy", "Precision", "Recall", "F1", "Says yes")
    return section("Yes or no?", words, f"{table(head, rows)}<p>{escape(told)}</p>")


def free_section(evaluation: Evaluation) -> str:
    """What it says in its own words, and what a judge thinks of it."""
    if not evaluation.free_answers:
        return ""
    words = (
        "Answers as the model would write them. Similarity is of letters (chrF) and words (ROUGE-L) with the nearest "
        "right wording; it says how it speaks, not whether it is right."
    )
    parts = [_spoken(one) for one in evaluation.free_answers]
    return section("In its own words", words, "".join(parts) + _judge(evaluation))


def _spoken(one: FreeAnswers) -> str:
    likeness = one.similarity
    cells = [
        ("Answers", f"{likeness.answers:,}"),
        ("Exactly a right wording", percent(likeness.exact)),
        ("chrF", said(likeness.chrf)),
        ("ROUGE-L", said(likeness.rouge_l)),
    ]
    if likeness.embedding is not None:
        cells.append(("Embedding", said(likeness.embedding)))
    if one.accuracy is not None and one.unreadable is not None and one.agreement is not None:
        cells += [("Right label", percent(one.accuracy)), ("Unreadable", percent(one.unreadable))]
        cells.append(("As scored", percent(one.agreement)))
    head, values = zip(*cells, strict=True)
    line = f"<tr>{''.join(f'<td>{escape(value)}</td>' for value in values)}</tr>"
    commonest = " · ".join(f"“{escape(_short(text, 60))}” {count:,}×" for text, count in one.commonest)
    return f"<h3>{escape(one.question)}</h3>{table(head, [line])}<p class='quiet'>Said most: {commonest}</p>"


def _judge(evaluation: Evaluation) -> str:
    judged = evaluation.judged
    if judged is None or judged.trouble:
        return ""
    rows = [
        _marks(f"Correct: {one.question}", one.correctness)
        for one in evaluation.free_answers
        if one.correctness is not None
    ]
    if judged.consistency:
        rows.append(_marks("Consistent under another wording", judged.consistency))
    head = ("Asked", f"Mean of 0 to {BEST}", "For wrong answers", f"{BEST - 1} or more", "No mark", "Left out")
    words = (
        f"An extra, by {judged.model}: a language model compared the texts and saw no picture. Judges are lenient; "
        "read the mean for wrong answers first."
    )
    return f"<h3>A judge's marks</h3><p class='quiet'>{escape(words)}</p>{table(head, rows)}"


def _marks(name: str, marks: Marks) -> str:
    total = sum(marks.counts)
    good = percent(sum(marks.counts[BEST - 1 :]) / total) if total else "–"
    return row(
        name, said(marks.mean), said(marks.mean_when_wrong), good, f"{marks.unreadable:,}", f"{marks.left_out:,}"
    )


def groups_section(evaluation: Evaluation) -> str:
    """Accuracy by group."""
    if not evaluation.groups:
        return ""
    rows = [
        Row(group.value, group.accuracy, f"{grouping.name.replace('_', ' ')} · {group.pictures:,} pictures",
            baseline=evaluation.headline["accuracy"].value, shape=number % 4, css_class="a" if number % 2 == 0 else "b")
        for number, grouping in enumerate(evaluation.groups)
        for group in grouping.groups
    ]  # fmt: skip
    axis = Axis.around([one.found.low for one in rows] + [one.found.high for one in rows], percent=True)
    gaps = [
        (group.gap.value, f"{grouping.name.replace('_', ' ')} {group.value}: {100 * group.gap.value:+.1f} points")
        for grouping in evaluation.groups
        for group in grouping.groups
        if group.gap.high < 0
    ]
    told = "; ".join(text for _, text in sorted(gaps)) or "none"
    words = "Accuracy in each group; the tick is accuracy over all. Groups of fewer than 30 pictures are left out."
    chart = f"<div class='scroll'>{interval_chart(rows, axis, 'Accuracy by group', left=330)}</div>"
    line = f"<p>Served worse than the rest, with an interval that stays below 0: {escape(told.replace('-', '−'))}.</p>"
    return section("Whom it serves worse", words, chart + line)


def comparison_section(evaluation: Evaluation) -> str:
    """Against another model on the same pictures."""
    found = evaluation.comparison
    if found is None:
        return ""
    rows = _differences(found, evaluation.rubric.names)
    ends = [end for one in rows for end in (one.found.low, one.found.high)]
    chart = interval_chart(rows, Axis.around([*ends, -0.01, 0.01], zero=True), "Differences between the models")
    told = (
        f"Only this model is right on {found.only_this_right:,} pictures, only the other on {found.only_other_right:,} "
        f"(McNemar, exact: {chance(found.mcnemar_p)}, which takes pictures for independent; the intervals do not). "
        f"This model has the higher macro-F1 in {percent(found.better_share)} of the draws of people."
    )
    words = (
        f"This model minus {evaluation.rival}, on the same pictures and the same draws of people. Right of 0 is better."
    )
    return section("Against another model", words, f"<div class='scroll'>{chart}</div><p>{told}</p>")


def _differences(found: Comparison, names: Sequence[str]) -> list[Row]:
    plain = {"macro_f1": "Macro-F1", "balanced_accuracy": "Balanced accuracy", "accuracy": "Accuracy", "kappa": "Kappa"}
    rows = [Row(name, found.differences[key]) for key, name in plain.items()]
    rows += [Row(f"F1 of {name}", one, css_class="n") for name, one in zip(names, found.f1_by_label, strict=True)]
    return rows + [
        Row(f"Recall of {name}", one, css_class="n") for name, one in zip(names, found.recall_by_label, strict=True)
    ]


def _short(text: str, most: int = 48) -> str:
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"
