"""The settings of a training run: a TOML file, read into dataclasses; an unknown key is refused.

This file knows no torch.
"""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from monitor.errors import BadInputError

OPTIMIZERS = ("adamw", "muon")
"""What weights can be stepped by; see `trainer.optimizer`."""


@dataclass(frozen=True, slots=True)
class RenderSettings:
    """A folder of rendered students; made before the run where it is not there."""

    recipe: str = ""
    """Id of a shipped recipe, or a path to a TOML file."""
    count: int = 0
    """Pictures."""
    seed: int = 0
    """Of the first; each picture, and so each person, has the next one."""
    out: str = ""
    """One of the folders that the run reads."""


@dataclass(frozen=True, slots=True)
class DataSettings:
    """What is learned from."""

    folders: tuple[str, ...] = ("runs/renders/train",)
    """Folders of shards, relative to where the command runs. Shards that appear meanwhile are taken up each epoch."""
    held_out: str = ""
    """Folder of shards of other people, for the final figures; empty = the people kept aside."""
    rubric: str = "attention"
    development_share: float = 0.05
    """Share of people in `folders` that are never trained on."""
    limit: int = 0
    """At most so many training pictures; 0 = all."""
    limits: str = ""
    """Recipe whose limits of what a picture alone can tell hold for pictures of older recipes too: beyond them, a
    picture teaches its angles and not its label. Empty = each picture as it was rendered."""
    render: tuple[RenderSettings, ...] = ()
    """What `folders` and `held_out` are made of: a run can start from nothing."""
    render_processes: int = 0
    """Renderers at once; 0 = one a core."""


@dataclass(frozen=True, slots=True)
class TeacherSettings:
    """The convolutional teacher; minutes = 0 and steps = 0 leaves it out."""

    minutes: float = 0.0
    steps: int = 0
    widths: tuple[int, ...] = (24, 48, 80, 128, 192)
    """Channels after the stem and after each of four halvings."""
    batch_size: int = 64
    learning_rate: float = 3e-3
    later_rate: float = 0.0
    """Peak learning rate at which it goes on learning beside the student; 0 freezes it."""
    odds_weight: float = 0.3
    """Weight of imitating its label odds."""
    map_weight: float = 10.0
    """Weight of imitating its features, patch by patch; falls to zero over the run. It must lead at first: with the
    truth in the lead, a vision tower from nothing does not get off the ground (docs/experiments.md)."""


@dataclass(frozen=True, slots=True)
class ProbeSettings:
    """The last stage, in which probes learn to fit the label (`trainer.probe_stage`); steps = 0 leaves it out."""

    steps: int = 0
    batch_size: int = 48
    learning_rate: float = 5e-4
    warmup: float = 0.33
    """Share of the stage in which the learning rate rises."""
    keep_weight: float = 1.0
    """Weight of staying with what the model answered before to all other questions."""


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """The run itself. It ends after `steps`, or where that is 0 after `minutes`."""

    start: str = ""
    """A checkpoint folder to go on from, also with finer patches or more layers that see; or the configuration beside
    this one whose run comes first, which is made where it is missing. Empty = random weights."""
    start_share: float = 0.0
    """Share of the weights that the run started from in those it ends with: fine-tuned models hold better for other
    pictures so (Wortsman et al. 2022, "Robust fine-tuning of zero-shot models")."""
    seed: int = 0
    steps: int = 0
    minutes: float = 0.0
    batch_size: int = 64
    optimizer: str = "adamw"
    """`adamw`, or `muon`: matrices inside layers are stepped by Muon (Jordan et al. 2024), the rest by AdamW."""
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    warmup: float = 0.05
    """Share of the run in which the learning rate rises."""
    answer_weight: float = 0.3
    """Weight of the answers in words."""
    truth_weight: float = 0.3
    """Weight of the auxiliary heads on label and angles."""
    lead: float = 0.0
    """Share of the run over which the truth and the teacher's odds gain their full weight, from a tenth of it: until
    then the teacher's features lead."""
    text_from: float = 0.0
    """Share of the run after which words are learned too; before it the vision tower learns alone, which is cheaper."""
    late_from: float = 1.0
    """Share of the run, the teacher's too, after which [late_augmentation] holds: first anything, then crops as the
    monitor cuts them."""
    average: float = 0.999
    """Decay of the averaged weights, which are what is saved."""
    half_precision: bool = True
    """bfloat16 where a processor multiplies it faster; weights stay float32."""
    compile: bool = False
    """Let torch compile the vision tower: half as fast again, after a minute or two; needs a C++ compiler."""
    threads: int = 1
    save_every_s: float = 120.0
    evaluate_every_s: float = 300.0
    evaluate_most: int = 600
    """Pictures of the people kept aside that are scored on the way."""


@dataclass(frozen=True, slots=True)
class SftSettings:
    """One run of `classroom train sft`."""

    name: str
    """Becomes part of the model's id."""
    out: str = "runs/embedded"
    data: DataSettings = field(default_factory=DataSettings)
    model: dict[str, int] = field(default_factory=dict)
    """Fields of `trainer.model.ModelShape` that differ from its defaults."""
    teacher: TeacherSettings = field(default_factory=TeacherSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    probes: ProbeSettings = field(default_factory=ProbeSettings)
    augmentation: dict[str, float] = field(default_factory=dict)
    """Fields of `trainer.augment.Augmentation` that differ from its defaults."""
    late_augmentation: dict[str, float] = field(default_factory=dict)
    """What of it is different after `training.late_from`."""

    def augmentation_at(self, progress: float) -> dict[str, float]:
        """The fields that hold when this share of the run, 0 to 1, is done."""
        late = progress >= self.training.late_from
        return {**self.augmentation, **self.late_augmentation} if late else self.augmentation


def read_settings(path: Path) -> SftSettings:
    """Read a configuration.

    Raises:
        BadInputError: no such file, broken TOML, an unknown key or a value of the wrong type, each named.
    """
    data = read_table(path)
    if isinstance(data.get("data"), dict) and isinstance(renders := data["data"].get("render"), list):
        data["data"]["render"] = [fill(RenderSettings, one, f"{path}, [[data.render]]") for one in renders]
    tables = {"data": DataSettings, "teacher": TeacherSettings, "training": TrainingSettings, "probes": ProbeSettings}
    settings: SftSettings = fill_run(SftSettings, data, tables, path)
    training = settings.training
    if not 0 <= training.start_share <= (1 if training.start else 0):
        raise BadInputError(
            f"{path}, [training]: start_share must lie in 0 to 1, and be 0 without a start; "
            f"found {training.start_share}."
        )
    if training.optimizer not in OPTIMIZERS:
        raise BadInputError(
            f"{path}, [training]: optimizer must be one of {', '.join(OPTIMIZERS)}, found {training.optimizer!r}."
        )
    probes_alone = bool(training.start) and settings.probes.steps > 0
    if training.steps <= 0 and training.minutes <= 0 and not probes_alone:
        raise BadInputError(
            f"{path}, [training]: give steps or minutes, one of them above 0; only a run that has a `start` and "
            "[probes] can do without."
        )
    return settings


def read_table(path: Path) -> dict[str, Any]:
    """The TOML table in a file.

    Raises:
        BadInputError: no such file, or broken TOML.
    """
    if not path.is_file():
        raise BadInputError(f"{path}: no such configuration. The shipped ones are in trainer/configs.")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise BadInputError(f"{path}: not valid TOML: {error}") from error


def fill_run(kind: type[Any], data: dict[str, Any], tables: Mapping[str, type[Any]], path: Path) -> Any:
    """The dataclass `kind` of a whole file, which has a name; those of its tables that are dataclasses come first.

    Args:
        kind: what the file describes.
        data: from `read_table`.
        tables: name of a table -> its dataclass.
        path: of the file.

    Raises:
        BadInputError: as `fill` does, or no name.
    """
    filled = {name: fill(tables[name], own, f"{path}, [{name}]") for name, own in data.items() if name in tables}
    if not isinstance(data.get("name"), str):
        raise BadInputError(f"{path}: 'name' must be a text, found {data.get('name')!r}")
    return fill(kind, {**data, **filled}, str(path))


def fill(kind: type[Any], values: dict[str, Any], where: str) -> Any:
    """The dataclass `kind` of a table; whole numbers do for floats, lists for tuples.

    Raises:
        BadInputError: an unknown key, a value of the wrong type, or what the class itself refuses; named with `where`.
    """
    if not isinstance(values, dict):
        raise BadInputError(f"{where}: must be a table, found {values!r}")
    fields = {one.name: one for one in dataclasses.fields(kind)}
    unknown = sorted(set(values) - set(fields))
    if unknown:
        raise BadInputError(f"{where}: unknown key {unknown[0]!r}; known keys are {', '.join(fields)}")
    given = {}
    for key, written in values.items():
        default = fields[key].default
        whole = type(default) is float and type(written) is int
        value = float(written) if whole else tuple(written) if isinstance(written, list) else written
        if isinstance(default, bool | int | float | str | tuple) and type(value) is not type(default):
            raise BadInputError(f"{where}: {key!r} must be {type(default).__name__}, found {written!r}")
        given[key] = value
    try:
        return kind(**given)
    except BadInputError as error:
        raise BadInputError(f"{where}: {error}") from error
