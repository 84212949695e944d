"""Int8: measured before it is written, and an image's score is its own."""

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from fixtures.backbones import CALIBRATION
from fixtures.drawn import png, texture
from fixtures.models import brightness_folder

from aligngemini.branches.pixel import PixelBranch
from aligngemini.images.decode import decode
from aligngemini.runtimes.folder import Calibration, open_folder, seal_folder, write_settings
from aligngemini.runtimes.onnx import OnnxRuntime
from aligngemini.training.onnx_graph import ExportError
from aligngemini.training.quantize import NEAR, measure, quantize, quantize_expert, steps


@pytest.fixture
def folder(exported_experts):
    return exported_experts("dinov2_with_registers")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Twelve files of drawn images."""
    folder = tmp_path_factory.mktemp("pictures")
    paths = [folder / f"{k}.png" for k in range(12)]
    for k, path in enumerate(paths):
        path.write_bytes(png(texture(50, 44, seed=k, spread=5.0 * (k + 1))))
    return [str(path) for path in paths]


@pytest.fixture
def rounded(folder, tmp_path):
    path = tmp_path / "int8.onnx"
    quantize(folder / "model.onnx", path)
    return path


def logits(path, pictures, folder):
    """Each image's logit in a run of its own."""
    branch = PixelBranch(open_folder(folder), OnnxRuntime(path, device="cpu", threads=1))
    return [branch.logit(decode(Path(picture).read_bytes()).pixels) for picture in pictures]


def score(logit):
    return 1 / (1 + math.exp(-(logit * CALIBRATION.scale + CALIBRATION.bias)))


def test_linear_layers_are_in_8_bits_and_scores_stay_near(folder, rounded, pictures):
    operations = [node.op_type for node in onnx.load(rounded).graph.node]
    # 12 of the blocks; attention's own products stay as they are.
    assert operations.count("MatMulInteger") == 12
    exact = np.array(logits(folder / "model.onnx", pictures, folder))
    close = np.array(logits(rounded, pictures, folder))
    assert np.abs(exact - close).max() < 0.1 * np.ptp(exact)
    assert np.abs(exact - close).max() > 1e-5


def test_score_does_not_depend_on_what_is_judged_beside(folder, rounded, pictures):
    branch = PixelBranch(open_folder(folder), OnnxRuntime(rounded, device="cpu", threads=1))
    together = branch.logits([decode(Path(picture).read_bytes()).pixels for picture in pictures])
    assert together == logits(rounded, pictures, folder)


def test_change_is_what_the_two_models_say(folder, rounded, pictures):
    labels = {path: ("real", "fake", None)[k % 3] for k, path in enumerate(pictures)}
    model = open_folder(folder)
    change = measure(model, folder / "model.onnx", rounded, labels)
    exact = [score(logit) for logit in logits(folder / "model.onnx", pictures, folder)]
    close = [score(logit) for logit in logits(rounded, pictures, folder)]
    np.testing.assert_allclose(change.exact, exact, atol=1e-6)
    np.testing.assert_allclose(change.rounded, close, atol=1e-6)

    def verdict(score):
        return "fake" if score >= 0.6 else "real" if score < 0.4 else "undecided"

    assert change.flips == sum(verdict(a) != verdict(b) for a, b in zip(exact, close, strict=True))
    near = [
        (label, verdict(a), verdict(b))
        for label, a, b in zip(labels.values(), exact, close, strict=True)
        if label and min(abs(a - 0.6), abs(a - 0.4)) <= NEAR
    ]
    assert change.near == len(near)
    assert change.exact_correct == sum(label == before for label, before, _ in near)
    assert change.rounded_correct == sum(label == after for label, _, after in near)


def test_copy_says_what_it_is(folder, pictures, tmp_path):
    seen, calls, out = [], [], tmp_path / "int8"
    labels = dict.fromkeys(pictures)
    fingerprint = quantize_expert(
        folder, out, labels, max_flips=1, report=seen.append, step=lambda: calls.append(1)
    )
    model = open_folder(out)
    assert model.fingerprint == fingerprint != open_folder(folder).fingerprint
    assert "exported_from" not in json.loads((out / "hashes.json").read_text())
    assert model.calibration.threshold == CALIBRATION.threshold
    assert "before rounding to int8" in model.calibration.fitted_on
    card = (out / "card.md").read_text()
    assert card.startswith("# A tiny expert\n")
    assert "This copy is int8" in card
    assert open_folder(folder).fingerprint in card
    assert str(seen[0]) in card
    assert len(calls) == steps(labels)


def test_error_rates_of_the_exact_model_are_not_claimed(exported_experts, pictures, tmp_path):
    folder = shutil.copytree(exported_experts("dinov2_with_registers"), tmp_path / "measured")
    measured = Calibration(1.2, -0.1, 0.6, 0.4, "photos", 0.01, 0.2)
    write_settings(folder, open_folder(folder).preprocess, measured)
    seal_folder(folder)
    quantize_expert(folder, tmp_path / "int8", dict.fromkeys(pictures), max_flips=1)
    calibration = open_folder(tmp_path / "int8").calibration
    assert (calibration.false_alarm_rate, calibration.miss_rate) == (None, None)


def test_too_many_flips_are_refused_and_nothing_is_written(folder, rounded, pictures, tmp_path):
    exact, close = (
        [score(logit) for logit in logits(path, pictures, folder)]
        for path in (folder / "model.onnx", rounded)
    )
    # A threshold between the two scores of one image makes that image flip.
    threshold = (exact[0] + close[0]) / 2
    flips = sum((a >= threshold) != (b >= threshold) for a, b in zip(exact, close, strict=True))
    assert flips >= 1
    strict = shutil.copytree(folder, tmp_path / "strict")
    calibration = replace(CALIBRATION, threshold=threshold, threshold_real=threshold)
    write_settings(strict, open_folder(folder).preprocess, calibration)
    seal_folder(strict)
    seen, out, labels = [], tmp_path / "work" / "out", dict.fromkeys(pictures)
    allowed = (flips - 0.5) / len(pictures)
    with pytest.raises(ExportError, match=rf"changes {flips} of 12 verdicts.*--max-flips"):
        quantize_expert(strict, out, labels, max_flips=allowed, report=seen.append)
    assert seen[0].flips == flips
    assert not any(out.parent.iterdir())
    quantize_expert(strict, out, labels, max_flips=flips / len(pictures))
    assert open_folder(out).calibration.threshold == threshold


def test_bad_images_are_named_and_all_bad_is_refused(folder, pictures, tmp_path):
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no picture")
    change = []
    labels = dict.fromkeys([pictures[0], str(bad)])
    quantize_expert(folder, tmp_path / "out", labels, max_flips=1, report=change.append)
    assert change[0].images == 1
    assert list(change[0].unreadable) == [str(bad)]
    with pytest.raises(ExportError, match="none of the images could be read"):
        quantize_expert(folder, tmp_path / "other", {str(bad): "real"})
    assert not (tmp_path / "other").exists()


def test_twice_rounded_and_other_kinds_are_refused(folder, pictures, tmp_path):
    quantize_expert(folder, tmp_path / "int8", dict.fromkeys(pictures), max_flips=1)
    with pytest.raises(ExportError, match="is int8 already"):
        quantize_expert(tmp_path / "int8", tmp_path / "again", dict.fromkeys(pictures))
    with pytest.raises(ExportError, match="no backbone expert"):
        quantize_expert(
            brightness_folder(tmp_path / "compact"), tmp_path / "x", {pictures[0]: None}
        )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["compact", "int8"]
