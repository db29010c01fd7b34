"""Writes checkpoint folders in the layout in which the hub has SmolVLM, with random weights and few numbers.

Every file is written by hand, key by key as those repositories have it (written by older versions of transformers),
and none by `save_pretrained`: so that what is read is the format, and not what this machine's version would write.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import Idefics3Config, Idefics3ForConditionalGeneration

from monitor.rubric import load_rubric
from trainer.tokenizer import token_id

START, END, UTTERANCE_END = "<|im_start|>", "<|im_end|>", "<end_of_utterance>"
FAKE, GLOBAL, IMAGE = "<fake_token_around_image>", "<global-img>", "<image>"
SPECIAL = ("<|endoftext|>", START, END, *(f"<row_{row}_col_{column}>" for row in (1, 2) for column in (1, 2)),
           GLOBAL, FAKE, IMAGE, UTTERANCE_END)  # fmt: skip
TEMPLATE = (
    "<|im_start|>{% for message in messages %}{{message['role'] | capitalize}}"
    "{% if message['content'][0]['type'] == 'image' %}{{':'}}{% else %}{{': '}}{% endif %}"
    "{% for line in message['content'] %}{% if line['type'] == 'text' %}{{line['text']}}"
    "{% elif line['type'] == 'image' %}{{ '<image>' }}{% endif %}{% endfor %}<end_of_utterance>\n"
    "{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)


@dataclass(frozen=True, slots=True)
class Layout:
    """What differs between the published sizes, but for the widths."""

    image_size: int
    patch_size: int
    scale_factor: int
    heads: int
    key_heads: int
    tied: bool = False

    @property
    def image_tokens(self) -> int:
        """Of one picture; a border narrower than a patch is not looked at."""
        return (self.image_size // self.patch_size // self.scale_factor) ** 2


LAYOUTS = {
    "256m": Layout(128, 4, 4, 3, 1),  # 32 x 32 patches and 64 tokens, three queries to a key, as the real one
    "2.2b": Layout(88, 14, 3, 4, 4),  # a side that is no multiple of a patch, as 384 is none of 14
    "small": Layout(32, 8, 2, 3, 1),
}


def write_smolvlm(folder: Path, size: str = "small", *, seed: int = 0, model_type: str = "idefics3") -> Path:
    """Write a folder as the hub has it.

    Args:
        folder: need not exist.
        size: a key of LAYOUTS.
        seed: of the weights.
        model_type: "idefics3" as SmolVLM, "smolvlm" as SmolVLM2 names itself.
    """
    layout = LAYOUTS[size]
    tokenizer = _tokenizer()
    ids = {token: token_id(tokenizer, token) for token in SPECIAL}
    config = _config(layout, ids, tokenizer.get_vocab_size())
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    _write_weights(folder, config, seed)
    names = {"idefics3": "Idefics3", "smolvlm": "SmolVLM"}
    config |= {"model_type": model_type, "architectures": [f"{names[model_type]}ForConditionalGeneration"]}
    if model_type == "smolvlm":
        config["vision_config"]["model_type"] = "smolvlm_vision"
    whole = {
        "config.json": config,
        "generation_config.json": {
            "_from_model_config": True,
            "bos_token_id": ids[START],
            "eos_token_id": ids[UTTERANCE_END],
            "pad_token_id": ids[END],
            "transformers_version": "4.46.0",
        },
        "preprocessor_config.json": _pictures(layout, names[model_type]),
        "processor_config.json": {
            "image_seq_len": layout.image_tokens,
            "processor_class": f"{names[model_type]}Processor",
        },
        "chat_template.json": {"chat_template": TEMPLATE},
        "tokenizer_config.json": _tokenizer_config(ids, names[model_type]),
    }
    for name, told in whole.items():
        (folder / name).write_text(json.dumps(told, indent=2), encoding="utf-8")
    return folder


def _tokenizer() -> Tokenizer:
    """Bytes and a few hundred words in pairs, as GPT-2 has it: a space belongs to the word behind it."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    rubric = load_rubric("attention")
    texts = [rubric.question, *(f"Assistant: {label.phrase}" for label in rubric.labels), "User: Yes. No."]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False)
    )
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in SPECIAL])
    return tokenizer


def _config(layout: Layout, ids: dict[str, int], vocabulary: int) -> dict[str, Any]:
    return {
        "image_token_id": ids[IMAGE],
        "pad_token_id": ids[END],
        "scale_factor": layout.scale_factor,
        "tie_word_embeddings": layout.tied,
        "torch_dtype": "bfloat16",
        "transformers_version": "4.46.0",
        "use_cache": True,
        "vocab_size": vocabulary,
        "text_config": {
            "_flash_attn_2_enabled": True,
            "architectures": ["VLlama3ForCausalLM"],
            "hidden_size": 12 * layout.heads,
            "intermediate_size": 96,
            "is_llama_config": True,
            "max_position_embeddings": 8192,
            "model_type": "llama",
            "neftune_noise_alpha": 0.0,
            "num_attention_heads": layout.heads,
            "num_hidden_layers": 3,
            "num_key_value_heads": layout.key_heads,
            "pad_token_id": ids[END],
            "pixel_shuffle_factor": layout.scale_factor,
            "qk_layer_norms": False,
            "rms_norm_eps": 1e-05,
            "rope_interleaved": False,
            "rope_theta": 100000,
            "torch_dtype": "bfloat16",
            "transformers.js_config": {"kv_cache_dtype": {"fp16": "float16"}},
            "use_resampler": False,
            "vocab_size": vocabulary,
        },
        "vision_config": {
            "hidden_size": 32,
            "image_size": layout.image_size,
            "intermediate_size": 64,
            "max_image_size": {"longest_edge": layout.image_size},
            "model_type": "idefics3",
            "num_attention_heads": 4,
            "num_hidden_layers": 2,
            "patch_size": layout.patch_size,
            "size": {"longest_edge": 4 * layout.image_size},
            "tie_word_embeddings": False,
            "torch_dtype": "bfloat16",
            "use_base_siglip": True,
        },
    }


def _write_weights(folder: Path, config: dict[str, Any], seed: int) -> None:
    """bfloat16, as published; large enough that pictures and words matter."""
    torch.manual_seed(seed)
    model = Idefics3ForConditionalGeneration(Idefics3Config(**json.loads(json.dumps(config))))
    tensors = {}
    for name, one in model.state_dict().items():
        scale = 0.1 if one.ndim == 1 else 0.2
        tensors[name] = (one + torch.randn_like(one) * scale).to(torch.bfloat16).contiguous()
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def _pictures(layout: Layout, family: str) -> dict[str, Any]:
    return {
        "do_convert_rgb": True,
        "do_image_splitting": True,
        "do_normalize": True,
        "do_pad": True,
        "do_rescale": True,
        "do_resize": True,
        "image_mean": [0.5, 0.5, 0.5],
        "image_processor_type": f"{family}ImageProcessor",
        "image_std": [0.5, 0.5, 0.5],
        "max_image_size": {"longest_edge": layout.image_size},
        "processor_class": f"{family}Processor",
        "resample": 1,
        "rescale_factor": 0.00392156862745098,
        "size": {"longest_edge": 4 * layout.image_size},
    }


def _tokenizer_config(ids: dict[str, int], family: str) -> dict[str, Any]:
    kinds = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}
    return {
        "add_prefix_space": False,
        "added_tokens_decoder": {str(number): {"content": token, **kinds} for token, number in ids.items()},
        "additional_special_tokens": [FAKE, IMAGE, UTTERANCE_END],
        "bos_token": START,
        "clean_up_tokenization_spaces": False,
        "eos_token": UTTERANCE_END,
        "legacy": False,
        "model_max_length": 8192,
        "pad_token": END,
        "processor_class": f"{family}Processor",
        "tokenizer_class": "GPT2Tokenizer",
        "truncation_side": "left",
        "unk_token": "<|endoftext|>",
        "vocab_size": 49152,
    }
