"""What a head network finds in pictures with known heads, and the threshold that follows. It trains nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from trainer.head_net import CELL_PX, HeadNet
from trainer.head_pictures import Boxes, HeadPicture


def choose_threshold(
    net: HeadNet, pictures: list[HeadPicture], false_heads: float, least: float
) -> tuple[float, dict[str, float]]:
    """The lowest threshold from `least` on with at most `false_heads` a picture, and what is found at it."""
    scores_true: list[float] = []
    scores_false: list[float] = []
    heads = 0
    for picture, found in zip(pictures, find_heads(net, pictures), strict=True):
        hits, misses = match(found, picture.boxes)
        scores_true += hits
        scores_false += misses
        heads += int((picture.boxes[:, 4] == 1).sum())
    allowed = int(false_heads * len(pictures))
    worst = sorted(scores_false, reverse=True)
    threshold = max(least, worst[allowed] + 1e-3 if len(worst) > allowed else 0.0)
    return round(threshold, 3), {
        "pictures": len(pictures),
        "heads": heads,
        "recall": round(sum(score >= threshold for score in scores_true) / max(1, heads), 4),
        "false_per_500": round(500 * sum(score >= threshold for score in scores_false) / len(pictures), 2),
    }


def find_heads(net: HeadNet, pictures: list[HeadPicture], least: float = 0.05) -> list[Boxes]:
    """Boxes (K, 5) of each picture with their scores, best first; peaks of the map, none lying over a better one."""
    net.eval()
    found = []
    for start in range(0, len(pictures), 50):
        with torch.no_grad():
            out = net(_stack([one.image_bgr for one in pictures[start : start + 50]]))
        chance = torch.sigmoid(out[:, 0])
        peaks = chance * (functional.max_pool2d(chance[:, None], 3, 1, 1)[:, 0] == chance)
        found += [_boxes_of(peak.numpy(), maps.numpy(), least) for peak, maps in zip(peaks, out[:, 1:], strict=True)]
    return found


def match(found: Boxes, truth: Boxes) -> tuple[list[float], list[float]]:
    """Scores of wanted heads that were found (centre inside, 0.7 to 2.5 times the size), and of false heads.

    A false head touches no head at all: one that is too large, or half hidden, is a poor box and not a false head.
    """
    hits: list[float] = []
    misses: list[float] = []
    taken: set[int] = set()
    for x1, y1, x2, y2, score in found.tolist():
        x, y, size = (x1 + x2) / 2, (y1 + y2) / 2, max(x2 - x1, y2 - y1)
        near = [k for k, box in enumerate(truth) if box[0] <= x <= box[2] and box[1] <= y <= box[3]]
        right = [k for k in near if 0.7 <= size / max(truth[k, 2] - truth[k, 0], truth[k, 3] - truth[k, 1], 1) <= 2.5]
        fresh = [k for k in right if k not in taken and truth[k, 4] == 1]
        if fresh:
            taken.add(fresh[0])
            hits.append(score)
        elif not near and all(overlap([x1, y1, x2, y2], box[:4].tolist()) < 0.1 for box in truth):
            misses.append(score)
    return hits, misses


def _stack(images_bgr: list[Any]) -> Tensor:
    batch = torch.from_numpy(np.stack(images_bgr)).permute(0, 3, 1, 2)
    return batch.to(torch.float32, memory_format=torch.channels_last)


def _boxes_of(peaks: Any, maps: Any, least: float) -> Boxes:
    rows, columns = np.nonzero(peaks > least)
    kept: list[list[float]] = []
    for i in np.argsort(-peaks[rows, columns], kind="stable"):
        row, column = rows[i], columns[i]
        dx, dy, log_width, log_height = maps[:, row, column]
        x, y = (column + 0.5 + dx) * CELL_PX, (row + 0.5 + dy) * CELL_PX
        half_x, half_y = np.exp(log_width) * CELL_PX / 2, np.exp(log_height) * CELL_PX / 2
        box = [float(v) for v in (x - half_x, y - half_y, x + half_x, y + half_y, peaks[row, column])]
        if all(overlap(box, other) < 0.3 for other in kept):
            kept.append(box)
    return np.array(kept, np.float32).reshape(-1, 5)


def overlap(one: list[float], other: list[float]) -> float:
    """Intersection over union of two boxes x1, y1, x2, y2."""
    wide = min(one[2], other[2]) - max(one[0], other[0])
    tall = min(one[3], other[3]) - max(one[1], other[1])
    if wide <= 0 or tall <= 0:
        return 0.0
    areas = (one[2] - one[0]) * (one[3] - one[1]) + (other[2] - other[0]) * (other[3] - other[1])
    return wide * tall / (areas - wide * tall)
