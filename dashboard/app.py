"""Entry of the dashboard: `streamlit run app.py -- --store PATH`. Sets the frame; the pages do the rest."""

from __future__ import annotations

import sys
from pathlib import Path

import streamlit as st

_ROOT = str(Path(__file__).resolve().parent.parent)
if _ROOT not in sys.path:  # run from a source tree that is not installed
    sys.path.insert(0, _ROOT)

from dashboard.page_lectures import lectures_page  # noqa: E402
from dashboard.page_live import live_page  # noqa: E402


def main() -> None:
    """Draw the page that the person is on."""
    assets = Path(__file__).with_name("assets")
    # An icon of our own: a Material one would be fetched from the network.
    st.set_page_config(page_title="Classroom monitor", page_icon=assets / "icon.svg", layout="wide")
    st.html(assets / "frame.css")
    pages = [
        st.Page(live_page, title="Live", icon=":material/sensors:", url_path="live", default=True),
        st.Page(lectures_page, title="Lectures", icon=":material/history_edu:", url_path="lectures"),
    ]
    st.navigation(pages, position="top").run()


main()
