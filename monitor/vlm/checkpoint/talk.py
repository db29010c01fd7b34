"""How a question about a picture is put to a model in tokens and pixels: the embedded model's way, or a chat template.

This file knows processors, and no weights.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from monitor.errors import BadInputError
from monitor.vlm import prompt
from monitor.vlm.checkpoint.card import MEAN, STD
from monitor.vlm.checkpoint.sight import Pixels
from monitor.vlm.pixels import fit_square

DEFAULT_SIDE_PX = 336
"""Side of pictures for models that take any size."""


class Talk(Protocol):
    """One model's way of being asked."""

    tokenizer: Any
    """A fast tokenizer of transformers."""
    processor: Any
    """Text and pictures together, as transformers has it; None for the embedded model at run time."""
    side_px: int
    mean: Sequence[float]
    """Of each channel, 0 to 1: what `pixels` takes off a square of bytes / 255, before it divides by `std`."""
    std: Sequence[float]
    image_token_id: int
    pad_token_id: int

    def pixels(self, images_rgb: Sequence[NDArray[np.uint8]]) -> Pixels:
        """Any cut-outs as the model takes them."""
        ...

    def prompt_ids(self, question: str) -> list[int]:
        """All tokens before the answer, one for each image feature among them."""
        ...

    def answer_ids(self, phrase: str) -> list[int]:
        """The tokens of an answer, with the one that ends it."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """What was said, without special tokens."""
        ...


def normalise(pixels_rgb: Tensor) -> Tensor:
    """Bytes (B, 3, S, S) 0..255 as the embedded model's vision tower wants them."""
    return normalise_floats(pixels_rgb.float() / 255.0)


def normalise_floats(pixels: Tensor) -> Tensor:
    """Pictures 0..1 as the embedded model's vision tower wants them."""
    return (pixels - MEAN) / STD


def square_pixels(images_rgb: Sequence[NDArray[np.uint8]], side_px: int) -> Tensor:
    """Normalised pictures (B, 3, S, S) from any cut-outs, prepared as at run time."""
    return normalise(_squares(images_rgb, side_px))


def _squares(images_rgb: Sequence[NDArray[np.uint8]], side_px: int) -> Tensor:
    square = np.stack([fit_square(image, side_px) for image in images_rgb])
    return torch.from_numpy(square).permute(0, 3, 1, 2)


class EmbeddedTalk:
    """The embedded model: `monitor.vlm.prompt`, its own tokenizer, `fit_square`."""

    def __init__(
        self,
        tokenizer: Any,
        image_size: int,
        image_tokens: int,
        processor: Any = None,
        *,
        mean: Sequence[float] = (MEAN,) * 3,
        std: Sequence[float] = (STD,) * 3,
    ) -> None:
        """Join the parts.

        Args:
            tokenizer: from `for_transformers`.
            image_size: side of the model's pictures, pixels.
            image_tokens: how many markers a picture becomes.
            processor: the same under the interface of transformers, for whoever trains with it.
            mean: of its card.
            std: of its card.
        """
        self.mean, self.std = mean, std
        self.tokenizer = tokenizer
        self.processor = processor
        self.side_px = image_size
        self.image_tokens = image_tokens
        self.image_token_id = int(tokenizer.convert_tokens_to_ids(prompt.IMAGE))
        self.pad_token_id = int(tokenizer.pad_token_id)

    def pixels(self, images_rgb: Sequence[NDArray[np.uint8]]) -> Pixels:
        """See `Talk`."""
        mean, std = (torch.tensor(one)[:, None, None] for one in (self.mean, self.std))
        return Pixels(((_squares(images_rgb, self.side_px) / 255.0 - mean) / std)[:, None])

    def prompt_ids(self, question: str) -> list[int]:
        """See `Talk`."""
        return self._encode(prompt.prompt_text(question, self.image_tokens))

    def answer_ids(self, phrase: str) -> list[int]:
        """See `Talk`."""
        return self._encode(prompt.answer_text(phrase))

    def decode(self, ids: Sequence[int]) -> str:
        """See `Talk`."""
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True)).strip()

    def _encode(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])


class ChatTalk:
    """A model of the hub: its own processor and chat template, the question before the picture."""

    def __init__(self, processor: Any, image_token_id: int, side_px: int | None = None) -> None:
        """Take a processor up.

        Args:
            processor: from `AutoProcessor`, with a chat template.
            image_token_id: from the model's configuration.
            side_px: side of the pictures; None = the processor's own.

        Raises:
            BadInputError: a processor without a chat template.
        """
        if not getattr(processor, "chat_template", None):
            raise BadInputError(
                f"{type(processor).__name__}: has no chat template, so it is not known how to ask this model. "
                "Take an instruction-tuned checkpoint (its folder holds chat_template.jinja)."
            )
        self.processor = processor
        self.image_token_id = image_token_id
        self.tokenizer = tokenizer = processor.tokenizer
        pad = tokenizer.pad_token_id
        self.pad_token_id: int = tokenizer.eos_token_id if pad is None else pad
        self.side_px, self._how = _picture_size(processor.image_processor, side_px)
        self.mean, self.std = _colours(processor.image_processor)
        self._prompts: dict[str, list[int]] = {}

    def pixels(self, images_rgb: Sequence[NDArray[np.uint8]]) -> Pixels:
        """See `Talk`."""
        pictures = [[fit_square(image, self.side_px)] for image in images_rgb]
        made = self.processor.image_processor(pictures, return_tensors="pt", **self._how)
        values, grid = torch.as_tensor(made["pixel_values"]), made.get("image_grid_thw")
        if grid is not None:
            values = values.reshape(len(pictures), -1, values.shape[-1])
        return Pixels(values, grid)

    def prompt_ids(self, question: str) -> list[int]:
        """See `Talk`."""
        if question not in self._prompts:
            blank = np.full((self.side_px, self.side_px, 3), 127, dtype=np.uint8)
            text = self._write(question)
            begins = self.processor.tokenizer.bos_token
            made = self.processor(
                text=[text], images=[[blank]], return_tensors="pt",
                add_special_tokens=not (begins and text.startswith(begins)), **self._how,
            )  # fmt: skip
            self._prompts[question] = made["input_ids"][0].tolist()
        return self._prompts[question]

    def answer_ids(self, phrase: str) -> list[int]:
        """See `Talk`."""
        before = self._write("?")
        whole = self.processor.apply_chat_template(
            [*_asked("?"), {"role": "assistant", "content": [{"type": "text", "text": phrase}]}]
        )
        if not whole.startswith(before):
            raise BadInputError(
                f"{type(self.processor).__name__}: its chat template writes a prompt differently once it is answered "
                f"(expected a text that starts with {before!r}, found {whole!r})"
            )
        tokenizer = self.processor.tokenizer
        ids = list(tokenizer(whole[len(before) :].rstrip("\n "), add_special_tokens=False)["input_ids"])
        return ids if ids[-1] in tokenizer.all_special_ids else [*ids, tokenizer.eos_token_id]

    def decode(self, ids: Sequence[int]) -> str:
        """See `Talk`."""
        return str(self.processor.tokenizer.decode(list(ids), skip_special_tokens=True)).strip()

    def _write(self, question: str) -> str:
        return str(self.processor.apply_chat_template(_asked(question), add_generation_prompt=True))


def _asked(question: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"type": "text", "text": question}, {"type": "image"}]}]


def _picture_size(processor: Any, side_px: int | None) -> tuple[int, dict[str, Any]]:
    """Side of the pictures and the processor's options by which it leaves that size as it is."""
    if hasattr(processor, "merge_size"):  # Qwen-VL: any multiple of a merged patch
        step = processor.patch_size * processor.merge_size
        most_px = math.isqrt(int(processor.size["longest_edge"]))  # of pixels in all, whatever its name says
        steps = min(round((side_px or DEFAULT_SIDE_PX) / step), most_px // step)
        return max(1, steps) * step, {"do_resize": False}
    if getattr(processor, "max_image_size", None):  # Idefics3, SmolVLM: one view, not many
        return int(_edge(processor.max_image_size)), {"do_image_splitting": False, "do_resize": False}
    size = getattr(processor, "crop_size", None) if getattr(processor, "do_center_crop", False) else processor.size
    return int(_edge(size)), {"do_resize": False, "do_center_crop": False}


def _colours(processor: Any) -> tuple[Sequence[float], Sequence[float]]:
    """Mean and deviation of the channels of pictures from 0 to 1, by the processor's own steps."""
    scale = 255.0 * (float(processor.rescale_factor) if getattr(processor, "do_rescale", True) else 1.0)
    plain = not getattr(processor, "do_normalize", True)
    mean, std = ([0.0] * 3, [1.0] * 3) if plain else (processor.image_mean, processor.image_std)
    return [float(one) / scale for one in mean], [float(one) / scale for one in std]


def _edge(size: Any) -> int:
    for name in ("height", "longest_edge", "shortest_edge"):
        value = size.get(name) if isinstance(size, dict) else getattr(size, name, None)
        if value:
            return int(value)
    raise BadInputError(f"no side of the pictures in {size!r}; give side_px.")
