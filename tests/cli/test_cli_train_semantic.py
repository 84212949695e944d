"""`aligngemini train semantic`, through the command a user types."""

import dataclasses
import json
import shutil
import subprocess
import sys

import pytest
import yaml
from fixtures.rules import lora_recipe, newborn, write_world

from aligngemini.cli import main
from aligngemini.runtimes.semantic_folder import open_semantic_folder


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return newborn(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_world(tmp_path_factory.mktemp("set") / "world", 8, held_out=4)


@pytest.fixture
def recipe(base, tmp_path):
    """Writes a recipe of a tiny model, with changes; gives its path."""

    def write(**changes):
        values = {**dataclasses.asdict(lora_recipe(base)), "steps": 2, **changes}
        path = tmp_path / f"recipe-{len(list(tmp_path.glob('*.yaml')))}.yaml"
        path.write_text(yaml.safe_dump(values))
        return path

    return write


@pytest.fixture
def train(capfd, tmp_path):
    """Runs the command; gives code, standard output and standard error."""

    def train(data, recipe, *options):
        arguments = ["--recipe", recipe, "--data", data, "--out", tmp_path / "m", *options]
        code = main(["train", "semantic", *(str(part) for part in arguments)])
        return code, *capfd.readouterr()

    return train


def test_a_model_folder_and_one_line_about_it(train, data, recipe, tmp_path, capfd):
    code, out, err = train(data, recipe())
    assert code == 0
    assert "LEAKS" not in err
    model = open_semantic_folder(tmp_path / "m")
    card = tmp_path / "m" / "card.md"
    assert out == f"{tmp_path / 'm'}: {model.fingerprint}; the measured figures are in {card}\n"
    image = str(data / "images/0.png")
    command = ["detect", "--semantic", str(tmp_path / "m"), "--format", "jsonl", image]
    assert main(command) == 0
    record = json.loads(capfd.readouterr().out)
    branch = record["branches"]["semantic"]
    assert branch["model"].endswith(model.fingerprint)
    assert 0 < branch["score"] < 1


def test_a_set_that_leaks_is_warned_of_and_the_card_says_so(train, data, recipe, tmp_path):
    leaky = tmp_path / "leaky"
    shutil.copytree(data, leaky)
    figure = {"value": 0.84, "low": 0.8, "high": 0.88}
    report = {"leaks": True, "balanced_accuracy": figure, "limit": 0.6}
    (leaky / "leakage.json").write_text(json.dumps(report))
    code, _, err = train(leaky, recipe(steps=1))
    assert code == 0
    assert "aligngemini train semantic: THIS SET LEAKS: pixels alone" in err
    card = (tmp_path / "m" / "card.md").read_text()
    assert "- **THIS SET LEAKS: pixels alone tell its classes apart (balanced accuracy 0.84" in card


def test_options_replace_the_recipes(train, data, recipe, base, tmp_path):
    given = recipe(base="no-such-base", steps=50, seed=5)
    code, _, _ = train(data, given, "--base", base, "--steps", 1, "--seed", 7)
    assert code == 0
    card = (tmp_path / "m" / "card.md").read_text()
    assert "steps: 1\n" in card
    assert "seed: 7\n" in card


def test_what_is_wrong_is_one_sentence(train, data, recipe, base, tmp_path):
    (tmp_path / "empty").mkdir()
    for arguments, message in (
        ((tmp_path / "empty", recipe()), "holds no preference pairs"),
        ((data, "nonesuch"), "no recipe 'nonesuch'; known: aligngemini, sft, or a YAML file"),
        ((data, recipe(objective="ppo")), "objective 'ppo'; known: dpo, sft"),
        ((data, recipe(), "--base", tmp_path / "empty"), "cannot open the base model"),
        ((data, recipe(), "--work", base / "config.json"), "cannot read or write"),
    ):
        code, out, err = train(*arguments)
        last = err.strip().splitlines()[-1]
        assert (code, out) == (2, ""), message
        assert last.startswith("aligngemini train semantic: "), err
        assert message in last
        assert "Traceback" not in err
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize("missing", ["--data", "--out"])
def test_what_must_be_given(capsys, missing):
    arguments = {"--data": "set", "--out": "model"}
    del arguments[missing]
    with pytest.raises(SystemExit) as ended:
        main(["train", "semantic", *(part for pair in arguments.items() for part in pair)])
    assert ended.value.code == 2
    assert missing in capsys.readouterr().err


def test_help_needs_no_torch():
    code = (
        "import sys; from aligngemini.cli import main\n"
        "try: main(['train', 'semantic', '--help'])\n"
        "except SystemExit as end: assert end.code == 0\n"
        "assert not {'torch', 'transformers', 'trl'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "aligngemini detect photo.jpg --semantic adapter" in done.stdout
