import hashlib
import importlib.util
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aligngemini.cli import main
from aligngemini.health import drawings as drawn
from aligngemini.health import goldens, selftest
from aligngemini.health.drawings import drawings
from aligngemini.health.selftest import check_model, run_selftest
from aligngemini.runtimes import folder as folders

REGRESS = Path(__file__).parents[2] / "tools" / "regress.py"


def failed(checks):
    return [check.name for check in checks if not check.passed]


def test_this_installation_answers_as_it_was_released():
    checks = list(run_selftest("cpu"))
    assert failed(checks) == []
    assert {check.group for check in checks} == {
        *("drawing", "model", "format", "bad file", "provenance")
    }


def test_every_model_that_ships_has_recorded_answers():
    recorded = goldens.read_goldens()
    for name in folders.shipped_models():
        folder = folders.open_folder(name)
        assert recorded.answers[f"{folder.name}@{folder.fingerprint}"].keys() == drawings().keys()


def test_drawings_are_made_of_whole_numbers_that_python_agrees_with():
    """The hash, value by value, in Python's own unlimited integers."""

    def by_hand(row, column, seed):
        mixed = (row * 374761393 + column * 668265263 + seed * 2246822519) % 2**32
        mixed = (mixed ^ (mixed >> 15)) * 2246822519 % 2**32
        mixed = (mixed ^ (mixed >> 13)) * 3266489917 % 2**32
        return mixed ^ (mixed >> 16)

    rows, columns = drawn._grid(9, 13)
    expected = [[by_hand(r, c, 41) for c in range(13)] for r in range(9)]
    np.testing.assert_array_equal(drawn._hash(rows, columns, 41), expected)


def test_a_drawing_that_differs_by_one_level_is_found(monkeypatch):
    changed = {**drawings()}
    changed["smooth"] = changed["smooth"].copy()
    changed["smooth"][0, 0, 0] ^= 1
    monkeypatch.setattr(selftest, "drawings", lambda: changed)
    assert "smooth" in failed(selftest._drawings(goldens.read_goldens()))


def test_a_score_beyond_the_tolerance_fails_and_one_within_passes():
    recorded = goldens.read_goldens()
    ((model, answers),) = [
        (model, answers)
        for model, answers in recorded.answers.items()
        if model.startswith("compact-v1@")
    ]
    for shift, expected in ((0.0003, []), (0.004, ["compact: smooth"])):
        moved = replace(answers["smooth"], score=answers["smooth"].score + shift)
        other = replace(recorded, answers={model: {**answers, "smooth": moved}})
        assert failed(check_model("compact", other, "cpu")) == expected


def test_a_damaged_model_is_said_and_ends_nothing(tmp_path, monkeypatch, capsys):
    copy = tmp_path / "compact-v1"
    shutil.copytree(folders.shipped_models()["compact"], copy)
    weights = bytearray((copy / "model.onnx").read_bytes())
    weights[len(weights) // 2] ^= 1
    (copy / "model.onnx").write_bytes(weights)
    for module in (folders, selftest):
        monkeypatch.setattr(module, "shipped_models", lambda: {"compact": copy})
    assert main(["selftest", "--json"]) == 1
    printed = capsys.readouterr()
    (model,) = [one for one in json.loads(printed.out) if not one["passed"]]
    assert model["group"] == "model"
    assert "does not match hashes.json" in model["detail"]
    assert "doctor" in printed.err


def test_a_model_that_was_never_recorded_fails():
    nothing = goldens.Goldens(drawings={}, answers={})
    (check,) = check_model("compact", nothing, "cpu")
    assert not check.passed
    assert "not the model of this release" in check.detail


@pytest.mark.parametrize("name", sorted(selftest.FORMATS))
def test_a_format_that_decodes_to_something_else_is_found(name, monkeypatch):
    true = selftest.decode

    def garbled(data):
        image = true(data)
        return replace(image, pixels=255 - image.pixels)

    monkeypatch.setattr(selftest, "decode", garbled)
    with pytest.raises(ValueError, match="grey levels off"):
        selftest._format(name)


def test_a_broken_file_that_opens_is_found():
    whole = selftest._bad_files()["truncated"]
    assert not selftest._bad_file("empty", whole).passed


def test_drawings_do_not_depend_on_each_other():
    first = {name: hashlib.sha256(pixels).hexdigest() for name, pixels in drawings().items()}
    again = {name: hashlib.sha256(pixels).hexdigest() for name, pixels in drawings().items()}
    assert first == again
    assert len(set(first.values())) == len(first)


@pytest.fixture(scope="module")
def regress():
    spec = importlib.util.spec_from_file_location("regress", REGRESS)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_shipped_models_say_what_they_said_at_the_last_release(regress):
    """The release gate. A change that is meant: python tools/regress.py --accept "why"."""
    record = json.loads(regress.RECORD.read_text())
    found = regress.measure()
    assert regress.compare(record["scores"], found) == []
    assert all(entry["reason"] for entry in record["accepted"])


def test_the_gate_sees_scores_verdicts_models_and_images_that_changed(regress):
    old = {"drawing a | as is": {"verdict": "real", "pixel m@1": 0.5}, "b": {"verdict": "fake"}}
    assert regress.compare(old, old) == []
    moved = {**old, "drawing a | as is": {"verdict": "real", "pixel m@1": 0.502}}
    assert len(regress.compare(old, moved)) == 1
    other = {**old, "drawing a | as is": {"verdict": "fake", "pixel m@2": 0.5}}
    assert len(regress.compare(old, other)) == 3  # the verdict, the old model gone, the new one
    assert regress.compare(old, {})
    assert regress.compare({}, old)
