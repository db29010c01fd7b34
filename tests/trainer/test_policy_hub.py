"""Models of the hub, built tiny from a configuration, opened by the real loading code.

Idefics3 (which SmolVLM is), LLaVA, and Qwen2.5-VL with its positions by row and column.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from monitor.errors import BadInputError, BundleError
from monitor.rubric import load_rubric
from monitor.vlm.pixels import fit_square
from tests.trainer.policies import CHAT, SIDE_PX, write_hub_model
from tests.trainer.test_policy import one_by_one, step
from trainer.policy import LoraSettings, Policy, load_policy

RUBRIC = load_rubric("attention")
PHRASES = [label.phrase for label in RUBRIC.labels]
PICTURES = np.random.default_rng(2).integers(0, 256, (3, 40, 40, 3), dtype=np.uint8)


@pytest.fixture(scope="module", params=["idefics3", "llava", "qwen2_5_vl"])
def hub(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_hub_model(tmp_path_factory.mktemp("hub") / request.param, request.param)


def opened(hub: Path, **how: Any) -> Policy:
    return load_policy(hub, side_px=SIDE_PX, **how)


def test_a_shared_prompt_scores_as_one_by_one(hub: Path) -> None:
    policy = opened(hub, trainable="lora", lora=LoraSettings(rank=2))
    step(policy, PICTURES)
    pixels = policy.prepare(PICTURES)
    answers = [policy.answer_ids(phrase) for phrase in PHRASES]
    assert all(answer[-1] == policy.processor.tokenizer.eos_token_id for answer in answers)
    with torch.no_grad():
        shared = policy.answer_logps(policy.image_features(pixels), policy.prompt_ids(RUBRIC.question), answers)
        for column, phrase in enumerate(PHRASES):
            plain = one_by_one(policy, pixels, [(RUBRIC.question, phrase)] * len(PICTURES))
            assert torch.allclose(shared[:, column], plain, atol=1e-4)


def test_prompt_and_pixels_are_those_of_the_models_own_processor(hub: Path) -> None:
    policy = opened(hub)
    ids = policy.prompt_ids(RUBRIC.question)
    features = policy.image_features(policy.prepare(PICTURES))
    assert ids.count(policy.talk.image_token_id) == features.shape[1]
    said = policy.processor.tokenizer.decode([one for one in ids if one != policy.talk.image_token_id])
    assert RUBRIC.question.lower() in said
    assert said.endswith("assistant:")
    assert policy.side_px == SIDE_PX
    part = policy.processor.image_processor
    square = fit_square(PICTURES[0], SIDE_PX) / 255.0  # what the monitor hands over, and nothing cut or scaled again
    expected = torch.tensor((square - part.image_mean) / part.image_std).permute(2, 0, 1).float()
    values = policy.prepare(PICTURES).values[0]
    if values.shape[-1] == SIDE_PX:
        assert torch.allclose(values.view(3, SIDE_PX, SIDE_PX), expected, atol=1e-5)
    else:  # in patches, each twice (as two moments of a film)
        assert torch.allclose(values.flatten().sort().values[::2], expected.flatten().sort().values, atol=1e-5)
    assert len(policy.generate(PICTURES, RUBRIC.question, max_new_tokens=2)) == 3


def test_the_projector_alone_learns_and_comes_back(hub: Path, tmp_path: Path) -> None:
    policy = opened(hub, trainable="projector")
    assert policy.sight.keepable is ("qwen" not in hub.name)  # there it sits inside of the vision tower
    assert all("connector" in name or "projector" in name or "merger" in name for name in policy.trained())
    step(policy, PICTURES)
    after = policy.score(PICTURES, RUBRIC.question, PHRASES)
    again = opened(hub, adapter=policy.save_adapter(tmp_path / "adapter"))
    assert np.allclose(again.score(PICTURES, RUBRIC.question, PHRASES), after, atol=1e-5)


@pytest.mark.parametrize("quantize", ["nf4", "int8"])
def test_a_quantised_base_learns_by_its_adapter(hub: Path, tmp_path: Path, quantize: str) -> None:
    policy = opened(hub, quantize=quantize, trainable="lora", lora=LoraSettings(rank=2))
    kinds = {type(module).__name__ for module in policy.core.get_decoder().modules()}
    assert kinds & {"Linear4bit", "Linear8bitLt"}
    assert all("lora_" in name for name in policy.trained())
    before = policy.score(PICTURES, RUBRIC.question, PHRASES)
    step(policy, PICTURES, rate=1e-4)
    after = policy.score(PICTURES, RUBRIC.question, PHRASES)
    assert after[:, 0].mean() > before[:, 0].mean()
    folder = policy.save_adapter(tmp_path / "adapter")
    again = opened(hub, quantize=quantize, adapter=folder)
    assert np.allclose(again.score(PICTURES, RUBRIC.question, PHRASES), after, atol=1e-5)


def test_a_processor_of_another_model_is_refused(hub: Path) -> None:
    policy = opened(hub)
    features = policy.image_features(policy.prepare(PICTURES))
    with pytest.raises(BadInputError, match="image tokens in the prompt for"):
        policy.answer_logps(features[:, 1:], policy.prompt_ids("where?"), [policy.answer_ids("there")])


def test_a_model_without_a_chat_template_is_refused(tmp_path: Path) -> None:
    folder = write_hub_model(tmp_path / "model", "llava")
    assert CHAT in (folder / "chat_template.jinja").read_text(encoding="utf-8")
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(BadInputError, match="no chat template"):
        load_policy(folder)


def test_a_language_model_alone_is_refused(tmp_path: Path) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    LlamaForCausalLM(LlamaConfig(vocab_size=8, hidden_size=8, intermediate_size=8, num_hidden_layers=1,
                                 num_attention_heads=1)).save_pretrained(tmp_path)  # fmt: skip
    (tmp_path / "tokenizer.json").write_text("{}", encoding="utf-8")
    with pytest.raises(BundleError, match=r"picture processor is missing.*language model alone"):
        load_policy(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text("{}", encoding="utf-8")  # from another model, say
    with pytest.raises(BundleError, match="not an image-text-to-text model"):
        load_policy(tmp_path)
