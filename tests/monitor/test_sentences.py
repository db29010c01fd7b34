"""The grammar of explanations: whatever it can say claims the label it was built for, and no other."""

import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.rubric import Label, Rubric, load_rubric
from monitor.vlm.prompt import gaze_phrases
from monitor.vlm.sentences import (
    Choice,
    Perhaps,
    Row,
    Text,
    as_lark,
    as_pattern,
    compose,
    labels_of,
    longest,
    sentences,
)

ATTENTION = load_rubric("attention")
ENGAGENET = load_rubric("engagenet", research=True)


def draw(text: Text, rng: random.Random) -> str:
    """Any sentence of a grammar."""
    match text:
        case str():
            return text
        case Choice(options):
            return draw(rng.choice(options), rng)
        case Row(parts):
            return "".join(draw(part, rng) for part in parts)
        case Perhaps(part):
            return draw(part, rng) if rng.random() < 0.5 else ""


@st.composite
def rubrics(draw_from: st.DrawFn) -> Rubric:
    """Rubrics with awkward phrases: separators, doubts, other labels' words, paraphrases that others use too."""
    words = st.lists(
        st.sampled_from(
            ["at paper", "not", "or", "perhaps", "Perhaps ", "also", ",", ";", ".", "x", "Ü", "a.b", "\\d"]
        ),
        min_size=1,
        max_size=3,
    ).map(" ".join)
    phrases = draw_from(st.lists(words.filter(str.strip), min_size=2, max_size=5, unique_by=str.casefold))
    labels = tuple(
        Label(f"l{number}", phrase, "seen", "#000000", tuple(draw_from(st.lists(words, max_size=2))))
        for number, phrase in enumerate(phrases)
    )
    return Rubric("odd", "odd", draw_from(st.sampled_from(["behaviour", "affect"])), "what?", labels)


@settings(max_examples=150, deadline=None)
@given(rubrics(), st.booleans(), st.randoms(use_true_random=False))
def test_a_sentence_claims_its_label_alone(rubric: Rubric, sure: bool, rng: random.Random) -> None:
    label = rng.choice(rubric.labels)
    grammar = sentences(rubric, label.name, sure=sure)
    sentence = draw(grammar, rng)
    assert re.fullmatch(as_pattern(grammar), sentence)
    assert labels_of(sentence, rubric) == [label.name]
    assert len(sentence.encode()) <= longest(grammar)


@settings(max_examples=100, deadline=None)
@given(rubrics(), st.booleans(), st.randoms(use_true_random=False))
def test_what_is_composed_of_answers_is_a_sentence_of_the_grammar(
    rubric: Rubric, sure: bool, rng: random.Random
) -> None:
    label = rng.choice(rubric.labels)
    others = [other.phrase for other in rubric.labels if other is not label]
    rng.shuffle(others)
    admitted = others[: rng.randint(0, 1)]
    denied = others[len(admitted) :][: rng.randint(0, 1 if admitted else 2)]
    gaze = rng.choice([None, *gaze_phrases()])
    sentence = compose(rubric, label.name, sure=sure, denied=denied, admitted=admitted, gaze=gaze)
    assert re.fullmatch(as_pattern(sentences(rubric, label.name, sure=sure)), sentence)


def test_sentences_read_well() -> None:
    said = compose(ATTENTION, "paper", denied=["elsewhere", "at the screen"], gaze="far down")
    assert said == "At paper, not at the screen or elsewhere; in the picture the gaze goes far down."
    said = compose(ATTENTION, "paper", sure=False, denied=["at the screen"], admitted=["elsewhere"])
    assert said == "Perhaps at paper, not at the screen, perhaps also elsewhere."
    assert compose(ENGAGENET, "Engaged", gaze="up") == "Engaged."  # a direction says nothing of an inner state


@pytest.mark.parametrize(
    "sentence", ["", "At the moon.", "At paper", "At paper, not at paper.", "At the screen or at paper."]
)
def test_anything_else_is_no_explanation(sentence: str) -> None:
    assert labels_of(sentence, ATTENTION) == []


def test_a_paraphrase_may_be_said_where_it_is_the_labels_own() -> None:
    assert labels_of("Down at the desk, not elsewhere.", ATTENTION) == ["paper"]
    shared = Rubric(
        "r", "r", "behaviour", "?",
        (Label("a", "one", "", "#000000", ("both",)), Label("b", "two", "", "#000000", ("both", "second"))),
    )  # fmt: skip
    assert labels_of("Both.", shared) == []
    assert labels_of("Second.", shared) == ["b"]


def test_the_grammar_is_one_that_llguidance_takes() -> None:
    from llguidance import LLMatcher

    for rubric in (ATTENTION, ENGAGENET):
        for name in rubric.names:
            lark = as_lark(sentences(rubric, name), lead=" ")
            assert LLMatcher.validate_grammar(LLMatcher.grammar_from_lark(lark)) == ""
