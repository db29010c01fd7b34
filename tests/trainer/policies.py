"""Tiny bases for tests: an embedded checkpoint folder, and models of the hub built from a configuration."""

import json
from pathlib import Path
from typing import Any

from monitor.rubric import load_rubric
from trainer.model import Card, Checkpoint, ModelShape, build_model, describe_rubric, save_checkpoint
from trainer.tokenizer import for_transformers, train_tokenizer

SHAPE = ModelShape(image_size=32, patch_size=8, vision_width=32, vision_layers=2, vision_heads=2, text_width=32,
                   text_layers=2, text_heads=2, scale_factor=2)  # fmt: skip
SIDE_PX = 28
CHAT = (
    "{% for message in messages %}{{ message['role'] | capitalize }}:"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}<image>{% else %} {{ part['text'] }}"
    "{% endif %}{% endfor %}{% if message['role'] == 'assistant' %}<eos>{% endif %}\n{% endfor %}"
    "{% if add_generation_prompt %}Assistant:{% endif %}"
)


def write_base(folder: Path, seed: int = 0, shape: ModelShape = SHAPE) -> Path:
    """A checkpoint folder of the embedded model with random weights."""
    tokenizer = train_tokenizer()
    card = Card(
        f"test-{seed}",
        shape.image_size,
        shape.image_tokens,
        rubrics={"attention": describe_rubric(load_rubric("attention"))},
    )
    save_checkpoint(folder, Checkpoint(build_model(shape, tokenizer, seed), tokenizer, card))
    return folder


def write_hub_model(folder: Path, family: str) -> Path:
    """A folder as the hub has it (model, processor, chat template) of a tiny model with random weights."""
    import torch

    torch.manual_seed(0)
    model, processor = {"idefics3": _idefics3, "smolvlm": _smolvlm, "llava": _llava, "qwen2_5_vl": _qwen}[family]()
    model.save_pretrained(folder)
    for part in processor if isinstance(processor, tuple) else (processor,):
        part.save_pretrained(folder)
    if family == "smolvlm":
        told = {"image_seq_len": 4, "processor_class": "SmolVLMProcessor"}
        (folder / "processor_config.json").write_text(json.dumps(told), encoding="utf-8")
    return folder


def _tokenizer(*more: str) -> Any:
    tokenizer = for_transformers(train_tokenizer())
    tokenizer.add_special_tokens({"additional_special_tokens": ["<image>", *more]})
    return tokenizer


def _text(tokenizer: Any, kind: str) -> dict[str, Any]:
    return {
        "model_type": kind,
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "max_position_embeddings": 256,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 0,
    }


def _tower(kind: str) -> dict[str, Any]:
    return {
        "model_type": kind,
        "image_size": SIDE_PX,
        "patch_size": 7,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    }


def _idefics3() -> tuple[Any, Any]:
    from transformers import Idefics3Config, Idefics3ForConditionalGeneration, Idefics3Processor
    from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil

    tokenizer = _tokenizer("<fake_token_around_image>", "<end_of_utterance>", "<global-img>")
    config = Idefics3Config(
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        scale_factor=2,
        pad_token_id=0,
        vision_config=_tower("idefics3_vision"),
        text_config=_text(tokenizer, "llama"),
    )
    pictures = Idefics3ImageProcessorPil(size={"longest_edge": 4 * SIDE_PX}, max_image_size={"longest_edge": SIDE_PX})
    processor = Idefics3Processor(pictures, tokenizer, image_seq_len=4, chat_template=CHAT)
    return Idefics3ForConditionalGeneration(config), processor


def _smolvlm() -> tuple[Any, Any]:
    """Its own processor class needs num2words, for video: the folder is written without one."""
    from transformers import SmolVLMConfig, SmolVLMForConditionalGeneration
    from transformers.models.smolvlm.image_processing_pil_smolvlm import SmolVLMImageProcessorPil

    tokenizer = _tokenizer("<fake_token_around_image>", "<end_of_utterance>", "<global-img>")
    config = SmolVLMConfig(
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        scale_factor=2,
        pad_token_id=0,
        vision_config=_tower("smolvlm_vision"),
        text_config=_text(tokenizer, "llama"),
    )
    tokenizer.chat_template = CHAT
    pictures = SmolVLMImageProcessorPil(size={"longest_edge": 4 * SIDE_PX}, max_image_size={"longest_edge": SIDE_PX})
    return SmolVLMForConditionalGeneration(config), (pictures, tokenizer)


def _llava() -> tuple[Any, Any]:
    from transformers import CLIPVisionConfig, LlavaConfig, LlavaForConditionalGeneration, LlavaProcessor
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    tokenizer = _tokenizer()
    tower = _tower("clip_vision_model")
    tower.pop("model_type")
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**tower),
        text_config=_text(tokenizer, "llama"),
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        image_seq_length=16,
    )
    pictures = CLIPImageProcessorPil(size={"shortest_edge": SIDE_PX}, crop_size={"height": SIDE_PX, "width": SIDE_PX})
    processor = LlavaProcessor(
        pictures, tokenizer, patch_size=7, vision_feature_select_strategy="default", chat_template=CHAT,
        num_additional_image_tokens=1,
    )  # fmt: skip
    return LlavaForConditionalGeneration(config), processor


def _qwen() -> tuple[Any, Any]:
    """Its own processor class needs torchvision, for video: the folder is written without one."""
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    marks = ("<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>")
    tokenizer = _tokenizer(*marks)
    image, video, start, end = (tokenizer.convert_tokens_to_ids(mark) for mark in marks)
    text = _text(tokenizer, "qwen2_5_vl_text")
    text["rope_parameters"] = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 3, 3]}
    config = Qwen2_5_VLConfig(
        text_config=text,
        vision_config={
            "depth": 2, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2, "out_hidden_size": 32,
            "patch_size": 7, "spatial_merge_size": 2, "window_size": 28, "fullatt_block_indexes": [1],
        },
        image_token_id=image, video_token_id=video, vision_start_token_id=start, vision_end_token_id=end,
    )  # fmt: skip
    tokenizer.chat_template = CHAT.replace("<image>", "<|vision_start|><|image_pad|><|vision_end|>")
    pictures = Qwen2VLImageProcessorPil(patch_size=7, merge_size=2, min_pixels=28 * 28, max_pixels=56 * 56)
    return Qwen2_5_VLForConditionalGeneration(config), (pictures, tokenizer)
