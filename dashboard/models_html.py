"""Models, verdicts and history as HTML. Records in, texts out; every word of others is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from monitor.registry import CHAMPION
from monitor.registry_history import Change, KeptVerdict
from monitor.registry_list import Row
from monitor.registry_words import (
    HEADINGS,
    UNKNOWN,
    change_words,
    figure_lines,
    row_words,
    taint_words,
    verdict_sentence,
    when_words,
)

_NUMBERS = ("Macro-F1", "Size")


def rows_html(rows: Sequence[Row]) -> str:
    """The table of all models; the champion is in bold."""
    head = "".join(f"<th{_kind(name)}>{name}</th>" for name in HEADINGS)
    lines = "".join(_row(row) for row in rows)
    return (
        f'<div class="people"><table class="figures models"><thead><tr>{head}</tr></thead>'
        f"<tbody>{lines}</tbody></table></div>"
    )


def lineage_html(row: Row) -> str:
    """Whence a model comes; empty where its manifest tells nothing."""
    lines = [
        (name.replace("_", " "), _listed(told)) for name, told in row.lineage.items() if told not in (None, "", [])
    ]
    return _pairs("Whence it comes", lines) if lines else ""


def verdict_html(verdict: KeptVerdict) -> str:
    """What the gate said of a model, why, and its figures."""
    sentence = verdict_sentence(verdict.model_id, verdict.champion, verdict.passed, verdict.reasons)
    reasons = "".join(f"<li>{escape(reason)}</li>" for reason in verdict.reasons)
    return (
        f'<p class="verdict" data-passed="{str(verdict.passed).lower()}">{escape(sentence)}'
        f"<small> {escape(when_words(verdict.at))}</small></p>{f'<ul>{reasons}</ul>' if reasons else ''}"
        + (_pairs("What it saw", figure_lines(verdict.figures)) if verdict.figures else "")
    )


def history_html(history: Sequence[Change]) -> str:
    """Who chose what, the newest first."""
    lines = "".join(
        f"<li><b>{escape(when_words(change.at))}</b>{escape(change_words(change))}</li>" for change in reversed(history)
    )
    return f'<ul class="notelist">{lines}</ul>'


def _row(row: Row) -> str:
    words = row_words(row)
    cells = "".join(f"<td{_kind(name)}>{escape(word)}</td>" for name, word in zip(HEADINGS[1:], words[1:], strict=True))
    taint = taint_words(row.tainted_by)
    name = f"<b>{escape(words[0])}</b>" if CHAMPION in row.aliases else escape(words[0])
    return f"<tr><td>{name}{f'<small>{escape(taint)}</small>' if taint else ''}</td>{cells}</tr>"


def _pairs(title: str, lines: Sequence[tuple[str, str]]) -> str:
    rows = "".join(f"<tr><td>{escape(name)}</td><td>{escape(told)}</td></tr>" for name, told in lines)
    return f'<table class="figures"><thead><tr><th>{title}</th><th></th></tr></thead><tbody>{rows}</tbody></table>'


def _listed(told: object) -> str:
    if isinstance(told, list):
        return ", ".join(map(str, told)) or UNKNOWN
    return str(told)


def _kind(heading: str) -> str:
    return ' class="number"' if heading in _NUMBERS else ""
