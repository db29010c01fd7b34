"""Past lectures."""

from __future__ import annotations

from dashboard.notices import show_no_lecture


def lectures_page() -> None:
    """Draw the page."""
    show_no_lecture()
