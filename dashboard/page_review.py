"""Labelling the crops that are worth a look, with the keyboard; and how well people and model agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import streamlit as st

from dashboard.agreement import Kappa, cohen_kappa
from dashboard.exports import offer_answers
from dashboard.notices import show_empty, show_error
from dashboard.queries import open_reader
from dashboard.review_board import sent_by_board, show_board
from dashboard.review_queue import (
    Handled,
    agreement_rows,
    annotator_id,
    board_view,
    clip_view,
    handle,
    rubric_named,
)
from dashboard.settings import store_location
from monitor.errors import ClassroomError
from monitor.rubric import Rubric
from monitor.store.annotation_files import answer_rows
from monitor.store.annotations import ask_people
from monitor.store.database import Store
from monitor.store.encoding import time_of
from monitor.store.reader import StoreReader
from monitor.store.review import (
    annotators,
    crop_reasons,
    current_annotations,
    current_predictions,
    queued_rubrics,
)
from monitor.store.wishes import change_wishes, wishes_of

ANSWERS_SHOWN = 50
_KAPPA_WORDS = {
    "random": ("Model and people, random share", "The fair figure: crops drawn at random, labelled blind"),
    "all": ("Model and people, all blind answers", "Harder than a lecture is: crops that were hard to tell are in it"),
    "people": ("Two people", "How far people agree is as far as a model can be measured"),
}


def review_page() -> None:
    """Draw the page: who labels, the board, and below it the agreement and the downloads."""
    try:
        reader = open_reader(store_location())
        if reader is None:
            _nothing()
            return
        with reader:
            _draw(reader)
    except ClassroomError as error:
        show_error(error)


def _nothing() -> None:
    show_empty(
        "Nothing to review yet",
        "While a lecture is watched, crops that are hard to tell are kept for you here. Label them with the number "
        "keys; the model learns from what it got wrong. Pictures of your own can be put here, too:",
        "classroom corpus annotate FOLDER",
    )


def _draw(reader: StoreReader) -> None:
    if wishes_of(reader).room_only:
        show_empty(
            "Room only",
            "Single students are not shown and no crops are kept. Students and privacy is where to change that.",
        )
        return
    rubrics = queued_rubrics(reader)
    if not rubrics:
        _nothing()
        return
    with st.container(key="review_bar", horizontal=True, vertical_alignment="bottom"):
        rubric_id = rubrics[0]
        if len(rubrics) > 1:
            rubric_id = st.selectbox("Labels", rubrics, key="review_rubric", width=200)
        if "review_person" not in st.session_state:  # Streamlit forgets a widget's value when the page is left
            st.session_state["review_person"] = st.session_state.get("person") or next(iter(annotators(reader)), "")
        st.session_state["person"] = st.text_input(
            "Who is labelling", key="review_person", placeholder="Your name or initials", max_chars=60, width=260
        )
        st.toggle(
            "Hide the model's answer until mine is stored", value=True, key="review_blind",
            help="Only answers given blind tell how good the model is.",
        )  # fmt: skip
        st.toggle(
            "A second person labels, too", value=wishes_of(reader).two_people, key="review_two", on_change=_ask_people,
            args=(rubric_id,), help="Each crop then waits for two people, each without seeing the other.",
        )  # fmt: skip
    _board(rubric_id)
    _agreement(reader, rubric_named(reader, rubric_id))


def _ask_people(rubric_id: str) -> None:
    two = bool(st.session_state["review_two"])
    with Store.open(store_location()) as store:
        change_wishes(store, two_people=two)
        ask_people(store, rubric_id, 2 if two else 1)


@st.fragment
def _board(rubric_id: str) -> None:
    """Only this part runs again after a key: the answers are stored first, then the board gets what comes next."""
    location = store_location()
    sent = sent_by_board()
    person = annotator_id(str(st.session_state.get("review_person", "")))
    try:
        reader = open_reader(location)
        if reader is None:
            return
        with reader:
            rubric = rubric_named(reader, rubric_id)
            handled = Handled()
            if sent.get("events"):
                with Store.open(location) as store:
                    handled = handle(store, reader, sent["events"], rubric, wishes_of(reader))
            held = [str(crop_id) for crop_id in sent.get("held") or []]
            blind = bool(st.session_state.get("review_blind", True))
            view = board_view(reader, rubric, person, blind=blind, held=held, handled=handled)
            if sent.get("play"):
                view["clip"] = clip_view(reader, str(sent["play"]))
    except ClassroomError as error:
        show_error(error)
        return
    if not person:
        st.info("Write your name or initials above: each answer says who gave it.")
    show_board(view)


def _agreement(reader: StoreReader, rubric: Rubric) -> None:
    with st.expander("Agreement and downloads"):
        # Counted only on demand: it reads all answers.
        if not st.toggle("Show", key="review_agreement"):
            return
        rows = current_annotations(reader, rubric.rubric_id)
        if not rows:
            st.caption("Nobody has answered yet.")
            return
        found = agreement_rows(
            rows, crop_reasons(reader, rubric.rubric_id), current_predictions(reader, rubric.rubric_id)
        )
        kappas = {key: cohen_kappa(*pairs) for key, pairs in found.items()}
        st.html(_kappa_html([(*_KAPPA_WORDS[key], kappa) for key, kappa in kappas.items()]))
        st.html(_answers_html(list(answer_rows(reader, rubric.rubric_id))[-ANSWERS_SHOWN:], rubric))
        offer_answers(reader, rubric)


def _kappa_html(rows: Sequence[tuple[str, str, Kappa]]) -> str:
    lines = "".join(
        f'<tr><th scope="row">{escape(name)}<small>{escape(hint)}</small></th><td>{escape(_kappa_words(kappa))}</td>'
        f"<td>{kappa.same} of {kappa.items} the same</td></tr>"
        for name, hint, kappa in rows
    )
    return (
        '<table class="figures"><thead><tr><th>Agreement beyond chance (Cohen\'s kappa)</th><th>95 % interval</th>'
        f"<th>Crops</th></tr></thead><tbody>{lines}</tbody></table>"
    )


def _answers_html(rows: Sequence[Mapping[str, Any]], rubric: Rubric) -> str:
    """The newest answers: who, when, what, and what which model had said."""
    phrases = {label.name: label.phrase for label in rubric.labels}
    lines = ""
    for row in reversed(rows):
        said = phrases.get(row["model_best"], row["model_best"] or "–")
        when = time_of(row["created_at"]).astimezone()
        cells = (
            row["annotator_id"],
            f"{when:%Y-%m-%d %H:%M}",
            "can't tell" if row["cannot_tell"] else phrases.get(row["label"], row["label"]),
            "blind" if row["blind"] else "",
            said,
            row["model_id"] or "–",
        )
        lines += "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in cells) + "</tr>"
    return (
        '<div class="people"><table class="figures"><thead><tr><th>Who</th><th>When</th><th>Answer</th><th></th>'
        f"<th>Model had said</th><th>Which model</th></tr></thead><tbody>{lines}</tbody></table></div>"
    )


def _kappa_words(kappa: Kappa) -> str:
    if kappa.value is None:
        return "undefined"
    if kappa.low is None or kappa.high is None:
        return f"{kappa.value:.2f}, too few people for an interval"
    return f"{kappa.value:.2f} ({kappa.low:.2f} to {kappa.high:.2f})"
