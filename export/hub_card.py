"""What stands in the place of classroom.json for a checkpoint of the hub, which has none.

It can be asked anything, so it knows every rubric that ships, and the one that it is to be exported for.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from monitor.rubric import Rubric, load_rubric, shipped_rubrics
from monitor.vlm.checkpoint.files import name_of
from monitor.vlm.checkpoint.opening import Opened

_LICENSE = re.compile(r"^license:\s*(\S+)\s*$", re.MULTILINE)
_UNKNOWN_LICENSE = "that of the checkpoint"
_MERGED = "merged.json"
"""Written by the trainer where it folded an adapter into the checkpoint."""


def describe_hub(opened: Opened, base: str | Path, rubric: Rubric | None) -> dict[str, Any]:
    """The keys of a card, and where the checkpoint comes from.

    Args:
        opened: of a checkpoint without a card.
        base: folder or id as it was given.
        rubric: one of a user's own that it shall be asked too.
    """
    config, talk = opened.core.config, opened.talk
    patches = talk.side_px // config.vision_config.patch_size
    known = [load_rubric(name, research=True) for name in shipped_rubrics()]
    return {
        "model_id": name_of(base),
        "image_size": talk.side_px,
        "mean": list(talk.mean),
        "std": list(talk.std),
        "image_tokens": (patches // config.scale_factor) ** 2,
        "rubrics": {one.rubric_id: _words(one) for one in (*known, *([rubric] if rubric else []))},
        "base": name_of(base),
        "architecture": type(opened.core).__name__,
        "license": _license(opened.folder),
        **({"training": _training(opened.folder)} if (opened.folder / _MERGED).is_file() else {}),
    }


def _training(folder: Path) -> dict[str, Any]:
    told = json.loads((folder / _MERGED).read_text(encoding="utf-8"))
    manifest = told.get("manifest", {})
    return {
        "base": told.get("base"),
        **{key: manifest[key] for key in ("base_sha256", "sha256", "quantize", "lora", "story") if key in manifest},
    }


def _license(folder: Path) -> str:
    """As the head of the checkpoint's README.md tells it."""
    path = folder / "README.md"
    head = path.read_text(encoding="utf-8", errors="replace")[:4000] if path.is_file() else ""
    found = _LICENSE.search(head.split("\n---", 1)[0]) if head.startswith("---") else None
    return found[1] if found else _UNKNOWN_LICENSE


def _words(rubric: Rubric) -> dict[str, Any]:
    return {
        "question": rubric.question,
        "labels": list(rubric.names),
        "phrases": [label.phrase for label in rubric.labels],
    }
