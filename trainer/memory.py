"""Turns "out of memory" into advice: the next batch size to try. Knows no model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from monitor.errors import BadInputError

_SIGNS = ("can't allocate memory", "not enough memory", "out of memory", "cannot allocate memory")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, of the processor or of an accelerator."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in _SIGNS)


@contextmanager
def advising(advice: str) -> Iterator[None]:
    """Within, running out of memory ends in words that help.

    Args:
        advice: goes after "out of memory".

    Raises:
        BadInputError: memory ran out.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise BadInputError(f"out of memory {advice}") from error


def next_batch_size(batch_size: int, key: str = "batch_size") -> str:
    """Advice to halve what runs at once.

    Args:
        batch_size: of it.
        key: its name in the configuration.
    """
    if batch_size > 1:
        return f"with {key} = {batch_size}. Try {key} = {batch_size // 2}."
    return (
        f"with {key} = {batch_size}. It is 1 already: take a smaller base, quantize = 'nf4', or a machine with more "
        "memory."
    )
