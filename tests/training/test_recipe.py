"""Recipes: complete, known and of the right kind, or refused with a sentence."""

import pytest
import yaml

from aligngemini.training.recipe import RecipeError, load_recipe, recipe_names


@pytest.fixture
def write(tmp_path):
    """Writes a recipe: the one that ships with changes, a dotted name for an inner setting."""

    def write(**changes):
        from importlib.resources import files

        shipped = files("aligngemini.training").joinpath("recipes/compact.yaml")
        values = yaml.safe_load(shipped.read_text())
        for name, value in changes.items():
            *outer, last = name.split("__")
            inside = values
            for key in outer:
                inside = inside[key]
            if value is None:
                del inside[last]
            else:
                inside[last] = value
        path = tmp_path / "recipe.yaml"
        path.write_text(yaml.safe_dump(values))
        return str(path)

    return write


def test_what_ships_can_be_loaded():
    assert "compact" in recipe_names()
    for name in recipe_names():
        assert load_recipe(name).steps > 0


def test_own_file_is_read_whole(write):
    assert load_recipe(write()) == load_recipe("compact")
    recipe = load_recipe(write(steps=7, native__bands=2, pool__journeys__pair=9))
    assert (recipe.steps, recipe.native.bands, recipe.pool.journeys["pair"]) == (7, 2, 9)
    assert recipe.native.widths == load_recipe("compact").native.widths


def test_overrides_replace_and_none_does_not():
    recipe = load_recipe("compact", steps=5, seed=None)
    assert recipe.steps == 5
    assert recipe.seed == load_recipe("compact").seed


def test_seed_is_that_of_the_pool_too():
    assert load_recipe("compact", seed=11).pool.seed == 11


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stpes": 100}, "unknown setting stpes; known: native, whole, pool"),
        ({"native__width": [3]}, r"unknown setting native\.width"),
        ({"pool__journey": 1}, r"unknown setting pool\.journey"),
        ({"steps": None}, "the setting steps is missing"),
        ({"seed": None}, "the setting seed is missing"),
        ({"whole": None}, "the setting whole is missing"),
        ({"whole__strides": None}, r"the setting whole\.strides is missing"),
        ({"steps": "many"}, "steps must be a whole number, not 'many'"),
        ({"learning_rate": "2e-3"}, "learning_rate must be a finite number, not '2e-3'"),
        ({"native__widths": "wide"}, r"native\.widths must be a list"),
        ({"native__strides": [1, 2]}, "native needs as many strides as widths"),
        ({"whole__widths": [], "whole__strides": []}, "whole needs as many strides as widths"),
        ({"native__bands": 4}, r"native\.bands is 4"),
        ({"pool__journeys__pair": None}, "pool.journeys must say how many for real, fake and pair"),
        ({"pool__crop_size": 100}, "train_crop 128 does not fit"),
        ({"pair_share": 1.5}, "pair_share 1.5 is no share"),
    ],
)
def test_what_does_not_fit_is_said(write, changes, message):
    path = write(**changes)
    with pytest.raises(RecipeError, match=rf"recipe '.*recipe\.yaml': {message}"):
        load_recipe(path)


def test_unknown_override_is_said():
    with pytest.raises(RecipeError, match="unknown setting epochs"):
        load_recipe("compact", epochs=3)


@pytest.mark.parametrize("content", [b"", b"[1, 2]", b"steps: [", b"\x00\x01", b"\xff\xff\xfe"])
def test_file_that_is_no_recipe_is_said(tmp_path, content):
    path = tmp_path / "recipe.yaml"
    path.write_bytes(content)
    with pytest.raises(RecipeError, match=r"recipe\.yaml"):
        load_recipe(str(path))


def test_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(RecipeError, match=r"no recipe 'nonesuch'; known: .*compact"):
        load_recipe("nonesuch")
