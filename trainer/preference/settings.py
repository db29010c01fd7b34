"""The settings of preference training: [preference] of a TOML file, checked before anything is loaded.

This file knows no torch.
"""

from __future__ import annotations

from dataclasses import dataclass

from monitor.errors import BadInputError

METHODS = ("hadpo", "dpo", "robust", "ipo", "kto", "orpo", "grpo")
ANCHORS = ("separate", "chosen")
REFERENCES = ("start", "base")
PRECISIONS = ("float32", "bfloat16")
MOST_INVERTED = 0.4
"""From this share of inverted pairs on there is hardly a signal left: at 0.5 there is none."""


@dataclass(frozen=True, slots=True)
class PreferenceSettings:
    """One run of preference training."""

    method: str = "hadpo"
    """hadpo: DPO and a cross-entropy that anchors it. dpo. robust: DPO that knows how many pairs are inverted. ipo.
    kto: each answer is a thumb up or down of its own. orpo: no reference. grpo: the right label is the reward."""
    beta: float = 0.1
    """How strongly the reference holds; in orpo the weight of the odds ratio, in grpo of the divergence (there 0 is
    common)."""
    gamma: float = 0.5
    """hadpo: weight of the cross-entropy."""
    anchor: str = "separate"
    """hadpo: separate = the cross-entropy is of a batch of SFT examples, as HA-DPO has it; chosen = of the chosen
    answers of the same pairs, TRL's ["sigmoid", "sft"]."""
    epsilon: float = 0.0
    """robust: the share of pairs whose chosen and rejected are swapped."""
    reference: str = "start"
    """start = the policy as it comes in (the last round); base = the model without its adapter."""
    desirable_weight: float = 1.0
    """kto: weight of thumbs up."""
    undesirable_weight: float = 1.0
    """kto: weight of thumbs down."""
    generations: int = 4
    """grpo: answers sampled to each question."""
    learning_rate: float = 1e-4
    schedule: str = "cosine"
    warmup: float = 0.1
    """Share of the steps in which the learning rate rises."""
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    batch_size: int = 16
    """Pairs a step; thumbs in kto, sampled answers in grpo."""
    gradient_accumulation: int = 1
    sft_batch_size: int = 16
    """hadpo with a separate anchor: SFT examples a step."""
    epochs: float = 1.0
    steps: int = 0
    """Where above 0, the run ends after so many steps, whatever epochs says."""
    seed: int = 0
    save_every: int = 50
    """Steps between two states to resume from; the newest two are kept."""
    precision: str = "float32"
    gradient_checkpointing: bool = False
    threads: int = 1
    """Processor cores; 0 leaves torch as it is."""

    def __post_init__(self) -> None:
        _one_of("method", self.method, METHODS)
        _one_of("anchor", self.anchor, ANCHORS)
        _one_of("reference", self.reference, REFERENCES)
        _one_of("precision", self.precision, PRECISIONS)
        for name in ("learning_rate", "batch_size", "gradient_accumulation", "save_every", "sft_batch_size"):
            if getattr(self, name) <= 0:
                raise BadInputError(f"{name!r} must be above 0, found {getattr(self, name)}")
        if self.epochs <= 0 and self.steps <= 0:
            raise BadInputError("give epochs or steps, one of them above 0.")
        if self.beta <= 0 and self.method != "grpo":
            raise BadInputError(f"'beta' must be above 0, found {self.beta}")
        self._check_method()

    def _check_method(self) -> None:
        if not 0 <= self.epsilon < MOST_INVERTED:
            raise BadInputError(
                f"'epsilon' must lie from 0 to below {MOST_INVERTED}, found {self.epsilon}: where two "
                "of five pairs are inverted, they say too little to learn from. Annotate again what is disputed."
            )
        if self.method == "kto" and self.batch_size < 2:
            raise BadInputError("kto compares answers within a batch; 'batch_size' must be 2 or more.")
        if self.method == "grpo" and (self.generations < 2 or self.batch_size % self.generations):
            raise BadInputError(
                f"grpo compares 'generations' (2 or more) answers to one question; 'batch_size' "
                f"{self.batch_size} must be a multiple of it, found {self.generations}."
            )


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise BadInputError(f"{name!r} must be one of {', '.join(allowed)}, found {value!r}")
