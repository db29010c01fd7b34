"""The sentences that may explain a label: a small grammar made of a rubric's phrases and of directions of gaze.

The grammar is built for one label, the scored one: whatever is said under it claims that label and no other
(`labels_of` reads it back). This file knows no model and no library of grammars.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from monitor.rubric import Label, Rubric
from monitor.vlm.prompt import gaze_phrases

_HEDGE = "Perhaps "
_GAZE = "; in the picture the gaze goes "
_SEPARATORS = re.compile(r"[,;.]")


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several."""

    options: tuple[Text, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One after the other."""

    parts: tuple[Text, ...]


@dataclass(frozen=True, slots=True)
class Perhaps:
    """There or not."""

    part: Text


Text = str | Choice | Row | Perhaps


def sentences(rubric: Rubric, name: str, *, sure: bool = True) -> Text:
    """Every sentence that explains one label.

    Args:
        rubric: whose phrases are said.
        name: of the label that was scored highest.
        sure: whether it was above the threshold; below it each sentence begins with a doubt.
    """
    label = rubric.label(name)
    if not _readable(rubric):
        return Row((capitalised(label.phrase), "."))
    ways = (label.phrase, *_own_paraphrases(rubric, label))
    claim: Text = Choice(tuple(capitalised(way) for way in ways)) if sure else Row((_HEDGE, Choice(ways)))
    parts: list[Text] = [claim, Perhaps(_contrasts([other.phrase for other in rubric.labels if other is not label]))]
    if rubric.kind == "behaviour":
        parts.append(Perhaps(Row((_GAZE, Choice(gaze_phrases())))))
    return Row((*parts, "."))


def compose(
    rubric: Rubric,
    name: str,
    *,
    sure: bool = True,
    denied: Sequence[str] = (),
    admitted: Sequence[str] = (),
    gaze: str | None = None,
) -> str:
    """A sentence of that grammar, from what a model answered to single questions.

    Args:
        rubric: whose phrases are said.
        name: of the label that was scored highest.
        sure: whether it was above the threshold.
        denied: phrases of at most two other labels that it says no to.
        admitted: the phrase of at most one other label that it says yes to, too.
        gaze: one of `gaze_phrases`.
    """
    phrase = rubric.label(name).phrase
    if not _readable(rubric):
        return f"{capitalised(phrase)}."
    said = capitalised(phrase) if sure else f"{_HEDGE}{phrase}"
    if denied:
        ordered = [label.phrase for label in rubric.labels if label.phrase in denied]
        said += f", not {' or '.join(ordered)}"
    if admitted:
        said += f", perhaps also {admitted[0]}"
    if gaze is not None and rubric.kind == "behaviour":
        said += f"{_GAZE}{gaze}"
    return f"{said}."


def labels_of(sentence: str, rubric: Rubric) -> list[str]:
    """Names of all labels that a sentence can explain: exactly one for each sentence of the grammar."""
    return [
        label.name
        for label in rubric.labels
        if any(re.fullmatch(as_pattern(sentences(rubric, label.name, sure=sure)), sentence) for sure in (True, False))
    ]


def as_lark(text: Text, lead: str = "") -> str:
    """A grammar as llguidance reads it; `lead` stands before each sentence."""
    return f"start: {_lark(Row((lead, text)) if lead else text)}\n"


def as_pattern(text: Text) -> str:
    """The same as a regular expression."""
    match text:
        case str():
            return re.escape(text)
        case Choice(options):
            return f"(?:{'|'.join(map(as_pattern, options))})"
        case Row(parts):
            return "".join(map(as_pattern, parts))
        case Perhaps(part):
            return f"(?:{as_pattern(part)})?"


def longest(text: Text) -> int:
    """Bytes of the longest sentence, in UTF-8: no answer takes more tokens."""
    match text:
        case str():
            return len(text.encode())
        case Choice(options):
            return max(map(longest, options))
        case Row(parts):
            return sum(map(longest, parts))
        case Perhaps(part):
            return longest(part)


def capitalised(phrase: str) -> str:
    """As at the beginning of a sentence."""
    return phrase[:1].upper() + phrase[1:]


def _lark(text: Text) -> str:
    match text:
        case str():
            return json.dumps(text, ensure_ascii=False)
        case Choice(options):
            return f"({' | '.join(map(_lark, options))})"
        case Row(parts):
            return " ".join(map(_lark, parts))
        case Perhaps(part):
            return f"({_lark(part)})?"


def _contrasts(others: Sequence[str]) -> Text:
    """Up to two other labels are denied, or one is admitted beside the claim; never the same one both."""
    denied: list[Text] = [f", not {other}" for other in others]
    denied += [f", not {one} or {two}" for at, one in enumerate(others) for two in others[at + 1 :]]
    admitted: list[Text] = [
        Row((Perhaps(Choice(tuple(f", not {one}" for one in others if one != other))), f", perhaps also {other}"))
        if len(others) > 1
        else f", perhaps also {other}"
        for other in others
    ]
    return Choice((*denied, *admitted))


def _own_paraphrases(rubric: Rubric, label: Label) -> tuple[str, ...]:
    """A label's paraphrases that no other label could mean."""
    others = [other for other in rubric.labels if other is not label]
    taken = {text.casefold() for other in others for text in (other.phrase, *other.paraphrases)}
    taken.add(label.phrase.casefold())
    own = dict.fromkeys(text for text in label.paraphrases if text and text.casefold() not in taken)
    return tuple(text for text in own if not _confusing(text))


def _readable(rubric: Rubric) -> bool:
    """Whether phrases can be told from what stands around them; else a sentence is the phrase alone."""
    return not any(_confusing(label.phrase) for label in rubric.labels)


def _confusing(text: str) -> bool:
    return bool(_SEPARATORS.search(text)) or text.casefold().startswith(_HEDGE.casefold())
