"""Changed views: truth moves with the picture, values stay in range, the same seed gives the same view."""

import torch

from trainer.augment import Augmentation, augment, plain

STILL = Augmentation(
    face_scale_low=1.6, face_scale_high=1.6, shift=0, rotate_rad=0, aspect=0, grey=0, colour=0, contrast_low=1,
    contrast_high=1, brightness=0, gamma=0, low_resolution=0, blur=0, noise=0, cutout=0,
)  # fmt: skip


def _pictures(count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Bright on the left half, looking 30 degrees to the left; faces fill 80 of 128 pixels."""
    images = torch.zeros(count, 3, 128, 128, dtype=torch.uint8)
    images[..., :64] = 200
    angles = torch.tensor([[-30.0, 10.0, -40.0, 5.0]]).repeat(count, 1)
    boxes = torch.tensor([[24.0, 24.0, 104.0, 104.0]]).repeat(count, 1)
    return images, angles, boxes


def test_a_mirrored_picture_looks_the_other_way() -> None:
    images, angles, boxes = _pictures(40)
    pixels, turned = augment(images, angles, boxes, 64, STILL, torch.Generator().manual_seed(0))
    bright_left = pixels[..., :20].mean(dim=(1, 2, 3)) > pixels[..., -20:].mean(dim=(1, 2, 3))
    assert bright_left.any() and not bright_left.all()
    assert torch.equal(bright_left, turned[:, 0] < 0)
    assert torch.equal(bright_left, turned[:, 2] < 0)
    assert torch.equal(turned[:, [1, 3]], angles[:, [1, 3]])


def test_without_changes_the_crop_is_the_picture() -> None:
    images, angles, boxes = _pictures(20)
    pixels, turned = augment(images, angles, boxes, 128, STILL, torch.Generator().manual_seed(0))
    kept = turned[:, 0] < 0
    saturation_free = plain(images, 128)
    assert torch.allclose(pixels[kept], saturation_free[kept], atol=2e-3)


def test_values_stay_in_range_and_seeds_repeat() -> None:
    images, angles, boxes = _pictures(16)
    boxes[3] = float("nan")
    one, two, other = (
        augment(images, angles, boxes, 96, Augmentation(), torch.Generator().manual_seed(seed))[0] for seed in (5, 5, 6)
    )
    assert one.shape == (16, 3, 96, 96)
    assert float(one.min()) >= 0 and float(one.max()) <= 1
    assert torch.isfinite(one).all()
    assert torch.equal(one, two) and not torch.equal(one, other)


def test_truth_given_is_left_alone() -> None:
    images, angles, boxes = _pictures(8)
    before = images.clone(), angles.clone(), boxes.clone()
    augment(images, angles, boxes, 64, Augmentation(), torch.Generator().manual_seed(1))
    assert all(torch.equal(a, b) for a, b in zip(before, (images, angles, boxes), strict=True))
