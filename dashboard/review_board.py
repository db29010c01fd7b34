"""The review board as one page element: mounted once, fed with data, giving back what the person did.

It does not know where the data come from; `review_queue.board_view` makes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

import streamlit as st

KEY = "review_board"


def sent_by_board() -> dict[str, Any]:
    """What the board sent last: events not yet known to be stored, crops it holds, a crop to play. Empty at first.

    The same may be seen in several looks: the events say which they are.
    """
    state = st.session_state.get(KEY)
    sent = state.get("sent") if isinstance(state, Mapping) else None
    return dict(sent) if isinstance(sent, Mapping) else {}


def show_board(view: Mapping[str, Any]) -> None:
    """Draw the board, or bring the one that is drawn up to date."""
    _element()(key=KEY, data=view, on_sent_change=_noticed)


def _noticed() -> None:
    """The rerun that follows reads what was sent."""


@cache
def _element() -> Any:
    assets = resources.files("dashboard") / "assets"
    html, css, js = ((assets / f"review.{kind}").read_text(encoding="utf-8") for kind in ("html", "css", "js"))
    return st.components.v2.component("classroom_review", html=html, css=css, js=js)
