"""Charts of a lecture in the colours of its rubric. Plain rows in, Altair out; knows neither store nor page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import altair as alt

UNSURE_COLOR = "#8A8F96"
OFF_COLOR = "#8A8F9640"
"""Of whatever is not visible; lets the background through, so that it suits light and dark."""
_CLOCK = "floor(datum.value / 60) + ':' + format(datum.value % 60, '02')"
_ROW_PX = 20


def shares_chart(rows: Sequence[Mapping[str, object]], colors: Mapping[str, str], until_s: float) -> alt.Chart:
    """Stacked share of each label over the lecture.

    Args:
        rows: {"at_s", "label", "order", "share", "when"}, one per label and bin, shares from 0 to 1.
        colors: what a person reads for each label -> its colour, bottom first.
        until_s: media time of the end.
    """
    chart: alt.Chart = (
        alt.Chart({"values": list(rows)})
        .mark_area(interpolate="monotone", line=False)
        .encode(
            x=_time_axis("at_s", until_s),
            y=alt.Y("share:Q", stack=True, scale=alt.Scale(domain=[0, 1]), title=None, axis=_share_axis()),
            color=_colors("label", colors),
            order=alt.Order("order:Q"),
            tooltip=[
                alt.Tooltip("when:N", title="At"),
                alt.Tooltip("label:N", title="Label"),
                alt.Tooltip("share:Q", title="Share", format=".0%"),
            ],
        )
        .properties(height=270)
    )
    return chart


def students_chart(
    rows: Sequence[Mapping[str, object]], colors: Mapping[str, str], students: Sequence[str], until_s: float
) -> alt.Chart:
    """A row a student, coloured by what was seen from when to when.

    Args:
        rows: {"student", "state", "kind", "from_s", "to_s", "when", "long"}, one per episode; the kind is coloured.
        colors: what a person reads for each kind -> its colour.
        students: names, from the top.
        until_s: media time of the end.
    """
    chart: alt.Chart = (
        alt.Chart({"values": list(rows)})
        .mark_rect(height=_ROW_PX - 4)
        .encode(
            x=_time_axis("from_s", until_s),
            x2="to_s:Q",
            y=_student_axis(students),
            color=_colors("kind", colors),
            tooltip=[
                alt.Tooltip("student:N", title="Student"),
                alt.Tooltip("state:N", title="Seen"),
                alt.Tooltip("when:N", title="From"),
                alt.Tooltip("long:N", title="For"),
            ],
        )
        .properties(height=alt.Step(_ROW_PX))
    )
    return chart


def heat_chart(
    rows: Sequence[Mapping[str, object]], colors: Mapping[str, str], students: Sequence[str], until_s: float
) -> alt.Chart:
    """A row a student, a cell a stretch of time: the colour says what was seen most, its strength how much of the time.

    Args:
        rows: {"student", "student_id", "state", "from_s", "to_s", "share", "when"}, one per cell, shares from 0 to 1.
        colors: what a person reads for each state -> its colour.
        students: names, from the top.
        until_s: media time of the end.

    The selection named "cell" gives what was clicked.
    """
    cell = alt.selection_point(name="cell", fields=["student_id", "from_s"], on="click", empty=False)
    chart: alt.Chart = (
        alt.Chart({"values": list(rows)})
        .mark_rect(height=_ROW_PX - 3, cursor="pointer", strokeWidth=2)
        .encode(
            x=_time_axis("from_s", until_s),
            x2="to_s:Q",
            y=_student_axis(students),
            color=_colors("state", colors),
            opacity=alt.Opacity("share:Q", scale=alt.Scale(domain=[0, 1], range=[0.12, 1]), legend=None),
            stroke=alt.condition(cell, alt.value("#8A8F96"), alt.value(None)),
            tooltip=[
                alt.Tooltip("student:N", title="Student"),
                alt.Tooltip("state:N", title="Mostly"),
                alt.Tooltip("share:Q", title="Of the time", format=".0%"),
                alt.Tooltip("when:N", title="From"),
            ],
        )
        .add_params(cell)
        .properties(height=alt.Step(_ROW_PX))
    )
    return chart


def _time_axis(field: str, until_s: float) -> alt.X:
    step = next((s for s in (15, 30, 60, 120, 300, 600, 900, 1800) if until_s / s <= 10), 3600)
    axis = alt.Axis(values=list(range(0, int(until_s) + 1, step)), labelExpr=_CLOCK, grid=False, ticks=False)
    scale = alt.Scale(domain=[0, max(until_s, 1.0)], nice=False)
    return alt.X(f"{field}:Q", title=None, scale=scale, axis=axis)


def _student_axis(students: Sequence[str]) -> alt.Y:
    axis = alt.Axis(ticks=False, domain=False, grid=False, labelFlush=False, labelPadding=8)
    return alt.Y("student:N", sort=list(students), title=None, axis=axis)


def _share_axis() -> alt.Axis:
    return alt.Axis(format="%", values=[0, 0.5, 1], ticks=False, domain=False, labelFlush=False)


def _colors(field: str, colors: Mapping[str, str]) -> alt.Color:
    scale = alt.Scale(domain=list(colors), range=list(colors.values()))
    return alt.Color(
        f"{field}:N",
        scale=scale,
        legend=alt.Legend(orient="top", title=None, symbolType="square", offset=10, padding=0),
    )
