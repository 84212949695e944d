"""`aligngemini train pixel` on pairs, through the command a user types."""

import dataclasses
import json
import subprocess
import sys

import pytest
import yaml
from fixtures.drawn import png, texture
from fixtures.pairs import expert_recipe, write_pairs

from aligngemini.cli import main
from aligngemini.runtimes.folder import open_folder
from aligngemini.training.recipe import load_recipe


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    return write_pairs(tmp_path_factory.mktemp("pairs"), 6, val=4)


@pytest.fixture
def recipe(tmp_path):
    """Writes a recipe of a tiny expert, with changes; gives its path."""

    def write(**changes):
        values = {"kind": "expert", **dataclasses.asdict(expert_recipe(steps=2)), **changes}
        path = tmp_path / "recipe.yaml"
        path.write_text(yaml.safe_dump(values))
        return path

    return write


@pytest.fixture
def train(capfd, tmp_path):
    """Runs the command; gives code, standard output and standard error."""

    def train(manifest, recipe, *options):
        arguments = ["--recipe", recipe, "--manifest", manifest, "--out", tmp_path / "m"]
        command = ["train", "pixel", *arguments, "--workers", "0", *options]
        code = main([str(part) for part in command])
        return code, *capfd.readouterr()

    return train


def test_a_model_folder_and_one_line_about_it(train, manifest, recipe, tmp_path):
    code, out, log = train(manifest, recipe())
    assert code == 0
    assert "  not measured: photos called fake (4 photos held out" in log
    model = open_folder(tmp_path / "m")
    card = tmp_path / "m" / "card.md"
    assert out == f"{tmp_path / 'm'}: {model.fingerprint}; the measured figures are in {card}\n"
    assert (
        main(["detect", "--pixel", str(tmp_path / "m"), str(manifest.parent / "real-0.png")]) == 0
    )


def test_options_replace_the_recipes(train, manifest, recipe, tmp_path):
    backbone = tmp_path / "backbone"
    assert train(manifest, recipe(), "--steps", "1", "--seed", "5", "--batch-size", "3")[0] == 0
    card = (tmp_path / "m" / "card.md").read_text()
    shown = yaml.safe_load(card.partition("```yaml\n")[2].partition("```")[0])
    assert (shown["steps"], shown["seed"], shown["batch_size"]) == (1, 5, 3)
    code, _, err = train(
        manifest,
        recipe(backbone_config=None, backbone="x"),
        "--backbone",
        backbone,
        "--out",
        tmp_path / "other",
    )
    assert code == 2
    assert f"cannot open the backbone {backbone}" in err


@pytest.mark.parametrize(
    ("name", "crop", "threshold", "trained"),
    [
        ("aligngemini-sd21", 336, 0.5, "lora"),
        ("aligngemini-flux", 224, 0.98, "lora"),
        ("dda", 336, 0.5, "lora"),
        ("linear-probe", 336, 0.5, "head"),
    ],
)
def test_recipes_that_ship(name, crop, threshold, trained):
    recipe = load_recipe(name)
    assert (recipe.crop_size, recipe.threshold, recipe.train) == (crop, threshold, trained)
    assert recipe.backbone == "dinov2-large"
    if trained == "lora":
        assert (recipe.lora.rank, recipe.lora.alpha, recipe.learning_rate) == (8, 1, 1e-4)


def test_a_missing_backbone_is_one_sentence_offline(train, manifest, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    code, out, err = train(manifest, "linear-probe")
    assert (code, out) == (2, "")
    (line,) = err.splitlines()
    assert line.startswith("aligngemini train: cannot open the backbone facebook/dinov2-large: ")
    assert "give --backbone a folder with its config.json and model.safetensors" in line


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--backbone", "dinov2-small"], "give one of backbone and backbone_config"),
        (["--seed", "-1"], "seed must not be below 0"),
        (["--manifest", "missing.csv"], "no manifest at missing.csv"),
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
        ({"kind": "nonesuch"}, "kind 'nonesuch'; known: compact, expert"),
        ({"stpes": 3}, "unknown setting stpes"),
        ({"train": "lora"}, "train: lora needs the settings lora"),
        ({"train": "most"}, "train 'most'; known: lora, head, all"),
        ({"schedule": "linear"}, "schedule 'linear'; known: cosine, cosine-periodic"),
        ({"backbone_config": {"hidden_size": 32}}, "backbone_config needs model_type"),
        ({"backbone_config": None}, "give one of backbone and backbone_config"),
        ({"bce": 0.0}, "bce must be above 0"),
        ({"threshold": 1.0}, "threshold must lie between 0 and 1"),
        ({"pairs": {"alignment": {"blend": 2.0}}}, "blend 2.0 is not between 0 and 1"),
        ({"pairs": {"rescaling": {"dwn": [0.2, 1.0]}}}, "unknown setting pairs.rescaling.dwn"),
    ],
)
def test_recipes_that_do_not_fit_are_said(train, manifest, recipe, changes, said):
    code, _, err = train(manifest, recipe(**changes))
    assert code == 2
    assert f"recipe.yaml': {said}" in err
    assert len(err.splitlines()) == 1


def test_sizes_that_differ_end_the_run_with_both_files(train, recipe, tmp_path):
    manifest = write_pairs(tmp_path / "set", 1)
    (tmp_path / "set" / "fake-0.png").write_bytes(png(texture(96, 80)))
    code, _, err = train(manifest, recipe())
    assert code == 2
    assert "real-0.png has 96 x 96 pixels and its reconstruction" in err.splitlines()[-1]
    assert not (tmp_path / "m").exists()


def test_a_full_disk_is_said_and_leaves_no_model(train, manifest, recipe, tmp_path):
    (tmp_path / "m-work").mkdir()
    (tmp_path / "m-work" / "trained").write_text("a file where a folder has to be")
    code, _, err = train(manifest, recipe())
    assert code == 2
    assert "cannot read or write" in err
    assert "Traceback" not in err
    assert not (tmp_path / "m").exists()


def test_processes_under_torchrun_train_one_model_together(manifest, recipe, tmp_path):
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command = ["train", "pixel", "--recipe", recipe(), "--manifest", manifest]
    options = ["--out", tmp_path / "m", "--workers", "0"]
    done = subprocess.run(
        [*launcher, "--nproc_per_node", "2", "--module", "aligngemini", *command, *options],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    model = open_folder(tmp_path / "m")
    assert done.stdout.count(model.fingerprint) == 1
    assert "Trained by 2 processes together" in (tmp_path / "m" / "card.md").read_text()
    metrics = json.loads((tmp_path / "m-work" / "trained" / "metrics.json").read_text())
    assert model.calibration.miss_rate == metrics["miss_rate"]
