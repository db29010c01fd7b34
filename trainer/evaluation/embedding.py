"""Vectors of sentences by a text encoder that lies on this machine; nothing is downloaded.

Any encoder of transformers does whose vectors are meant to be averaged over tokens (most sentence encoders are). It is
an option: without one, similarity is lexical.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monitor.errors import BadInputError
from trainer.evaluation.similarity import Embedder

_BATCH = 64


def open_embedder(folder: Path) -> Embedder:
    """An embedder from a folder with config.json, model.safetensors and the tokenizer's files.

    Raises:
        BadInputError: no encoder there.
    """
    import torch
    from transformers import AutoModel, AutoTokenizer

    if not (folder / "config.json").is_file():
        raise BadInputError(f"{folder}: no text encoder here (config.json is missing). Give a folder on this machine.")
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        model = AutoModel.from_pretrained(folder, local_files_only=True, use_safetensors=True).eval()
    except (OSError, ValueError, KeyError) as error:
        raise BadInputError(f"{folder}: not a text encoder that transformers can open ({error}).") from error

    @torch.no_grad()
    def embed(texts: Sequence[str]) -> NDArray[np.float64]:
        rows = []
        for start in range(0, len(texts), _BATCH):
            tokens = tokenizer(list(texts[start : start + _BATCH]), padding=True, truncation=True, return_tensors="pt")
            states = model(**tokens).last_hidden_state
            there = tokens["attention_mask"].unsqueeze(-1)
            rows.append(((states * there).sum(1) / there.sum(1)).double().numpy())
        return np.concatenate(rows)

    return embed
