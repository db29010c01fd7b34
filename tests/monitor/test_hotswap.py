"""Models taken up and refused while others answer: between two looks, and nothing in between."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from export.registry.aliases import roll_back, set_challenger, set_champion, writing
from monitor.bundle import open_bundle
from monitor.errors import BundleError
from monitor.hotswap import Change, FixedModel, FollowedModel
from monitor.registry import Registry
from monitor.rubric import load_rubric
from monitor.schema import UNSURE, Box, Crop, Prediction
from monitor.vlm.bundled import BundledClassifier
from tests.monitor.bundles import SIDE, color_graph, flat, write_bundle
from tests.monitor.models import choose, spoil, write_adapter, write_swappable, write_turned

RUBRIC = load_rubric("attention")
RED, DARK = (0, 0, 255), (100, 100, 110)
LOADED_WITHIN_S = 30.0


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """Adapters that turn the labels of the shipped model, and another bundle."""
    models = tmp_path / "models"
    package = write_swappable(tmp_path / "package")
    write_turned(models / "turn-1", package)
    write_turned(models / "turn-2", package, 2)
    write_swappable(models / "colors-2", model_id="colors-2")
    return models


@pytest.fixture
def followed(models: Path) -> Iterator[FollowedModel]:
    opened = follow(models)
    yield opened
    opened.close()


def follow(models: Path) -> FollowedModel:
    return FollowedModel(Registry(models, shipped=models.parent / "package"), RUBRIC)


def ask(followed: FollowedModel, color_bgr: tuple[int, int, int] = RED, count: int = 1) -> Prediction:
    """What the model says about crops of one colour; all are alike."""
    crops = [Crop(f"c{n}", "s01", 1.0, Box(0, 0, 8, 8), flat(color_bgr)) for n in range(count)]
    return followed.classifier.predict(crops)[-1]


def look_when_loaded(followed: FollowedModel) -> list[Change]:
    """What a look gives that comes when the model which the first one found has been loaded."""
    assert followed.look() == []
    followed.wait(LOADED_WITHIN_S)
    return followed.look()


def test_as_long_as_nobody_chooses_the_shipped_model_answers(followed: FollowedModel) -> None:
    before = followed.classifier
    assert followed.look() == []
    assert followed.classifier is before
    prediction = ask(followed)
    assert (prediction.best, prediction.model_id, prediction.adapter_id) == ("screen", "colors-1", None)


def test_an_adapter_answers_from_the_next_look_on(followed: FollowedModel, models: Path) -> None:
    choose(models, "turn-1")
    assert ask(followed).best == "screen", "nothing changes before the look"
    (change,) = followed.look()
    assert (change.alias, change.model, change.refused) == ("champion", "colors-1 with turn-1", "")
    prediction = ask(followed)
    assert (prediction.best, prediction.model_id, prediction.adapter_id) == ("paper", "colors-1", "turn-1")
    assert followed.look() == []


def test_an_adapter_brings_its_threshold(followed: FollowedModel, models: Path) -> None:
    assert ask(followed, DARK).label == UNSURE
    choose(models, "turn-1")
    followed.look()
    assert ask(followed, DARK).label == "paper", "0.4 instead of 0.6"


def test_back_and_forth_each_choice_counts(followed: FollowedModel, models: Path) -> None:
    for model_id, best in [("turn-1", "paper"), ("turn-2", "wander"), ("shipped", "screen"), ("turn-1", "paper")]:
        choose(models, model_id)
        assert [change.refused for change in followed.look()] == [""]
        assert ask(followed).best == best
    (models / "champion.json").unlink()
    followed.look()
    assert ask(followed).best == "screen"


def test_another_model_is_loaded_aside_and_the_old_one_answers_until_then(
    followed: FollowedModel, models: Path
) -> None:
    choose(models, "colors-2")
    assert followed.look() == []
    assert ask(followed).model_id == "colors-1"
    followed.wait(LOADED_WITHIN_S)
    assert ask(followed).model_id == "colors-1", "loaded is not yet taken"
    (change,) = followed.look()
    assert change.model == "colors-2"
    assert change.held_up_ms < change.ready_ms
    assert ask(followed).model_id == "colors-2"


def test_of_two_choices_while_one_is_loaded_the_later_counts(followed: FollowedModel, models: Path) -> None:
    write_swappable(models / "colors-3", model_id="colors-3")
    choose(models, "colors-2")
    followed.look()
    choose(models, "colors-3")
    (change,) = look_when_loaded(followed)
    assert change.model == "colors-3"
    assert ask(followed).model_id == "colors-3"


def test_an_adapter_of_another_model_comes_with_it(followed: FollowedModel, models: Path) -> None:
    write_turned(models / "turn-9", models / "colors-2")
    choose(models, "turn-9")
    (change,) = look_when_loaded(followed)
    assert change.model == "colors-2 with turn-9"
    assert ask(followed).best == "paper"


SPOILT: dict[str, tuple[Callable[[Path], object], str]] = {
    "one byte": (lambda models: spoil(turned(models) / "adapter.onnx_adapter"), r"onnx_adapter: changed or damaged"),
    "no weights": (lambda models: (turned(models) / "adapter.onnx_adapter").unlink(), "none readable"),
    "half a manifest": (
        lambda models: (turned(models) / "manifest.json").write_bytes(b'{"kind": "ad'),
        "cannot be read",
    ),
    "nothing at all": (lambda models: None, "found none readable"),
    "other bytes": (lambda models: write_adapter(models / "bad", package(models), b"no weights"), "cannot take it up"),
    "other tensors": (lambda models: turned(models, tensors={"text.0.qkv.lora_A": [3, 3]}), "not as its manifest says"),
    "not numbers": (lambda models: turned(models, strength=float("nan")), "no number"),
    "other files of the base": (lambda models: turned(models, base_files={"vision.onnx": "0" * 64}), "other files of"),
    "no base": (lambda models: turned(models, base_model_id="colors-9"), "another model"),
    "another rubric": (lambda models: turned(models, rubrics=other_words(models)), "question changed"),
}


@pytest.mark.parametrize("case", SPOILT)
def test_a_spoilt_adapter_is_refused_once_and_the_model_stays(case: str, followed: FollowedModel, models: Path) -> None:
    choose(models, "turn-1")
    followed.look()
    make, message = SPOILT[case]
    make(models)
    choose(models, "bad")
    before = followed.classifier
    (change,) = [*followed.look(), *look_again(followed)]
    assert change.model == "colors-1 with turn-1"
    assert change.line == f"champion refused, colors-1 with turn-1 goes on: {change.refused}"
    assert re.search(message, change.refused)
    assert (followed.classifier is before, ask(followed).best) == (True, "paper")
    assert followed.look() == [], "told once"
    assert followed.notice.startswith("new champion refused: ")
    choose(models, "turn-2")
    assert [change.refused for change in followed.look()] == [""]
    assert (followed.notice, ask(followed).best) == ("", "wander")


@pytest.mark.parametrize("graph", [b"no graph", color_graph(SIDE + 1)], ids=["no graph", "another size of picture"])
def test_a_spoilt_bundle_is_refused_when_it_was_tried(graph: bytes, followed: FollowedModel, models: Path) -> None:
    write_bundle(models / "bad", graph, model_id="bad")
    choose(models, "bad")
    (change,) = look_when_loaded(followed)
    assert change.refused
    assert ask(followed).model_id == "colors-1"
    choose(models, "turn-1")
    followed.look()
    assert ask(followed).best == "paper", "another choice is taken up all the same"


def test_what_the_dashboard_tells_is_short(followed: FollowedModel, models: Path) -> None:
    spoil(turned(models) / "adapter.onnx_adapter")
    choose(models, "bad")
    followed.look()
    assert followed.notice.startswith(f"new champion refused: bad{os.sep}adapter.onnx_adapter: changed or damaged: ")
    assert "Export" not in followed.notice


def test_a_lecture_does_not_begin_with_a_champion_that_cannot_run(models: Path) -> None:
    choose(models, "turn-1")
    spoil(models / "turn-1" / "adapter.onnx_adapter")
    with pytest.raises(BundleError, match="changed or damaged"):
        follow(models)


def test_a_challenger_is_asked_beside_and_its_answer_is_no_label(followed: FollowedModel, models: Path) -> None:
    choose(models, "turn-1", alias="challenger")
    (change,) = followed.look()
    assert (change.alias, change.model) == ("challenger", "colors-1 with turn-1")
    prediction = ask(followed, count=3)
    assert (prediction.label, prediction.adapter_id, prediction.crop_id) == ("screen", None, "c2")
    assert prediction.shadow is not None
    assert (prediction.shadow.best, prediction.shadow.adapter_id) == ("paper", "turn-1")
    (models / "challenger.json").unlink()
    assert [change.model for change in followed.look()] == [""]
    assert ask(followed).shadow is None


def test_a_challenger_may_be_another_model_and_see_for_itself(followed: FollowedModel, models: Path) -> None:
    write_bundle(models / "whole-3", color_graph(scale=-16.0), model_id="whole-3")
    choose(models, "whole-3", alias="challenger")
    look_when_loaded(followed)
    prediction = ask(followed)
    assert prediction.shadow is not None
    assert (prediction.best, prediction.shadow.best, prediction.shadow.model_id) == ("screen", "paper", "whole-3")


def test_a_challenger_that_is_promoted_is_asked_once(followed: FollowedModel, models: Path) -> None:
    choose(models, "turn-1", alias="challenger")
    choose(models, "turn-1")
    assert len(followed.look()) == 2
    assert (ask(followed).best, ask(followed).shadow) == ("paper", None)


def test_a_challenger_that_cannot_run_is_told_when_the_lecture_begins(models: Path) -> None:
    choose(models, "turn-1", alias="challenger")
    spoil(models / "turn-1" / "adapter.onnx_adapter")
    followed = follow(models)
    (change,) = followed.look()
    assert change.line.startswith("challenger refused, the lecture goes on without one: ")
    assert (ask(followed).best, ask(followed).shadow, followed.look()) == ("screen", None, [])


def test_a_challenger_that_fails_costs_the_lecture_nothing(followed: FollowedModel, models: Path) -> None:
    write_swappable(models / "lonely", batch=1, model_id="lonely")  # one crop is fine, as in the trial
    choose(models, "lonely", alias="challenger")
    look_when_loaded(followed)
    assert ask(followed).shadow is not None
    assert (ask(followed, count=2).best, ask(followed, count=2).shadow) == ("screen", None)
    assert followed.notice.startswith("challenger failed and is not asked any more: ")
    assert ask(followed).shadow is None


def test_what_the_writer_of_the_registry_does_is_followed(followed: FollowedModel, models: Path) -> None:
    registry = Registry(models, shipped=package(models))
    with writing(registry) as held:
        set_challenger(held, held.entry("turn-1"), by="ada", reason="")
        set_champion(held, held.entry("turn-2"), by="ada", reason="better")
    assert [change.refused for change in followed.look()] == ["", ""]
    prediction = ask(followed)
    assert prediction.shadow is not None
    assert (prediction.best, prediction.shadow.best) == ("wander", "paper")
    with writing(registry) as held:
        set_champion(held, held.entry("turn-1"), by="ada", reason="better still")
    followed.look()
    assert (ask(followed).best, ask(followed).shadow) == ("paper", None), "who is champion is no challenger any more"
    for expected in ("wander", "screen"):
        with writing(registry) as held:
            roll_back(held, by="ada", reason="")
        assert [change.refused for change in followed.look()] == [""]
        assert ask(followed).best == expected


def test_a_bundle_given_by_hand_stays(models: Path) -> None:
    fixed = FixedModel(BundledClassifier(open_bundle(models / "colors-2"), RUBRIC))
    choose(models, "turn-1")
    assert fixed.look() == []
    assert (fixed.classifier.model_id, fixed.notice) == ("colors-2", "")
    fixed.close()


def package(models: Path) -> Path:
    return models.parent / "package"


def turned(models: Path, **changes: Any) -> Path:
    """An adapter called "bad", as good as any but for the changes."""
    return write_turned(models / "bad", package(models), 1, **changes)


def other_words(models: Path) -> dict[str, Any]:
    """What an adapter says of a rubric whose question changed since."""
    manifest = json.loads((models / "turn-1" / "manifest.json").read_text(encoding="utf-8"))
    return {"attention": {**manifest["rubrics"]["attention"], "question": "Who is there?"}}


def look_again(followed: FollowedModel) -> list[Change]:
    """What a later look gives, where the first one found something to load."""
    followed.wait(LOADED_WITHIN_S)
    return followed.look()
