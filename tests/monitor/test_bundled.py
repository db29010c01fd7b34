from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from monitor.bundle import open_bundle
from monitor.errors import BadInputError, BundleError, RubricError
from monitor.rubric import load_rubric
from monitor.schema import UNSURE, Box, Crop
from monitor.vlm.bundled import BundledClassifier
from monitor.vlm.pixels import fit_square
from tests.monitor.bundles import SIDE, color_graph, flat, write_bundle

BLUE, GREEN, RED = (255, 0, 0), (0, 255, 0), (0, 0, 255)


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> BundledClassifier:
    bundle = open_bundle(write_bundle(tmp_path_factory.mktemp("bundle")))
    return BundledClassifier(bundle, load_rubric("attention"))


def crop(pixels: np.ndarray[Any, Any], name: str = "c1") -> Crop:
    return Crop(crop_id=name, student_id="s01", pts_s=3.0, box=Box(0, 0, 10, 10), pixels_bgr=pixels)


def test_channels_reach_the_graph_as_red_green_blue(classifier: BundledClassifier) -> None:
    predictions = classifier.predict([crop(flat(color)) for color in (RED, GREEN, BLUE)])
    assert [prediction.label for prediction in predictions] == ["screen", "paper", "wander"]


def test_prediction_tells_who_what_and_by_which_model(classifier: BundledClassifier) -> None:
    (prediction,) = classifier.predict([crop(flat(RED))])
    assert (prediction.crop_id, prediction.student_id, prediction.pts_s) == ("c1", "s01", 3.0)
    assert (prediction.model_id, prediction.rubric_id, prediction.adapter_id) == ("colors-1", "attention", None)
    assert list(prediction.probabilities) == ["screen", "paper", "wander"]
    assert sum(prediction.probabilities.values()) == pytest.approx(1.0)
    odds = np.exp(np.array([255, 0, 0]) / 16.0 / 2.0)  # the graph's scale, then the temperature
    assert prediction.confidence == pytest.approx(odds[0] / odds.sum(), rel=1e-4)
    assert prediction.latency_ms > 0


def test_below_the_threshold_the_label_is_unsure_and_the_best_stays(classifier: BundledClassifier) -> None:
    (prediction,) = classifier.predict([crop(flat((100, 100, 110)))])
    assert (prediction.label, prediction.best) == (UNSURE, "screen")
    assert prediction.confidence < 0.6


def test_no_crops_give_no_predictions(classifier: BundledClassifier) -> None:
    assert classifier.predict([]) == []


def test_many_crops_keep_their_order_and_their_answers(classifier: BundledClassifier) -> None:
    rng = np.random.default_rng(0)
    crops = [crop(rng.integers(0, 256, (30, 30, 3), dtype=np.uint8), f"c{number}") for number in range(71)]
    together = classifier.predict(crops)
    assert [prediction.crop_id for prediction in together] == [one.crop_id for one in crops]
    for one, prediction in zip(crops[::10], together[::10], strict=True):
        (alone,) = classifier.predict([one])
        assert alone.probabilities == pytest.approx(prediction.probabilities, abs=1e-6)


@pytest.mark.parametrize(
    "pixels",
    [
        np.full((1, 1, 3), RED, np.uint8),
        np.full((4000, 4000, 3), RED, np.uint8),
        np.full((30, 30, 4), (*RED, 128), np.uint8),
        np.full((30, 30, 3), RED, np.uint16) * 257,
        np.full((90, 30, 3), RED, np.uint8),
        flat(RED)[::2, ::-1],
    ],
    ids=["1x1", "4000x4000", "alpha", "16 bits", "not square", "a view"],
)
def test_red_is_red_in_any_kind_of_picture(pixels: np.ndarray[Any, Any], classifier: BundledClassifier) -> None:
    (prediction,) = classifier.predict([crop(pixels)])
    assert prediction.label == "screen"


@pytest.mark.parametrize("shape", [(30, 30), (30, 30, 1), (30, 30, 2)])
def test_grey_pictures_have_three_equal_channels(shape: tuple[int, ...], classifier: BundledClassifier) -> None:
    (prediction,) = classifier.predict([crop(np.full(shape, 90, np.uint8))])
    assert list(prediction.probabilities.values()) == pytest.approx([1 / 3] * 3)


def test_black_pictures_are_answered(classifier: BundledClassifier) -> None:
    (prediction,) = classifier.predict([crop(np.zeros((30, 30, 3), np.uint8))])
    assert prediction.label == UNSURE


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.zeros((0, 10, 3), np.uint8), "c1: a crop without pixels"),
        (np.zeros((10, 10, 3), np.float32), "c1: .*float32"),
        (np.zeros((10, 10, 5), np.uint8), "c1: .*5"),
        (np.zeros(10, np.uint8), r"c1: .*\(10,\)"),
    ],
)
def test_what_is_no_picture_is_refused_by_name(
    pixels: np.ndarray[Any, Any], message: str, classifier: BundledClassifier
) -> None:
    with pytest.raises(BadInputError, match=message):
        classifier.predict([crop(pixels)])


def test_shrinking_averages_and_does_not_skip_pixels() -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 200
    assert np.abs(fit_square(stripes, 16).astype(int) - 100).max() <= 1


def test_wide_pictures_keep_their_middle() -> None:
    pixels = np.zeros((20, 60, 3), np.uint8)
    pixels[:, 20:40] = 255
    assert fit_square(pixels, 10).min() == 255


def test_rubric_without_training_is_refused_before_the_graph_is_loaded(tmp_path: Path) -> None:
    bundle = open_bundle(write_bundle(tmp_path, b"no graph at all"))
    with pytest.raises(RubricError, match="not trained"):
        BundledClassifier(bundle, load_rubric("daisee-engagement", research=True))


def test_file_that_is_no_graph_is_named(tmp_path: Path) -> None:
    bundle = open_bundle(write_bundle(tmp_path, b"no graph at all"))
    with pytest.raises(BundleError, match=r"label_graph\.onnx: onnxruntime .* cannot load it.*export the bundle again"):
        BundledClassifier(bundle, load_rubric("attention"))


@pytest.mark.parametrize(("opset", "version"), [(99, 10), (20, 99)])
def test_graph_of_a_newer_onnx_is_refused_with_the_way_out(opset: int, version: int, tmp_path: Path) -> None:
    model = onnx.load_from_string(color_graph())
    model.opset_import[0].version, model.ir_version = opset, version
    bundle = open_bundle(write_bundle(tmp_path, model.SerializeToString()))
    with pytest.raises(BundleError, match=r"label_graph\.onnx: onnxruntime .* cannot load it.*99.*Update onnxruntime"):
        BundledClassifier(bundle, load_rubric("attention"))


def test_inference_never_imports_torch(tmp_path: Path) -> None:
    write_bundle(tmp_path)
    code = f"""
import sys, numpy as np
from pathlib import Path
from monitor.bundle import open_bundle
from monitor.rubric import load_rubric
from monitor.vlm.bundled import BundledClassifier
BundledClassifier(open_bundle(Path({str(tmp_path)!r})), load_rubric("attention")).probabilities(
    np.zeros((1, {SIDE}, {SIDE}, 3), np.uint8))
heavy = sorted({{"torch", "transformers", "tokenizers", "onnx", "export"}} & set(sys.modules))
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2], timeout=60)
