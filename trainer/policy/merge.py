"""Folds an adapter into its base: a plain checkpoint folder again, to export or to go on from.

Only into unquantised weights: folding into 4 bits rounds what was learned away. This file knows no data.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path

from monitor.errors import BadInputError
from monitor.vlm.checkpoint.adapters import read_manifest
from trainer.model import CARD_FILE, Card, Checkpoint, save_checkpoint
from trainer.policy.load import load_policy
from trainer.tokenizer import load_tokenizer


def merge_adapter(base: Path, adapter: Path, out: Path, model_id: str) -> Path:
    """Write base and adapter as one checkpoint folder.

    Args:
        base: a checkpoint folder.
        adapter: of that base; one that was trained on a quantised base is folded into the plain one.
        out: a new folder.
        model_id: the name of what comes out.

    Raises:
        BundleError: the adapter is not for this base, or one of them is damaged.
        BadInputError: `out` is there already.
    """
    if out.exists():
        raise BadInputError(f"{out}: is there already; give a new folder.")
    manifest = read_manifest(adapter)
    policy = load_policy(base, adapter=adapter)
    model = policy.model.merge_and_unload() if hasattr(policy.model, "merge_and_unload") else policy.core
    if (base / CARD_FILE).is_file():
        card = Card(**json.loads((base / CARD_FILE).read_text(encoding="utf-8")))
        card.training = {
            "base": card.model_id,
            "base_training": card.training,
            "adapter_sha256": manifest["sha256"],
            "story": manifest["story"],
        }
        card.model_id, card.metrics = model_id, {}  # the base's figures are not the merged model's
        save_checkpoint(out, Checkpoint(model, load_tokenizer(base / "tokenizer.json"), card))
        return out
    model.save_pretrained(out)
    kept = {path.name for path in out.iterdir()} | {"model.safetensors.index.json"}
    for path in base.iterdir():
        if path.is_file() and path.name not in kept and path.suffix in (".json", ".jinja", ".txt", ".model"):
            shutil.copy2(path, out / path.name)
    told = {"model_id": model_id, "base": policy.origin.base, "manifest": {**manifest, "origin": asdict(policy.origin)}}
    (out / "merged.json").write_text(json.dumps(told, indent=2, default=str) + "\n", encoding="utf-8")
    return out
