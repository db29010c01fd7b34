"""What the experiment is made of: a TOML file, read into dataclasses; unknown keys are refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from monitor.errors import BadInputError
from trainer.acceptance import AcceptanceSettings
from trainer.disagreements import SamplingSettings
from trainer.finetune import LearningSettings
from trainer.guards import GuardSettings
from trainer.pairs import PairSettings
from trainer.preference.settings import PreferenceSettings
from trainer.settings import fill, fill_run, read_table

ARMS = (
    "shipped", "sft-generic", "sft-specific", "rounds-hadpo", "once-hadpo", "sft-longer", "rounds-dpo", "rounds-kto",
    "rounds-orpo", "rounds-ipo", "rounds-robust", "rounds-grpo", "once-dpo", "once-kto", "once-orpo", "once-ipo",
    "once-robust", "once-grpo", "inverted-dpo", "inverted-robust", "cnn", "pose-rule",
)  # fmt: skip
"""In the order in which they run: later ones begin from what earlier ones left. `rounds` are iterated and judged, what
is asked is their champion; `once` is their first round, judged or not; `inverted` is one round on pairs of which some
are swapped, judged or not: there the selection students would hide the harm."""


@dataclass(frozen=True, slots=True)
class Data:
    """Whose pictures. One split for all arms and seeds, so that every arm is asked about the same people."""

    domain: tuple[str, ...] = ("runs/renders/elsewhere",)
    """Corpora of the new domain; people are dealt to training, selection and final."""
    selection_share: float = 0.2
    final_share: float = 0.3
    train_limit: int = 2100
    """About 700 a class, as the talk had 600 to 800."""
    split_seed: int = 0
    prior: tuple[float, ...] = (0.757, 0.234, 0.009)
    """Share of each label where the model is used: of the imbalanced set."""
    others: tuple[str, ...] = ()
    """Out of distribution, tested only: "name=folder" of corpora or shards of other people."""


@dataclass(frozen=True, slots=True)
class Weights:
    """What of the model learns."""

    base: str = "runs/embedded"
    trainable: str = "lora"
    rank: int = 16
    alpha: float = 32.0
    vision: bool = True
    """LoRA on the vision tower too: the new domain looks different, which words alone cannot mend."""
    projector: bool = False


@dataclass(frozen=True, slots=True)
class Cnn:
    """The convolutional baseline."""

    epochs: int = 30
    batch_size: int = 64
    learning_rate: float = 2e-3


@dataclass(frozen=True, slots=True)
class Plan:
    """One experiment."""

    name: str
    out: str = "runs/iterations"
    arms: tuple[str, ...] = ARMS
    seeds: tuple[int, ...] = (0, 1, 2)
    rounds: int = 4
    patience: int = 1
    inverted_share: float = 0.2
    """Of the pairs, in the two inverted arms; robust is told."""
    threads: int = 1
    data: Data = field(default_factory=Data)
    weights: Weights = field(default_factory=Weights)
    sft: LearningSettings = field(default_factory=LearningSettings)
    sampling: SamplingSettings = field(default_factory=SamplingSettings)
    pairs: PairSettings = field(default_factory=PairSettings)
    preference: PreferenceSettings = field(default_factory=PreferenceSettings)
    """`method` is set by the arm."""
    guards: GuardSettings = field(default_factory=GuardSettings)
    acceptance: AcceptanceSettings = field(default_factory=AcceptanceSettings)
    methods: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Fields of [preference] that a method wants otherwise, such as its learning rate."""
    cnn: Cnn = field(default_factory=Cnn)


_TABLES: dict[str, type[Any]] = {
    "data": Data, "weights": Weights, "sft": LearningSettings, "sampling": SamplingSettings, "pairs": PairSettings,
    "preference": PreferenceSettings, "guards": GuardSettings, "acceptance": AcceptanceSettings, "cnn": Cnn,
}  # fmt: skip


def read_plan(path: Path) -> Plan:
    """Read a plan.

    Raises:
        BadInputError: no such file, broken TOML, an unknown key or arm, or a bad value; each named.
    """
    plan: Plan = fill_run(Plan, read_table(path), _TABLES, path)
    unknown = sorted(set(plan.arms) - set(ARMS))
    if unknown:
        raise BadInputError(f"{path}: unknown arm {unknown[0]!r}; known are {', '.join(ARMS)}")
    for method, changes in plan.methods.items():
        fill(PreferenceSettings, changes, f"{path}, [methods.{method}]")
    return plan
