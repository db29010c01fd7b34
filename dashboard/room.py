"""The live room as one page element: its markup, style and script, mounted once and then fed with data.

One element that patches itself, rather than many that Streamlit rebuilds, is what keeps a page that changes each second
free of flicker. This file does not know where the data come from; `queries.room_view` makes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

import streamlit as st

KEY = "room"


def sent_by_room() -> list[Any]:
    """What was asked for on the page and is not yet known to be done; the same may be seen in several looks."""
    state = st.session_state.get(KEY)
    sent = state.get("sent") if isinstance(state, Mapping) else None
    return list(sent) if isinstance(sent, list) else []


def show_room(view: Mapping[str, Any]) -> None:
    """Draw the room, or bring the one that is drawn up to date.

    Args:
        view: plain data (texts, numbers, lists), see `queries.room_view`. Texts from outside stay texts: the script
            never makes markup of them.
    """
    _element()(key=KEY, data=view, on_sent_change=_noticed)


def _noticed() -> None:
    """The rerun that follows reads what was sent."""


@cache
def _element() -> Any:
    assets = resources.files("dashboard") / "assets"
    html, css, js = ((assets / f"room.{kind}").read_text(encoding="utf-8") for kind in ("html", "css", "js"))
    return st.components.v2.component("classroom_room", html=html, css=css, js=js)
