"""Rubrics: what ships loads, and each broken rule is told with its file and key."""

from pathlib import Path

import pytest

from monitor.errors import RubricError
from monitor.rubric import load_rubric, parse_rubric, shipped_rubrics

GOOD = """
id = "posture"
title = "How students sit"
kind = "behaviour"
question = "How does the student sit?"
[[labels]]
name = "upright"
phrase = "upright"
definition = "The back is straight."
color = "#0072B2"
[[labels]]
name = "bent"
phrase = "bent forward"
definition = "The back is round."
color = "#E69F00"
"""


def test_the_shipped_rubrics_load_with_the_labels_of_their_sources() -> None:
    assert shipped_rubrics() == ["attention", "daisee-engagement", "engagenet"]
    assert load_rubric("attention").names == ("screen", "paper", "wander")
    engagenet = load_rubric("engagenet", research=True)
    assert engagenet.names == ("Not-Engaged", "Barely-engaged", "Engaged", "Highly-Engaged")
    assert len(load_rubric("daisee-engagement", research=True).names) == 4


def test_colours_and_phrases_are_distinct_within_each_shipped_rubric() -> None:
    for name in shipped_rubrics():
        labels = load_rubric(name, research=True).labels
        assert len({label.color for label in labels}) == len(labels)
        assert len({label.phrase for label in labels}) == len(labels)


@pytest.mark.parametrize("name", ["engagenet", "daisee-engagement"])
def test_affect_is_refused_without_research(name: str) -> None:
    with pytest.raises(RubricError, match="--research"):
        load_rubric(name)


def test_a_rubric_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "posture.toml"
    path.write_text(GOOD, encoding="utf-8")
    assert load_rubric(str(path)).label("bent").phrase == "bent forward"


def one_label(text: str) -> str:
    return text[: text.rindex("[[labels]]")]


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (one_label(GOOD), "at least two"),
        (GOOD.replace('name = "bent"', 'name = "upright"'), "more than once"),
        (GOOD.replace('phrase = "bent forward"', 'phrase = "Upright"'), "more than once"),
        (GOOD.replace('question = "How does the student sit?"\n', ""), "'question' must be a text"),
        (GOOD.replace('question = "How does the student sit?"', 'question = " "'), "'question' must be a text"),
        (GOOD.replace('"behaviour"', '"mood"'), 'kind must be "behaviour" or "affect"'),
        (GOOD.replace('name = "bent"', 'name = "unsure"'), "reserved"),
        (GOOD.replace('name = "bent"', 'name = "camera_off"'), "reserved"),
        (GOOD.replace('name = "bent"', 'name = "two words"'), "one word"),
        (GOOD.replace("#E69F00", "orange"), "color must look like"),
        (GOOD.replace("title =", "titel ="), "unknown key 'titel'"),
        (GOOD + "[broken", "not valid TOML"),
        ("", "kind"),
    ],
)
def test_a_broken_rule_is_told_with_its_file(broken: str, words: str) -> None:
    with pytest.raises(RubricError) as refused:
        parse_rubric(broken, where="posture.toml")
    assert "posture.toml" in str(refused.value)
    assert words in str(refused.value)


@pytest.mark.parametrize("name", ["nowhere", "nowhere.toml"])
def test_a_rubric_that_is_not_there_names_those_that_are(name: str) -> None:
    with pytest.raises(RubricError, match=r"nowhere.*attention"):
        load_rubric(name)
