"""Checkpoints in the layout of the hub: exported by their own template and processor, and labelled by the command."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from transformers import AutoProcessor, Idefics3ForConditionalGeneration

from export.adapter import export_adapter
from export.checkpoint import Checkpoint, open_checkpoint
from export.graph_files import GraphFiles, write_graphs
from export.graph_runs import GraphRun, score
from export.label_graph import build, pack
from export.parity import compare
from export.quantize import METHODS, quantize
from export.write_bundle import export_bundle
from monitor.adapter import open_adapter
from monitor.bundle import open_bundle
from monitor.errors import BadInputError, ClassroomError
from monitor.rubric import Rubric, load_rubric, parse_rubric
from monitor.vlm.bundled import BundledClassifier
from monitor.vlm.checkpoint.classifier import open_classifier
from tests.export.checkpoints import random_pixels, write_shards, write_stills
from tests.monitor.checkpoints import as_crops
from tests.smolvlm_hub import LAYOUTS, write_smolvlm
from tests.trainer.policies import write_hub_model
from trainer.policy import LoraSettings, load_policy
from trainer.policy.merge import merge_adapter

RUBRIC_TOML = """
id = "gaze"
title = "One word for each label, so that no answer is likelier for being short"
kind = "behaviour"
question = "Where is the student looking?"
labels = [
    { name = "screen", phrase = "screen", definition = "d", color = "#000000" },
    { name = "paper", phrase = "paper", definition = "d", color = "#000001" },
    { name = "wander", phrase = "elsewhere", definition = "d", color = "#000002" },
]
"""
RUBRIC = parse_rubric(RUBRIC_TOML, where="test")
EXACT = 1e-4


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_smolvlm(tmp_path_factory.mktemp("hub") / "SmolVLM-Tiny-Instruct", seed=7)
    (folder / "README.md").write_text("---\nlibrary_name: transformers\nlicense: mit\n---\n# Tiny\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shards(tmp_path_factory.mktemp("few"), 40)


@pytest.fixture(scope="module")
def rubric_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rubric") / "gaze.toml"
    path.write_text(RUBRIC_TOML, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def bundle_folder(hub: Path, few: Path, rubric_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Exported by the command; the seed of the weights is one whose labels int8 keeps."""
    out = tmp_path_factory.mktemp("exported") / "bundle"
    done = classroom("export", hub, "--heldout", few, "--out", out, "--rubric", rubric_file)
    assert done.returncode == 0, done.stderr
    assert str(out) in done.stdout
    assert [line.partition(":")[0] for line in done.stderr.splitlines() if " MB, " in line] == ["fp32", *METHODS]
    return out


def classroom(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "classroom", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)


def write_learned(hub: Path, folder: Path) -> Path:
    """An adapter as the trainer writes it, with numbers large enough to change answers."""
    policy = load_policy(hub, trainable="lora", lora=LoraSettings(rank=2))
    with torch.no_grad():
        for parameter in policy.trained().values():
            parameter.normal_(0, 0.2)
    return policy.save_adapter(folder, {"rubric_id": "gaze"})


def edit(path: Path, **changes: Any) -> None:
    """Change keys of a JSON file."""
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **changes}), encoding="utf-8")


def opened_for(folder: Path) -> Checkpoint:
    return open_checkpoint(folder, RUBRIC)


@torch.no_grad()
def by_hand(folder: Path, pixels: NDArray[np.uint8], rubric: Rubric) -> NDArray[np.float32]:
    """Every label in a pass of its own: plain transformers, its own processor and template, nothing of ours.

    The squares have the model's size already; resized, they would go up to four times that and down again.
    """
    model = Idefics3ForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    processor = AutoProcessor.from_pretrained(folder)
    asked = {"role": "user", "content": [{"type": "text", "text": rubric.question}, {"type": "image"}]}
    rows = []
    for one in pixels:
        row = []
        for label in rubric.labels:
            said = {"role": "assistant", "content": [{"type": "text", "text": label.phrase}]}
            texts = [
                processor.apply_chat_template([asked], add_generation_prompt=True),
                processor.apply_chat_template([asked, said]).rstrip("\n"),
            ]
            before, whole = (
                processor(
                    text=[text], images=[[Image.fromarray(one)]], do_image_splitting=False, do_resize=False,
                    return_tensors="pt", add_special_tokens=False,
                )
                for text in texts
            )  # fmt: skip
            start = before["input_ids"].shape[1]
            logits = model(**whole).logits[0].log_softmax(-1)
            told = logits[:-1].gather(1, whole["input_ids"][0, 1:, None])[:, 0]
            row.append(float(told[start - 1 :].sum()))
        rows.append(row)
    return np.array(rows, np.float32)


@pytest.mark.parametrize("size", ["256m", "2.2b"])
def test_graphs_score_every_label_as_plain_transformers_by_the_models_own_processor(size: str, tmp_path: Path) -> None:
    """64 image tokens and shared keys as in SmolVLM-256M; a side that is no multiple of a patch as in 2.2B."""
    folder = write_smolvlm(tmp_path / "hub", size, seed=2)
    side = LAYOUTS[size].image_size
    pixels = random_pixels(2, side, seed=3)
    opened = opened_for(folder)
    assert opened.of_hub
    assert pack(opened, opened.asked("gaze")).image_tokens == LAYOUTS[size].image_tokens
    files = write_graphs(build(opened, "gaze"), side, tmp_path / "graphs")
    expected = by_hand(folder, pixels, RUBRIC)
    assert np.ptp(expected, axis=0).min() > 100 * EXACT, "the pictures matter"
    np.testing.assert_allclose(score(files, pixels), expected, atol=EXACT)
    crops = random_pixels(24, side, seed=9)
    found = compare(score(files, crops), score(quantize("int8-static", files, tmp_path / "int8", crops), crops))
    assert found.agreement >= 0.95
    assert 0 < found.worst_gap < 0.2


def test_colours_are_normalised_as_the_models_own_processor_does(tmp_path: Path) -> None:
    folder = write_smolvlm(tmp_path / "hub", seed=5)
    edit(folder / "preprocessor_config.json", image_mean=[0.48, 0.46, 0.41], image_std=[0.27, 0.26, 0.28])
    side = LAYOUTS["small"].image_size
    opened, pixels = opened_for(folder), random_pixels(2, side, seed=5)
    with torch.no_grad():
        found = build(opened, "gaze")(torch.from_numpy(pixels)).numpy()
    np.testing.assert_allclose(found, by_hand(folder, pixels, RUBRIC), atol=EXACT)
    edit(folder / "preprocessor_config.json", image_mean=[0.5] * 3, image_std=[0.5] * 3)
    assert np.abs(found - by_hand(folder, pixels, RUBRIC)).max() > 100 * EXACT, "they matter"


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("tokenizer.json", None, "its tokenizer is missing"),
        ("preprocessor_config.json", None, "its processor cannot be opened"),
        ("chat_template.json", None, "has no chat template"),
        (
            "processor_config.json",
            {"image_seq_len": 169},
            r"expected 4 image tokens .* found 169.*another model",
        ),
        ("config.json", {"model_type": "llava_next"}, "found 'llava_next' with 'llama'"),
        ("config.json", {"model_type": "none_such"}, "not a model that can be opened here"),
    ],
)
def test_a_folder_that_is_not_whole_is_told(
    name: str, changes: dict[str, Any] | None, message: str, hub: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(hub, tmp_path / "copy")
    if changes is None:
        (folder / name).unlink()
    else:
        edit(folder / name, **changes)
    with pytest.raises(ClassroomError, match=message):
        build(opened_for(folder), "gaze")


def test_trainer_torch_and_graphs_turn_one_crop_into_the_same_pixels_and_tokens(hub: Path) -> None:
    opened, policy, classifier = opened_for(hub), load_policy(hub), open_classifier(str(hub), RUBRIC)
    talks = (opened.talk, policy.talk, classifier.opened.talk)
    picture = random_pixels(1, 53, seed=4)[0]
    first, *others = (talk.pixels([picture]).values for talk in talks)
    assert all(torch.equal(first, other) for other in others)
    packed = pack(opened, opened.asked("gaze"))
    marker = opened.talk.image_token_id
    told = [*packed.prefix, *[marker] * packed.image_tokens, *packed.suffix]
    assert all(talk.prompt_ids(RUBRIC.question) == told for talk in talks)
    asked = opened.talk.decode(packed.prefix)
    assert RUBRIC.question in asked, "the question stands before the picture, in the part that is computed once"
    end = opened.talk.tokenizer.convert_tokens_to_ids("<end_of_utterance>")
    assert {steps[-1][1] for steps in packed.tree.steps} == {end}


def test_the_bundle_answers_as_the_torch_route_and_tells_where_it_comes_from(hub: Path, bundle_folder: Path) -> None:
    bundle = open_bundle(bundle_folder)
    quantized = bundle.manifest["figures"]["quantizations"]
    assert bundle.manifest["figures"]["fp32"]["worst_log_prob_gap_to_transformers"] < EXACT
    assert {"int8-static", "int8-dynamic"} <= set(quantized)
    assert quantized["int8-static"]["agreement"] >= 0.99
    assert quantized["int8-static"]["crops"] == 40
    said = np.sum(bundle.manifest["figures"]["heldout"]["confusion"], axis=0)
    assert np.count_nonzero(said) == 3, "it does not say the same of all"
    assert bundle.manifest["license"] == "mit"
    assert bundle.manifest["training"]["base"] == "SmolVLM-Tiny-Instruct"
    assert bundle.model_id.startswith("SmolVLM-Tiny-Instruct-")
    card = (bundle_folder / "README.md").read_text(encoding="utf-8")
    assert "which others trained" in card
    assert "from scratch" not in card
    crops = as_crops([one[:, :, ::-1] for one in random_pixels(6, 45, seed=5)])
    classifier = open_classifier(str(hub), RUBRIC)
    classifier.temperature = bundle.rubrics["gaze"].temperature
    ours, theirs = BundledClassifier(bundle, RUBRIC).predict(crops), classifier.predict(crops)
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(list(one.probabilities.values()), list(other.probabilities.values()), atol=0.05)


def test_what_the_trainer_learned_on_a_hub_checkpoint_goes_over_its_bundle(
    hub: Path, bundle_folder: Path, few: Path, tmp_path: Path
) -> None:
    learned = write_learned(hub, tmp_path / "learned")
    manifest = export_adapter(learned, hub, bundle_folder, few, tmp_path / "a1", rubric_id="gaze", min_agreement=0.0)
    assert manifest["figures"]["parity"]["worst_log_prob_gap_to_peft"] < 1e-3
    bundle, pixels = open_bundle(bundle_folder), random_pixels(6, LAYOUTS["small"].image_size, seed=6)
    base = BundledClassifier(bundle, RUBRIC)
    wearing = base.swapped(open_adapter(tmp_path / "a1", bundle))
    assert np.abs(wearing.probabilities(pixels) - base.probabilities(pixels)).max() > 0.01


def test_a_merged_hub_checkpoint_answers_as_base_and_adapter_and_tells_what_it_learned(
    hub: Path, tmp_path: Path
) -> None:
    learned = write_learned(hub, tmp_path / "learned")
    opened = opened_for(merge_adapter(hub, learned, tmp_path / "merged", "final"))
    assert opened.of_hub
    assert opened.card["training"]["story"] == {"rubric_id": "gaze"}
    pixels = random_pixels(3, LAYOUTS["small"].image_size, seed=9)
    expected = open_classifier(str(hub), RUBRIC, adapter=learned).log_probabilities([one[:, :, ::-1] for one in pixels])
    with torch.no_grad():
        found = build(opened, "gaze")(torch.from_numpy(pixels)).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_the_label_command_takes_the_bundle(bundle_folder: Path, rubric_file: Path, picture: Path) -> None:
    done = classroom("label", picture, "--whole", "--json", "--rubric", rubric_file, "--bundle", bundle_folder)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["model_id"] == open_bundle(bundle_folder).model_id
    assert set(answer["probabilities"]) == set(RUBRIC.names)


def test_a_promoted_hub_model_labels_without_being_named(hub: Path, few: Path, picture: Path, tmp_path: Path) -> None:
    models = tmp_path / "models"
    manifest = export_bundle(hub, few, tmp_path / "bundle", methods=("int8-static",), min_agreement=0.0)
    promotion = ("promote", manifest["model_id"], "--force", "--reason", "a test of random weights")
    for step in (("add", tmp_path / "bundle"), promotion):
        done = classroom("models", *step, "--models", models)
        assert done.returncode == 0, done.stderr
    done = classroom("label", picture, "--whole", "--json", "--models", models)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["model_id"] == manifest["model_id"]


def test_any_rubric_that_ships_is_asked_of_a_hub_checkpoint(hub: Path, tmp_path: Path) -> None:
    rubric = load_rubric("daisee-engagement", research=True)
    opened = open_checkpoint(hub)
    pixels = random_pixels(2, LAYOUTS["small"].image_size, seed=7)
    files = write_graphs(build(opened, rubric.rubric_id), LAYOUTS["small"].image_size, tmp_path)
    np.testing.assert_allclose(score(files, pixels), by_hand(hub, pixels, rubric), atol=EXACT)


def test_smolvlm2_is_the_same_architecture_under_another_name(tmp_path: Path) -> None:
    folder = write_smolvlm(tmp_path / "hub", model_type="smolvlm", seed=8)
    opened, pixels = opened_for(folder), random_pixels(2, LAYOUTS["small"].image_size, seed=8)
    files: GraphFiles = write_graphs(build(opened, "gaze"), LAYOUTS["small"].image_size, tmp_path / "graphs")
    classifier = open_classifier(str(folder), RUBRIC)
    expected = classifier.log_probabilities([one[:, :, ::-1] for one in pixels])
    np.testing.assert_allclose(GraphRun(files).score(pixels), expected, atol=EXACT)


def test_ones_own_labelled_pictures_serve_as_held_out_and_no_more_than_wanted(hub: Path, tmp_path: Path) -> None:
    pictures = write_stills(tmp_path / "pictures", 60)
    out = tmp_path / "bundle"
    manifest = export_bundle(
        hub, pictures, out, measured={"more": pictures}, methods=("int8-static",), min_agreement=0.0, most=30
    )
    assert manifest["figures"]["heldout"]["pictures"] == 30
    assert manifest["figures"]["measured"]["more"]["pictures"] == 30
    assert manifest["figures"]["quantizations"]["int8-static"]["crops"] == 30
    assert "held-out: people the model never saw." in (out / "README.md").read_text(encoding="utf-8")


def test_other_architectures_are_named(few: Path, tmp_path: Path) -> None:
    folder = write_hub_model(tmp_path / "llava", "llava")
    with pytest.raises(BadInputError, match=r"knows SmolVLM .*found 'llava' with 'llama'.*classroom live --model"):
        export_bundle(folder, few, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_half_weights_of_a_hub_checkpoint_are_not_written(hub: Path, few: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"--trainable.*of the hub"):
        export_bundle(hub, few, tmp_path / "out", trainable=tmp_path / "half")
    assert list(tmp_path.iterdir()) == []
