"""The embedded model's tokenizer and picture preparation under the interface of transformers, so that TRL can use them.

One `<image>` in a text stands for the whole picture and becomes as many markers as the model has image tokens. Pictures
go through `monitor.vlm.pixels.fit_square`, as at run time. This file knows no weights.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from transformers import BatchFeature, PreTrainedTokenizerFast
from transformers.processing_utils import ProcessorMixin

from monitor.vlm import prompt
from monitor.vlm.checkpoint.talk import square_pixels

PROCESSOR_FILE = "classroom_processor.json"
CHAT_TEMPLATE = (
    "{%- for message in messages -%}{%- if message['role'] == 'assistant' -%}"
    "{%- if message['content'] is string -%}{{ message['content'] }}{%- else -%}"
    "{%- for part in message['content'] if part['type'] == 'text' -%}{{ part['text'] }}{%- endfor -%}{%- endif -%}"
    f"{prompt.EOS}"
    "{%- else -%}"
    f"{prompt.BOS}"
    "{%- if message['content'] is string -%}{{ message['content'] }}{%- else -%}"
    "{%- for part in message['content'] if part['type'] == 'text' -%}{{ part['text'] }}{%- endfor -%}"
    "{%- for part in message['content'] if part['type'] == 'image' -%}"
    f"{prompt.IMAGE}"
    "{%- endfor -%}{%- endif -%}"
    f"{prompt.ANSWER}"
    "{%- endif -%}{%- endfor -%}"
)
"""The text of `monitor.vlm.prompt`: the question, then the picture wherever the message had it, then the answer."""


class EmbeddedProcessor(ProcessorMixin):
    """What `AutoProcessor` would be for the embedded model."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, image_size: int, image_tokens: int) -> None:
        """Join the two.

        Args:
            tokenizer: from `trainer.tokenizer.for_transformers`.
            image_size: side of the model's pictures, pixels.
            image_tokens: how many markers a picture becomes.
        """
        self.tokenizer = tokenizer
        self.image_size = image_size
        self.image_tokens = image_tokens
        self.image_token = prompt.IMAGE
        self.image_token_id = tokenizer.convert_tokens_to_ids(prompt.IMAGE)
        self.chat_template = CHAT_TEMPLATE

    def __call__(
        self,
        images: Any = None,
        text: str | Sequence[str] | None = None,
        return_tensors: str | None = None,
        **how: Any,
    ) -> BatchFeature:
        """Pictures and texts as the model takes them.

        Args:
            images: one list of pictures a text (or one picture a text): PIL images or uint8 RGB arrays.
            text: what is asked, with one `<image>` for each picture.
            return_tensors: as in transformers; "pt".
            how: passed on to the tokenizer (padding, padding_side, add_special_tokens).

        Raises:
            ValueError: texts and pictures that do not belong together.
        """
        data: dict[str, Any] = {}
        texts = None if text is None else [text] if isinstance(text, str) else list(text)
        if images is not None:
            rows = [picture for own in images for picture in (own if isinstance(own, list | tuple) else [own])]
            if texts is not None and [line.count(prompt.IMAGE) for line in texts] != [1] * len(rows):
                raise ValueError(f"each text needs one {prompt.IMAGE} and one picture, found {len(rows)} pictures")
            data["pixel_values"] = self.pixels([np.asarray(row) for row in rows])[:, None]
        if texts is not None:
            whole = [line.replace(prompt.IMAGE, prompt.IMAGE * self.image_tokens) for line in texts]
            how.setdefault("add_special_tokens", False)
            data = {**self.tokenizer(whole, return_tensors=return_tensors, **how), **data}
            data.pop("token_type_ids", None)
        return BatchFeature(data)

    def pixels(self, images_rgb: Sequence[NDArray[np.uint8]]) -> Tensor:
        """Normalised pictures (B, 3, S, S) from any cut-outs, prepared as at run time."""
        return square_pixels(images_rgb, self.image_size)

    def save_pretrained(self, save_directory: str | Path, push_to_hub: bool = False, **_: Any) -> list[str]:
        """Write the tokenizer and the two sizes; nothing is ever pushed anywhere."""
        if push_to_hub:
            raise ValueError("this processor is saved to a folder only")
        self.tokenizer.save_pretrained(save_directory)
        path = Path(save_directory) / PROCESSOR_FILE
        path.write_text(json.dumps({"image_size": self.image_size, "image_tokens": self.image_tokens}), "utf-8")
        return [str(path)]

    def to_dict(self) -> dict[str, Any]:
        """The two sizes."""
        return {"image_size": self.image_size, "image_tokens": self.image_tokens}

    @classmethod
    def get_attributes(cls) -> list[str]:
        """Parts in the sense of transformers."""
        return ["tokenizer"]

    @property
    def model_input_names(self) -> list[str]:
        """What a call returns."""
        return ["input_ids", "attention_mask", "pixel_values"]
