"""The live page: the room first, then each student. It reads the store each second; closing it stops nothing."""

from __future__ import annotations

import streamlit as st

from dashboard.notices import show_error, show_no_lecture
from dashboard.queries import lecture_choices, open_reader, room_view
from dashboard.room import show_room
from dashboard.settings import store_location
from monitor.errors import ClassroomError

_NEWEST = "newest"
_CHOICES_KEPT_S = 2.0
"""How old the list of lectures may be: it costs more than the room once there are hundreds."""


def live_page() -> None:
    """Draw the page: a picker of lectures, and the room that refreshes itself."""
    try:
        choices = _choices(store_location())
    except ClassroomError:
        choices = {}  # the room below says why
    picked = _picker(choices) if len(choices) > 1 else _NEWEST
    _room(picked, tuple(choices))


@st.cache_data(ttl=_CHOICES_KEPT_S, max_entries=4, show_spinner=False)
def _choices(location: str | None) -> dict[str, str]:
    reader = open_reader(location)
    if reader is None:
        return {}
    with reader:
        return lecture_choices(reader)


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
    location = store_location()
    try:
        there = tuple(_choices(location))
        shown = picked if picked in there else next(iter(there), None)
        reader = open_reader(location) if shown else None
        if shown is None or reader is None:
            view = None
        else:
            with reader:
                view = room_view(reader, shown)
    except ClassroomError as error:
        show_error(error)
        return
    if there != known:
        st.rerun()
    if view is None:
        show_no_lecture()
    else:
        show_room(view)
