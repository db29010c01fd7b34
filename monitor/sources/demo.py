"""The short synthetic lecture that ships with the package, played in real time."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from monitor.errors import SourceError
from monitor.sources.playback import Playback
from monitor.sources.recording import Recording
from monitor.sources.source import DEMO

DEMO_ASSET = "assets/demo.mp4"


def open_demo(*, rate: float, start_s: float) -> Playback:
    """The shipped lecture as a live source; it ends where the recording does.

    Raises:
        SourceError: the package was installed without it.
    """
    path = Path(str(resources.files("monitor") / DEMO_ASSET))
    if not path.is_file():
        raise SourceError(f"{path}: the demo lecture is missing from the package. Install classroom-monitor again.")
    return Playback(Recording(path, uri=DEMO, rate=rate, start_s=start_s, threads=1), start_s=start_s)
