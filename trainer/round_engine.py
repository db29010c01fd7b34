"""The model behind the rounds: policies that are loaded with an adapter, asked, and trained on preferences.

This file joins `trainer.policy` and `trainer.preference`; it knows no corpus and no order of rounds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainer.disagreements import Answerer
from trainer.guards import RunRefusedError
from trainer.policy import LoraSettings, Policy, load_policy
from trainer.policy.lora import Trainable
from trainer.preference.engine import NotANumberError
from trainer.preference.examples import SftItem
from trainer.preference.settings import PreferenceSettings
from trainer.preference.train import RUN_FILE, train_preference
from trainer.round_parts import Job, Trained
from trainer.round_settings import PolicyChoice

KEPT_BYTES = 2**30
"""Image features that are kept in memory at most."""


class SeenPictures:
    """Image features by whose eyes saw which pictures; the eyes of most adapters are the base's."""

    def __init__(self, most_bytes: int = KEPT_BYTES) -> None:
        self._kept: dict[tuple[str, str], Tensor] = {}
        self._room = most_bytes

    def features(self, policy: Policy, eyes: str | None, images_rgb: NDArray[np.uint8]) -> Tensor:
        """Features of a batch (B, N, W), computed where they are not known.

        Args:
            policy: who looks.
            eyes: a name for everything on the way of a picture; None = never keep.
            images_rgb: (B, S, S, 3).
        """
        if eyes is None:
            return policy.image_features(policy.prepare(images_rgb))
        key = eyes, hashlib.sha256(np.ascontiguousarray(images_rgb).tobytes()).hexdigest()
        if key in self._kept:
            return self._kept[key].to(policy.device)
        seen = policy.image_features(policy.prepare(images_rgb))
        size = seen.numel() * seen.element_size()
        if size <= self._room:
            self._kept[key] = seen.cpu()
            self._room -= size
        return seen


class PolicyVoice:
    """A policy as an answerer."""

    def __init__(self, policy: Policy, seen: SeenPictures) -> None:
        self._policy, self._seen = policy, seen
        self._eyes = eyes_of(policy)

    @torch.no_grad()
    def score(self, images_rgb: NDArray[np.uint8], question: str, phrases: Sequence[str]) -> NDArray[np.float64]:
        """See `trainer.disagreements.Answerer`."""
        with self._policy.resting():
            features = self._seen.features(self._policy, self._eyes, images_rgb)
            return self._policy.score_features(features, question, phrases)


class PolicyEngine:
    """Loads, asks and trains one base; see `trainer.round_parts.Engine`."""

    def __init__(
        self,
        choice: PolicyChoice,
        preference: PreferenceSettings,
        cache: Path,
        *,
        seed: int = 0,
        seen: SeenPictures | None = None,
    ) -> None:
        """Open the base.

        Args:
            choice: which base, and what of it learns.
            preference: how it is trained; each job brings its own seed.
            cache: folder of features and reference log-probabilities that rounds share.
            seed: of a new adapter's random matrices.
            seen: image features that several engines share; None = this one's own.

        Raises:
            BundleError: a base or a start adapter that is missing, damaged or not made for each other.
        """
        self.choice, self.preference, self.cache, self.seed = choice, preference, cache, seed
        self._seen = seen or SeenPictures()
        start = Path(choice.adapter) if choice.adapter else None
        policy = self._load(start, "none")
        self.base_sha256 = policy.base_sha256
        self.side_px = policy.side_px
        self._loaded: tuple[Path | None, Answerer] | None = (start, PolicyVoice(policy, self._seen))

    def answerer(self, adapter: Path | None) -> Answerer:
        """The base with an adapter; the last one is kept, for a round asks it more than once."""
        if self._loaded is None or self._loaded[0] != adapter:
            self._loaded = None  # two big models at a time may be too many
            self._loaded = adapter, PolicyVoice(self._load(adapter, "none"), self._seen)
        return self._loaded[1]

    def train(self, job: Job) -> Trained:
        """Preference training from the job's parent; goes on where a killed run of the same job stopped."""
        self._loaded = None
        policy = self._load(job.parent, cast(Trainable, self.choice.trainable))
        job.begin(PolicyVoice(policy, self._seen))
        try:
            run = train_preference(
                policy,
                job.pairs,
                replace(self.preference, seed=job.seed),
                job.out,
                images_rgb=job.images_rgb,
                sft_items=[SftItem(row, question, answer) for row, question, answer in job.examples],
                resume=(job.out / RUN_FILE).is_file(),
                report=job.report,
                cache=self.cache,
            )
        except NotANumberError as error:
            raise RunRefusedError(str(error)) from error
        return Trained(run.adapter, run.history)

    def _load(self, adapter: Path | None, trainable: Trainable) -> Policy:
        choice = self.choice
        return load_policy(
            choice.base,
            adapter=adapter,
            quantize=choice.quantize or None,
            lora=LoraSettings(rank=choice.rank, alpha=choice.alpha, vision=choice.vision, projector=choice.projector),
            trainable=trainable,
            seed=self.seed,
        )


def eyes_of(policy: Policy) -> str | None:
    """A name for what a picture passes through; None where it changes while the policy learns."""
    if not policy.sight.frozen:
        return None
    origin = policy.origin
    changed = bool(origin.changed) or bool(origin.lora and (origin.lora.vision or origin.lora.projector))
    return f"{origin.base_sha256} {origin.quantize} {policy.side_px} {origin.adapter_sha256 if changed else ''}"
