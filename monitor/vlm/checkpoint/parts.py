"""Opens a checkpoint's processor; where its class needs libraries for video, puts together what pictures need.

This file knows processors of transformers, and no weights.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import BatchFeature

from monitor.errors import BundleError

TEMPLATE_FILE = "chat_template.jinja"
OLDER_TEMPLATE_FILE = "chat_template.json"
_LOCAL: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}


def open_processor(folder: Path, model_type: str, image_token_id: int) -> Any:
    """A processor for texts and pictures.

    Args:
        folder: of the checkpoint.
        model_type: of its configuration.
        image_token_id: of its configuration.

    Raises:
        BundleError: the folder holds none that can be opened here.
    """
    from transformers import AutoProcessor

    try:
        processor = AutoProcessor.from_pretrained(folder, **_LOCAL)
        if getattr(processor, "image_processor", None) is not None:
            return processor
        why = f"found a {type(processor).__name__} without pictures"
    except (OSError, ValueError, ImportError, TypeError) as error:
        why = _first_line(error)
    try:
        return _from_parts(folder, model_type, image_token_id)
    except (OSError, ValueError, ImportError, TypeError, KeyError) as error:
        raise BundleError(
            f"{folder}: its processor cannot be opened here ({why}; {_first_line(error)}). "
            "Copy the whole checkpoint again."
        ) from error


def _from_parts(folder: Path, model_type: str, image_token_id: int) -> Any:
    from transformers import AutoConfig, AutoImageProcessor, AutoTokenizer, Idefics3Processor

    tokenizer = AutoTokenizer.from_pretrained(folder, **_LOCAL)
    pictures = AutoImageProcessor.from_pretrained(folder, backend="pil", **_LOCAL)
    template = _template(folder) or tokenizer.chat_template
    if hasattr(pictures, "merge_size"):
        return GridProcessor(pictures, tokenizer, template, image_token_id)
    if model_type == "smolvlm":  # the same around pictures as Idefics3; only its videos need more
        config = AutoConfig.from_pretrained(folder, **_LOCAL)
        side = config.vision_config.image_size // config.vision_config.patch_size // config.scale_factor
        return Idefics3Processor(pictures, tokenizer, image_seq_len=side**2, chat_template=template)
    raise ValueError(f"no way to put a processor for {model_type!r} together from its parts")


def _template(folder: Path) -> str | None:
    """A chat template in a file of its own, as folders have it now, or had it once."""
    path, older = folder / TEMPLATE_FILE, folder / OLDER_TEMPLATE_FILE
    if path.is_file():
        return path.read_text(encoding="utf-8")
    if older.is_file():
        return str(json.loads(older.read_text(encoding="utf-8"))["chat_template"])
    return None


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


class GridProcessor:
    """Of the Qwen-VL family, for pictures alone: one marker in a text becomes one for each merged patch."""

    def __init__(self, image_processor: Any, tokenizer: Any, chat_template: str | None, image_token_id: int) -> None:
        self.image_processor = image_processor
        self.tokenizer = tokenizer
        self.chat_template = chat_template
        self._marker = str(tokenizer.convert_ids_to_tokens(image_token_id))

    def apply_chat_template(self, messages: Sequence[dict[str, Any]], **how: Any) -> str:
        """The text of a conversation."""
        return str(
            self.tokenizer.apply_chat_template(messages, tokenize=False, chat_template=self.chat_template, **how)
        )

    def __call__(
        self,
        text: Sequence[str],
        images: Sequence[Any],
        return_tensors: str | None = None,
        add_special_tokens: bool = False,
        **how: Any,
    ) -> BatchFeature:
        """One text with one picture each, as the model takes them."""
        made = self.image_processor(images, return_tensors=return_tensors, **how)
        merged = self.image_processor.merge_size**2
        whole = [
            line.replace(self._marker, self._marker * (int(grid.prod()) // merged))
            for line, grid in zip(text, made["image_grid_thw"], strict=True)
        ]
        told = self.tokenizer(whole, return_tensors=return_tensors, add_special_tokens=add_special_tokens)
        return BatchFeature({**told, **made})
