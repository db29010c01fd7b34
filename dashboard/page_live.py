"""The live page: the room first, then each student. It looks often and paints what is new; closing it stops nothing."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import Any

import streamlit as st

from dashboard.live_events import Done, apply_events, pending
from dashboard.notices import show_error, show_no_lecture
from dashboard.queries import lecture_choices, open_reader, room_view
from dashboard.review_queue import annotator_id
from dashboard.room import sent_by_room, show_room
from dashboard.settings import store_location
from monitor.errors import ClassroomError
from monitor.store.database import Store
from monitor.store.reader import StoreReader
from monitor.store.wishes import acknowledged

_NEWEST = "newest"
_HANDLED_KEPT = 500
"""Ids of events that are remembered as done."""
_CHOICES_KEPT_S = 2.0
"""How old the list of lectures may be: it costs more than the room once there are hundreds."""
_LOOK_EVERY_S = 0.25
"""How long a stored moment may wait to be seen. A look that finds none costs a tenth of one that paints."""
_REPAINT_AFTER_S = 1.5
"""Ages grow, and a monitor falls silent, also when nothing new is stored. More than the second between two moments."""


@dataclass(frozen=True, slots=True)
class Painted:
    """What this tab shows: it is painted again when there is something new, or after a while."""

    lecture_id: str
    newest_index: int | None
    at_s: float
    view: dict[str, Any]

    def holds(self, lecture_id: str, newest_index: int | None) -> bool:
        """Whether it is still what the store says."""
        same = (self.lecture_id, self.newest_index) == (lecture_id, newest_index)
        return same and time.monotonic() - self.at_s < _REPAINT_AFTER_S


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


@st.fragment(run_every=_LOOK_EVERY_S)
def _room(picked: str, known: tuple[str, ...]) -> None:
    """Refresh the room. A lecture that began or was erased since rebuilds the page with its picker.

    A reader is opened for each look and closed again: nothing is held for a tab that was closed.
    """
    location = store_location()
    try:
        there = tuple(_choices(location))
        shown = picked if picked in there else next(iter(there), None)
        reader = open_reader(location) if shown else None
        view: dict[str, Any] | None = None
        if shown is not None and reader is not None:
            with reader:
                done = _do(reader, location, shown)
                view = _view(reader, shown) | {"done": done.ids, "trouble": done.trouble}
    except ClassroomError as error:
        show_error(error)
        return
    if there != known:
        st.rerun()
    if view is None:
        show_no_lecture()
    else:
        show_room(view)


def _view(reader: StoreReader, lecture_id: str) -> dict[str, Any]:
    """What is shown already, or, where the store has more, the room as it stands."""
    newest_index = reader.newest_index(lecture_id)
    painted: Painted | None = st.session_state.get("room_painted")
    if painted is None or not painted.holds(lecture_id, newest_index):
        painted = Painted(lecture_id, newest_index, time.monotonic(), room_view(reader, lecture_id))
        st.session_state["room_painted"] = painted
    return painted.view


def _do(reader: StoreReader, location: str | None, lecture_id: str) -> Done:
    """Do what was asked for since the last look, each event once however often the page runs again."""
    handled: deque[str] = st.session_state.setdefault("room_handled", deque(maxlen=_HANDLED_KEPT))
    sent = sent_by_room()
    events = pending(sent, handled)
    done = Done()
    if events:
        given = acknowledged(reader)
        who = annotator_id(str(st.session_state.get("person") or (given[0] if given else ""))) or "instructor"
        record = reader.lecture(lecture_id)
        with Store.open(location) as store:
            done = apply_events(store, lecture_id, events, who, (record.last_pts_s if record else None) or 0.0)
        handled.extend(done.ids)
        st.session_state["room_trouble"] = done.trouble
        st.session_state.pop("room_painted", None)  # what was asked for shows at once
    done.ids = [str(one.get("id")) for one in sent if isinstance(one, dict) and one.get("id") in handled]
    done.trouble = st.session_state.get("room_trouble")
    return done
