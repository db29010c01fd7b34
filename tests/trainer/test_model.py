"""The embedded model: the same by every road, and the checkpoint folder holds all of it."""

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForImageTextToText, AutoTokenizer

from monitor.errors import BundleError
from monitor.rubric import load_rubric
from monitor.vlm import prompt
from trainer.model import (
    Card,
    Checkpoint,
    ModelShape,
    build_model,
    describe_rubric,
    load_checkpoint,
    normalise,
    save_checkpoint,
    say,
    score_phrases,
    see,
)
from trainer.tokenizer import encode, train_tokenizer

SHAPE = ModelShape(image_size=64, patch_size=16, vision_width=64, vision_layers=2, vision_heads=2, text_width=64,
                   text_layers=1, text_heads=1, scale_factor=2)  # fmt: skip
RUBRIC = load_rubric("attention")
PHRASES = [label.phrase for label in RUBRIC.labels]


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    tokenizer = train_tokenizer()
    card = Card("test-model", SHAPE.image_size, SHAPE.image_tokens, rubrics={"attention": describe_rubric(RUBRIC)})
    return Checkpoint(build_model(SHAPE, tokenizer, seed=3).eval(), tokenizer, card)


@pytest.fixture(scope="module")
def pixels() -> torch.Tensor:
    rng = torch.Generator().manual_seed(0)
    return normalise(torch.randint(0, 256, (3, 3, 64, 64), generator=rng))


def test_seeing_then_saying_is_what_transformers_does(checkpoint: Checkpoint, pixels: torch.Tensor) -> None:
    text = prompt.prompt_text(RUBRIC.question, SHAPE.image_tokens) + prompt.answer_text(PHRASES[0])
    ids = torch.tensor([encode(checkpoint.tokenizer, text)] * 3)
    with torch.no_grad():
        ours = say(checkpoint.model, see(checkpoint.model, pixels)[1], ids)
        theirs = checkpoint.model(input_ids=ids, pixel_values=pixels[:, None]).logits
    assert torch.allclose(ours, theirs, atol=1e-5)


def test_scores_are_sums_of_token_log_probabilities(checkpoint: Checkpoint, pixels: torch.Tensor) -> None:
    scores = score_phrases(checkpoint, pixels, RUBRIC.question, PHRASES)
    raw = []
    for phrase in PHRASES:
        before = encode(checkpoint.tokenizer, prompt.prompt_text(RUBRIC.question, SHAPE.image_tokens))
        after = encode(checkpoint.tokenizer, prompt.answer_text(phrase))
        with torch.no_grad():
            logits = checkpoint.model(
                input_ids=torch.tensor([before + after]), pixel_values=pixels[:1, None]
            ).logits.log_softmax(-1)
        raw.append(sum(logits[0, len(before) + k - 1, token] for k, token in enumerate(after)))
    expected = torch.stack([torch.as_tensor(value) for value in raw]).log_softmax(0)
    assert torch.allclose(scores[0], expected, atol=1e-5)
    assert torch.allclose(scores.exp().sum(1), torch.ones(3), atol=1e-6)


def test_a_padded_row_scores_as_alone(checkpoint: Checkpoint, pixels: torch.Tensor) -> None:
    before = encode(checkpoint.tokenizer, prompt.prompt_text(RUBRIC.question, SHAPE.image_tokens))
    padded = torch.tensor([before + [0] * 5])
    with torch.no_grad():
        seen = see(checkpoint.model, pixels[:1])[1]
        alone = say(checkpoint.model, seen, torch.tensor([before]))
        beside = say(checkpoint.model, seen, padded)[:, : len(before)]
    assert torch.allclose(alone, beside, atol=1e-5)


def test_a_checkpoint_comes_back_whole(checkpoint: Checkpoint, pixels: torch.Tensor, tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "model", checkpoint)
    again = load_checkpoint(tmp_path / "model")
    assert again.card == checkpoint.card
    before = score_phrases(checkpoint, pixels, RUBRIC.question, PHRASES)
    assert torch.equal(before, score_phrases(again, pixels, RUBRIC.question, PHRASES))
    card = json.loads((tmp_path / "model" / "classroom.json").read_text(encoding="utf-8"))
    assert card["rubrics"]["attention"]["labels"] == ["screen", "paper", "wander"]


def test_plain_transformers_reads_the_folder(checkpoint: Checkpoint, pixels: torch.Tensor, tmp_path: Path) -> None:
    save_checkpoint(tmp_path, checkpoint)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    model = AutoModelForImageTextToText.from_pretrained(tmp_path)
    text = prompt.prompt_text(RUBRIC.question, SHAPE.image_tokens)
    ids = tokenizer(text, add_special_tokens=False, return_tensors="pt").input_ids
    assert ids.tolist()[0] == encode(checkpoint.tokenizer, text)
    said = model.generate(input_ids=ids, pixel_values=pixels[:1, None], max_new_tokens=3, do_sample=False)
    assert said.shape[1] <= ids.shape[1] + 3


def test_the_same_seed_gives_the_same_weights() -> None:
    tokenizer = train_tokenizer()
    one, two, other = (build_model(SHAPE, tokenizer, seed) for seed in (1, 1, 2))
    name = "model.vision_model.encoder.layers.0.self_attn.q_proj.weight"
    assert torch.equal(one.state_dict()[name], two.state_dict()[name])
    assert not torch.equal(one.state_dict()[name], other.state_dict()[name])


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"config\.json is missing"):
        load_checkpoint(tmp_path)


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="scale_factor"):
        ModelShape(image_size=112, patch_size=16)
