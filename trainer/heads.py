"""Trains the head finder on composed pictures, chooses its threshold on held-out ones, and saves it for export.

    train_heads(read_head_settings(Path("trainer/configs/heads.toml")))

It knows no ONNX and no real picture.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from monitor.errors import BadInputError
from trainer.head_materials import Materials, draw_bank, draw_rooms, read_crops, read_cutouts
from trainer.head_net import CELL_PX, MULTIPLE_PX, HeadNet, fold, loss, unfold
from trainer.head_pictures import HeadPicture, compose
from trainer.head_pool import Pool
from trainer.head_threshold import choose_threshold
from trainer.schedule import Schedule
from trainer.settings import fill, read_table

WEIGHTS, CARD = "heads.safetensors", "heads.json"


@dataclass(frozen=True, slots=True)
class HeadSettings:
    """One run. It ends after `steps`, or where that is 0 after `minutes`."""

    cutouts: tuple[str, ...] = ("runs/renders/tiles",)
    """Folders of cut-out students (`trainer.synthetic.cutouts`)."""
    crops: tuple[str, ...] = ("runs/renders/train",)
    """Folders of finished crops of students (`classroom synthesize stills`); may be empty."""
    held_out_cutouts: tuple[str, ...] = ("runs/renders/tiles_heldout",)
    held_out_crops: tuple[str, ...] = ("runs/renders/heldout",)
    """Other people, for threshold and figures."""
    out: str = "runs/heads"
    start_from: str = ""
    """Folder of a run to go on from, in a new schedule; empty = from nothing."""
    seed: int = 0
    steps: int = 0
    minutes: float = 0.0
    batch_size: int = 64
    learning_rate: float = 3e-3
    weight_decay: float = 0.01
    average: float = 0.99
    """Decay of the averaged weights, which are what is saved."""
    box_weight: float = 2.0
    widths: tuple[int, ...] = (12, 24, 48, 72)
    deep: int = 2
    clutter: int = 1500
    """Pictures without heads from which backgrounds are cut."""
    most_crops: int = 24000
    threads: int = 1
    half_precision: bool = True
    """bfloat16 in the convolutions: twice as fast on processors that have it."""
    pool: int = 1024
    """Composed pictures held ready."""
    showings: int = 4
    """How often each is shown, about."""
    held_out: int = 3000
    """Held-out pictures for threshold and figures."""
    false_heads: float = 0.002
    """Wrongly found heads per picture that the threshold allows on held-out pictures."""
    least_threshold: float = 0.3
    """Held-out renders are more like the training than real rooms are: never below this."""


def read_head_settings(path: Path) -> HeadSettings:
    """Read a configuration.

    Raises:
        BadInputError: no such file, broken TOML, an unknown key or a value of the wrong type, each named.
    """
    settings: HeadSettings = fill(HeadSettings, read_table(path), str(path))
    if settings.steps <= 0 and settings.minutes <= 0:
        raise BadInputError(f"{path}: give steps or minutes, one of them above 0")
    return settings


def train_heads(settings: HeadSettings, report: Callable[[str], None] = print) -> dict[str, Any]:
    """Train, choose the threshold, save. Returns the card: threshold and figures; `report` hears of the progress."""
    torch.manual_seed(settings.seed)
    torch.set_num_threads(settings.threads)
    images, faces = read_crops([Path(folder) for folder in settings.crops], settings.most_crops)
    cutouts = read_cutouts([Path(folder) for folder in settings.cutouts])
    materials = Materials(cutouts, images, faces, draw_bank(settings.seed, settings.clutter))
    report(f"{len(materials.cutouts.faces)} cut-outs, {len(materials.crops)} crops, {len(materials.clutter)} grounds")
    net = HeadNet(tuple(settings.widths), settings.deep).to(memory_format=torch.channels_last)  # type: ignore[arg-type, call-overload]
    averaged = _learn(net, materials, settings, report)
    held_out = draw_held_out(settings)
    threshold, figures = choose_threshold(averaged, held_out, settings.false_heads, settings.least_threshold)
    card = {
        "threshold": threshold,
        "cell_px": CELL_PX,
        "multiple_px": MULTIPLE_PX,
        "parameters": sum(p.numel() for p in averaged.parameters()),
        "held_out": figures,
        "cutouts": len(materials.cutouts.faces),
        "crops": len(materials.crops),
        "settings": dataclasses.asdict(settings),
    }
    save(averaged, card, Path(settings.out))
    report(json.dumps({key: card[key] for key in ("threshold", "parameters", "held_out")}))
    return card


def save(net: HeadNet, card: Mapping[str, Any], out: Path) -> None:
    """Write the convolutions, with their norms folded in, and the card."""
    from safetensors.torch import save_file

    out.mkdir(parents=True, exist_ok=True)
    save_file({name: value.contiguous() for name, value in fold(net).items()}, out / WEIGHTS)
    (out / CARD).write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")


def draw_held_out(settings: HeadSettings) -> list[HeadPicture]:
    """Tiles of other people in rendered rooms, always the same for the same folders.

    The clutter of training is full of traps; a threshold that kept quiet on all of them would miss heads in rooms.
    """
    images, faces = read_crops([Path(folder) for folder in settings.held_out_crops], settings.most_crops)
    cutouts = read_cutouts([Path(folder) for folder in settings.held_out_cutouts])
    materials = Materials(cutouts, images, faces, draw_rooms(settings.seed + 10_007, 400))
    rng = np.random.default_rng(settings.seed + 10_009)
    return [compose(rng, materials, is_tile=True) for _ in range(settings.held_out)]


def _learn(net: HeadNet, materials: Materials, settings: HeadSettings, report: Callable[[str], None]) -> HeadNet:
    rng = np.random.default_rng(settings.seed)
    optimizer = torch.optim.AdamW(net.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    schedule = Schedule(steps=settings.steps, seconds=settings.minutes * 60, warmup=0.05)
    averaged = copy.deepcopy(net)
    pool = Pool(settings.pool, rng)
    heard = np.zeros(2)
    if settings.start_from:
        from safetensors.torch import load_file

        for _ in range(256):
            pool.put(compose(rng, materials))
        unfold(net, load_file(Path(settings.start_from) / WEIGHTS), pool.batch(256)[0])
        averaged.load_state_dict(net.state_dict())
    net.train()
    while not schedule.over:
        for _ in range(settings.batch_size // settings.showings if pool.count else settings.batch_size):
            pool.put(compose(rng, materials))
        pictures, heat, weight, place = pool.batch(settings.batch_size)
        with torch.autocast("cpu", torch.bfloat16, enabled=settings.half_precision):
            out = net(pictures)
        heat_loss, box_loss = loss(out.float(), heat, weight, place)
        optimizer.zero_grad()
        (heat_loss + settings.box_weight * box_loss).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        rate = settings.learning_rate * schedule.advance()
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
        _follow(averaged, net, min(settings.average, schedule.step / (schedule.step + 10)))
        heard = 0.98 * heard + 0.02 * np.array([heat_loss.item(), box_loss.item()])
        if schedule.step % 50 == 0:
            share = 1 - 0.98**schedule.step
            report(
                f"step {schedule.step}, {100 * schedule.progress:.0f} %: heat {heard[0] / share:.3f}, "
                f"box {heard[1] / share:.3f}, {schedule.elapsed_s:.0f} s, {time.process_time():.0f} s of processor"
            )
            save(averaged, {}, Path(settings.out))
    return averaged


def _follow(averaged: HeadNet, net: HeadNet, decay: float) -> None:
    with torch.no_grad():
        for slow, fast in zip(averaged.state_dict().values(), net.state_dict().values(), strict=True):
            if slow.dtype.is_floating_point:
                slow.lerp_(fast, 1 - decay)
            else:
                slow.copy_(fast)
