"""`aligngemini models`, from the command line to the store and back."""

import io
import json
import sys

import pytest
from fixtures.dda_reference import DdaReference, save_checkpoint
from fixtures.experts import expert_folder

from aligngemini.cli import main
from aligngemini.runtimes.folder import open_folder
from aligngemini.runtimes.published import PUBLISHED

pytest_plugins = ["fixtures.hub_client"]


@pytest.fixture
def say(capsys, home):
    def say(*arguments):
        capsys.readouterr()
        try:
            code = main(["models", *map(str, arguments)])
        except SystemExit as end:
            code = end.code
        return (code, *capsys.readouterr())

    return say


@pytest.fixture
def checkpoint(tmp_path):
    return save_checkpoint(tmp_path / "DDA_ckpt.pth", DdaReference(depth=1))


def test_a_checkpoint_is_imported_listed_shown_and_removed(say, checkpoint, home):
    code, out, _ = say("import", checkpoint, "--name", "mine", "--threshold", "0.7", "--no-onnx")
    assert code == 0
    model = open_folder("mine")
    assert out == f"{home / 'mine'}: {model.fingerprint}; use it with --pixel mine\n"
    assert model.calibration.threshold == 0.7

    listed = {entry["name"]: entry for entry in json.loads(say("list", "--json")[1])}
    states = [entry["state"] for entry in listed.values()]
    assert states == ["ships", "ships", "installed", "to pull"]
    assert listed["mine"]["fingerprint"] == model.fingerprint
    names = [line.split()[0] for line in say("list")[1].splitlines()]
    assert names == ["compact", "gamma-compact", "mine", "dda"]

    facts = json.loads(say("show", "mine", "--json")[1])
    assert facts["source"]["sha256"] == model.source.sha256
    assert facts["engines"] == ["pytorch"]
    shown = say("show", home / "mine")[1]
    for word in (model.fingerprint, model.source.sha256, "center-crop", "fake from 0.7 up"):
        assert word in shown

    assert say("remove", "mine", "--yes")[:2] == (0, f"removed {home / 'mine'}\n")
    assert list(home.iterdir()) == []


def test_an_import_is_exported_too(say, checkpoint, tmp_path):
    assert say("import", checkpoint, "--out", tmp_path / "model")[0] == 0
    model = open_folder(tmp_path / "model")
    assert model.onnx is not None
    assert model.safetensors is not None


def test_a_model_is_pulled_and_pushed(say, hub, checkpoint, home, tmp_path):
    published = PUBLISHED["dda"]
    hub.repos[published.repo] = {published.file: checkpoint.read_bytes()}
    code, out, _ = say("pull", "dda", "--no-onnx")
    assert (code, out.startswith(f"{home / 'dda'}: ")) == (0, True)
    assert published.repo in say("show", "dda")[1]
    code, out, _ = say("push", expert_folder(tmp_path / "mine"), "me/mine", "--private")
    assert (code, "me/mine/commit/" in out) == (0, True)
    assert say("pull", "me/mine", "--name", "theirs", "--no-onnx")[0] == 0
    assert open_folder("theirs").source.repo == "me/mine"


@pytest.mark.parametrize(("answer", "removed"), [("y\n", True), ("\n", False), (None, False)])
def test_removing_asks_first(say, home, monkeypatch, answer, removed):
    expert_folder(home / "mine")
    stdin = io.StringIO(answer)
    stdin.isatty = lambda: answer is not None
    monkeypatch.setattr(sys, "stdin", stdin)
    code, _, err = say("remove", "mine")
    assert (code == 0) == removed
    assert (home / "mine").exists() != removed
    assert "remove " in err


def test_a_changed_file_is_found_when_shown(say, home):
    expert_folder(home / "mine")
    settings = home / "mine" / "calibration.json"
    settings.write_text(settings.read_text() + "\n")
    code, out, err = say("show", "mine")
    assert (code, out) == (2, "")
    assert "calibration.json does not match hashes.json" in err
    (home / "mine" / "hashes.json").write_text("{}")
    listed = {entry["name"]: entry["state"] for entry in json.loads(say("list", "--json")[1])}
    assert listed["mine"] == "damaged"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], ""),
        (["frob"], "frob"),
        (["show"], "NAME|DIR"),
        (["show", "nonesuch"], "no model named or at nonesuch"),
        (["show", "dda"], "aligngemini models pull dda"),
        (["pull", "nonesuch"], "known: dda, or OWNER/NAME"),
        (["import", "{tmp}/missing.pth", "--name", "mine"], "cannot read"),
        (["import", "{tmp}/missing.pth"], "--name --out"),
        (["import", "{tmp}/a.txt", "--name", "mine"], "no PyTorch checkpoint"),
        (["import", "{tmp}/a.txt", "--name", "compact"], "choose another name"),
        (["import", "{tmp}/a.txt", "--name", "mine", "--threshold", "2"], "between 0 and 1"),
        (["import", "{tmp}/a.txt", "--name", "mine", "--lora-alpha", "nan"], "above 0"),
        (["remove", "compact"], "ships"),
        (["remove", "nonesuch"], "installed: none"),
        (["push", "{tmp}", "me/mine"], "hashes.json"),
    ],
)
def test_wrong_use_is_exit_code_2_and_one_sentence(say, tmp_path, arguments, said):
    (tmp_path / "a.txt").write_text("no model")
    code, _, err = say(*(argument.format(tmp=tmp_path) for argument in arguments))
    assert code == 2
    assert said in err
    assert "Traceback" not in err
    assert len(err.splitlines()) <= 2


@pytest.mark.parametrize("command", ["list", "show", "pull", "import", "remove", "push"])
def test_help_of_each_command_has_an_example(say, command):
    code, out, _ = say(command, "--help")
    assert code == 0
    assert f"\n  aligngemini models {command}" in out
    assert max(map(len, out.splitlines())) <= 82
