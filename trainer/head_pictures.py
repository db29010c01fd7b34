"""Composes tiles and rooms with known heads from cut-out students, rendered crops and clutter, each time new.

Nothing that marks the seam may give a head away: clutter is pasted, cut and bordered in the same ways as students are.
It knows no network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from trainer.camera_faults import spoil
from trainer.clutter import Picture, draw_initials, put_text
from trainer.head_materials import Cutouts, Materials

SIZE_PX = (160, 96)
"""(width, height) of a composed picture."""
WANTED, EITHER, UNSEEN = 0.5, 0.2, 0.0
"""Shares of a face that must be inside the picture for it to be wanted, or for either answer to do."""

_LEAST_CONTRAST = 7.0
"""Grey levels (standard deviation over 6 x 8 patches) of a face that is to be found."""

Boxes = NDArray[np.float32]
"""(K, 5): x1, y1, x2, y2 in px and 1 where the head is to be found, 0 where either answer will do, -1 where it is
hidden or outside, so that nothing is to be found."""


@dataclass(slots=True)
class HeadPicture:
    """One composed picture."""

    image_bgr: Picture
    boxes: Boxes
    yaw_deg: list[float]
    """Per box; NaN where it is not known."""
    pitch_deg: list[float]


def compose(rng: np.random.Generator, materials: Materials, *, is_tile: bool = False) -> HeadPicture:
    """One picture: a tile, two people's tiles in one, a mosaic of small ones, or no head at all.

    With `is_tile` only what one tile of a gallery shows: a webcam's picture, rarely two side by side, or initials.
    """
    width, height = SIZE_PX
    shares = _TILE_SHARES if is_tile else _GRID_SHARES
    columns, rows = _GRIDS[int(rng.choice(len(_GRIDS), p=shares))]
    whole = HeadPicture(np.zeros((height, width, 3), np.uint8), np.zeros((0, 5), np.float32), [], [])
    edges_x = np.linspace(0, width, columns + 1).round().astype(int)
    edges_y = np.linspace(0, height, rows + 1).round().astype(int)
    for j in range(rows):
        for i in range(columns):
            x, y = edges_x[i], edges_y[j]
            size = (int(edges_x[i + 1] - x), int(edges_y[j + 1] - y))
            cell = _cell(rng, materials, size)
            whole.image_bgr[y : y + size[1], x : x + size[0]] = cell.image_bgr
            whole.boxes = np.concatenate([whole.boxes, cell.boxes + _array([x, y, x, y, 0])])
            whole.yaw_deg += cell.yaw_deg
            whole.pitch_deg += cell.pitch_deg
    if columns * rows > 1 and rng.random() < 0.4:
        _gutters(rng, whole.image_bgr, edges_x, edges_y)
    whole.image_bgr = spoil(rng, whole.image_bgr)
    _forgive(whole.image_bgr, whole.boxes)
    return whole


def _forgive(image: Picture, boxes: Boxes) -> None:
    """Heads that nobody could see, in the dark or burnt out, need not be found: guessing would be learned."""
    for row in boxes:
        if row[4] == 1:
            x1, y1, x2, y2 = (int(v) for v in row[:4])
            face = cv2.cvtColor(image[y1 : y2 + 1, x1 : x2 + 1], cv2.COLOR_BGR2GRAY)
            coarse = cv2.resize(face, (6, 8), interpolation=cv2.INTER_AREA)
            row[4] = float(coarse.std() >= _LEAST_CONTRAST)


_GRIDS = ((1, 1), (2, 1), (2, 2), (3, 2), (5, 3))
_GRID_SHARES = (0.7, 0.18, 0.08, 0.04, 0.0)
_TILE_SHARES = (0.85, 0.15, 0.0, 0.0, 0.0)


def _cell(rng: np.random.Generator, materials: Materials, size: tuple[int, int]) -> HeadPicture:
    kind = rng.random()
    nearly_square = size[0] < 1.3 * size[1]
    if len(materials.crops) and nearly_square and kind < 0.45:
        return _from_crop(rng, materials, size)
    if kind > 0.84 and nearly_square:
        return HeadPicture(_background(rng, materials, size), np.zeros((0, 5), np.float32), [], [])
    if kind > 0.93:
        return HeadPicture(draw_initials(rng, size), np.zeros((0, 5), np.float32), [], [])
    return _scene(rng, materials, size)


def _from_crop(rng: np.random.Generator, materials: Materials, size: tuple[int, int]) -> HeadPicture:
    """A finished picture of a student, made to fill the cell."""
    k = int(rng.integers(len(materials.crops)))
    side = materials.crops.shape[1]
    scale = max(size) / side * rng.uniform(1.0, 1.15)
    move = [(size[a] - side * scale) * rng.random() for a in (0, 1)]
    flip = rng.random() < 0.5
    matrix = _array([[scale, 0, move[0]], [0, scale, move[1]]])
    picture = materials.crops[k][:, ::-1] if flip else materials.crops[k]
    if scale < 0.6:
        picture = cv2.resize(picture, (side // 2, side // 2), interpolation=cv2.INTER_AREA)
        matrix = matrix * _array([[2, 2, 1], [2, 2, 1]])
    image = cv2.warpAffine(np.ascontiguousarray(picture), matrix, size, borderMode=cv2.BORDER_REPLICATE)
    x1, y1, x2, y2 = materials.crop_faces[k]
    if flip:
        x1, x2 = side - x2, side - x1
    box = _array([x1, y1, x2, y2]) * scale + _array([*move, *move])
    return HeadPicture(image.astype(np.uint8), visible([box], size), [float("nan")], [float("nan")])


def _scene(rng: np.random.Generator, materials: Materials, size: tuple[int, int]) -> HeadPicture:
    """Clutter, students before it, things before them, letters and bars over all."""
    image = _background(rng, materials, size)
    count = int(rng.choice([0, 1, 2, 3], p=[0.12, 0.66, 0.17, 0.05]))
    boxes: list[NDArray[np.float32]] = []
    hidden: list[float] = []
    yaw, pitch = [], []
    largest = 0.78 if count < 2 else 0.45
    share = rng.uniform(0.25, largest) if rng.random() < 0.5 else np.exp(rng.uniform(np.log(0.14), np.log(largest)))
    tall = size[1] * float(share)
    for _ in range(count):
        k = int(rng.integers(len(materials.cutouts.faces)))
        box, flip = _place(rng, materials.cutouts, k, size, tall * rng.uniform(0.85, 1.15)), rng.random() < 0.5
        if any(_covers(box, other) for other in boxes):
            continue
        cover = _paste(rng, image, materials.cutouts, k, box, flip)
        _desk(rng, image, box, cover)
        hidden = [max(before, _share(cover, other)) for before, other in zip(hidden, boxes, strict=True)]
        boxes.append(box)
        hidden.append(0.0)
        yaw.append(float(materials.cutouts.yaw_deg[k]) * (-1 if flip else 1))
        pitch.append(float(materials.cutouts.pitch_deg[k]))
    seen = visible(boxes, size)
    for row, share in zip(seen, hidden, strict=True):
        row[4] = -1 if share > 1 - EITHER else min(float(row[4]), 0.0) if share > 1 - WANTED else row[4]
    _overlays(rng, image, seen)
    return HeadPicture(image, seen, yaw, pitch)


def visible(boxes: Sequence[NDArray[np.float32]], size: tuple[int, int]) -> Boxes:
    """Boxes cut at the picture's edge, marked by how much of each is left; NaN-free, one row per box given."""
    rows = np.zeros((len(boxes), 5), np.float32)
    for row, box in zip(rows, boxes, strict=True):
        area = max(1e-3, float((box[2] - box[0]) * (box[3] - box[1])))
        cut = np.clip(box, 0, _array([*size, *size]))
        left = float(max(0.0, cut[2] - cut[0]) * max(0.0, cut[3] - cut[1])) / area
        row[:4] = cut
        row[4] = -1.0 if left <= EITHER else float(left >= WANTED and cut[3] - cut[1] >= 7)
    return rows


def _background(rng: np.random.Generator, materials: Materials, size: tuple[int, int]) -> Picture:
    bank = materials.clutter
    source = bank[int(rng.integers(len(bank)))]
    share = rng.uniform(0.45, 1.0)
    wide = int(source.shape[1] * share)
    tall = min(source.shape[0], max(8, wide * size[1] // size[0]))
    x, y = int(rng.integers(source.shape[1] - wide + 1)), int(rng.integers(source.shape[0] - tall + 1))
    part = source[y : y + tall, x : x + wide]
    if rng.random() < 0.5:
        part = part[:, ::-1]
    return np.asarray(cv2.resize(np.ascontiguousarray(part), size, interpolation=cv2.INTER_AREA), np.uint8)


def _place(
    rng: np.random.Generator, cutouts: Cutouts, k: int, size: tuple[int, int], tall_px: float
) -> NDArray[np.float32]:
    """Where the k-th student's face comes to lie: mostly about the middle, at times anywhere, at times cut off."""
    x1, y1, x2, y2 = cutouts.faces[k]
    wide_px = tall_px * float((x2 - x1) / (y2 - y1))
    if rng.random() < 0.6:
        x = size[0] * rng.normal(0.5, 0.12)
        y = size[1] * rng.normal(0.45, 0.1)
    else:
        x = size[0] * rng.uniform(-0.03, 1.03)
        y = size[1] * rng.uniform(-0.08, 0.95)
    return _array([x - wide_px / 2, y - tall_px / 2, x + wide_px / 2, y + tall_px / 2])


def _covers(one: NDArray[np.float32], other: NDArray[np.float32]) -> bool:
    """Whether two heads would stand in each other's way."""
    gap_x = abs(one[0] + one[2] - other[0] - other[2]) / 2
    gap_y = abs(one[1] + one[3] - other[1] - other[3]) / 2
    return bool(gap_x < 0.6 * (one[2] - one[0] + other[2] - other[0]) and gap_y < 0.75 * (other[3] - other[1]) * 2)


def _paste(
    rng: np.random.Generator, image: Picture, cutouts: Cutouts, k: int, box: NDArray[np.float32], flip: bool
) -> NDArray[np.float32]:
    """Draw the k-th student so that the face fills the box; returns what is covered (H, W), 0 to 1."""
    face = cutouts.faces[k]
    scale = float((box[3] - box[1]) / (face[3] - face[1]))
    level = 0
    while level + 1 < len(cutouts.levels) and scale * 2 ** (level + 1) < 1.3:
        level += 1
    source = cutouts.levels[level][k]
    shrunk = 2.0**level
    turn = np.deg2rad(rng.normal(0, 5))
    factor = scale * shrunk
    centre = np.array([(face[0] + face[2]) / 2, (face[1] + face[3]) / 2]) / shrunk
    across = -1.0 if flip else 1.0
    linear = factor * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) @ np.diag([across, 1.0])
    target = np.array([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2])
    matrix = np.c_[linear, target - linear @ centre]
    drawn = cv2.warpAffine(source, matrix, (image.shape[1], image.shape[0]), flags=cv2.INTER_LINEAR).astype(np.float32)
    light = np.float32(rng.uniform(0.7, 1.15))
    image[:] = np.clip(drawn[..., :3] * light + image * (1 - drawn[..., 3:] / 255), 0, 255).astype(np.uint8)
    covered: NDArray[np.float32] = drawn[..., 3] / 255
    return covered


def _desk(rng: np.random.Generator, image: Picture, face: NDArray[np.float32], cover: NDArray[np.float32]) -> None:
    """Hide where a cut-out ends within the picture: a desk, a laptop, a row in front; marked in `cover` too."""
    height, width = image.shape[:2]
    tall = float(face[3] - face[1])
    ends = float(face[3]) + 1.25 * tall
    forced = ends < height
    if not forced and rng.random() > 0.25:
        return
    top = int(face[3] + tall * rng.uniform(0.35, 1.15))
    if top >= height:
        return
    tone = rng.integers(20, 230) + rng.normal(0, 20, 3)
    colour = [int(v) for v in np.clip(tone, 0, 255)]
    reach = tall * rng.uniform(1.8, 3.0)
    left, right = int((face[0] + face[2]) / 2 - reach), int((face[0] + face[2]) / 2 + reach)
    if rng.random() < 0.6:
        left, right = 0, width
    cv2.rectangle(image, (left, top), (right, height), colour, -1)
    cover[max(0, top) :, max(0, left) : max(0, right)] = 1.0
    if rng.random() < 0.4:
        edge = [int(v * 0.6) for v in colour]
        cv2.line(image, (left, top), (right, top), edge, max(1, int(tall * 0.05)))


def _overlays(rng: np.random.Generator, image: Picture, boxes: Boxes) -> None:
    """What lies over a tile: something before the face, bars at the sides, the name."""
    height, width = image.shape[:2]
    for box in boxes:
        if box[4] == 1 and rng.random() < 0.1:
            _before_face(rng, image, box)
    if rng.random() < 0.08:
        bar = int(width * rng.uniform(0.03, 0.2))
        colour = [int(rng.integers(0, 50))] * 3
        inside = boxes[boxes[:, 4] >= 0]
        if not len(inside) or (inside[:, 0].min() > bar and inside[:, 2].max() < width - bar):
            cv2.rectangle(image, (0, 0), (bar, height), colour, -1)
            cv2.rectangle(image, (width - bar, 0), (width, height), colour, -1)
    if rng.random() < 0.35:
        tall = max(6, int(height * rng.uniform(0.08, 0.14)))
        wide = int(width * rng.uniform(0.2, 0.6))
        low = image[height - tall :, :wide]
        low[:] = (low * 0.35 + 12).astype(np.uint8)
        text = "".join(chr(int(c)) for c in rng.integers(97, 123, int(rng.integers(4, 14))))
        put_text(image, text, (wide // 2, height - tall // 2), tall * 0.7, (240, 240, 240))


def _share(cover: NDArray[np.float32], box: NDArray[np.float32]) -> float:
    """How much of a face lies under what came later, 0 to 1."""
    x1, y1, x2, y2 = (max(0, round(float(v))) for v in box)
    part = cover[y1:y2, x1:x2]
    return float(part.mean()) if part.size else 0.0


def _before_face(rng: np.random.Generator, image: Picture, box: NDArray[np.float32]) -> None:
    """A cup, a pen, a microphone: up to a third of the face is hidden."""
    wide, tall = box[2] - box[0], box[3] - box[1]
    x, y = box[0] + wide * rng.random(), box[1] + tall * rng.uniform(0.5, 1.1)
    far = (int(x + wide * rng.uniform(0.15, 0.5)), int(y + tall * rng.uniform(0.2, 0.6)))
    cv2.rectangle(image, (int(x), int(y)), far, [int(v) for v in rng.integers(0, 256, 3)], -1)


def _gutters(rng: np.random.Generator, image: Picture, edges_x: NDArray[np.int64], edges_y: NDArray[np.int64]) -> None:
    colour = [int(rng.integers(0, 60))] * 3
    thick = int(rng.integers(1, 4))
    for x in edges_x[1:-1]:
        cv2.line(image, (int(x), 0), (int(x), image.shape[0]), colour, thick)
    for y in edges_y[1:-1]:
        cv2.line(image, (0, int(y)), (image.shape[1], int(y)), colour, thick)


def _array(values: Sequence[Sequence[float]] | Sequence[float]) -> NDArray[np.float32]:
    return np.array(values, np.float32)
