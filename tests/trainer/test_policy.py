"""A policy of the embedded model: exact scores, one prompt for many answers, adapters, and what it refuses."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from export.checkpoint import open_checkpoint
from export.label_graph import build
from export.label_graph import pack as pack_for_export
from monitor.bundle import sha256_of
from monitor.errors import BadInputError, BundleError
from monitor.rubric import load_rubric
from monitor.vlm import prompt
from monitor.vlm.checkpoint.packing import pack
from monitor.vlm.checkpoint.sight import Pixels
from monitor.vlm.pixels import fit_square
from tests.trainer.policies import SHAPE, write_base
from trainer.model import load_checkpoint, normalise, score_phrases
from trainer.policy import LoraSettings, Policy, load_policy, merge_adapter
from trainer.policy.lora import Trainable

RUBRIC = load_rubric("attention")
QUESTION = RUBRIC.question
PHRASES = [label.phrase for label in RUBRIC.labels]
Pictures = NDArray[np.uint8]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_base(tmp_path_factory.mktemp("base") / "embedded", seed=1)


@pytest.fixture(scope="module")
def pictures() -> Pictures:
    return np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)


def one_by_one(policy: Policy, pixels: Pixels, rows: list[tuple[str, str]]) -> torch.Tensor:
    """Plain scoring: each picture with each answer in a pass of its own, by the model's own forward."""
    sums = []
    for number, (question, phrase) in enumerate(rows):
        before, after = policy.prompt_ids(question), policy.answer_ids(phrase)
        one = pixels.take(torch.tensor([number]))
        ids = torch.tensor([before + after])
        more = {} if one.grid is None else {"mm_token_type_ids": (ids == policy.talk.image_token_id).int()}
        logits = policy.model(input_ids=ids, **one.arguments(policy.core), **more).logits
        steps = logits[0, len(before) - 1 : -1].log_softmax(-1)
        sums.append(steps.gather(-1, torch.tensor(after)[:, None]).sum())
    return torch.stack(sums)


def step(policy: Policy, pictures: Pictures, rate: float = 0.05) -> None:
    """One step towards the first phrase, so that an adapter is no longer nothing."""
    policy.model.train()
    scores = policy.answer_logps(
        policy.image_features(policy.prepare(pictures)),
        policy.prompt_ids(QUESTION),
        [policy.answer_ids(phrase) for phrase in PHRASES],
    )
    torch.autograd.backward(-scores.log_softmax(-1)[:, 0].mean())
    weights = list(policy.trained().values())
    torch.optim.SGD(weights, lr=rate).step()
    policy.model.zero_grad()
    policy.model.eval()


def test_scores_equal_those_of_the_checkpoint(base: Path, pictures: Pictures) -> None:
    scores = load_policy(base).score(pictures, QUESTION, PHRASES)
    pixels = normalise(torch.from_numpy(pictures).permute(0, 3, 1, 2))
    expected = score_phrases(load_checkpoint(base), pixels, QUESTION, PHRASES)
    assert np.allclose(scores, expected.numpy(), atol=1e-5)
    assert np.allclose(np.exp(scores).sum(1), 1)


@pytest.mark.parametrize("trainable", ["none", "lora", "projector", "full"])
def test_a_shared_prompt_scores_as_one_by_one(base: Path, pictures: Pictures, trainable: Trainable) -> None:
    policy = load_policy(base, trainable=trainable)
    if trainable != "none":
        step(policy, pictures)
    asked = [QUESTION, prompt.GAZE_QUESTION, QUESTION, prompt.probe_question("at paper"), QUESTION]
    answers = [PHRASES[:2], ["up", "far down and to the left"], PHRASES[1:], ["yes", "no"], PHRASES[:2]]
    pixels = policy.prepare(pictures)
    with torch.no_grad():
        shared = policy.answer_logps(
            policy.image_features(pixels),
            [policy.prompt_ids(question) for question in asked],
            [[policy.answer_ids(phrase) for phrase in own] for own in answers],
        )
        for column in range(2):
            rows = [(question, own[column]) for question, own in zip(asked, answers, strict=True)]
            assert torch.allclose(shared[:, column], one_by_one(policy, pixels, rows), atol=1e-4)


def test_gradients_of_a_shared_prompt_equal_those_of_one_by_one(base: Path, pictures: Pictures) -> None:
    policy = load_policy(base, trainable="lora", lora=LoraSettings(rank=4), seed=3)
    pixels = policy.prepare(pictures)
    step(policy, pictures)
    shared = policy.answer_logps(
        policy.image_features(pixels), policy.prompt_ids(QUESTION), [policy.answer_ids(PHRASES[0])]
    )
    torch.autograd.backward(shared.sum())
    found = {name: weight.grad.clone() for name, weight in policy.trained().items() if weight.grad is not None}
    policy.model.zero_grad()
    torch.autograd.backward(one_by_one(policy, pixels, [(QUESTION, PHRASES[0])] * 5).sum())
    assert found
    for name, weight in policy.trained().items():
        assert weight.grad is not None
        assert torch.allclose(found[name], weight.grad, atol=1e-4), name


@pytest.mark.parametrize(
    ("how", "keeps", "learns"),
    [
        ({"trainable": "none"}, (4, 32), False),
        ({"trainable": "lora"}, (4, 32), False),
        ({"trainable": "projector"}, (16, 32), True),
        ({"trainable": "lora", "lora": LoraSettings(rank=2, projector=True)}, (16, 32), True),
        ({"trainable": "lora", "lora": LoraSettings(rank=2, vision=True)}, (1, 3, 32, 32), True),
        ({"trainable": "full"}, (1, 3, 32, 32), True),
    ],
)
def test_only_what_is_frozen_is_kept(
    base: Path, pictures: Pictures, how: dict[str, Any], keeps: tuple[int, ...], learns: bool
) -> None:
    policy = load_policy(base, **how)
    looked = policy.encode(pictures, batch_size=2)
    assert looked.shape == (5, *keeps)
    features = policy.image_features(looked)
    assert features.shape == (5, SHAPE.image_tokens, SHAPE.text_width)
    assert features.requires_grad is learns
    assert torch.allclose(features, load_policy(base).image_features(policy.prepare(pictures)), atol=1e-5)


def test_a_crop_becomes_the_same_pixels_and_ids_as_at_run_time(base: Path) -> None:
    policy = load_policy(base)
    crop = np.random.default_rng(1).integers(0, 256, (47, 61, 3), dtype=np.uint8)
    runtime = fit_square(crop[:, :, ::-1], policy.side_px)[:, :, ::-1]  # as monitor.vlm.bundled does, from BGR
    pixels = policy.prepare([crop]).values[0, 0]
    assert torch.equal(pixels, normalise(torch.from_numpy(runtime.copy()).permute(2, 0, 1)))
    checkpoint = open_checkpoint(base)
    packed = pack_for_export(checkpoint, checkpoint.asked("attention"))
    markers = [policy.talk.image_token_id] * packed.image_tokens
    assert policy.prompt_ids(QUESTION) == [*packed.prefix, *markers, *packed.suffix]
    answers = [policy.answer_ids(phrase) for phrase in PHRASES]
    assert answers == [[token for _, token in steps] for steps in packed.tree.steps]
    graph = build(checkpoint, "attention")
    with torch.no_grad():  # and so the graph that ships, before it is quantised, gives the same scores
        shipped = graph(torch.from_numpy(runtime.copy())[None])
        ours = policy.answer_logps(policy.image_features(policy.prepare([crop])), policy.prompt_ids(QUESTION), answers)
    assert torch.allclose(shipped, ours, atol=1e-4)


def test_what_it_says_of_itself_is_its_likeliest_continuation(base: Path, pictures: Pictures) -> None:
    policy = load_policy(base)
    (said, *_) = policy.generate(pictures[:2], QUESTION, max_new_tokens=1)
    ids = policy.prompt_ids(QUESTION)
    pixels = policy.prepare(pictures[:1])
    with torch.no_grad():
        logits = policy.model(input_ids=torch.tensor([ids]), **pixels.arguments(policy.core)).logits
    assert said == policy.talk.decode([int(logits[0, -1].argmax())])


@pytest.mark.parametrize("trainable", ["lora", "projector", "full"])
def test_an_adapter_comes_back(base: Path, pictures: Pictures, tmp_path: Path, trainable: Trainable) -> None:
    policy = load_policy(base, trainable=trainable)
    before = policy.score(pictures, QUESTION, PHRASES)
    step(policy, pictures)
    after = policy.score(pictures, QUESTION, PHRASES)
    assert not np.allclose(before, after, atol=1e-3)
    folder = policy.save_adapter(tmp_path / "adapter", {"round": 1})
    again = load_policy(base, adapter=folder)
    assert np.allclose(again.score(pictures, QUESTION, PHRASES), after, atol=1e-6)
    assert not again.trained()
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["base_sha256"] == policy.base_sha256
    assert manifest["story"] == {"round": 1}
    assert str(base.parent) not in "".join(path.read_text("utf-8") for path in folder.glob("*.json"))


@pytest.mark.parametrize("parent", ["projector", "full"])
def test_an_adapter_goes_on_learning_and_carries_its_parents_weights(
    base: Path, pictures: Pictures, tmp_path: Path, parent: Trainable
) -> None:
    first = load_policy(base, trainable=parent)
    step(first, pictures)
    first.save_adapter(tmp_path / "one")
    second = load_policy(base, adapter=tmp_path / "one", trainable="lora", lora=LoraSettings(rank=2))
    start = second.score(pictures, QUESTION, PHRASES)
    assert np.allclose(start, first.score(pictures, QUESTION, PHRASES), atol=1e-6)
    step(second, pictures)
    second.save_adapter(tmp_path / "two")
    third = load_policy(base, adapter=tmp_path / "two", trainable="lora")
    assert np.allclose(third.score(pictures, QUESTION, PHRASES), second.score(pictures, QUESTION, PHRASES), atol=1e-6)
    assert third.origin.adapter_sha256
    assert set(third.trained()) == set(second.trained())
    step(third, pictures)
    with third.without_adapter():
        assert np.allclose(third.score(pictures, QUESTION, PHRASES), start, atol=1e-6)


@pytest.mark.parametrize("trainable", ["lora", "full"])
def test_an_adapter_folds_into_its_base(base: Path, pictures: Pictures, tmp_path: Path, trainable: Trainable) -> None:
    policy = load_policy(base, trainable=trainable)
    step(policy, pictures)
    folder = policy.save_adapter(tmp_path / "adapter", {"round": 2})
    merged = load_checkpoint(merge_adapter(base, folder, tmp_path / "merged", "folded"))
    pixels = normalise(torch.from_numpy(pictures).permute(0, 3, 1, 2))
    expected = policy.score(pictures, QUESTION, PHRASES)
    assert np.allclose(score_phrases(merged, pixels, QUESTION, PHRASES).numpy(), expected, atol=1e-5)
    assert merged.card.model_id == "folded"
    assert merged.card.training["story"] == {"round": 2}
    with pytest.raises(BadInputError, match="is there already"):
        merge_adapter(base, folder, tmp_path / "merged", "folded")


def test_the_processor_speaks_to_trl_in_the_same_ids_and_pixels(base: Path, pictures: Pictures) -> None:
    policy = load_policy(base)
    told = policy.processor.apply_chat_template(
        [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": QUESTION}]}], tokenize=False
    )
    assert told == prompt.prompt_text(QUESTION, 1)
    made = policy.processor(images=[[pictures[0]], [pictures[1]]], text=[told, told], return_tensors="pt")
    assert made["input_ids"].tolist() == [policy.prompt_ids(QUESTION)] * 2
    assert torch.equal(made["pixel_values"], policy.prepare(pictures[:2]).values)
    answered = [{"role": "assistant", "content": [{"type": "text", "text": PHRASES[0]}]}]
    said = policy.processor(text=policy.processor.apply_chat_template(answered, tokenize=False))["input_ids"][0]
    assert said == policy.answer_ids(PHRASES[0])
    with pytest.raises(ValueError, match="one picture"):
        policy.processor(images=[[pictures[0]]], text=["no marker"])


def test_an_adapter_for_another_base_is_refused(base: Path, pictures: Pictures, tmp_path: Path) -> None:
    other = write_base(tmp_path / "other", seed=2)
    policy = load_policy(other, trainable="lora")
    folder = policy.save_adapter(tmp_path / "adapter")
    with pytest.raises(BundleError, match="belongs to the base 'other'"):
        load_policy(base, adapter=folder)


def test_files_cut_short_are_refused(base: Path, tmp_path: Path) -> None:
    broken = tmp_path / "base"
    shutil.copytree(base, broken)
    weights = broken / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(BundleError, match=r"model\.safetensors: damaged or cut short"):
        load_policy(broken)
    weights.write_bytes(b"{")
    with pytest.raises(BundleError, match="cut short at 1 bytes"):
        load_policy(broken)
    folder = load_policy(base, trainable="lora").save_adapter(tmp_path / "adapter")
    lora = folder / "adapter_model.safetensors"
    whole = lora.read_bytes()
    lora.write_bytes(whole[:-100])
    with pytest.raises(BundleError, match="cut short"):
        load_policy(base, adapter=folder)
    lora.write_bytes(whole[:-4] + b"abcd")
    with pytest.raises(BundleError, match="was changed"):
        load_policy(base, adapter=folder)


def test_a_base_with_weights_missing_is_refused_not_filled_with_chance(base: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    broken = tmp_path / "base"
    shutil.copytree(base, broken)
    weights = load_file(broken / "model.safetensors")
    weights.pop("lm_head.weight")
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(BundleError, match=r"1 weights are missing, the first is 'lm_head\.weight'"):
        load_policy(broken)


def test_weights_other_than_the_card_vouches_for_are_refused(base: Path, tmp_path: Path) -> None:
    known = tmp_path / "base"
    shutil.copytree(base, known)
    weights, card = known / "model.safetensors", known / "classroom.json"
    told = json.loads(card.read_text("utf-8"))
    digest = sha256_of(weights.read_bytes())
    card.write_text(json.dumps({**told, "weights": {"sha256": digest}}), "utf-8")
    load_policy(known)
    shutil.copy(write_base(tmp_path / "other", seed=2) / "model.safetensors", weights)
    found = sha256_of(weights.read_bytes())
    with pytest.raises(BundleError) as refused:
        load_policy(known)
    for part in (str(weights), f"expected sha256 {digest[:12]}", f"with {found[:12]}", "again."):
        assert part in str(refused.value)


@pytest.mark.parametrize("text", ["no card", "[]", '{"model_id": "x"}', '{"weights": 1}'])
def test_a_card_that_makes_no_sense_is_refused(base: Path, tmp_path: Path, text: str) -> None:
    shutil.copytree(base, tmp_path / "base")
    (tmp_path / "base" / "classroom.json").write_text(text, "utf-8")
    with pytest.raises(BundleError, match=r"classroom\.json: expected the card of a checkpoint"):
        load_policy(tmp_path / "base")


def test_no_base(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"config\.json is missing"):
        load_policy(tmp_path)
    with pytest.raises(BundleError, match="not on this machine"):
        load_policy("nobody/nothing-of-this-name")
    with pytest.raises(BundleError, match="no such folder"):
        load_policy("runs/no/such/folder")
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    (tmp_path / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(BundleError, match="other formats can run code"):
        load_policy(tmp_path)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"trainable": "some"}, "trainable must be one of"),
        ({"quantize": "int3"}, "quantize must be nf4 or int8"),
        ({"quantize": "nf4", "trainable": "full"}, "cannot learn in full"),
        ({"dtype": "float99"}, "dtype must be auto"),
        ({"trainable": "lora", "lora": LoraSettings(targets=("nothing",))}, "no linear layer"),
    ],
)
def test_options_that_do_not_go_together(base: Path, how: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        load_policy(base, **how)


def test_markers_and_features_must_be_equal_and_nothing_is_cut_off(base: Path, pictures: Pictures) -> None:
    policy = load_policy(base)
    features = policy.image_features(policy.prepare(pictures))
    answers = [policy.answer_ids(PHRASES[0])]
    with pytest.raises(BadInputError, match="4 image tokens in the prompt for 3 image features"):
        policy.answer_logps(features[:, :3], policy.prompt_ids(QUESTION), answers)
    good, bad = policy.prompt_ids(QUESTION), policy.prompt_ids("what?")[1:]
    bad.remove(policy.talk.image_token_id)
    with pytest.raises(BadInputError, match="3 image tokens"):  # also where one row alone is wrong
        policy.answer_logps(features, [good, good, bad, good, good], answers)
    with pytest.raises(BadInputError, match="nothing is cut off"):
        policy.answer_logps(features, policy.prompt_ids("where? " * 200), answers)
    with pytest.raises(ValueError, match="5 pictures need as many rows"):
        policy.answer_logps(features, [good, good], answers)


def test_packing_refuses_what_has_no_meaning() -> None:
    with pytest.raises(ValueError, match="equally many answers"):
        pack([[1], [1]], [[[2]], [[2], [3]]], pad_id=0)
    with pytest.raises(ValueError, match="at least one token"):
        pack([[1]], [[[]]], pad_id=0)
