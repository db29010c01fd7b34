"""One evaluation as one HTML file that needs nothing else: no network, no script, light and dark.

The same evaluation gives the same bytes. Every text that comes from data is escaped. The headline is macro-F1 beside
what a constant answer would get; a judge's marks are never in it. It computes no figure.
"""

from __future__ import annotations

from html import escape

import numpy as np

from monitor.rubric import Rubric
from trainer.evaluation.charts import UNIT, Axis, Row, confusion_chart, histogram_chart, interval_chart, mark
from trainer.evaluation.evaluation import Evaluation
from trainer.evaluation.intervals import Interval
from trainer.evaluation.report_sections import (
    collapse_section,
    comparison_section,
    confidence_section,
    consistency_section,
    free_section,
    groups_section,
    probes_section,
)
from trainer.evaluation.report_style import PAGE
from trainer.evaluation.report_words import cell, chance, said, section, table

_NAMES = {
    "macro_f1": "Macro-F1",
    "balanced_accuracy": "Balanced accuracy",
    "macro_precision": "Macro precision",
    "macro_recall": "Macro recall",
    "accuracy": "Accuracy",
    "kappa": "Cohen's kappa",
    "linear_kappa": "Kappa, linear weights",
    "quadratic_kappa": "Kappa, quadratic weights",
}
_MISCALIBRATED = 0.10


def report_html(evaluation: Evaluation) -> str:
    """The page as text."""
    rubric = evaluation.rubric
    parts = (
        _header(evaluation),
        _warnings(evaluation),
        _figures(evaluation),
        _labels(evaluation),
        _null(evaluation),
        comparison_section(evaluation),
        collapse_section(evaluation),
        confidence_section(evaluation),
        consistency_section(evaluation),
        probes_section(evaluation),
        free_section(evaluation),
        groups_section(evaluation),
        _ran(evaluation),
        _limits(rubric),
    )
    colors = "\n".join(f".l{number} {{ fill: {label.color}; }}" for number, label in enumerate(rubric.labels))
    return PAGE.substitute(
        title=escape(f"Evaluation of {evaluation.model['model_id']}"), label_styles=colors, body="\n".join(parts)
    )


def _header(evaluation: Evaluation) -> str:
    data, found = evaluation.data, evaluation.headline
    commonest = evaluation.rubric.labels[int(evaluation.confusion.sum(axis=1).argmax())].phrase
    macro = found["macro_f1"]
    lead = (
        f"Macro-F1 {said(macro.value)} ({said(macro.low)} to {said(macro.high)} for other people). Always answering "
        f"“{escape(commonest)}” would get {said(evaluation.majority['macro_f1'])}."
    )
    tiles = "".join(
        f"<div class='tile'><span>{name}</span><b>{said(value)}</b><span>{note}</span></div>"
        for name, value, note in _tiles(evaluation)
    )
    return (
        f"<header><h1>{escape(evaluation.model['model_id'])}</h1>"
        f"<p class='quiet'>{escape(evaluation.rubric.title)} · {data['pictures']:,} pictures of {data['people']:,} "
        f"{'person' if data['people'] == 1 else 'people'} · {escape(str(data['corpus']))}"
        f"{' · ' + escape(str(data['set'])) if data.get('set') else ''}</p>"
        f"<p class='lead'>{lead}</p><div class='tiles'>{tiles}</div></header>"
    )


def _tiles(evaluation: Evaluation) -> list[tuple[str, float, str]]:
    found, null = evaluation.headline, evaluation.null

    def reach(one: Interval) -> str:
        return f"{said(one.low)} to {said(one.high)}"

    beyond = f"{chance(null.p_value)} within people" if null.testable else "not testable within people here"
    ece = evaluation.calibration.ece
    return [
        ("Macro-F1", found["macro_f1"].value, reach(found["macro_f1"])),
        ("Cohen's kappa", found["kappa"].value, f"{reach(found['kappa'])} · 0 is chance"),
        ("Beyond identity", null.beyond_identity if null.testable else float("nan"), beyond),
        ("Calibration error", ece.value, f"{reach(ece)} · 0 is honest"),
    ]


def _warnings(evaluation: Evaluation) -> str:
    found, null, probes = evaluation.headline, evaluation.null, evaluation.probes
    names, collapse = evaluation.rubric.names, evaluation.collapse
    never = ", ".join(names[label] for label in collapse.never)
    rows = [
        (collapse.collapsed, f"Class collapse: {collapse.answered[collapse.top]:.0%} of all answers are "
                             f"“{names[collapse.top]}”, which {collapse.occurs[collapse.top]:.0%} of pictures are."),
        (bool(never), f"Never answered, though it occurs: {never}."),
        (found["macro_f1"].low <= evaluation.majority["macro_f1"],
         "Not clearly better than always answering the commonest label: the interval reaches down to that."),
        (null.testable and null.p_value > 0.05,
         "Not clearly better than knowing who is in the picture: within people, shuffled labels do as well."),
        (evaluation.calibration.ece.value > _MISCALIBRATED,
         "Confidence is no guide as it stands: it is off by more than a tenth on average."),
        (probes is not None and probes.exactly_one_yes < 0.5,
         "Asked about each label with yes or no, the answers contradict each other on most pictures."),
    ]  # fmt: skip
    told = [text for holds, text in rows if holds] + list(evaluation.notes)
    kind = "warn" if any(holds for holds, _ in rows) else ""
    items = "".join(f"<li>{escape(text)}</li>" for text in told)
    return f"<div class='box {kind}'><ul>{items}</ul></div>" if told else ""


def _figures(evaluation: Evaluation) -> str:
    rows = [
        Row(name, evaluation.headline[key], baseline=evaluation.majority[key])
        for key, name in _NAMES.items()
        if key != "macro_recall"  # the same number as balanced accuracy; the JSON has both names
    ]
    low = min(0.0, *(row.found.low for row in rows if not np.isnan(row.found.low)))
    axis = UNIT if low >= 0 else Axis(-1.0, 1.0, (-1.0, -0.5, 0.0, 0.5, 1.0))
    legend = (
        f"<div class='legend'><span>{mark(0, 'a')}this model, with its 95 % interval</span>"
        "<span><i class='dash base'></i>always the commonest label</span></div>"
    )
    words = (
        "Intervals: whole people are drawn anew, 95 % of the draws lie inside. Macro figures give every label the same "
        "weight, however rare. Balanced accuracy and macro recall are the same number. Weighted kappa forgives "
        "an error to a neighbouring label, which only means something where the rubric's labels are a scale."
    )
    chart = _scroll(interval_chart(rows, axis, "All figures with intervals"))
    return section("All figures", words, legend + chart + _humans(evaluation))


def _humans(evaluation: Evaluation) -> str:
    """The people's own agreement, where two of them labelled the same crops."""
    found = evaluation.humans
    if found is None:
        return ""
    return (
        f"<p>Two people who labelled the same {found.crops:,} crops agree with kappa {said(found.kappa.value)} "
        f"({said(found.kappa.low)} to {said(found.kappa.high)}): more than that cannot be expected of a model.</p>"
    )


def _labels(evaluation: Evaluation) -> str:
    rows = []
    for number, label in enumerate(evaluation.labels):
        name = f"{mark(number, f'l{number}')} {escape(label.name)}"
        values = "".join(map(cell, (label.precision, label.recall, label.f1)))
        rows.append(f"<tr><td>{name}</td><td>{label.pictures:,}</td><td>{label.answered:,}</td>{values}</tr>")
    head = ("Label", "True", "Answered", "Precision", "Recall", "F1")
    chart = confusion_chart(evaluation.confusion, evaluation.rubric.names)
    words = "Each wrong answer stands in the column of what the model really said. Percentages are of the row."
    side = f"<div>{table(head, rows)}</div>"
    return section("Which labels are mixed up", words, f"<div class='two right'><div>{chart}</div>{side}</div>")


def _null(evaluation: Evaluation) -> str:
    null = evaluation.null
    words = (
        "If a model only knew who is in the picture, shuffling the true labels of each person among that person's own "
        "pictures would not hurt it. Grey: macro-F1 after such shuffles; the line: macro-F1 on the true labels."
    )
    if not null.testable:
        text = "Not testable here: nobody has pictures of two labels or more."
        return section("More than knowing the person?", words, f"<p class='quiet box'>{text}</p>")
    chart = histogram_chart(
        null.draws, null.observed, "Macro-F1 under shuffled labels", f"this model {said(null.observed)}"
    )
    told = (
        f"Shuffled labels give {said(null.mean)} on average, so that {said(null.beyond_identity)} is not explained by "
        f"identity ({chance(null.p_value)}). {null.informative_people:,} of {null.people:,} people have pictures of "
        "two labels or more; only they can tell."
    )
    return section("More than knowing the person?", words, _scroll(chart) + f"<p>{told}</p>")


def _ran(evaluation: Evaluation) -> str:
    data, settings = evaluation.data, evaluation.settings
    rows = [
        *((name.replace("model_id", "Model"), value) for name, value in evaluation.model.items()),
        ("Question", f"{evaluation.rubric.question} (rubric {evaluation.rubric.rubric_id})"),
        *((label.phrase[:1].upper() + label.phrase[1:], label.definition) for label in evaluation.rubric.labels),
        ("Pictures", f"{data['pictures']:,} of {data['people']:,} people; {data['unlabelled']:,} without a label, "
                     f"{len(data['skipped']):,} unreadable, {data['refused']:,} refused by the corpus"),
        ("Time", f"{data['ms_per_picture']:.1f} ms a picture, in batches of {settings.batch_size}, for one question"),
        ("Draws", f"{settings.draws:,}, seed {settings.seed}, {settings.folds} folds of people"),
        *(("Could not be read", text) for text in data["skipped"][:10]),
    ]  # fmt: skip
    listed = "".join(f"<dt>{escape(name)}</dt><dd>{escape(str(value))}</dd>" for name, value in rows)
    return section("What ran", "", f"<dl>{listed}</dl>")


def _limits(rubric: Rubric) -> str:
    meaning = (
        "The labels say where head and eyes seem to point, nothing about attention, understanding, mood or effort."
        if rubric.kind == "behaviour"
        else "The labels imitate how annotators judged inner states from outside; no picture shows them."
    )
    lines = (
        meaning,
        "Labels are scored exactly as answers, all of them at once; no text is guessed at, no answer is sampled twice "
        "until it fits, and a similar sentence is not a right one.",
        "The truth is what annotators (or a renderer) said. Where two annotators agree on no more than this, it is the "
        "best there is to reach; their own kappa belongs beside the one above.",
        "Whether the model was trained on any of these people this page cannot know. Then all of it is too good.",
        "Intervals tell of other people like these, not of another camera, another room or another country.",
        "Many groups and figures are looked at here: now and then one stands out by chance alone.",
    )
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return section("What this cannot tell", "", f"<div class='box'><ul>{items}</ul></div>")


def _scroll(chart: str) -> str:
    return f"<div class='scroll'>{chart}</div>"
