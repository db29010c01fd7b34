"""Reads a tokenizer.json, and puts it under the interface of transformers. This file knows no model."""

from __future__ import annotations

from pathlib import Path

from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

from monitor.errors import BundleError
from monitor.vlm import prompt


def load_tokenizer(path: Path) -> Tokenizer:
    """Read a tokenizer.json.

    Raises:
        BundleError: missing, or not one.
    """
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the library knows no class of its own
        raise BundleError(
            f"{path}: cannot be read as a tokenizer ({error}). Copy the whole checkpoint again."
        ) from error


def for_transformers(tokenizer: Tokenizer) -> PreTrainedTokenizerFast:
    """The same tokenizer under the interface of transformers, with its special tokens named."""
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=prompt.BOS,
        eos_token=prompt.EOS,
        pad_token=prompt.PAD,
        unk_token=prompt.UNKNOWN,
        additional_special_tokens=[prompt.IMAGE, prompt.ANSWER],
    )
