"""Runs `classroom models` for the page of models, as a process of its own: the gate loads models, a page must not.

What it prints as JSON comes back as plain data. This file knows no Streamlit.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PATIENCE_S = 1800.0
REFUSED = 6
"""Exit code of a promotion that the gate refused."""


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a command."""

    ok: bool
    """Whether it did what was asked."""
    told: Mapping[str, Any] = field(default_factory=dict)
    """What it printed; also where the gate refused."""
    error: str = ""
    """What a person can mend; empty where it is done or the gate refused."""


def run_models(arguments: Sequence[str], *, store: str | None, models: Path) -> Done:
    """Run one command of the group.

    Args:
        arguments: such as ["promote", "round-2", "--by", "ada"].
        store: as the dashboard was started with.
        models: folder of the registry.
    """
    command = [sys.executable, "-m", "classroom", "models", *arguments, "--json", "--models", str(models)]
    command += ["--store", store] if store else []
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            stdin=subprocess.DEVNULL,
            env={**os.environ, "PYTHONUTF8": "1"},
            timeout=PATIENCE_S,
            check=False,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
    except subprocess.TimeoutExpired:
        return Done(False, error=f"The command took longer than {PATIENCE_S / 60:.0f} minutes and was ended.")
    told = _object(done.stdout)
    if done.returncode == 0 or (done.returncode == REFUSED and told):
        return Done(done.returncode == 0, told)
    said = done.stderr.strip().splitlines()
    return Done(False, told, said[-1].removeprefix("error: ") if said else f"It ended with code {done.returncode}.")


def _object(text: str) -> Mapping[str, Any]:
    lines = text.strip().splitlines()
    try:
        told = json.loads(lines[-1]) if lines else {}
    except ValueError:
        return {}
    return told if isinstance(told, Mapping) else {}
