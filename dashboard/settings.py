"""What the dashboard was started with: the arguments after "--" on its command line."""

from __future__ import annotations

import argparse
import sys


def store_location() -> str | None:
    """Path or URL of the store to show; None means the default one."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--store")
    known, _ = parser.parse_known_args(sys.argv[1:])
    location: str | None = known.store
    return location
