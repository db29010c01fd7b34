"""What to set where memory runs out in preference training: its batches cannot be halved by every method.

This file knows the settings, and no model.
"""

from __future__ import annotations

from trainer.preference.settings import PreferenceSettings


def next_settings(settings: PreferenceSettings) -> str:
    """Advice for `trainer.memory.advising`: the next batch size that the method allows."""
    half = settings.batch_size // 2
    if settings.method == "grpo":
        half -= half % settings.generations
    if half < 1 or (settings.method == "kto" and half < 2):
        return (
            f"with batch_size = {settings.batch_size}, the smallest there is. Set gradient_checkpointing = true, or "
            "take a smaller or quantised base."
        )
    return (
        f"with batch_size = {settings.batch_size}. Next to try: batch_size = {half} with gradient_accumulation = "
        f"{settings.gradient_accumulation * 2}, the same number of pairs a step."
    )
