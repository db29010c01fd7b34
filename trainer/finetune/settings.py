"""The settings of a fine-tuning run: a TOML file with a [base] table, read into dataclasses.

This file knows no torch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from monitor.errors import BadInputError
from trainer.settings import fill_run, read_table

OBJECTIVES = ("answer", "labels")
PROMPTS = ("specific", "generic")
TRAINABLE = ("lora", "projector", "full")


@dataclass(frozen=True, slots=True)
class BaseSettings:
    """What is fine-tuned, and which part of it."""

    path: str = ""
    """A checkpoint folder (the embedded model's or one of transformers), or an id of the hub."""
    adapter: str = ""
    """Folder of an adapter for that base, to go on from."""
    trainable: str = "lora"
    """"lora", "projector" (the joint of the two towers alone) or "full"."""
    quantize: str = ""
    """"nf4" or "int8" for the language model (with "lora": QLoRA); empty = as it is."""
    device: str = "auto"
    dtype: str = "auto"
    side_px: int = 0
    """Side of the pictures, for models that take several; 0 = the model's own."""
    download: bool = False
    """Allow fetching the base from the hub."""


@dataclass(frozen=True, slots=True)
class AdapterSettings:
    """The size of a LoRA adapter; fields as in `trainer.policy.LoraSettings`."""

    rank: int = 16
    alpha: float = 32.0
    dropout: float = 0.0
    vision: bool = False
    projector: bool = False


@dataclass(frozen=True, slots=True)
class CorpusSettings:
    """What is learned from."""

    corpora: tuple[str, ...] = ()
    """Paths of corpora, relative to where the command runs."""
    kind: str = "auto"
    """Of all of them; see `classroom corpus inspect`."""
    held_out: str = ""
    """A corpus of other people for the figures; empty = the people kept aside."""
    rubric: str = "attention"
    development_share: float = 0.1
    """Share of people (else videos) in `corpora` that are never trained on."""
    limit: int = 0
    """At most so many training pictures; 0 = all."""
    prompts: str = "specific"
    """"specific" asks the rubric's question, "generic" asks to describe the picture: an ablation."""


@dataclass(frozen=True, slots=True)
class LearningSettings:
    """The run itself."""

    steps: int = 300
    batch_size: int = 32
    learning_rate: float = 3e-4
    weight_decay: float = 0.0
    warmup: float = 0.05
    """Share of the run in which the learning rate rises; then it falls as half a cosine."""
    clip: float = 1.0
    """Longest gradient."""
    objective: str = "answer"
    """"answer": log-probability of the whole answer. "labels": the same, renormalised over the rubric's answers."""
    balanced: bool = True
    """Every class equally often, however many pictures it has."""
    paraphrased: float = 0.2
    """Share of questions asked in other words than the rubric's own."""
    probes: float = 0.0
    """Share of turns that are a yes/no question about one label."""
    views: int = 1
    """Changed views of each picture beside the plain one, plus that one: 1 = plain alone. Where the vision tower is
    frozen, all are encoded before the first step."""
    seed: int = 0
    threads: int = 1
    save_every: int = 50
    """Steps between saved states."""

    def __post_init__(self) -> None:
        if self.objective not in OBJECTIVES:
            raise BadInputError(f"objective must be one of {', '.join(OBJECTIVES)}, found {self.objective!r}")
        for name in ("steps", "batch_size", "views", "threads", "save_every"):
            if getattr(self, name) < 1:
                raise BadInputError(f"{name} must be 1 or more, found {getattr(self, name)}")
        for name in ("paraphrased", "probes", "warmup"):
            if not 0 <= getattr(self, name) < 1:
                raise BadInputError(f"{name} must be in [0, 1), found {getattr(self, name)}")
        if self.learning_rate <= 0 or self.clip <= 0:
            raise BadInputError(f"learning_rate and clip must be above 0, found {self.learning_rate}, {self.clip}")


@dataclass(frozen=True, slots=True)
class FinetuneSettings:
    """One run of `classroom train sft` from a base."""

    name: str
    """Becomes part of the adapter's story."""
    out: str = "runs/finetune"
    base: BaseSettings = field(default_factory=BaseSettings)
    lora: AdapterSettings = field(default_factory=AdapterSettings)
    data: CorpusSettings = field(default_factory=CorpusSettings)
    training: LearningSettings = field(default_factory=LearningSettings)
    augmentation: dict[str, float] = field(default_factory=dict)
    """Fields of `trainer.augment.Augmentation` that differ from its defaults; for views beyond the first."""


def read_finetune_settings(path: Path) -> FinetuneSettings:
    """Read a configuration.

    Raises:
        BadInputError: no such file, broken TOML, an unknown key, or a value that cannot be, each named.
    """
    data = read_table(path)
    tables = {"base": BaseSettings, "lora": AdapterSettings, "data": CorpusSettings, "training": LearningSettings}
    settings: FinetuneSettings = fill_run(FinetuneSettings, data, tables, path)
    _check(settings, path)
    return settings


def _check(settings: FinetuneSettings, path: Path) -> None:
    if not settings.base.path:
        raise BadInputError(f"{path}, [base]: 'path' is missing: a checkpoint folder, or an id of the hub.")
    if not settings.data.corpora:
        raise BadInputError(f"{path}, [data]: 'corpora' is missing: what is to be learned from?")
    for table, key, value, known in (
        ("base", "trainable", settings.base.trainable, TRAINABLE),
        ("base", "quantize", settings.base.quantize, ("", "nf4", "int8")),
        ("data", "prompts", settings.data.prompts, PROMPTS),
    ):
        if value not in known:
            raise BadInputError(f"{path}, [{table}]: {key!r} must be one of {', '.join(known)}, found {value!r}")
