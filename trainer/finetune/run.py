"""One run of `classroom train sft` from a base: configuration in, adapter folder with figures out.

This file joins corpus, policy and loop, and knows their order.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from monitor.errors import BadInputError
from monitor.rubric import Rubric, load_rubric
from trainer.augment import Augmentation
from trainer.corpora.classroom import note_run
from trainer.corpora.open import open_corpus
from trainer.corpora.record import HELD_ASIDE, Item, PictureSet, join, labelled, require_classes
from trainer.evaluation.held_out import figures
from trainer.finetune.lessons import Teaching
from trainer.finetune.loop import finetune
from trainer.finetune.settings import FinetuneSettings, read_finetune_settings
from trainer.finetune.state import STATE_FILE
from trainer.policy import LoraSettings, Policy, load_policy
from trainer.policy.lora import Trainable
from trainer.split import is_development

FIGURES_FILE = "figures.json"


def train_finetune(config: Path, *, out: Path | None = None, resume: bool = False) -> Path:
    """Fine-tune a base as a configuration says.

    Args:
        config: a TOML file, see `trainer.finetune.settings.FinetuneSettings`.
        out: folder of the run; None = as the configuration says.
        resume: go on where an earlier run in `out` stopped.

    Returns:
        the adapter folder.

    Raises:
        BadInputError: a bad configuration, no data, or a folder that holds another run.
        BundleError: a base, an adapter or a state that cannot be used.
        KeyboardInterrupt: after Ctrl-C, once the state is saved.
    """
    settings = read_finetune_settings(config)
    how = _augmentation(settings, config)
    folder = out or Path(settings.out)
    if (folder / STATE_FILE).is_file() and not resume:  # before anything long begins
        raise BadInputError(f"{folder}: holds a run already; add --resume to go on with it, or give another --out.")
    note_run(settings.data.corpora, folder)
    torch.set_num_threads(settings.training.threads)
    rubric = load_rubric(settings.data.rubric)
    policy = open_policy(settings)
    train, held_out = read_pictures(settings, rubric, policy.side_px)
    story = _story(settings, train)
    with Progress(
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:3.0f} %  loss {task.fields[loss]}"),
        TimeElapsedColumn(), TimeRemainingColumn(),
    ) as bar:  # fmt: skip
        task = bar.add_task(settings.name, total=settings.training.steps, loss="–")
        done = finetune(
            policy, train, rubric, settings.training, folder, prompts=settings.data.prompts, augmentation=how,
            resume=resume, story=story,
            report=lambda step, loss: bar.update(task, completed=step, loss=f"{loss:.3f}"),
        )  # fmt: skip
    if len(held_out):
        story["held_out"] = measure(policy, held_out, rubric, settings)
        _write_figures(folder, story["held_out"])
    told = {**story, "steps": settings.training.steps, "settings": asdict(settings.training)}
    return policy.save_adapter(done.adapter, told)


def open_policy(settings: FinetuneSettings) -> Policy:
    """The base, ready to learn, as the [base] and [lora] tables say."""
    base, lora = settings.base, settings.lora
    return load_policy(
        base.path,
        adapter=Path(base.adapter) if base.adapter else None,
        quantize=base.quantize or None,
        lora=LoraSettings(
            rank=lora.rank, alpha=lora.alpha, dropout=lora.dropout, vision=lora.vision, projector=lora.projector
        ),
        trainable=cast(Trainable, base.trainable),  # checked when the settings were read
        device=base.device,
        dtype=base.dtype,
        side_px=base.side_px or None,
        download=base.download,
        seed=settings.training.seed,
    )


def read_pictures(settings: FinetuneSettings, rubric: Rubric, side_px: int) -> tuple[PictureSet, PictureSet]:
    """What is learned from and what is measured on: never the same people.

    Raises:
        BadInputError: an empty corpus, one class only, or nobody left to learn from.
    """
    data = settings.data
    train, aside = [], []
    for place in data.corpora:
        corpus = open_corpus(Path(place), rubric, data.kind)
        known = labelled(corpus.items)
        require_classes(known, rubric.names, place)
        others = [item for item in known if is_kept_aside(item, data.development_share)]
        kept = [item for item in known if not is_kept_aside(item, data.development_share)]
        if data.limit:
            kept = kept[: max(1, data.limit // len(data.corpora))]
        if not kept:
            raise BadInputError(f"{place}: nobody is left to learn from; lower development_share in [data].")
        train.append(corpus.load(kept, side_px))
        if others and not data.held_out:
            aside.append(corpus.load(others, side_px))
    if data.held_out:
        corpus = open_corpus(Path(data.held_out), rubric, data.kind)
        aside.append(corpus.load(labelled(corpus.items), side_px))
    learned = join(train)
    return learned, join(aside) if aside else learned.take([])


def is_kept_aside(item: Item, development_share: float) -> bool:
    """Whether nothing is learned from a picture: its person is set aside for ever, or for this kind of training."""
    return item.part == HELD_ASIDE or is_development(item.owner, development_share)


def measure(policy: Policy, pictures: PictureSet, rubric: Rubric, settings: FinetuneSettings) -> dict[str, Any]:
    """Figures on held-out people, asked as in training."""
    teaching = Teaching(rubric, prompts=settings.data.prompts, paraphrased=0.0, probes=0.0, seed=0)
    phrases = [label.phrase for label in rubric.labels]
    probabilities = np.exp(policy.score(pictures.images_rgb, teaching.question, phrases))
    return figures(probabilities, pictures.labels, pictures.persons, rubric.names)


def _augmentation(settings: FinetuneSettings, config: Path) -> Augmentation:
    try:
        return Augmentation(**settings.augmentation)
    except TypeError as error:
        raise BadInputError(f"{config}, [augmentation]: {error}") from error


def _story(settings: FinetuneSettings, pictures: PictureSet) -> dict[str, Any]:
    """What the manifest tells; folders by their last name, for an adapter travels and machines differ."""
    counts = Counter(int(label) for label in pictures.labels)
    return {
        "name": settings.name,
        "method": "sft",
        "rubric_id": settings.data.rubric,
        "prompts": settings.data.prompts,
        "corpora": [Path(place).name for place in settings.data.corpora],
        "pictures": len(pictures),
        "persons": len(set(pictures.persons)),
        "labels": {str(label): count for label, count in sorted(counts.items())},
        "seed": settings.training.seed,
    }


def _write_figures(folder: Path, told: dict[str, Any]) -> None:
    (folder / FIGURES_FILE).write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
