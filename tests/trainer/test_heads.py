"""The head finder learns what it is shown, its threshold keeps its promise, and its ONNX file answers the same."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from export.heads import export_heads
from monitor.errors import BadInputError, BundleError
from monitor.students.heads import HeadNetwork
from trainer.clutter import draw_clutter, draw_initials
from trainer.head_materials import Materials, draw_bank, read_crops, read_cutouts
from trainer.head_net import CELL_PX, HeadNet, loss, targets
from trainer.head_pictures import SIZE_PX, HeadPicture, compose, visible
from trainer.head_threshold import choose_threshold, find_heads, match
from trainer.heads import HeadSettings, read_head_settings, save, train_heads


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty cut-outs of balls with two eyes: as good as heads for a network of this test."""
    folder = tmp_path_factory.mktemp("cutouts")
    rng = np.random.default_rng(5)
    images = np.zeros((40, 192, 192, 4), np.uint8)
    lines = []
    down, across = np.mgrid[0:192, 0:192]
    for image in images:
        ball = ((across - 96) / 24) ** 2 + ((down - 62) / 30) ** 2 < 1
        body = ((across - 96) / 70) ** 2 + ((down - 192) / 95) ** 2 < 1
        image[body] = (*rng.integers(0, 256, 3), 255)
        image[ball] = (200, 150, 120, 255)
        for x in (86, 106):
            image[(across - x) ** 2 + (down - 56) ** 2 < 16] = (20, 20, 20, 255)
        lines.append(json.dumps({"face_box": [72, 32, 120, 92], "head_yaw": 0.0, "head_pitch": 0.0}))
    np.savez(folder / "shard_00000.npz", images=images)
    (folder / "shard_00000.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def materials(folder: Path) -> Materials:
    return Materials(read_cutouts([folder]), *read_crops([], 0), clutter=draw_bank(1, 30))


def settings(folder: Path, out: Path, **changes: object) -> HeadSettings:
    plain = HeadSettings(
        cutouts=(str(folder),),
        crops=(),
        held_out_cutouts=(str(folder),),
        held_out_crops=(),
        out=str(out),
        steps=150,
        batch_size=16,
        widths=(8, 16, 24, 32),
        deep=1,
        showings=2,
        learning_rate=6e-3,
        average=0.8,
        clutter=40,
        pool=256,
        held_out=60,
    )
    return dataclasses.replace(plain, **changes)  # type: ignore[arg-type]


def test_learns_saves_and_exports_the_same_answers(folder: Path, tmp_path: Path) -> None:
    heard: list[str] = []
    card = train_heads(settings(folder, tmp_path, false_heads=0.4, least_threshold=0.01), heard.append)
    assert card["held_out"]["recall"] > 0.3
    assert card["held_out"]["false_per_500"] <= 200
    assert any("step 50" in line for line in heard)
    export_heads(tmp_path, tmp_path / "asset")
    network = HeadNetwork(tmp_path / "asset")
    assert network.threshold == card["threshold"]
    pictures = np.random.default_rng(0).integers(0, 256, (3, 80, 128, 3), dtype=np.uint8)
    peaks, boxes = network.run(pictures)
    assert peaks.shape == (3, 10, 16) and boxes.shape == (3, 4, 10, 16)
    assert sum(p.numel() for p in HeadNet((8, 16, 24, 32), 1).parameters()) == card["parameters"]
    manifest = (tmp_path / "asset" / "manifest.json").read_text(encoding="utf-8")
    assert str(folder) not in manifest


def test_the_same_seed_trains_the_same_weights(folder: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        train_heads(settings(folder, tmp_path / name, steps=3, held_out=4), lambda _: None)
    assert (tmp_path / "one/heads.safetensors").read_bytes() == (tmp_path / "two/heads.safetensors").read_bytes()


def test_the_exported_graph_is_the_network(tmp_path: Path) -> None:
    torch.manual_seed(3)
    net = HeadNet().eval()
    for layer in net.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(layer.running_mean, 0.0, 0.3)  # type: ignore[arg-type]
            torch.nn.init.uniform_(layer.weight, 0.5, 1.5)
    torch.nn.init.normal_(net.out.weight, 0.0, 0.1)
    save(net, _card(), tmp_path)
    export_heads(tmp_path, tmp_path)
    pictures = np.random.default_rng(0).integers(0, 256, (2, 96, 160, 3), dtype=np.uint8)
    peaks, boxes = HeadNetwork(tmp_path).run(pictures)
    with torch.no_grad():
        out = net(torch.from_numpy(pictures).permute(0, 3, 1, 2).float()).numpy()
    chance = 1 / (1 + np.exp(-out[:, 0]))
    assert np.abs(np.where(peaks > 0, peaks - chance, 0)).max() < 1e-3
    assert np.abs(boxes[:, 0] - (np.arange(20) + 0.5 + out[:, 1]) * CELL_PX).max() < 0.02
    assert np.abs(boxes[:, 1] - (np.arange(12)[:, None] + 0.5 + out[:, 2]) * CELL_PX).max() < 0.02
    assert np.abs(boxes[:, 3] / (np.exp(out[:, 4]) * CELL_PX) - 1).max() < 0.01


def test_a_changed_network_is_refused(tmp_path: Path) -> None:
    save(HeadNet(), _card(), tmp_path)
    path = export_heads(tmp_path, tmp_path)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(BundleError, match=r"heads\.onnx: expected sha256 .*, found"):
        HeadNetwork(tmp_path)
    path.unlink()
    with pytest.raises(BundleError, match="expected the head finder's network"):
        HeadNetwork(tmp_path)
    with pytest.raises(BadInputError, match="no trained head finder"):
        export_heads(tmp_path / "nothing", tmp_path)


def test_composed_pictures_repeat_by_seed_and_hold_their_boxes(materials: Materials) -> None:
    first = [compose(np.random.default_rng(k), materials) for k in range(60)]
    again = [compose(np.random.default_rng(k), materials) for k in range(60)]
    for one, other in zip(first, again, strict=True):
        assert np.array_equal(one.image_bgr, other.image_bgr) and np.array_equal(one.boxes, other.boxes)
        assert one.image_bgr.shape == (SIZE_PX[1], SIZE_PX[0], 3)
        assert len(one.boxes) == len(one.yaw_deg) == len(one.pitch_deg)
        kept = one.boxes[one.boxes[:, 4] >= 0]
        assert (kept[:, :4] >= 0).all() and (kept[:, [0, 2]] <= SIZE_PX[0]).all()
    empty = sum(not (one.boxes[:, 4] == 1).any() for one in first)
    assert 3 <= empty <= 30


def test_a_head_cut_off_is_wanted_only_while_half_of_it_is_seen() -> None:
    boxes = [
        np.array(box, np.float32) for box in ((10, 10, 30, 30), (-8, 10, 12, 30), (-14, 10, 6, 30), (-18, 10, 2, 30))
    ]
    rows = visible(boxes, (100, 60))
    assert rows[:, 4].tolist() == [1, 1, 0, -1]
    assert rows[1, :4].tolist() == [0, 10, 12, 30]


def test_targets_peak_at_the_head_and_give_its_box() -> None:
    box = torch.tensor([[20.0, 12.0, 44.0, 44.0]])
    heat, weight, place = targets([box], [torch.ones(1)], (80, 128))
    row, column = divmod(int(heat[0, 0].argmax()), 16)
    dx, dy, log_width, log_height, counts = place[0, :, row, column].tolist()
    assert counts == 1 and weight.min() == 1
    assert (column + 0.5 + dx) * CELL_PX == pytest.approx(32)
    assert (row + 0.5 + dy) * CELL_PX == pytest.approx(28)
    assert np.exp([log_width, log_height]) * CELL_PX == pytest.approx([24, 32])
    _, weight, _ = targets([box], [torch.zeros(1)], (80, 128))
    assert weight.sum() < weight.numel()
    heat_loss, box_loss = loss(torch.zeros(1, 5, 10, 16), heat, weight, place)
    assert heat_loss > 0 and box_loss > 0


def test_match_tells_hits_from_false_heads() -> None:
    truth = np.array([[10, 10, 30, 40, 1], [60, 10, 80, 40, 0]], np.float32)
    found = np.array(
        [[11, 11, 29, 39, 0.9], [61, 9, 79, 41, 0.8], [90, 50, 99, 60, 0.7], [12, 15, 20, 24, 0.6]], np.float32
    )
    hits, misses = match(found, truth)
    assert hits == pytest.approx([0.9])
    assert misses == pytest.approx([0.7])


def test_the_threshold_allows_no_more_false_heads_than_told() -> None:
    torch.manual_seed(0)
    net = HeadNet().eval()
    torch.nn.init.normal_(net.out.weight, 0.0, 0.5)
    pictures = [
        HeadPicture(draw_clutter(np.random.default_rng(k), SIZE_PX), np.zeros((0, 5), np.float32), [], [])
        for k in range(40)
    ]
    chosen, figures = choose_threshold(net, pictures, 0.1, 0.01)
    false = sum(int((boxes[:, 4] >= chosen).sum()) for boxes in find_heads(net, pictures))
    assert false <= 4
    assert figures["false_per_500"] == pytest.approx(500 * false / 40)


def test_initials_are_a_plain_card() -> None:
    card = draw_initials(np.random.default_rng(1), (128, 80))
    assert card.shape == (80, 128, 3)
    assert len(np.unique(card[:3].reshape(-1, 3), axis=0)) == 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("minutes = 1.0\nspeed = 2", "unknown key 'speed'"),
        ("minutes = 'x'", "minutes"),
        ("seed = 1", "steps or minutes"),
    ],
)
def test_a_bad_configuration_is_named(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "heads.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadInputError, match=told):
        read_head_settings(path)


def test_the_shipped_configuration_reads() -> None:
    assert read_head_settings(Path(__file__).parents[2] / "trainer/configs/heads.toml").minutes > 0


def _card() -> dict[str, object]:
    return {
        "threshold": 0.4,
        "cell_px": CELL_PX,
        "multiple_px": 16,
        "parameters": 1,
        "held_out": {},
        "cutouts": 1,
        "crops": 1,
        "settings": {"seed": 0, "out": "/somewhere/else"},
    }
