"""The settings of preference rounds: a TOML file whose tables are the settings of the parts; unknown keys are refused.

This file knows no torch.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from monitor.errors import BadInputError
from trainer.acceptance import AcceptanceSettings
from trainer.disagreements import SamplingSettings
from trainer.guards import GuardSettings
from trainer.pairs import PairSettings
from trainer.preference.settings import PreferenceSettings
from trainer.settings import fill_run, read_table


@dataclass(frozen=True, slots=True)
class RoundData:
    """Whose pictures, and who is held out."""

    corpora: tuple[str, ...] = ()
    """Paths; anything that `classroom corpus inspect` can read."""
    kind: str = "auto"
    """Of all of them."""
    selection_share: float = 0.15
    """Of the people: they decide which rounds are accepted."""
    final_share: float = 0.15
    """Of the people: they are asked once, when all is over."""
    train_limit: int = 0
    """At most so many training pictures, drawn by the seed; 0 = all."""
    refuse_copies: bool = True
    """Look for nearly the same picture in two parts, and refuse the split if there is one."""
    parts_of: str = ""
    """Folder of an earlier run whose people stay in their parts; empty = that of the run which made [model] adapter."""

    def __post_init__(self) -> None:
        if min(self.selection_share, self.final_share) <= 0 or self.selection_share + self.final_share >= 1:
            raise BadInputError(
                "selection_share and final_share must be above 0 and leave people to learn from, found "
                f"{self.selection_share} and {self.final_share}"
            )


@dataclass(frozen=True, slots=True)
class PolicyChoice:
    """What is trained."""

    base: str = ""
    """Folder of a checkpoint, or an id of the hub that is on this machine."""
    adapter: str = ""
    """Folder of the adapter to begin with, from `classroom train sft`; empty = the base as it is."""
    quantize: str = ""
    """"nf4" or "int8"; empty = as it is."""
    trainable: str = "lora"
    """lora, projector or full."""
    rank: int = 16
    """Of a new LoRA adapter; one that is continued keeps its own."""
    alpha: float = 32.0
    vision: bool = False
    """LoRA on the vision tower too: then pictures are looked at in each step anew."""
    projector: bool = False
    """The projector learns beside LoRA."""


@dataclass(frozen=True, slots=True)
class RoundsSettings:
    """One run of `classroom train rounds`."""

    name: str
    out: str = "runs/rounds"
    rubric: str = "attention"
    research: bool = False
    """Allow rubrics that name inner states."""
    rounds: int = 3
    """At most."""
    patience: int = 0
    """How many refused rounds one after the other are followed by another try from the champion, with other draws."""
    seed: int = 0
    double_labels: str = ""
    """A store in which two people annotated some crops: robust takes the share of inverted pairs from them, instead of
    `epsilon` of [preference]."""
    invert_share: float = 0.0
    """For experiments only: so many of the pairs are swapped."""
    data: RoundData = field(default_factory=RoundData)
    model: PolicyChoice = field(default_factory=PolicyChoice)
    sampling: SamplingSettings = field(default_factory=SamplingSettings)
    pairs: PairSettings = field(default_factory=PairSettings)
    preference: PreferenceSettings = field(default_factory=PreferenceSettings)
    guards: GuardSettings = field(default_factory=GuardSettings)
    acceptance: AcceptanceSettings = field(default_factory=AcceptanceSettings)

    def __post_init__(self) -> None:
        if self.rounds < 1 or self.patience < 0 or not 0 <= self.invert_share < 1:
            raise BadInputError(
                f"{self.name}: rounds is 1 or more, patience 0 or more, invert_share in 0 to below 1; found "
                f"{self.rounds}, {self.patience} and {self.invert_share}"
            )

    def as_dict(self) -> dict[str, Any]:
        """Plain values for a manifest; where this run and an earlier one lie on this machine is left out."""
        told = asdict(self)
        told.pop("out")
        told["data"].pop("parts_of")
        return told


def read_rounds(path: Path) -> RoundsSettings:
    """Read a configuration.

    Raises:
        BadInputError: no such file, broken TOML, an unknown key, a bad value, or nothing to learn from; each named.
    """
    table = read_table(path)
    tables = {
        "data": RoundData,
        "model": PolicyChoice,
        "sampling": SamplingSettings,
        "pairs": PairSettings,
        "preference": PreferenceSettings,
        "guards": GuardSettings,
        "acceptance": AcceptanceSettings,
    }
    settings: RoundsSettings = fill_run(RoundsSettings, table, tables, path)
    if not settings.data.corpora:
        raise BadInputError(f"{path}, [data]: 'corpora' must name at least one corpus.")
    if not settings.model.base:
        raise BadInputError(f"{path}, [model]: 'base' must name a checkpoint folder or a model of the hub.")
    return settings
