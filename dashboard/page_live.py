"""The live page: the room first, then each student. It reads the store each second; closing it stops nothing."""

from __future__ import annotations

import streamlit as st

from dashboard.notices import show_error, show_no_lecture
from dashboard.queries import lecture_choices, open_reader, room_view
from dashboard.room import show_room
from dashboard.settings import store_location
from monitor.errors import ClassroomError

_NEWEST = "newest"


def live_page() -> None:
    """Draw the page: a picker of lectures, and the room that refreshes itself."""
    choices = _choices()
    picked = _picker(choices) if len(choices) > 1 else _NEWEST
    _room(picked, tuple(choices))


def _choices() -> dict[str, str]:
    try:
        reader = open_reader(store_location())
        if reader is None:
            return {}
        with reader:
            return lecture_choices(reader)
    except ClassroomError:
        return {}  # the room below says why


def _picker(choices: dict[str, str]) -> str:
    with st.container(key="lecture_picker"):
        return st.selectbox(
            "Lecture",
            [_NEWEST, *choices],
            format_func=lambda choice: "Newest lecture" if choice == _NEWEST else choices[choice],
            label_visibility="collapsed",
            key="picked_lecture",
        )


@st.fragment(run_every=1.0)
def _room(picked: str, known: tuple[str, ...]) -> None:
    """Refresh the room. A lecture that began or was erased since rebuilds the page with its picker.

    A reader is opened for each look and closed again: nothing is held for a tab that was closed.
    """
    try:
        reader = open_reader(store_location())
        if reader is None:
            show_no_lecture()
            return
        with reader:
            there = tuple(record.lecture_id for record in reader.lectures())
            shown = picked if picked in there else next(iter(there), None)
            view = room_view(reader, shown) if shown else None
    except ClassroomError as error:
        show_error(error)
        return
    if there != known:
        st.rerun()
    if view is None:
        show_no_lecture()
    else:
        show_room(view)
