"""Entry of the dashboard: `python -m streamlit run dashboard/app.py -- --store PATH`. Sets the frame.

The pages do the rest. The rooms are found where the package is installed, or where this is run from the root of the
source tree.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import streamlit as st

from dashboard.acknowledgement import is_acknowledged
from dashboard.page_lectures import lectures_page
from dashboard.page_live import live_page
from dashboard.page_models import models_page
from dashboard.page_privacy import privacy_page
from dashboard.page_review import review_page
from dashboard.settings import store_location
from monitor.errors import ClassroomError
from monitor.store.database import Store
from monitor.store.erasure import purge_thumbnails
from monitor.store.location import store_path

_TIDIED_EVERY_S = 1800.0


@st.cache_resource(ttl=_TIDIED_EVERY_S, show_spinner=False)
def _tidy(location: str | None) -> None:
    """Delete pictures whose time is over also when no lecture is begun, and bring an older store up to date."""
    if store_path(location).is_file():
        with suppress(ClassroomError), Store.open(location) as store:  # the page says what is wrong
            purge_thumbnails(store)


def main() -> None:
    """Draw the page that the person is on."""
    assets = Path(__file__).with_name("assets")
    # An icon of our own: a Material one would be fetched from the network.
    st.set_page_config(page_title="Classroom monitor", page_icon=assets / "icon.svg", layout="wide")
    st.html(assets / "frame.css")
    _tidy(store_location())
    if not is_acknowledged():
        return
    pages = [
        st.Page(live_page, title="Live", icon=":material/sensors:", url_path="live", default=True),
        st.Page(review_page, title="Review", icon=":material/rule:", url_path="review"),
        st.Page(lectures_page, title="Lectures", icon=":material/history_edu:", url_path="lectures"),
        st.Page(models_page, title="Models", icon=":material/model_training:", url_path="models"),
        st.Page(privacy_page, title="Students and privacy", icon=":material/shield_person:", url_path="students"),
    ]
    st.navigation(pages, position="top").run()


main()
