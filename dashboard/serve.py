"""Runs Streamlit as a child that leaves when its parent does, even one that was killed.

The parent holds the other end of our standard input; when it is gone, however it went, reading ends.
"""

from __future__ import annotations

import os
import sys
import threading


def main() -> None:
    """Serve the arguments of `streamlit` until the parent closes our standard input."""
    threading.Thread(target=_leave_with_the_parent, name="parent-watch", daemon=True).start()
    sys.argv[0] = "streamlit"
    from streamlit.web.cli import main as streamlit

    streamlit()


def _leave_with_the_parent() -> None:
    while os.read(0, 4096):
        pass
    # The main thread sits in Streamlit's event loop; there is nothing of ours to tidy up.
    os._exit(0)


if __name__ == "__main__":
    main()
