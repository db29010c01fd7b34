"""What a person does on the live page: corrections, undo, pause, notes. Events from a browser in, the store changed.

Each event has an id made by the browser and may come twice. Knows no Streamlit.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from monitor.errors import ClassroomError
from monitor.store.annotations import undo
from monitor.store.control import add_note, set_paused, withdraw_note
from monitor.store.corrections import correct_now
from monitor.store.database import Store
from monitor.store.wishes import current_wishes

EVENTS_MAX = 50
_EVENT_ID = re.compile(r"[0-9a-f-]{8,64}")


@dataclass(slots=True)
class Done:
    """What became of the events of one look."""

    ids: list[str] = field(default_factory=list)
    """Done, or never to be: the page need not send them again."""
    trouble: str | None = None


def pending(events: object, handled: Collection[str]) -> list[dict[str, Any]]:
    """The events that are new and look like one."""
    if not isinstance(events, list):
        return []
    shaped = [
        one for one in events[:EVENTS_MAX] if isinstance(one, dict) and _EVENT_ID.fullmatch(str(one.get("id", "")))
    ]
    return [one for one in shaped if one["id"] not in handled]


def apply_events(store: Store, lecture_id: str, events: list[dict[str, Any]], annotator: str, now_s: float) -> Done:
    """Do what was asked, in order.

    Args:
        store: open for writing.
        lecture_id: the lecture that is shown.
        events: of `pending`; still not to be trusted.
        annotator: who corrects.
        now_s: media time of the newest moment: where a note goes.
    """
    done = Done()
    for event in events:
        try:
            _apply(store, lecture_id, event, annotator, now_s)
        except (ClassroomError, ValueError) as error:
            done.trouble = str(error)
        done.ids.append(str(event["id"]))
    return done


def _apply(store: Store, lecture_id: str, event: Mapping[str, Any], annotator: str, now_s: float) -> None:
    kind = event.get("kind")
    if str(event.get("lecture", "")) != lecture_id:
        raise ValueError("Another lecture is shown now; what was asked of the earlier one was left.")
    if kind == "correct":
        place = (lecture_id, str(event.get("student", "")))
        correct_now(store, place, str(event.get("label", "")), (annotator, str(event["id"])), current_wishes(store))
    elif kind == "undo":
        undo(store, str(event.get("of", "")))
    elif kind in ("pause", "resume"):
        set_paused(store, lecture_id, kind == "pause")
    elif kind == "note":
        add_note(store, lecture_id, str(event["id"]), str(event.get("text", "")), now_s)
    elif kind == "unnote":
        withdraw_note(store, str(event.get("of", "")))
    else:
        raise ValueError("The page asked for something that is not known here; reload it.")
