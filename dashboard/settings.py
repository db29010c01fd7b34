"""What the dashboard was started with: the arguments after "--" on its command line."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from monitor.registry import models_folder


def store_location() -> str | None:
    """Path or URL of the store to show; None means the default one."""
    location: str | None = _told().store
    return location


def models_location() -> Path:
    """Folder of the models that belong to it."""
    told: str | None = _told().models
    return Path(told) if told else models_folder(store_location())


def _told() -> argparse.Namespace:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--store")
    parser.add_argument("--models")
    return parser.parse_known_args(sys.argv[1:])[0]
