"""Drawings of the report as SVG text: stacked shares over time, and a map of students by time.

Numbers in, markup out; coordinates are rounded, so that the same numbers give the same bytes. It knows no store.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

WIDTH = 1056
"""Of both drawings, in units of their view box."""
LEFT = 52
_TOP, _HEIGHT, _FOOT = 6, 190, 22
_ROW, _ROW_GAP = 18, 3
_MARKS = (
    "M5 0A5 5 0 1 0 5 10A5 5 0 1 0 5 0Z",
    "M.6.6H9.4V9.4H.6Z",
    "M5-.6L10.6 5L5 10.6L-.6 5Z",
    "M5 .2L10 9.4H0Z",
)


def mark(number: int, css_class: str) -> str:
    """The shape that goes with a label beside its colour: circle, square, diamond, triangle, and again."""
    shape = _MARKS[number % len(_MARKS)]
    return f'<svg class="mark" viewBox="-1 -1 12 12" aria-hidden="true"><path class="{css_class}" d="{shape}"/></svg>'


def draw_shares(shares: NDArray[np.float64], classes: Sequence[str], ticks: Sequence[tuple[float, str]]) -> str:
    """Stacked areas.

    Args:
        shares: labels x bins, each column sums to one; a column of NaN leaves a gap.
        classes: CSS class of each label, bottom first.
        ticks: (place from 0 to 1, text) of the time axis.
    """
    bins = shares.shape[1]
    floor = np.zeros(bins)
    bands = []
    for row, css_class in zip(shares, classes, strict=True):
        bands.append(f'<path class="band {css_class}" d="{_band(floor, floor + row)}"/>')
        floor = floor + row
    rules = "".join(
        f'<line class="rule" x1="{LEFT}" x2="{WIDTH}" y1="{_y(share)}" y2="{_y(share)}"/>'
        f'<text x="{LEFT - 8}" y="{_y(share) + 4:g}" text-anchor="end">{text}</text>'
        for share, text in ((0.0, "0"), (0.5, "50%"), (1.0, "100%"))
    )
    height = _TOP + _HEIGHT + _FOOT
    return (
        f'<svg class="wide" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="Share of each label over time">'
        f"{rules}{''.join(bands)}{_axis(ticks, _TOP + _HEIGHT + 16)}</svg>"
    )


def draw_map(
    cells: NDArray[np.int64], students: Sequence[str], classes: Sequence[str], ticks: Sequence[tuple[float, str]]
) -> str:
    """A row a student, coloured by what was seen most in each bin.

    Args:
        cells: students x bins, index into classes, -1 where the student was not there.
        students: name of each row.
        classes: CSS classes.
        ticks: as in `draw_shares`.
    """
    rows = []
    for number, (student, row) in enumerate(zip(students, cells, strict=True)):
        top = number * (_ROW + _ROW_GAP)
        drawn = _cells(row, top, classes)
        rows.append(
            f'<text x="{LEFT - 8}" y="{top + 13}" text-anchor="end">{escape(student)}</text>'
            f'<rect class="empty" x="{LEFT}" y="{top}" width="{WIDTH - LEFT}" height="{_ROW}"/>{drawn}'
        )
    bottom = len(students) * (_ROW + _ROW_GAP)
    return (
        f'<svg class="wide" viewBox="0 0 {WIDTH} {bottom + _FOOT}" role="img" '
        f'aria-label="Each student through the lecture">{"".join(rows)}{_axis(ticks, bottom + 13)}</svg>'
    )


def _band(low: NDArray[np.float64], high: NDArray[np.float64]) -> str:
    """One closed outline a stretch without gaps."""
    path = ""
    for first, last in _stretches(~np.isnan(high)):
        columns = [first, *range(first, last + 1), last]
        places = [float(first), *(k + 0.5 for k in range(first, last + 1)), last + 1.0]
        there = [f"{_x(at, len(low))} {_y(high[k])}" for at, k in zip(places, columns, strict=True)]
        back = [f"{_x(at, len(low))} {_y(low[k])}" for at, k in zip(places, columns, strict=True)]
        path += "M" + "L".join(there + back[::-1]) + "Z"
    return path


def _cells(row: NDArray[np.int64], top: int, classes: Sequence[str]) -> str:
    paths = []
    for index, css_class in enumerate(classes):
        runs = [
            f"M{_x(first, len(row))} {top}H{_x(last + 1, len(row))}v{_ROW}H{_x(first, len(row))}Z"
            for first, last in _stretches(row == index)
        ]
        if runs:
            paths.append(f'<path class="{css_class}" d="{"".join(runs)}"/>')
    return "".join(paths)


def _stretches(there: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and last place of each run of True."""
    edges = np.diff(np.concatenate(([False], there, [False])).astype(np.int8))
    return [(int(a), int(b) - 1) for a, b in zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1), strict=True)]


def _axis(ticks: Sequence[tuple[float, str]], y: float) -> str:
    return "".join(
        f'<text x="{_x(at, 1)}" y="{y:g}" text-anchor="{"start" if at < 0.02 else "end" if at > 0.98 else "middle"}">'
        f"{escape(text)}</text>"
        for at, text in ticks
    )


def _x(place: float, bins: int) -> str:
    return f"{LEFT + place / bins * (WIDTH - LEFT):.1f}"


def _y(share: float) -> float:
    return round(float(_TOP + (1.0 - share) * _HEIGHT), 1)
