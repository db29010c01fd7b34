"""What a run goes on from: the checkpoint that its settings name, or the run of the configuration before it.

This file trains nothing.
"""

from __future__ import annotations

from pathlib import Path

from monitor.errors import BadInputError
from trainer.model import CARD_FILE, Card, Checkpoint, ModelShape, build_model, load_checkpoint, read_card
from trainer.settings import SftSettings, read_settings
from trainer.vision_start import continue_larger


def run_before(config: Path, settings: SftSettings) -> Path | None:
    """The configuration whose run comes first; None where the run starts from a folder or from nothing.

    Raises:
        BadInputError: a configuration in the row that is bad, or that comes again.
    """
    before, seen = None, {config.resolve()}
    start, place = settings.training.start, config
    while start.endswith(".toml"):
        place = place.parent / start
        if place.resolve() in seen:
            raise BadInputError(f"{config}: its run would start from itself, by way of {place}. Name another `start`.")
        seen.add(place.resolve())
        before = before or place
        start = read_settings(place).training.start
    return before


def is_finished(folder: Path) -> bool:
    """Whether the run in a folder came to its end."""
    return (folder / CARD_FILE).is_file() and "finished_at" in read_card(folder).training


def read_start(settings: SftSettings, shape: ModelShape) -> Checkpoint | None:
    """The checkpoint that the run goes on from, if it does.

    Raises:
        BundleError: no checkpoint there.
        BadInputError: its sizes are not those of [model]; only the patches and the tower's layers may grow in number.
    """
    if not settings.training.start:
        return None
    start = load_checkpoint(Path(settings.training.start))
    towers = {"vision": start.model.config.vision_config, "text": start.model.config.text_config}
    sizes = {"patch_size": towers["vision"].patch_size, "image_tokens": start.card.image_tokens}
    for name, tower in towers.items():
        sizes[f"{name}_width"] = tower.hidden_size
        sizes[f"{name}_layers"] = tower.num_hidden_layers
        sizes[f"{name}_heads"] = tower.num_attention_heads
    for name, size in sizes.items():
        asked = getattr(shape, name)
        if size != asked and not (name == "vision_layers" and size < asked):
            raise BadInputError(
                f"{settings.training.start}: has {name} {size}, [model] says {asked}. Give [model] the sizes that "
                "it was trained with; only image_size, scale_factor with it, may change, and vision_layers grow."
            )
    return start


def go_on(start: Checkpoint, shape: ModelShape, card: Card, seed: int) -> Checkpoint:
    """The checkpoint with another card, at the picture size and depth of `shape`; what is new draws no chance."""
    model = start.model
    layers = model.config.vision_config.num_hidden_layers
    if (start.card.image_size, layers) != (shape.image_size, shape.vision_layers):
        model = build_model(shape, start.tokenizer, seed)
        continue_larger(model, start.model)
    return Checkpoint(model, start.tokenizer, card)
