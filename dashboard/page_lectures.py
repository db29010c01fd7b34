"""Past lectures: a list with the shares of each, and one of them in full."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from urllib.parse import quote

import streamlit as st

from dashboard import wording
from dashboard.charts import OFF_COLOR, heat_chart, shares_chart, students_chart
from dashboard.exports import offer_lecture
from dashboard.history import LectureDetail, LectureSummary, detail, summarize
from dashboard.notices import show_error, show_no_lecture
from dashboard.queries import lecture_title, open_reader
from dashboard.review_queue import model_said, picture_uri
from dashboard.settings import store_location
from monitor.errors import ClassroomError
from monitor.rubric import Rubric
from monitor.store.control import notes_of
from monitor.store.database import StoreReader
from monitor.store.records import KeptCrop, LectureRecord
from monitor.store.review import annotation_history, crops_of_student
from monitor.store.wishes import wishes_of

LISTED_MAX = 100
"""Lectures in the list, newest first."""
COMPARED_MAX = 4
CROPS_SHOWN = 12
_HEAT, _EPISODES = "Heat map", "Episodes"
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
        _show(reader, chosen, _detail(reader, chosen, _key(reader, chosen)))
        _compare(reader, records, chosen)


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


def _show(reader: StoreReader, record: LectureRecord, drawn: LectureDetail) -> None:
    for fault in record.faults:
        st.html(f'<p class="fault">Not all could be read: {escape(fault)}</p>')
    if not drawn.episodes and not drawn.shares:
        st.caption("Nothing was seen in this lecture.")
        return
    st.subheader("The room over time", anchor=False)
    st.altair_chart(shares_chart(drawn.shares, drawn.label_colors, drawn.until_s), key=f"shares-{record.lecture_id}")
    _notes(reader, record)
    if wishes_of(reader).room_only:
        st.caption("Room only: single students are not shown, and there are no downloads that list them.")
        return
    _students(record, drawn)
    st.subheader("Download", anchor=False)
    offer_lecture(reader, record.lecture_id)


def _notes(reader: StoreReader, record: LectureRecord) -> None:
    notes = notes_of(reader, record.lecture_id)
    if notes:
        lines = "".join(f"<li><b>{wording.duration_words(note.pts_s)}</b> {escape(note.text)}</li>" for note in notes)
        st.html(f'<ul class="notelist">{lines}</ul>')


@st.fragment
def _students(record: LectureRecord, drawn: LectureDetail) -> None:
    """The students as a heat map or as episodes; a cell that is clicked shows the crops kept around it."""
    st.subheader("Student by student", anchor=False)
    way = st.segmented_control(
        "View", [_HEAT, _EPISODES], default=_HEAT, key="students_view", label_visibility="collapsed"
    )
    if way == _EPISODES:
        chart = students_chart(drawn.episodes, drawn.colors, drawn.students, drawn.until_s)
        st.altair_chart(chart, key=f"students-{record.lecture_id}")
        return
    states = [str(cell["state"]) for cell in drawn.cells]
    colors = drawn.colors | {state: OFF_COLOR for state in states if state not in drawn.colors}
    event: object = st.altair_chart(
        heat_chart(drawn.cells, colors, drawn.students, drawn.until_s),
        key=f"heat-{record.lecture_id}",
        on_select="rerun",
        selection_mode="cell",
    )
    picked = _picked(event)
    if picked is None:
        st.caption("Click a cell to see the pictures that were kept of the student around that time.")
        return
    _crops(record.lecture_id, picked[0], picked[1], drawn.titles.get(picked[0], picked[0]))


def _picked(event: object) -> tuple[str, float] | None:
    """Which cell was clicked: student and media time."""
    selection = event.get("selection", {}) if isinstance(event, Mapping) else {}
    cells = selection.get("cell") or []
    if not cells:
        return None
    return str(cells[0].get("student_id", "")), float(cells[0].get("from_s", 0.0))


def _crops(lecture_id: str, student_id: str, at_s: float, title: str) -> None:
    with StoreReader(store_location()) as reader:
        record = reader.lecture(lecture_id)
        crops = crops_of_student(reader, lecture_id, student_id, at_s, CROPS_SHOWN)
        if record is None or not crops:
            st.caption(f"No pictures of {_plain(title)} were kept, or their time is over.")
            return
        figures = "".join(_crop_html(reader, crop, record.rubric) for crop in crops)
    st.html(
        f'<h4 class="cropshead">{escape(title)}, around {wording.duration_words(at_s)}</h4>'
        f'<div class="crops">{figures}</div>'
    )


def _crop_html(reader: StoreReader, crop: KeptCrop, rubric: Rubric) -> str:
    said = model_said(reader, crop.crop_id, rubric)
    phrases = {label.name: label.phrase for label in rubric.labels}
    people = [
        f"{row.annotator_id}: {phrases.get(row.label, row.label) if row.label else 'can’t tell'}"
        for row in annotation_history(reader, crop.crop_id)
        if row.superseded_by is None and not row.withdrawn
    ]
    words = [f"model: {said['words']}"] if said else []
    lines = "".join(f"<small>{escape(line)}</small>" for line in (*words, *people))
    when = wording.duration_words(crop.pts_s or 0.0)
    return (
        f'<figure><img src="{picture_uri(crop.picture or b"")}" alt="">'
        f"<figcaption><b>{when}</b>{lines}</figcaption></figure>"
    )


def _plain(text: str) -> str:
    """Text from outside as Markdown shows it unchanged."""
    return "".join(f"\\{c}" if c in "\\`*_{}[]()<>#+-.!|~:$" else c for c in text)


def _compare(reader: StoreReader, records: list[LectureRecord], chosen: LectureRecord) -> None:
    """The same chart of other lectures under one clock."""
    others = {record.lecture_id: record for record in records if record.lecture_id != chosen.lecture_id}
    if not others:
        return
    picked = st.multiselect(
        "Compare with", list(others), format_func=lambda key: lecture_title(others[key]), key="compare",
        max_selections=COMPARED_MAX, placeholder="Choose lectures to compare with",
    )  # fmt: skip
    shown = [(others[key], _detail(reader, others[key], _key(reader, others[key]))) for key in picked]
    until_s = max([drawn.until_s for _, drawn in shown], default=0.0)
    for record, drawn in shown:
        st.html(f'<h4 class="cropshead">{escape(lecture_title(record))}</h4>')
        st.altair_chart(
            shares_chart(drawn.shares, drawn.label_colors, until_s).properties(height=150),
            key=f"compared-{record.lecture_id}",
        )
