"""Splits by person, never by picture: a model must not be measured on people it has seen.

This file knows no pictures.
"""

from __future__ import annotations

import hashlib


def share_of(person: str, salt: str = "development") -> float:
    """A number in [0, 1) that belongs to a person for good, whatever other people there are."""
    digest = hashlib.sha256(f"{salt}/{person}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def is_development(person: str, share: float) -> bool:
    """Whether a person is kept aside from training; `share` of all people are.

    Raises:
        ValueError: the share is not in [0, 1).
    """
    if not 0 <= share < 1:
        raise ValueError(f"the share of people kept aside must be in [0, 1), found {share}")
    return share_of(person) < share
