"""Turns out-of-memory errors into the next batch size to try.

This file knows the settings, and no model.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from monitor.errors import BadInputError
from trainer.preference.settings import PreferenceSettings


@contextmanager
def helpful_memory(settings: PreferenceSettings) -> Iterator[None]:
    """Out of memory, in words that help.

    Raises:
        BadInputError: names the next batch size to try.
    """
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise _smaller(settings) from error
    except RuntimeError as error:
        if "can't allocate memory" not in str(error) and "out of memory" not in str(error).lower():
            raise
        raise _smaller(settings) from error


def _smaller(settings: PreferenceSettings) -> BadInputError:
    half = settings.batch_size // 2
    if settings.method == "grpo":
        half -= half % settings.generations
    if half < 1 or (settings.method == "kto" and half < 2):
        return BadInputError(
            f"out of memory with batch_size = {settings.batch_size}, the smallest there is. Set gradient_checkpointing "
            "= true, or take a smaller or quantised base."
        )
    return BadInputError(
        f"out of memory with batch_size = {settings.batch_size}. Next to try: batch_size = {half} with "
        f"gradient_accumulation = {settings.gradient_accumulation * 2}, the same number of pairs a step."
    )
