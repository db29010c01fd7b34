"""Other texture and light on the same shapes: shapes stay, seeds repeat, off is off."""

import pytest
import torch
from torch import Tensor

from trainer.augment import Augmentation, augment
from trainer.restyle import restyle

SIDE = 32


@pytest.fixture
def pictures() -> Tensor:
    """Eight pictures with a bright square on darker ground."""
    pictures = torch.rand(8, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0)) * 0.1 + 0.3
    pictures[:, :, 8:24, 8:24] += 0.4
    return pictures


@pytest.mark.parametrize("how", [Augmentation(texture=1.0), Augmentation(shading=0.3), Augmentation(0, 0, texture=0.5)])
def test_pictures_change_and_stay_pictures(pictures: Tensor, how: Augmentation) -> None:
    before = pictures.clone()
    one, two = (restyle(pictures, how, torch.Generator().manual_seed(3)) for _ in range(2))
    assert (one == two).all(), "the same seed draws the same"
    assert one.shape == pictures.shape and one.min() >= 0 and one.max() <= 1
    assert (one != pictures).flatten(1).any(dim=1).sum() >= 1
    assert (pictures == before).all(), "the teacher still needs them as they were"


def test_no_picture_becomes_its_negative(pictures: Tensor) -> None:
    for seed in range(20):
        other = restyle(pictures, Augmentation(texture=1.0), torch.Generator().manual_seed(seed))
        inside, around = other[:, :, 10:22, 10:22].mean(dim=(1, 2, 3)), other[:, :, :6].mean(dim=(1, 2, 3))
        assert (inside > around).all()


def test_what_is_off_draws_nothing(pictures: Tensor) -> None:
    rng = torch.Generator().manual_seed(1)
    assert (restyle(pictures, Augmentation(), rng) == pictures).all()
    assert torch.rand(1, generator=rng) == torch.rand(1, generator=torch.Generator().manual_seed(1))


def test_a_warp_moves_pixels_a_little_and_smoothly() -> None:
    ramp = (torch.arange(64.0) * 4).expand(6, 3, 64, 64).to(torch.uint8)
    still = {"face_scale_low": 1.6, "face_scale_high": 1.6, "shift": 0.0, "rotate_rad": 0.0, "aspect": 0.0}
    plain = dict.fromkeys(("grey", "colour", "brightness", "gamma", "low_resolution", "blur", "noise", "cutout"), 0.0)
    plain |= {"contrast_low": 1.0, "contrast_high": 1.0}
    boxes, angles = torch.full((6, 4), float("nan")), torch.zeros(6, 4)
    seen = {
        warp: augment(
            ramp, angles, boxes, 64, Augmentation(**still, **plain, warp=warp), torch.Generator().manual_seed(2)
        )[0]
        for warp in (0.0, 0.03)
    }
    moved = (seen[0.03] - seen[0.0]).abs() / (4 / 255) / 64  # share of the side, by the ramp's known slope
    inner = moved[:, :, 8:56, 8:56]
    assert 0.005 < inner.mean() < 0.2
    step = (seen[0.03][:, :, 8:56, 9:56] - seen[0.03][:, :, 8:56, 8:55]).abs()
    assert step.max() < 0.2, "no tear"
