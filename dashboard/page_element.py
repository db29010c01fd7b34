"""A page element of our own: markup, style and script from assets, mounted once and then fed with data.

One element that patches itself, rather than many that Streamlit rebuilds, is what keeps a page that changes each second
free of flicker. This file knows neither what is shown nor what comes back.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

import streamlit as st


def show_element(name: str, view: Mapping[str, Any]) -> None:
    """Draw an element, or bring the one that is drawn up to date.

    Args:
        name: of its three files in assets, and its key in the session.
        view: plain data (texts, numbers, lists). Texts from outside stay texts: scripts never make markup of them.
    """
    _element(name)(key=name, data=view, on_sent_change=_noticed)


def sent_by_element(name: str) -> Any:
    """What its script gave to `setStateValue("sent", …)` last; None at first. The same may be seen in several looks."""
    state = st.session_state.get(name)
    return state.get("sent") if isinstance(state, Mapping) else None


def _noticed() -> None:
    """The rerun that follows reads what was sent."""


@cache
def _element(name: str) -> Any:
    assets = resources.files("dashboard") / "assets"
    html, css, js = ((assets / f"{name}.{kind}").read_text(encoding="utf-8") for kind in ("html", "css", "js"))
    pieces = (assets / "pieces.js").read_text(encoding="utf-8")
    return st.components.v2.component(f"classroom_{name}", html=html, css=css, js=f"{pieces}\n{js}")
