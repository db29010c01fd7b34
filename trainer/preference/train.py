"""Trains a policy on preference pairs: settings in, adapter folder out; resumable to the same losses.

This file joins the parts and knows their order; the losses are TRL's, or in `paired`.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers.trainer_utils import get_last_checkpoint

from monitor.errors import BadInputError
from trainer.memory import advising
from trainer.pairs import PreferencePair
from trainer.policy import Policy
from trainer.preference.build import build_trainer
from trainer.preference.engine import REFERENCE_ADAPTER, NotANumberError, Supplies
from trainer.preference.examples import SftItem
from trainer.preference.keys import digest, picture_sha256, policy_sha256
from trainer.preference.memory import next_settings
from trainer.preference.pictures import Images, open_pictures
from trainer.preference.references import ReferenceFile, References
from trainer.preference.settings import PreferenceSettings
from trainer.preference.watch import Figures, Report, Watch, step_figures

STATE_FOLDER = "state"
ADAPTER_FOLDER = "adapter"
CACHE_FOLDER = "cache"
RUN_FILE = "run.json"
HISTORY_FILE = "history.jsonl"


@dataclass(frozen=True)
class PreferenceRun:
    """What came out of a run."""

    adapter: Path
    """Folder of the adapter; `load_policy(..., adapter=...)` reads it."""
    history: list[Figures]
    """Figures a step: loss, rewards/margins, logps/chosen, ... as TRL names them; and step, progress."""
    pairs: int
    seconds: float
    """Of this process: loading left out, pictures and references counted."""
    references_computed: int
    """Reference log-probabilities that no cache held."""


def train_preference(  # noqa: PLR0913 - what a run depends on, each by its name
    policy: Policy,
    pairs: Sequence[PreferencePair],
    settings: PreferenceSettings,
    out: Path,
    *,
    images_rgb: Images,
    sft_items: Sequence[SftItem] | None = None,
    resume: bool = False,
    report: Report | None = None,
    cache: Path | None = None,
) -> PreferenceRun:
    """Train a policy on pairs; it comes back changed, and its adapter lies in `out`.

    Args:
        policy: from `load_policy`, with something that learns; where the reference is "start", what it is now.
        pairs: what is preferred; `image_row` points into `images_rgb`.
        settings: the method and its numbers.
        out: folder of the run: state to resume from, adapter, history.
        images_rgb: (N, S, S, 3), uint8: the pictures of pairs and SFT examples.
        sft_items: examples of hadpo's separate anchor, and questions of grpo.
        resume: go on where an earlier run in `out` stopped; policy, pairs and settings must be those of then.
        report: is told the figures of each step; what it raises ends the run.
        cache: folder of features and reference log-probabilities, for several runs; None = in `out`.

    Raises:
        BadInputError: nothing to learn from, settings that do not fit, another run in `out`, or out of memory.
        NotANumberError: the loss was NaN; the policy has its last good weights again, and they are in `out`.
    """
    started = time.monotonic()
    items = list(sft_items or ())
    _check(policy, pairs, items, images_rgb, settings)
    if settings.threads > 0:
        torch.set_num_threads(settings.threads)
    key = policy_sha256(policy)
    _claim(out, _story(key, pairs, items, settings), resume)
    watch = Watch(policy, report)
    with advising(next_settings(settings)), _own_forwards(policy):
        supplies = _supplies(policy, key, pairs, items, images_rgb, settings, cache or out / CACHE_FOLDER)
        trainer = build_trainer(supplies, pairs, items, settings, out / STATE_FOLDER, [watch])
        _run(trainer, watch, policy, out, resume)
    history = [step_figures(entry, trainer.state) for entry in trainer.state.log_history if "loss" in entry]
    (out / HISTORY_FILE).write_text("".join(json.dumps(entry) + "\n" for entry in history), encoding="utf-8")
    seconds = time.monotonic() - started
    story = {"method": settings.method, "settings": asdict(settings), "pairs": len(pairs), "steps": len(history)}
    adapter = policy.save_adapter(out / ADAPTER_FOLDER, story)
    return PreferenceRun(adapter, history, len(pairs), seconds, supplies.references.computed)


def _run(trainer: Any, watch: Watch, policy: Policy, out: Path, resume: bool) -> None:
    """TRL's loop; after NaN, the last good weights are in the policy and on disk."""
    state = out / STATE_FOLDER
    last = get_last_checkpoint(str(state)) if resume and state.is_dir() else None
    try:
        trainer.train(resume_from_checkpoint=last)
    except NotANumberError:
        watch.go_back()
        _forget_reference(policy)
        policy.save_adapter(out / ADAPTER_FOLDER, {"stopped": "NaN", "step": watch.good_step})
        raise
    finally:
        _forget_reference(policy)
        policy.model.eval()


def _supplies(
    policy: Policy,
    key: str,
    pairs: Sequence[PreferencePair],
    items: Sequence[SftItem],
    images_rgb: Images,
    settings: PreferenceSettings,
    cache: Path,
) -> Supplies:
    rows = _rows(pairs, items)
    policy.model.eval()
    sight_key = policy_sha256(policy, lora=_sees_by_lora(policy))
    pictures = open_pictures(policy, images_rgb, rows, folder=cache, key=sight_key)
    reference_key = key if settings.reference == "start" else policy_sha256(policy, lora=False)
    references = References(
        reference_key=digest(reference_key, settings.precision),
        picture_keys={row: picture_sha256(images_rgb[row]) for row in rows},
        file=ReferenceFile(cache / "references.jsonl"),
    )
    return Supplies(policy, pictures, references, settings.reference)


def _rows(pairs: Sequence[PreferencePair], items: Sequence[SftItem]) -> list[int]:
    return sorted({*(pair.image_row for pair in pairs), *(item.image_row for item in items)})


def _sees_by_lora(policy: Policy) -> bool:
    return bool(policy.origin.lora and policy.origin.lora.vision)


def _check(
    policy: Policy,
    pairs: Sequence[PreferencePair],
    items: Sequence[SftItem],
    images_rgb: Images,
    settings: PreferenceSettings,
) -> None:
    if not pairs:
        raise BadInputError(
            "no preference pairs: the policy had nothing wrong, or the corpus is empty. Nothing to train."
        )
    if not policy.trained():
        raise BadInputError("nothing of this policy learns; load it with trainable = 'lora', 'projector' or 'full'.")
    beyond = max(_rows(pairs, items))
    if beyond >= len(images_rgb):
        raise BadInputError(f"a pair points to picture {beyond}, counted from 0, but there are {len(images_rgb)}.")
    if images_rgb.dtype != np.uint8 or images_rgb.ndim != 4:
        raise BadInputError(f"pictures must be uint8 (N, S, S, 3), found {images_rgb.dtype} {images_rgb.shape}")
    if settings.method == "hadpo" and settings.anchor == "separate" and not items:
        raise BadInputError(
            "hadpo: its anchor is a batch of SFT examples of its own, and there are none. Give some, or set "
            "anchor = 'chosen' in [preference]."
        )
    if settings.reference == "base" and not hasattr(policy.model, "peft_config"):
        raise BadInputError("reference = 'base' needs a LoRA adapter that can be left out; use reference = 'start'.")


def _story(
    key: str, pairs: Sequence[PreferencePair], items: Sequence[SftItem], settings: PreferenceSettings
) -> dict[str, Any]:
    data = json.dumps([[asdict(pair) for pair in pairs], [asdict(item) for item in items]])
    return {"policy": key, "data": hashlib.sha256(data.encode()).hexdigest(), "settings": asdict(settings)}


def _claim(out: Path, story: dict[str, Any], resume: bool) -> None:
    """Start a folder, or make sure that what is resumed is the same run."""
    path = out / RUN_FILE
    if path.is_file() and not resume:
        raise BadInputError(f"{out}: holds a run already; resume it (--resume), or give another folder.")
    if resume:
        if not path.is_file():
            raise BadInputError(f"{out}: no run to resume ({RUN_FILE} is missing); start it without --resume.")
        found = json.loads(path.read_text(encoding="utf-8"))
        for name, value in story.items():
            if found.get(name) != value:
                raise BadInputError(
                    f"{out}: was started with another {name}, so going on would not be the same run. Start a new one."
                )
        return
    shutil.rmtree(out / STATE_FOLDER, ignore_errors=True)
    out.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(story, indent=2) + "\n", encoding="utf-8")


@contextmanager
def _own_forwards(policy: Policy) -> Iterator[None]:
    """TRL and accelerate write a `forward` of theirs on the model; afterwards it has its own again."""
    modules = (policy.model, policy.core)
    before = [module.__dict__.get("forward") for module in modules]
    try:
        yield
    finally:
        for module, forward in zip(modules, before, strict=True):
            module.__dict__.pop("forward", None)
            if forward is not None:
                module.forward = forward


def _forget_reference(policy: Policy) -> None:
    if REFERENCE_ADAPTER in getattr(policy.model, "peft_config", {}):
        policy.model.delete_adapter(REFERENCE_ADAPTER)
