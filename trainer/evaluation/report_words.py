"""Small pieces of markup and number words that all sections of the report share. It knows no figure."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from trainer.evaluation.intervals import Interval


def said(value: float, digits: int = 2) -> str:
    """A figure in words: two digits, more for a small p-value, a true minus sign."""
    if np.isnan(value):
        return "–"
    if 0 < abs(value) < 0.01:
        digits = 3
    return f"{value:.{digits}f}".replace("-", "−")


def percent(share: float) -> str:
    """A share as a percentage."""
    if np.isnan(share):
        return "–"
    return f"{100 * share:.0f}%" if share in (0.0, 1.0) else f"{100 * share:.1f}%"


def chance(p_value: float) -> str:
    """A p-value in words."""
    return "p < 0.001" if p_value < 0.001 else f"p = {said(p_value)}"


def cell(found: Interval | None, digits: int = 2) -> str:
    """A table cell's markup: the figure, its interval small below."""
    if found is None or not found.known:
        return "<td>–</td>"
    reach = f"{said(found.low, digits)} to {said(found.high, digits)}"
    return f"<td>{said(found.value, digits)}<br><small>{reach}</small></td>"


def section(title: str, words: str, inside: str) -> str:
    """A headed part of the page; `words` explain it and are escaped, `inside` is markup."""
    told = f"<p class='quiet'>{escape(words)}</p>" if words else ""
    return f"<section><h2>{escape(title)}</h2>{told}{inside}</section>"


def table(head: Sequence[str], rows: Sequence[str]) -> str:
    """A table of rows that are markup already."""
    cells = "".join(f"<th>{escape(name)}</th>" for name in head)
    return f"<div class='scroll'><table><thead><tr>{cells}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"


def row(name: str, *cells: str) -> str:
    """A table row: a name, which is escaped, and cells, which are too."""
    return f"<tr><td>{escape(name)}</td>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"
