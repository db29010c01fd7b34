"""The review board as one page element: fed with data, giving back what the person did.

It does not know where the data come from; `review_queue.board_view` makes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dashboard.page_element import sent_by_element, show_element

_NAME = "review"


def sent_by_board() -> dict[str, Any]:
    """What the board sent last: events not yet known to be stored, crops it holds, a crop to play. Empty at first.

    The same may be seen in several looks: the events say which they are.
    """
    sent = sent_by_element(_NAME)
    return dict(sent) if isinstance(sent, Mapping) else {}


def show_board(view: Mapping[str, Any]) -> None:
    """Draw the board, or bring the one that is drawn up to date."""
    show_element(_NAME, view)
