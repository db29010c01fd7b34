"""Charts of the evaluation report as SVG text: intervals, curves, reliability, a histogram.

Numbers in, markup out; coordinates are rounded, so that the same numbers give the same bytes. Colours are CSS classes.
It knows no figure by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

from trainer.evaluation.intervals import Interval

WIDE = 1056
HALF = 508
"""Widths of drawings, in units of their view box."""
_ROW = 30
_FOOT = 26
_SHAPES = (
    "M0-5A5 5 0 1 0 0 5A5 5 0 1 0 0-5Z",
    "M-4.4-4.4H4.4V4.4H-4.4Z",
    "M0-5.6L5.6 0L0 5.6L-5.6 0Z",
    "M0-5L5 4.2H-5Z",
)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of an interval chart."""

    name: str
    found: Interval
    note: str = ""
    """Small, behind the name."""
    baseline: float | None = None
    """Marked with a tick: what the figure is to be read against."""
    css_class: str = "a"
    shape: int = 0


@dataclass(frozen=True, slots=True)
class Axis:
    """From where to where, and which values are named."""

    low: float
    high: float
    ticks: tuple[float, ...]
    percent: bool = False

    def text(self, value: float) -> str:
        """A tick's text."""
        if self.percent:
            return f"{100 * value:g}%"
        return f"{value:g}".replace("-", "−")

    @staticmethod
    def around(values: Sequence[float], *, zero: bool = False, percent: bool = False) -> Axis:
        """An axis that holds all values, with round ends; `zero` puts 0 on it."""
        known = [value for value in values if not np.isnan(value)] + ([0.0] if zero else [])
        low, high = (min(known), max(known)) if known else (0.0, 1.0)
        step = next(s for s in (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1e9) if max(high - low, 1e-9) / s <= 7)
        first, last = np.floor(low / step + 1e-9), np.ceil(high / step - 1e-9)
        last = max(last, first + 1)
        ticks = tuple(round(float(k * step), 6) for k in np.arange(first, last + 1))
        return Axis(ticks[0], ticks[-1], ticks, percent)


UNIT = Axis(0.0, 1.0, (0.0, 0.2, 0.4, 0.6, 0.8, 1.0))
SHARES = Axis(0.0, 1.0, (0.0, 0.25, 0.5, 0.75, 1.0), percent=True)


def mark(shape: int, css_class: str) -> str:
    """A small sign for legends and table cells: a shape beside the colour."""
    path = _SHAPES[shape % len(_SHAPES)]
    return f'<svg class="mark" viewBox="-6 -6 12 12" aria-hidden="true"><path class="{css_class}" d="{path}"/></svg>'


def interval_chart(rows: Sequence[Row], axis: Axis, label: str, *, width: int = WIDE, left: int = 250) -> str:
    """A dot with its interval a row, value in words at the right.

    Args:
        rows: top first; one whose figure is NaN says so.
        axis: shared by all rows.
        label: for those who cannot see it.
        width: of the drawing.
        left: room for names.
    """
    right = width - (250 if width == WIDE else 152)
    height = len(rows) * _ROW + _FOOT

    def x(value: float) -> float:
        share = (value - axis.low) / (axis.high - axis.low)
        return round(left + min(max(share, 0.0), 1.0) * (right - left), 1)

    grid = "".join(
        f'<line class="{"zero" if tick == 0 and axis.low < 0 else "rule"}" x1="{x(tick)}" x2="{x(tick)}" y1="0" '
        f'y2="{height - _FOOT + 4}"/>{_text(x(tick), height - 6, axis.text(tick), "middle")}'
        for tick in axis.ticks
    )
    drawn = []
    for number, row in enumerate(rows):
        y = number * _ROW + _ROW / 2
        note = f' <tspan class="small">{escape(row.note)}</tspan>' if row.note else ""
        drawn.append(f'<text class="ink" x="0" y="{y + 5:g}">{escape(row.name)}{note}</text>')
        drawn.append(_text(right + 16, y + 5, _words(row.found, axis), "start", "value"))
        if row.baseline is not None and not np.isnan(row.baseline):
            drawn.append(f'<path class="base" d="M{x(row.baseline)} {y - 8:g}V{y + 8:g}"/>')
        if row.found.known:
            low, high = (x(row.found.low), x(row.found.high)) if not np.isnan(row.found.low) else (0.0, 0.0)
            if not np.isnan(row.found.low):
                drawn.append(f'<line class="span s-{row.css_class}" x1="{low}" x2="{high}" y1="{y:g}" y2="{y:g}"/>')
            shape = _SHAPES[row.shape % len(_SHAPES)]
            drawn.append(
                f'<path class="{row.css_class}" transform="translate({x(row.found.value)} {y:g})" d="{shape}"/>'
            )
    return _svg(width, height, label, grid + "".join(drawn))


def confusion_chart(counts: NDArray[np.int64], names: Sequence[str]) -> str:
    """A square: rows are the truth, columns what was said; the darker, the larger the share of its row."""
    cell, left, top = 112, 104, 44
    if len(names) > 3:
        cell = 84
    drawn = [_text(left + len(names) * cell / 2, 14, "the model said", "middle", "small")]
    drawn += [_text(left + (column + 0.5) * cell, top - 9, name, "middle", "ink") for column, name in enumerate(names)]
    for row, name in enumerate(names):
        drawn.append(_text(left - 12, top + (row + 0.5) * cell + 5, name, "end", "ink"))
        total = int(counts[row].sum())
        for column, count in enumerate(map(int, counts[row])):
            share = count / total if total else 0.0
            x, y = left + column * cell, top + row * cell
            kind = "a" if row == column else "b"
            strong = " strong" if share > 0.55 else ""
            middle = x + (cell - 4) / 2
            drawn.append(
                f"<g><title>truth {escape(name)}, said {escape(names[column])}: {count:,} of {total:,}</title>"
                f'<rect class="cell" x="{x}" y="{y}" width="{cell - 4}" height="{cell - 4}" rx="6"/>'
                f'<rect class="{kind}" x="{x}" y="{y}" width="{cell - 4}" height="{cell - 4}" rx="6" '
                f'opacity="{0.92 * share:.3f}"/>'
                f'<text class="big{strong}" x="{middle:g}" y="{y + cell / 2 - 1:g}">{_percent(count, total)}</text>'
                f'<text class="sub{strong}" x="{middle:g}" y="{y + cell / 2 + 19:g}">{count:,}</text></g>'
            )
    side = len(names) * cell
    drawn.append(
        f'<text class="small" text-anchor="middle" transform="translate(14 {top + side / 2:g}) rotate(-90)">'
        "the truth is</text>"
    )
    return _svg(left + side, top + side, "Confusion matrix: rows are the truth, columns the answers", "".join(drawn))


def plane_chart(
    lines: Sequence[tuple[str, Sequence[float], Sequence[float]]],
    dots: Sequence[tuple[str, int, Sequence[float], Sequence[float], Sequence[float]]],
    axes: tuple[Axis, Axis],
    names: tuple[str, str],
    label: str,
) -> str:
    """Lines and dots over two axes.

    Args:
        lines: CSS class, xs, ys.
        dots: CSS class, shape, xs, ys, sizes (1 is plain).
        axes: across and up.
        names: of the axes.
        label: for those who cannot see it.
    """
    left, top, right, bottom = 52, 12, HALF - 22, 352
    across, up = axes

    def x(value: float) -> float:
        return round(left + (value - across.low) / (across.high - across.low) * (right - left), 1)

    def y(value: float) -> float:
        return round(bottom - (value - up.low) / (up.high - up.low) * (bottom - top), 1)

    parts = [
        f'<clipPath id="{_slug(label)}"><rect x="{left}" y="0" width="{HALF - left}" height="{bottom + 8}"/></clipPath>'
    ]
    parts += [f'<line class="rule" x1="{left}" x2="{right}" y1="{y(t)}" y2="{y(t)}"/>' for t in up.ticks]
    parts += [_text(left - 9, y(t) + 4, up.text(t), "end") for t in up.ticks]
    parts += [_text(x(t), bottom + 20, across.text(t), "middle") for t in across.ticks]
    parts.append(_text((left + right) / 2, bottom + 40, names[0], "middle", "small"))
    parts.append(
        f'<text class="small" text-anchor="middle" transform="translate(10 {(top + bottom) / 2:g}) rotate(-90)">'
        f"{escape(names[1])}</text>"
    )
    inside = []
    for css_class, xs, ys in lines:
        path = "L".join(f"{x(a)} {y(b)}" for a, b in zip(xs, ys, strict=True) if not np.isnan(b))
        inside.append(f'<path class="line {css_class}" d="M{path}"/>' if path else "")
    for css_class, shape, xs, ys, sizes in dots:
        inside += [
            f'<path class="{css_class}" transform="translate({x(a)} {y(b)}) scale({size:.2f})" '
            f'd="{_SHAPES[shape % len(_SHAPES)]}"/>'
            for a, b, size in zip(xs, ys, sizes, strict=True)
            if not np.isnan(b)
        ]
    parts.append(f'<g clip-path="url(#{_slug(label)})">{"".join(inside)}</g>')
    return _svg(HALF, bottom + 48, label, "".join(parts))


def histogram_chart(values: NDArray[np.float64], observed: float, label: str, said: str) -> str:
    """Where values lie, and one that stands out or does not."""
    axis = Axis.around([*map(float, values), observed])
    left, right, top, bottom = 20, WIDE - 20, 30, 150
    tallies, edges = np.histogram(values, bins=60, range=(axis.low, axis.high))

    def x(value: float) -> float:
        return round(left + (value - axis.low) / (axis.high - axis.low) * (right - left), 1)

    tallest = max(1, int(tallies.max()))
    bars = "".join(
        f'<rect class="quiet-bar" x="{x(edges[k]) + 1:g}" y="{bottom - 92 * tally / tallest:.1f}" '
        f'width="{max(1.0, x(edges[k + 1]) - x(edges[k]) - 2):.1f}" height="{92 * tally / tallest:.1f}" rx="1.5"/>'
        for k, tally in enumerate(tallies)
        if tally
    )
    ticks = "".join(_text(x(t), bottom + 20, axis.text(t), "middle") for t in axis.ticks)
    place = x(observed)
    anchor = "end" if place > WIDE * 0.9 else "start" if place < WIDE * 0.1 else "middle"
    line = f'<path class="line s-a" d="M{place} {top - 6}V{bottom}"/>' + _text(place, top - 13, said, anchor, "value")
    rule = f'<line class="rule" x1="{left}" x2="{right}" y1="{bottom}" y2="{bottom}"/>'
    return _svg(WIDE, bottom + 26, label, rule + bars + line + ticks)


def share_chart(rows: Sequence[tuple[str, Sequence[float]]], classes: Sequence[str], label: str) -> str:
    """Stacked bars: each row's shares sum to one."""
    left, height = 112, 34
    drawn = []
    for number, (name, shares) in enumerate(rows):
        y, start = number * (height + 8), float(left)
        drawn.append(f'<text class="ink" x="0" y="{y + 22}">{escape(name)}</text>')
        for share, css_class in zip(shares, classes, strict=True):
            width = share * (WIDE - left)
            if width > 0:
                drawn.append(
                    f'<rect class="{css_class}" x="{start:.1f}" y="{y}" width="{max(width - 2, 0.5):.1f}" '
                    f'height="{height}" rx="4"/>'
                )
            if width > 56:
                drawn.append(f'<text class="on" x="{start + 12:.1f}" y="{y + 22}">{100 * share:.0f}%</text>')
            start += width
    return _svg(WIDE, len(rows) * (height + 8), label, "".join(drawn))


def _words(found: Interval, axis: Axis) -> str:
    if not found.known:
        return "not defined"

    def say(value: float) -> str:
        text = f"{100 * value:.1f}" if axis.percent else f"{value:.3f}"
        return (("+" if value > 0 else "") + text if axis.low < 0 else text).replace("-", "−")

    value = say(found.value) + ("%" if axis.percent else "")
    return value if np.isnan(found.low) else f"{value}  ({say(found.low)} to {say(found.high)})"


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f}%" if whole else "–"


def _slug(text: str) -> str:
    return "".join(c for c in text.casefold() if c.isalnum())


def _text(x: float, y: float, text: str, anchor: str, css_class: str = "") -> str:
    kind = f' class="{css_class}"' if css_class else ""
    return f'<text{kind} x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(width: float, height: float, label: str, inside: str) -> str:
    return (
        f'<svg class="chart" viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(label)}">{inside}</svg>'
    )
