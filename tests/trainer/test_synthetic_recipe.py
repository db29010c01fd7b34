"""Recipes: the shipped ones can be read, and a wrong one is refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.errors import BadInputError
from trainer.synthetic.recipe import RECIPES, Recipe, read_recipe


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_shipped_recipes_are_whole(path: Path) -> None:
    recipe = read_recipe(path.stem)
    assert recipe.name == path.stem
    # A frozen recipe names every value, so that a new default cannot change it.
    named = {line.split(" = ")[0] for line in path.read_text(encoding="utf-8").splitlines() if " = " in line}
    first = list(recipe.as_dict())[: list(recipe.as_dict()).index("things")]
    assert set(first) <= named <= set(recipe.as_dict())


def test_later_keys_are_off_where_a_recipe_does_not_name_them() -> None:
    assert not Recipe(name="plain").has_extras
    assert not any(read_recipe(name).has_extras for name in ("train", "heldout", "hard"))
    assert read_recipe("train2").has_extras


def test_an_unknown_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("blink = 0.1\nsun_glasses = 0.2\n", encoding="utf-8")
    with pytest.raises(BadInputError, match=r"unknown key 'sun_glasses'.*sunglasses"):
        read_recipe(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ambiguous = 0.3", "ambiguous"),
        ("classes = [0.5, 0.5]", "three shares"),
        ("frame_scale = [2.0, 1.0]", "least, most"),
        ('blink = "often"', "`blink` must be float"),
        ("blink = ", "not valid TOML"),
    ],
)
def test_a_wrong_value_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadInputError, match=message):
        read_recipe(path)


def test_a_missing_recipe_names_the_known_ones() -> None:
    with pytest.raises(BadInputError, match=r"hard, .*heldout, .*train"):
        read_recipe("nightmare")


def test_defaults_are_a_recipe() -> None:
    assert Recipe(name="plain").size_px == 128
