"""Model folders: sealed, checked, named by what is in them."""

import json
import shutil

import pytest
from fixtures.models import CALIBRATION, PREPROCESS, brightness_folder

from aligngemini.runtimes.folder import (
    Calibration,
    ModelError,
    open_folder,
    seal_folder,
    shipped_models,
)
from aligngemini.runtimes.preprocess import preprocess_from

PARTS = ("model.onnx", "preprocess.json", "calibration.json")


@pytest.fixture
def folder(tmp_path):
    return brightness_folder(tmp_path / "brightness")


def rewrite(path, **changes):
    """Change settings of a JSON file; None takes one away."""
    values = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({k: v for k, v in values.items() if v is not None}))


def test_opened_folder_is_what_was_sealed(folder):
    model = open_folder(folder)
    assert model.name == "brightness"
    assert model.fingerprint == seal_folder(folder)
    assert model.preprocess == preprocess_from(PREPROCESS)
    assert model.calibration == Calibration(**CALIBRATION)
    assert model.onnx.is_file()
    assert open_folder(str(folder)) == model


def test_same_numbers_have_the_same_fingerprint_wherever_they_lie(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "elsewhere" / "other-name")
    (copy / "card.md").write_text("another card")
    fingerprint = open_folder(copy).fingerprint
    assert fingerprint == open_folder(folder).fingerprint
    assert len(fingerprint) == 12
    assert int(fingerprint, 16) >= 0


@pytest.mark.parametrize("part", PARTS)
def test_fingerprint_changes_with_every_part(folder, part):
    before = open_folder(folder).fingerprint
    path = folder / part
    # White space changes no setting, and ONNX ignores what it does not know.
    path.write_bytes(path.read_bytes() + b" ")
    assert seal_folder(folder) != before


@pytest.mark.parametrize("part", PARTS)
def test_tampered_part_is_refused(folder, part):
    path = folder / part
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelError, match=f"{part} does not match"):
        open_folder(folder)


@pytest.mark.parametrize("part", [*PARTS, "hashes.json"])
def test_missing_part_is_named(folder, part):
    (folder / part).unlink()
    with pytest.raises(ModelError, match=f"cannot read .*{part}"):
        open_folder(folder)


def test_part_without_a_hash_is_refused(folder):
    rewrite(folder / "hashes.json", **{"calibration.json": None})
    with pytest.raises(ModelError, match=r"calibration\.json does not match"):
        open_folder(folder)


@pytest.mark.parametrize("text", ["", "not json", "[]", '"text"', "null"])
def test_hashes_that_are_none_are_refused(folder, text):
    (folder / "hashes.json").write_text(text)
    with pytest.raises(ModelError, match=r"hashes\.json"):
        open_folder(folder)


@pytest.mark.parametrize(
    ("part", "changes", "message"),
    [
        ("preprocess.json", {"crop_size": None}, "crop_size is missing"),
        ("preprocess.json", {"resize": 256}, "unknown setting resize"),
        ("preprocess.json", {"kind": "whole-only"}, "whole-only"),
        ("preprocess.json", {"decoder": "opencv"}, "opencv"),
        ("preprocess.json", {"whole_filter": "area"}, "area"),
        ("preprocess.json", {"crops": 0}, "at least"),
        ("preprocess.json", {"crop_size": "128"}, "crop_size must be a whole number"),
        ("calibration.json", {"scale": -1.0}, "scale"),
        ("calibration.json", {"scale": float("nan")}, "scale must be a finite number"),
        ("calibration.json", {"threshold": "high"}, "threshold must be a finite number"),
        ("calibration.json", {"threshold": 1.5}, "thresholds"),
        ("calibration.json", {"threshold": 0.2}, "thresholds"),
        ("calibration.json", {"fitted_on": None}, "fitted_on is missing"),
    ],
)
def test_settings_this_version_cannot_honour_are_refused(folder, part, changes, message):
    rewrite(folder / part, **changes)
    seal_folder(folder)
    with pytest.raises(ModelError, match=message):
        open_folder(folder)


def test_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(ModelError, match="no model named or at nonesuch; give one of: compact"):
        open_folder("nonesuch")


def test_a_file_is_no_folder(folder):
    with pytest.raises(ModelError, match="no model named or at"):
        open_folder(folder / "model.onnx")


def test_what_ships_can_be_opened():
    missing = [name for name, path in shipped_models().items() if not path.is_dir()]
    if missing:
        pytest.skip(f"not in this checkout yet: {', '.join(missing)}")
    for name in shipped_models():
        open_folder(name)
