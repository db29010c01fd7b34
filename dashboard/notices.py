"""What a page says when it has nothing to show: what is missing, and what to do next."""

from __future__ import annotations

from html import escape

import streamlit as st

from monitor.errors import ClassroomError


def show_empty(title: str, advice: str, command: str | None = None) -> None:
    """A calm notice in the middle of the page.

    Args:
        title: what is missing.
        advice: the next step.
        command: what to type for it, if anything.
    """
    typed = f"<pre>{escape(command)}</pre>" if command else ""
    st.html(f'<div class="empty"><h2>{escape(title)}</h2><p>{escape(advice)}</p>{typed}</div>')


def show_no_lecture() -> None:
    """Before the first lecture."""
    show_empty(
        "No lecture yet",
        "Start one, and it appears here by itself. To try it without a camera, type this in a terminal:",
        "classroom live --source demo",
    )


def show_error(error: ClassroomError) -> None:
    """Something a person can mend; the page tries again by itself."""
    show_empty("The lectures cannot be read", str(error))
