"""Past lectures: a list with the shares of each, and one of them in full."""

from __future__ import annotations

from html import escape
from urllib.parse import quote

import streamlit as st

from dashboard.charts import shares_chart, students_chart
from dashboard.history import LectureDetail, LectureSummary, detail, summarize
from dashboard.notices import show_error, show_no_lecture
from dashboard.queries import open_reader
from dashboard.settings import store_location
from monitor.errors import ClassroomError
from monitor.store.database import StoreReader
from monitor.store.records import LectureRecord

LISTED_MAX = 100
"""Lectures in the list, newest first."""
_KEPT_S = 60.0
"""How long a count is kept in memory: not longer, so that what is erased is soon gone here too."""


def lectures_page() -> None:
    """Draw the list, and the lecture that the address names (else the newest)."""
    try:
        reader = open_reader(store_location())
        if reader is None:
            show_no_lecture()
            return
        with reader:
            _draw(reader)
    except ClassroomError as error:
        show_error(error)


def _draw(reader: StoreReader) -> None:
    records = reader.lectures()[:LISTED_MAX]
    if not records:
        show_no_lecture()
        return
    wanted = st.query_params.get("lecture")
    chosen = next((record for record in records if record.lecture_id == wanted), records[0])
    summaries = [_summary(reader, record, _key(reader, record)) for record in records]
    with st.container(key="lectures"):
        st.html(_list_html(summaries, chosen.lecture_id))
        _show(chosen, _detail(reader, chosen, _key(reader, chosen)))


def _key(reader: StoreReader, record: LectureRecord) -> tuple[str, str, int, bool]:
    return str(reader.path), record.lecture_id, record.moments, record.ended_at is None


@st.cache_data(max_entries=2 * LISTED_MAX, ttl=_KEPT_S, show_spinner=False)
def _summary(_reader: StoreReader, _record: LectureRecord, key: tuple[str, str, int, bool]) -> LectureSummary:
    """Counted again only once the lecture has grown; Streamlit leaves arguments with an underscore out of its key."""
    return summarize(_reader, _record)


@st.cache_data(max_entries=4, ttl=_KEPT_S, show_spinner=False)
def _detail(_reader: StoreReader, _record: LectureRecord, key: tuple[str, str, int, bool]) -> LectureDetail:
    return detail(_reader, _record)


def _list_html(summaries: list[LectureSummary], chosen: str) -> str:
    rows = "".join(_line_html(summary, summary.lecture_id == chosen) for summary in summaries)
    return f'<nav class="lectures" aria-label="Lectures">{rows}</nav>'


def _line_html(summary: LectureSummary, current: bool) -> str:
    bar = "".join(
        f'<i style="width:{100 * share:.2f}%;background:{color}" title="{escape(phrase)} {share:.0%}"></i>'
        for phrase, color, share in summary.parts
    )
    said = ", ".join(f"{share:.0%} {phrase}" for phrase, _, share in summary.parts if share) or "nobody judged"
    return (
        f'<a href="?lecture={quote(summary.lecture_id)}" target="_self"{" aria-current=true" if current else ""}>'
        f"<span><b>{escape(summary.title)}</b><small>{escape(summary.facts)}</small></span>"
        f'<span><em class="shares">{bar}</em><small>{escape(said)}</small></span></a>'
    )


def _show(record: LectureRecord, drawn: LectureDetail) -> None:
    for fault in record.faults:
        st.html(f'<p class="fault">Not all could be read: {escape(fault)}</p>')
    if not drawn.episodes and not drawn.shares:
        st.caption("Nothing was seen in this lecture.")
        return
    st.subheader("The room over time", anchor=False)
    st.altair_chart(shares_chart(drawn.shares, drawn.label_colors, drawn.until_s), key=f"shares-{record.lecture_id}")
    st.subheader("Student by student", anchor=False)
    st.altair_chart(
        students_chart(drawn.episodes, drawn.colors, drawn.students, drawn.until_s),
        key=f"students-{record.lecture_id}",
    )
