"""Pictures whose label is their colour, and a small model that sees it: no weights, no torch.

Red is screen, green is paper, blue is wander, as the hand-made bundle of tests.monitor.bundles scores them.
"""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from monitor.rubric import load_rubric
from monitor.vlm import prompt

RUBRIC = load_rubric("attention")
PEOPLE, EACH = 12, 6


def write_pictures(folder: Path, *, people: int = PEOPLE, wrong: int = 3, prefix: str = "p") -> Path:
    """A table of pictures; every `wrong`-th paper is as blue as wander."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(people)
    rows = ["file,person,label,glasses"]
    for person in range(people):
        for number in range(EACH):
            label = (person + number) % 3
            color = 2 if label == 1 and wrong and person % wrong == 0 else label
            picture_rgb = rng.integers(20, 60, (20, 20, 3))
            picture_rgb[..., color] += 90 + 20 * (number % 4)
            name = f"{prefix}{person}_{number}.png"
            cv2.imwrite(str(folder / name), picture_rgb[..., ::-1].astype(np.uint8))
            rows.append(f"{name},{prefix}{person},{RUBRIC.names[label]},{'yes' if person % 2 else 'no'}")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder


class ColorModel:
    """Scores phrases by the mean colour of a picture, in any wording that the rubric knows; else it cannot tell."""

    side_px = 16
    free = True
    threshold: float | None = 0.6

    def __init__(self, model_id: str = "colors", sharpness: float = 0.06) -> None:
        self.model_id = model_id
        self.about = {"Kind": "a test's own"}
        self._sharpness = sharpness

    def score(self, images_rgb: NDArray[np.uint8], question: str, phrases: Sequence[str]) -> NDArray[np.float64]:
        odds = images_rgb.mean(axis=(1, 2)) * self._sharpness
        if tuple(phrases) == (prompt.YES, prompt.NO):
            label = [prompt.probe_question(one.phrase) for one in RUBRIC.labels].index(question)
            odds = np.stack([odds[:, label], np.delete(odds, label, axis=1).max(axis=1)], axis=1)
        elif question not in (RUBRIC.question, *RUBRIC.paraphrases):
            odds = np.zeros_like(odds)
        logp: NDArray[np.float64] = odds - np.log(np.exp(odds).sum(axis=1, keepdims=True))
        return logp

    def generate(self, images_rgb: NDArray[np.uint8], question: str) -> list[str]:
        likeliest = images_rgb.mean(axis=(1, 2)).argmax(axis=1)
        return [f"The student is looking {RUBRIC.labels[label].phrase}." for label in likeliest]
