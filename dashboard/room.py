"""The live room as one page element: fed with data, giving back what the person asks for.

This file does not know where the data come from; `queries.room_view` makes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dashboard.page_element import sent_by_element, show_element

_NAME = "room"


def sent_by_room() -> list[Any]:
    """What was asked for on the page and is not yet known to be done; the same may be seen in several looks."""
    sent = sent_by_element(_NAME)
    return list(sent) if isinstance(sent, list) else []


def show_room(view: Mapping[str, Any]) -> None:
    """Draw the room, or bring the one that is drawn up to date; `view` is of `queries.room_view`."""
    show_element(_NAME, view)
