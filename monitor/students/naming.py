"""What a read label says about a name: cleaned for people, folded for comparison. Pure text, no pictures."""

from __future__ import annotations

import re
import unicodedata

_ROLE = r"(?:co-?)?host|you|me|guest|organi[sz]er|presenter|attendee|external|unverified|sie|ich|gast|vous|moi|invité"
_ROLES_AT_THE_END = re.compile(rf"\s*\(\s*(?:{_ROLE})(?:\s*[,，]\s*(?:{_ROLE}))*\s*\)?\s*$", re.IGNORECASE)
_BRACKETS_AT_THE_END = re.compile(r"\s*[(\[（]([^()\[\]（）]*)[)\]）]*\s*$")
_PRONOUNS = [
    "she", "her", "hers", "he", "him", "his", "they", "them", "theirs", "ze", "zir", "xe", "xem", "it", "its", "any",
    "sie", "ihr", "er", "ihm", "elle", "elles", "il", "lui", "iel", "ella", "él", "ellos", "ellas", "el",
    "ela", "ele", "ona", "on", "hen", "hon", "han",
]  # fmt: skip
# A slash in small print is also read as l, I, 1 or not at all.
_PRONOUN_PAIRS = {
    first + slash + second for first in _PRONOUNS for second in _PRONOUNS for slash in ("l", "i", "1", "")
}
_PLAIN = str.maketrans({"ł": "l", "ø": "o", "đ": "d", "ð": "d", "ı": "i", "æ": "ae", "œ": "oe", "þ": "th", "ħ": "h"})
# Letters that look alike in small print.
_LOOKALIKES = str.maketrans({"l": "i", "1": "i", "j": "i", "0": "o", "5": "s", "8": "b", "2": "z"})


def clean_name(text: str) -> str | None:
    """The name as its owner wrote it: without icons read as letters and without roles; None where no name is left."""
    name = _ROLES_AT_THE_END.sub("", unicodedata.normalize("NFC", text))
    name = re.sub(r"^[^\w(]+|[^\w.)]+$", "", name.replace("_", " "))
    # A muted microphone is read as a small letter or as a character of another script.
    name = re.sub(r"^(?:[a-zψ]\s+(?=\w)|[\u2e80-\uffef]\s*(?=[A-Za-zÀ-ɏ]))", "", " ".join(name.split()))
    return name if sum(c.isalpha() for c in name) >= 2 else None


def name_key(name: str) -> str:
    """Folded for comparison: case, accents, spaces, punctuation and pronouns do not count."""
    plain = _without_pronouns(name)
    decomposed = unicodedata.normalize("NFKD", plain.casefold().translate(_PLAIN))
    return "".join(c for c in decomposed if c.isalnum())


def _without_pronouns(name: str) -> str:
    brackets = _BRACKETS_AT_THE_END.search(name)
    if brackets is None or brackets.start() == 0:
        return name
    words = [word for word in re.split(r"[\W_]+", brackets[1].casefold()) if word]
    told = bool(words) and (all(word in _PRONOUNS for word in words) or "".join(words) in _PRONOUN_PAIRS)
    return name[: brackets.start()] if told else name


def skeleton(key: str) -> str:
    """A folded name with look-alike letters made one: Iris, lris and 1ris are the same print."""
    return key.translate(_LOOKALIKES).replace("rn", "m").replace("vv", "w")


def edit_distance(first: str, second: str, limit: int = 3) -> int:
    """Letters to insert, delete or replace between two texts; more than the limit counts as limit + 1."""
    if abs(len(first) - len(second)) > limit:
        return limit + 1
    row = list(range(len(second) + 1))
    for i, a in enumerate(first, start=1):
        previous, row[0] = row[0], i
        for j, b in enumerate(second, start=1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (a != b))
    return min(row[-1], limit + 1)
