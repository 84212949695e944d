"""From a manifest to a model folder, and the card that says what was measured."""

from collections import Counter
from dataclasses import replace

import pytest
from fixtures.drawn import texture
from fixtures.training import STUDIED

from aligngemini.branches.pixel import PixelBranch
from aligngemini.datasets.manifest import Row, write_manifest
from aligngemini.evaluation.holdout import fit_thresholds, held_out_figures, mean_over_generators
from aligngemini.evaluation.predictions import read_predictions
from aligngemini.runtimes.folder import open_folder
from aligngemini.training import study
from aligngemini.training.compact import build_compact, training_counts


@pytest.fixture(scope="module")
def built(study_done, tmp_path_factory):
    """The folder built on the study's work, and its fingerprint."""
    rows, work, _ = study_done
    folder = tmp_path_factory.mktemp("built")
    write_manifest(rows, folder / "images.csv")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study, "SMALL", 2)
        fingerprint = build_compact(STUDIED, folder / "images.csv", folder / "model", work)
    return folder, fingerprint


def test_folder_is_ready_for_detection(built):
    folder, fingerprint = built
    branch = PixelBranch.load(folder / "model", device="cpu", threads=1)
    assert branch.fingerprint == fingerprint
    assert -100 < branch.logit(texture(80, 80)) < 100


def test_calibration_is_that_of_the_held_out_predictions(studied, built):
    _, work, predictions = studied
    assert read_predictions(work / "predictions.csv") == predictions
    calibration = open_folder(built[0] / "model").calibration
    fitted = fit_thresholds(predictions)
    assert (calibration.scale, calibration.bias) == (fitted.scale, fitted.bias)
    assert (calibration.threshold, calibration.threshold_real) == (fitted.fake, fitted.real)
    assert calibration.fitted_on.startswith("12 photos and 12 AI images")


def test_same_command_again_gives_the_same_model(studied, built, tmp_path):
    _, work, _ = studied
    folder, fingerprint = built
    assert build_compact(STUDIED, folder / "images.csv", tmp_path / "again", work) == fingerprint


def test_card_says_what_was_measured(studied, built):
    _, _, predictions = studied
    card = (built[0] / "model" / "card.md").read_text()
    figures = held_out_figures(predictions)
    for row in figures:
        assert f"| {row.generator} | 6 | {row.source} | 6 | {row.auc} | " in card
    for delivery in ("as is", "JPEG 90", "JPEG 75", "half size"):
        values = mean_over_generators(figures, delivery)
        assert f"| {delivery} | {' | '.join(f'{value:.2f}' for value in values)} |" in card
    assert "- Photos: 13 (street 7, garden 6)" in card
    assert "- AI images: 12 (NEAREST 6, BILINEAR 6)" in card
    assert "1 images of the manifest could not be read" in card
    assert "{" not in card


def test_counts_name_where_images_come_from():
    rows = [
        Row("a", "real", generator="ignored", source="phones"),
        Row("b", "fake", generator="flux", source="forum"),
        Row("c", "fake", generator="taef2", source="phones", pair="a"),
    ]
    assert training_counts([*rows, replace(rows[1], path="d")]) == {
        "real": Counter(phones=1),
        "fake": Counter(flux=2),
        "pair": Counter(taef2=1),
    }
