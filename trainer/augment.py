"""Changes training pictures as webcams, crops and compression do; truth that a change moves is moved with it.

Works on batches of tensors, seeded by a generator. This file knows no labels and no model.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

MIRRORED_ANGLES = (0, 2)
"""Columns of the angles (head yaw, gaze yaw) that change sign when a picture is mirrored."""
_WARP_POINTS = 5
"""Points a side that are shifted; between them the shift is smooth."""


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How strong each change is. Probabilities are shares of pictures; 0 turns a change off."""

    face_scale_low: float = 0.95
    face_scale_high: float = 2.1
    """The crop's side over the face's larger side, drawn log-uniformly."""
    shift: float = 0.08
    """Standard deviation of the crop's centre, as a share of its side."""
    rotate_rad: float = 0.1
    aspect: float = 0.06
    grey: float = 0.35
    colour: float = 0.08
    contrast_low: float = 0.5
    contrast_high: float = 1.5
    brightness: float = 0.12
    gamma: float = 0.25
    low_resolution: float = 0.2
    blur: float = 0.1
    noise: float = 0.06
    cutout: float = 0.25
    warp: float = 0.0
    """Standard deviation of a smooth displacement, as a share of the crop: other proportions of the same face."""
    texture: float = 0.0
    """Share of pictures that get another texture; see `trainer.restyle`."""
    shading: float = 0.0
    """Strength of smoothly changing light, as the standard deviation of its logarithm; see `trainer.restyle`."""


def plain(images: Tensor, size: int) -> Tensor:
    """Only resize: uint8 (B, 3, H, W) to floats 0..1 (B, 3, size, size), as the runtime sees them."""
    pixels = images.float() / 255.0
    if images.shape[-1] == size:
        return pixels
    return functional.interpolate(pixels, size=(size, size), mode="bilinear", antialias=True, align_corners=False)


def augment(
    images: Tensor, angles_deg: Tensor, face_boxes_px: Tensor, size: int, how: Augmentation, rng: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Draw one changed view of each picture.

    Args:
        images: uint8 (B, 3, H, H).
        angles_deg: (B, 4), see `PictureSet`.
        face_boxes_px: (B, 4); rows of NaN are cropped around the picture's centre.
        size: side of the result in pixels.
        how: strengths.
        rng: source of all chance.

    Returns:
        pictures 0..1 (B, 3, size, size) and their angles.
    """
    mirrored = torch.rand(len(images), generator=rng) < 0.5
    grid = _sampling_grid(images, face_boxes_px, mirrored, size, how, rng)
    pixels = functional.grid_sample(images.float() / 255.0, grid, padding_mode="border", align_corners=False)
    angles = angles_deg.clone()
    for column in MIRRORED_ANGLES:
        angles[mirrored, column] *= -1
    pixels = _light(pixels, how, rng)
    pixels = _sharpness(pixels, how, rng)
    pixels = _cutout(pixels, how, rng)
    return pixels.clamp_(0, 1), angles


def _sampling_grid(
    images: Tensor, boxes: Tensor, mirrored: Tensor, size: int, how: Augmentation, rng: torch.Generator
) -> Tensor:
    """Where each output pixel is taken from: around the face, at a random scale, shifted, turned, stretched."""
    n, side = len(images), float(images.shape[-1])
    known = ~boxes.isnan().any(dim=1)
    centre_px = torch.where(known[:, None], (boxes[:, :2] + boxes[:, 2:]) / 2, torch.tensor(side / 2))
    face_px = torch.where(known, (boxes[:, 2:] - boxes[:, :2]).amax(dim=1), torch.tensor(side / 1.6))
    low, high = torch.tensor([how.face_scale_low, how.face_scale_high]).log()
    scale = (torch.rand(n, generator=rng) * (high - low) + low).exp()
    # Beyond 1.15 x the picture there is nothing but repeated edge.
    half = (face_px * scale / side).clamp(0.3, 1.15)
    centre = centre_px / side * 2 - 1
    # A wide crop of a face near the edge moves inside, as far as the picture allows.
    room = (1.08 - half).clamp_min(0.0)[:, None]
    centre = torch.minimum(torch.maximum(centre, -room), room)
    centre = centre + torch.randn(n, 2, generator=rng) * how.shift * 2 * half[:, None]
    turn = torch.randn(n, generator=rng) * how.rotate_rad
    stretch = (torch.randn(n, generator=rng) * how.aspect).exp()
    sign = 1.0 - 2.0 * mirrored.float()
    across = torch.stack([half * turn.cos() * sign * stretch, -half * turn.sin() / stretch, centre[:, 0]], dim=1)
    along = torch.stack([half * turn.sin() * sign * stretch, half * turn.cos() / stretch, centre[:, 1]], dim=1)
    grid = functional.affine_grid(torch.stack([across, along], dim=1), [n, 3, size, size], align_corners=False)
    return grid + _displacement(half, size, how.warp, rng) if how.warp else grid


def _displacement(half: Tensor, size: int, strength: float, rng: torch.Generator) -> Tensor:
    """(B, size, size, 2) smooth shifts of the sampling grid, as a share of each crop's side."""
    coarse = (
        torch.randn(len(half), 2, _WARP_POINTS, _WARP_POINTS, generator=rng)
        * (strength * 2 * half)[:, None, None, None]
    )
    fine = functional.interpolate(coarse, size=(size, size), mode="bicubic", align_corners=True)
    return fine.permute(0, 2, 3, 1)


def _light(pixels: Tensor, how: Augmentation, rng: torch.Generator) -> Tensor:
    """Saturation, tint, contrast and brightness as one matrix a picture, then gamma: each pixel is touched twice."""
    n = len(pixels)
    saturation = (torch.rand(n, 1, 1, generator=rng) + 0.4) * (torch.rand(n, 1, 1, generator=rng) >= how.grey)
    gain = 1 + torch.randn(n, 3, 1, generator=rng) * how.colour * (saturation > 0)
    contrast = torch.empty(n, 1, 1).uniform_(how.contrast_low, how.contrast_high, generator=rng)
    mix = gain * (saturation * torch.eye(3) + (1 - saturation) / 3)
    flat = pixels.flatten(2)
    middle = (mix @ flat.mean(dim=2, keepdim=True)).mean(dim=1, keepdim=True)
    offset = (1 - contrast) * middle + torch.randn(n, 1, 1, generator=rng) * how.brightness
    flat = torch.baddbmm(offset, contrast * mix, flat).clamp_(1e-4, 1)
    flat = flat.pow_((torch.randn(n, 1, 1, generator=rng) * how.gamma).exp())
    return flat.view_as(pixels)


def _sharpness(pixels: Tensor, how: Augmentation, rng: torch.Generator) -> Tensor:
    n, size = len(pixels), pixels.shape[-1]
    draw = torch.rand(n, generator=rng)
    coarse = draw < how.low_resolution
    if coarse.any():
        fewer = int(torch.randint(24, max(25, size * 2 // 3), (1,), generator=rng))
        small = functional.interpolate(pixels[coarse], size=(fewer, fewer), mode="bilinear", antialias=True)
        pixels[coarse] = functional.interpolate(small, size=(size, size), mode="bilinear")
    soft = (draw >= how.low_resolution) & (draw < how.low_resolution + how.blur)
    if soft.any():
        pixels[soft] = functional.avg_pool2d(functional.pad(pixels[soft], (1, 1, 1, 1), mode="replicate"), 3, 1)
    strength = torch.rand(n, 1, 1, 1, generator=rng) ** 2 * how.noise
    return pixels.add_(torch.randn(pixels.shape, generator=rng).mul_(strength))


def _cutout(pixels: Tensor, how: Augmentation, rng: torch.Generator) -> Tensor:
    """Hide a rectangle behind one random colour: hands, hair and overlays do the same."""
    n, size = len(pixels), pixels.shape[-1]
    extent = torch.rand(n, 2, generator=rng) * 0.3 + 0.06
    start = torch.rand(n, 2, generator=rng) * (1 - extent)
    line = (torch.arange(size) + 0.5) / size
    inside = (line >= start[..., None]) & (line < (start + extent)[..., None])
    hidden = inside[:, 0, :, None] & inside[:, 1, None, :]
    hidden &= (torch.rand(n, generator=rng) < how.cutout)[:, None, None]
    colour = torch.rand(n, 3, 1, 1, generator=rng)
    return pixels.copy_(torch.where(hidden[:, None], colour, pixels))
