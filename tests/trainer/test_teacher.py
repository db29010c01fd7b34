"""Teacher and auxiliary heads: same shapes; losses leave out what is not known and vanish where there is agreement."""

import math

import pytest
import torch

from trainer.teacher import Judgement, Teacher, VisionHeads, imitation_loss, truth_loss


def _judgement(rows: int = 4) -> Judgement:
    rng = torch.Generator().manual_seed(0)
    return Judgement(
        torch.randn(rows, 3, generator=rng),
        torch.randn(rows, 4, generator=rng),
        torch.randn(rows, 64, 7, generator=rng),
    )


def test_teacher_and_heads_speak_of_the_same_patches() -> None:
    teacher = Teacher(labels=3, widths=(24, 48, 80, 128, 192)).eval()
    with torch.no_grad():
        judged = teacher(torch.zeros(2, 3, 128, 128))
        mine = VisionHeads(48, 3, teacher.map_channels)(torch.zeros(2, 64, 48))
    assert judged.map.shape == mine.map.shape == (2, 64, teacher.map_channels)
    assert judged.label_logits.shape == mine.label_logits.shape == (2, 3)


def test_what_is_not_known_is_not_learned() -> None:
    judged = _judgement()
    unknown = torch.full((4, 4), float("nan"))
    nothing = truth_loss(judged, torch.full((4,), -1), unknown)
    assert float(nothing) == 0.0
    angles = unknown.clone()
    angles[0] = judged.angles[0] * 45
    assert float(truth_loss(judged, torch.full((4,), -1), angles)) == pytest.approx(0.0, abs=1e-6)
    assert float(truth_loss(judged, torch.tensor([0, -1, -1, -1]), unknown)) > 0


def test_agreement_costs_nothing() -> None:
    teacher = _judgement()
    wanted = (teacher.map - teacher.map.mean(dim=(0, 1))) / (teacher.map.std(dim=(0, 1)) + 1e-3)
    odds, features = imitation_loss(Judgement(teacher.label_logits, teacher.angles, wanted), teacher)
    assert float(odds) == pytest.approx(0.0, abs=1e-6)
    assert float(features) == pytest.approx(0.0, abs=1e-6)
    with pytest.raises(ValueError, match="maps differ"):
        imitation_loss(_judgement(3), teacher)


def test_finer_patches_are_compared_by_their_means() -> None:
    teacher = _judgement()
    wanted = (teacher.map - teacher.map.mean(dim=(0, 1))) / (teacher.map.std(dim=(0, 1)) + 1e-3)
    side = math.isqrt(wanted.shape[1])
    grid = wanted.transpose(1, 2).reshape(len(wanted), -1, side, side)
    finer = grid.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    finer[..., ::2, :] += 0.5
    finer[..., 1::2, :] -= 0.5
    patches = finer.flatten(2).transpose(1, 2)
    _, features = imitation_loss(Judgement(teacher.label_logits, teacher.angles, patches), teacher)
    assert patches.shape[1] == 4 * wanted.shape[1]
    assert float(features) == pytest.approx(0.0, abs=1e-6)
