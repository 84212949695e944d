"""`aligngemini train gamma`, through the command a user types."""

import dataclasses

import pytest
import yaml
from fixtures.drawn import png, texture
from fixtures.manipulated import gamma_recipe, write_set

from aligngemini.cli import main
from aligngemini.models.small_backbone import SmallConfig
from aligngemini.runtimes.folder import open_folder
from aligngemini.training.gamma_recipe import RECIPES, load_gamma_recipe
from aligngemini.training.recipe import recipe_names


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    return write_set(tmp_path_factory.mktemp("set"), 2, val=1)


@pytest.fixture
def recipe(tmp_path):
    """Writes a tiny recipe, with changes; gives its path."""

    def write(**changes):
        values = dataclasses.asdict(gamma_recipe(steps=2))
        path = tmp_path / "recipe.yaml"
        path.write_text(yaml.safe_dump({**plain(values), **changes}))
        return path

    return write


def plain(values):
    if isinstance(values, dict):
        return {key: plain(value) for key, value in values.items()}
    return list(values) if isinstance(values, tuple) else values


@pytest.fixture
def train(capfd, tmp_path):
    """Runs the command; gives code, standard output and standard error."""

    def train(manifest, recipe, *options):
        arguments = ["--recipe", recipe, "--manifest", manifest, "--out", tmp_path / "m"]
        command = ["train", "gamma", *arguments, "--workers", "0", *options]
        code = main([str(part) for part in command])
        return code, *capfd.readouterr()

    return train


def test_a_model_folder_and_one_line_about_it(train, manifest, recipe, tmp_path):
    code, out, _ = train(manifest, recipe(), "--steps", "1", "--seed", "5", "--batch-size", "3")
    assert code == 0
    model = open_folder(tmp_path / "m")
    card = tmp_path / "m" / "card.md"
    assert out == f"{tmp_path / 'm'}: {model.fingerprint}; the measured figures are in {card}\n"
    shown = yaml.safe_load(card.read_text().partition("```yaml\n")[2].partition("```")[0])
    assert (shown["steps"], shown["seed"], shown["batch_size"]) == (1, 5, 3)
    again = tmp_path / "again.yaml"
    again.write_text(yaml.safe_dump(shown))
    assert load_gamma_recipe(str(again)).steps == 1  # a card's recipe can be given again


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_that_ship(name):
    recipe = load_gamma_recipe(name)
    assert recipe.heads == ("generated", "moved")
    assert recipe.reverse_attention
    assert name not in recipe_names()  # those are the pixel experts'
    if name == "gamma-compact":
        assert isinstance(recipe.small, SmallConfig)
        assert recipe.moved_is_fake
    else:
        assert recipe.backbone == "dinov2-large"
        assert not recipe.moved_is_fake
        assert recipe.tile_size % 28 == 0  # patches of 14, cells of 4


def test_help_teaches(capsys):
    assert main(["train", "gamma"]) == 2
    help_text = capsys.readouterr().out
    for word in (*RECIPES, "manipulation-set", "exit codes", "examples"):
        assert word in help_text


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--backbone", "dinov2-small"], "give one of backbone, backbone_config and small"),
        (["--seed", "-1"], "seed must not be below 0"),
        (["--manifest", "missing.csv"], "no manifest at missing.csv"),
        (["--recipe", "nonesuch"], "no recipe 'nonesuch'; known: gamma-compact, gamma-genimage"),
    ],
)
def test_wrong_use_is_exit_code_2_and_said(train, manifest, recipe, options, said):
    code, out, err = train(manifest, recipe(), *options)
    assert (code, out) == (2, "")
    assert said in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"stpes": 3}, "unknown setting stpes"),
        ({"train": "lora"}, "train: lora needs the settings lora"),
        ({"train": "head"}, "the small backbone starts from random weights"),
        ({"mean": [0.5, 0.5, 0.5]}, "the small backbone needs mean [0, 0, 0]"),
        ({"heads": ["foreign"]}, "head 'foreign'; known: generated, moved"),
        ({"heads": []}, "reverse_attention needs one of the heads"),
        ({"deliveries": ["fax"]}, "delivery 'fax'; known: as is"),
        ({"tile_size": 63}, "tile_size 63 is no multiple of map_stride 4"),
        ({"overlap": 40}, "overlap 40 must be a multiple of map_stride"),
        ({"loss": {"image": 0.0}}, "loss weights must not be below 0"),
        ({"crops": {"aim": 2.0}}, "aim and min_share must lie between 0 and 1"),
        ({"warmup": 1.0}, "warmup is a share"),
        ({"stages": [{"steps": 1, "side": 30}]}, "sides of stages must be multiples of map_stride"),
    ],
)
def test_recipes_that_do_not_fit_are_said(train, manifest, recipe, changes, said):
    code, _, err = train(manifest, recipe(**changes))
    assert code == 2
    assert f"recipe.yaml': {said}" in err
    assert len(err.splitlines()) == 1


def test_a_mask_of_another_size_ends_the_run_in_one_sentence(train, recipe, tmp_path):
    manifest = write_set(tmp_path / "set", 2, kinds=("vae-region",))
    for k in range(2):
        (tmp_path / "set" / f"mask-vae-region-{k}.png").write_bytes(png(texture(50, 50)))
    code, _, err = train(manifest, recipe())
    assert code == 2
    last = err.splitlines()[-1]
    assert last.startswith("aligngemini train gamma: the mask ")
    assert "has 50 x 50 pixels and its image 96 x 96" in last
    assert not (tmp_path / "m").exists()


def test_a_picture_that_cannot_be_read_is_named_from_a_loader_process_too(train, recipe, tmp_path):
    manifest = write_set(tmp_path / "set", 1, kinds=("none",))
    (tmp_path / "set" / "none-0.png").write_bytes(b"no picture")
    code, _, err = train(manifest, recipe(), "--workers", "1")
    assert code == 2
    last = err.splitlines()[-1]
    assert last.startswith(f"aligngemini train gamma: {tmp_path / 'set' / 'none-0.png'} cannot be ")
    assert "Traceback" not in err


def test_a_missing_file_is_said_before_anything_is_trained(train, recipe, tmp_path):
    manifest = write_set(tmp_path / "set", 2)
    (tmp_path / "set" / "splice-1.png").unlink()
    code, _, err = train(manifest, recipe())
    assert code == 2
    assert "1 files of the manifest do not exist" in err
    assert len(err.splitlines()) == 1


def test_a_missing_backbone_is_one_sentence(train, manifest, recipe, tmp_path):
    where = tmp_path / "nowhere"
    path = recipe(small=None, backbone=str(where), mean=[0.5] * 3)
    code, _, err = train(manifest, path)
    assert code == 2
    assert f"cannot open the backbone {where}: " in err
    assert len(err.splitlines()) == 1
