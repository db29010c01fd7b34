"""Entry of the dashboard: `streamlit run app.py -- --store PATH`. Sets the frame; the pages do the rest."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

import streamlit as st

_ROOT = str(Path(__file__).resolve().parent.parent)
if _ROOT not in sys.path:  # run from a source tree that is not installed
    sys.path.insert(0, _ROOT)

from dashboard.acknowledgement import is_acknowledged  # noqa: E402
from dashboard.page_lectures import lectures_page  # noqa: E402
from dashboard.page_live import live_page  # noqa: E402
from dashboard.page_models import models_page  # noqa: E402
from dashboard.page_privacy import privacy_page  # noqa: E402
from dashboard.page_review import review_page  # noqa: E402
from dashboard.settings import store_location  # noqa: E402
from monitor.errors import ClassroomError  # noqa: E402
from monitor.store.database import Store  # noqa: E402
from monitor.store.erasure import purge_thumbnails  # noqa: E402
from monitor.store.location import store_path  # noqa: E402

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
