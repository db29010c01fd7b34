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


def show_room(view: Mapping[str, Any]) -> None:
    """Draw the room, or bring the one that is drawn up to date.

    Args:
        view: plain data (texts, numbers, lists), see `queries.room_view`. Texts from outside stay texts: the script
            never makes markup of them.
    """
    _element()(key="room", data=view)


@cache
def _element() -> Any:
    assets = resources.files("dashboard") / "assets"
    html, css, js = ((assets / f"room.{kind}").read_text(encoding="utf-8") for kind in ("html", "css", "js"))
    return st.components.v2.component("classroom_room", html=html, css=css, js=js)
