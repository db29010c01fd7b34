"""Asks once, before anything is shown, whether students were told and what the monitor is not for; and records it."""

from __future__ import annotations

from html import escape

import streamlit as st

from dashboard.law import ACKNOWLEDGED
from dashboard.notices import show_error
from dashboard.queries import open_reader
from dashboard.settings import store_location
from monitor.errors import ClassroomError
from monitor.store.database import Store
from monitor.store.wishes import acknowledge, acknowledged, change_wishes

_KNOWN = "acknowledged_in"


def is_acknowledged() -> bool:
    """Whether the store's acknowledgement is there; asks for it where it is not.

    A store that cannot be read is not asked about: the page then says why.
    """
    location = store_location()
    if st.session_state.get(_KNOWN) == str(location):
        return True
    try:
        reader = open_reader(location)
        if reader is not None:
            with reader:
                found = acknowledged(reader) is not None
        else:
            found = False
    except ClassroomError as error:
        show_error(error)
        return False
    if found:
        st.session_state[_KNOWN] = str(location)
        return True
    _ask(location)
    return False


def _ask(location: str | None) -> None:
    points = "".join(f"<li>{escape(point)}</li>" for point in ACKNOWLEDGED)
    with st.container(key="acknowledgement"):
        st.html(f"<h2>Before you begin</h2><p>This is asked once. It is recorded with your name.</p><ul>{points}</ul>")
        with st.form("acknowledgement_form", border=False):
            name = st.text_input("Your name", max_chars=200, key="acknowledged_by")
            room_only = st.checkbox(
                "Room only: show and keep counts of the room, nothing about single students",
                key="acknowledged_room_only",
            )
            agreed = st.checkbox("I confirm the three points above", key="acknowledged_points")
            sent = st.form_submit_button("Begin", type="primary")
    if not sent:
        return
    if not agreed or not name.strip():
        st.warning("Your name and the confirmation are both needed.")
        return
    try:
        with Store.open(location) as store:
            acknowledge(store, name)
            if room_only:
                change_wishes(store, room_only=True)
    except ClassroomError as error:
        show_error(error)
        return
    st.rerun()
