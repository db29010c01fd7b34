"""Writes small corpora in the exact layout of the real ones, with the faults that the real ones have."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import openpyxl  # type: ignore[import-untyped]  # no types are published
from numpy.typing import NDArray

from monitor.rubric import load_rubric
from tests.recordings import Film, steady, write_recording

ATTENTION = load_rubric("attention")
CAPTIONS = {
    "screen": "Person is looking straight at the screen",
    "paper": "Person is looking down at the paper",
    "wander": "Person is looking away",
}


def picture(seed: int, size: tuple[int, int] = (64, 48)) -> NDArray[np.uint8]:
    """Something smooth and different for each seed; BGR."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC), np.uint8)


def write_picture(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix, picture(seed))[1].tobytes())
    return path


def write_clip(path: Path, seconds: float = 3.0, fps: int = 4) -> Path:
    """Frames that carry their number; .avi as DAiSEE has them, .mp4 otherwise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    avi = path.suffix == ".avi"
    codec = "mpeg4" if avi else "libx264"
    film = Film(steady(round(seconds * fps), fps), codec=codec, tick_s=Fraction(1, fps) if avi else Fraction(1, 12800))
    return write_recording(path, film)


def write_sed_captions(split: Path, frames: Mapping[str, str], captions: Mapping[str, str]) -> None:
    """image/ and filter_cap.json. frames: file stem -> anything; captions: image_id -> class, or a caption as it is."""
    for seed, stem in enumerate(frames):
        write_picture(split / "image" / f"{stem}.jpg", seed)
    entries = [{"image_id": key, "caption": CAPTIONS.get(value, value)} for key, value in captions.items()]
    (split / "filter_cap.json").write_text(json.dumps({"annotations": entries}), encoding="utf-8")


def write_daisee(folder: Path, clips: Mapping[str, tuple[str, int]], seconds: float = 3.0) -> Path:
    """clips: file name -> (part, level of engagement); the header ends in a space, as the real one does."""
    lines: dict[str, list[str]] = {"All": [], "Train": [], "Validation": [], "Test": []}
    for name, (part, level) in clips.items():
        stem = Path(name).stem
        write_clip(folder / "DataSet" / part / stem[:6] / stem / name, seconds)
        lines[part].append(f"{name},0,{level},1,0")
        lines["All"].append(f"{name},0,{level},1,0")
    labels = folder / "Labels"
    labels.mkdir(parents=True, exist_ok=True)
    for part, rows in lines.items():
        text = "ClipID,Boredom,Engagement,Confusion,Frustration \n" + "".join(f"{row}\n" for row in rows)
        (labels / f"{part}Labels.csv").write_text(text, encoding="utf-8")
    return folder


def write_sheet(path: Path, rows: Sequence[Sequence[object]]) -> Path:
    book = openpyxl.Workbook()
    sheet = book.active
    for row in rows:
        sheet.append(list(row))
    book.save(path)
    return path
