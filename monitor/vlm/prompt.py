"""The text around a picture: the one definition, for training, export and inference alike.

A sequence is `<bos>{question}<image>…<image><answer>{answer}<eos>`. The question stands before the picture, so that its
part is computed once for all students. This file knows no tokenizer, no model and no picture.
"""

from __future__ import annotations

BOS = "<bos>"
EOS = "<eos>"
PAD = "<pad>"
UNKNOWN = "<unk>"
IMAGE = "<image>"
ANSWER = "<answer>"
SPECIAL_TOKENS = (PAD, BOS, EOS, UNKNOWN, IMAGE, ANSWER)
"""In the order of their ids, from 0."""

YES = "yes"
NO = "no"
GAZE_QUESTION = "In which direction does the student look?"

_SLIGHT_DEG = 12.0
_FAR_DEG = 40.0


def prompt_text(question: str, image_tokens: int) -> str:
    """All that stands before the answer; the picture takes the place of `image_tokens` markers."""
    return f"{BOS}{question}{IMAGE * image_tokens}{ANSWER}"


def answer_text(phrase: str) -> str:
    """What the model says after the prompt: its tokens are what a label's score is summed over."""
    return f"{phrase}{EOS}"


def probe_question(phrase: str) -> str:
    """A yes/no question about one label of the attention rubric, from its phrase ("at paper")."""
    return f"Is the student looking {phrase}?"


def gaze_phrase(yaw_deg: float, pitch_deg: float) -> str:
    """Say a gaze direction in words, as seen in the picture.

    Args:
        yaw_deg: 0 is towards the camera, positive towards the right edge of the picture.
        pitch_deg: 0 is towards the camera, positive down.
    """
    across = _say(yaw_deg, "to the left", "to the right")
    along = _say(pitch_deg, "up", "down")
    if across and along:
        return f"{along} and {across}"
    return across or along or "straight ahead"


def gaze_phrases() -> tuple[str, ...]:
    """Every phrase that `gaze_phrase` can say."""
    degrees = (-60.0, -20.0, 0.0, 20.0, 60.0)
    return tuple(dict.fromkeys(gaze_phrase(yaw, pitch) for yaw in degrees for pitch in degrees))


def _say(angle_deg: float, negative: str, positive: str) -> str:
    if abs(angle_deg) < _SLIGHT_DEG:
        return ""
    word = positive if angle_deg > 0 else negative
    return f"far {word}" if abs(angle_deg) >= _FAR_DEG else word
