"""The leakage probe: loud where pixels give the class away, at chance where they do not."""

import json
from dataclasses import replace

import numpy as np
import pytest
from fixtures.drawn import flat, png, texture
from fixtures.scenes import traced, write_scenes
from sklearn.metrics import roc_auc_score

from aligngemini.datasets.candidates import find_candidates
from aligngemini.datasets.leakage import (
    Figure,
    Leakage,
    TooFewPairsError,
    _auc,
    _share,
    leakage_warning,
    probe,
    probe_set,
    save_leakage,
)
from aligngemini.datasets.manifest import Row, read_manifest
from aligngemini.datasets.semantic_set import SemanticSetConfig, build_semantic_set
from aligngemini.datasets.traces import traces
from aligngemini.images.degrade import SemanticChain

PAIRS = 60
CONFIG = SemanticSetConfig(max_side=128)
NO_CHAIN = SemanticChain(
    shrink_probability=0, noise_probability=0, blur_probability=0, jpeg_probability=0
)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """Images of one kind, the fakes with a chequered trace."""
    folder = write_scenes(
        tmp_path_factory.mktemp("scenes") / "in", PAIRS, trace=True, size=(128, 128)
    )
    return [
        found
        for label in ("real", "fake")
        for found in find_candidates([str(folder / label)], label)
    ]


def built(scenes, out, chain):
    build_semantic_set(scenes, out, replace(CONFIG, chain=chain))
    return read_manifest(out / "manifest.parquet")


def test_a_trace_is_found_and_the_chain_removes_it(scenes, tmp_path):
    before = probe_set(built(scenes, tmp_path / "before", NO_CHAIN), limit=0.6)
    assert before.balanced_accuracy.value > 0.95
    assert before.auc.low > 0.95
    assert before.leaks
    # Thumbnails hold no trace: what is found is not put down to the motif.
    assert before.motif.value < 0.65
    after = probe_set(built(scenes, tmp_path / "after", SemanticChain()), limit=0.65)
    assert after.pairs == PAIRS
    assert after.balanced_accuracy.value < 0.62
    assert after.balanced_accuracy.low < 0.5
    assert not after.leaks


def test_traces_that_say_nothing_of_the_class_are_at_chance(tmp_path):
    """As many reals as fakes have one: the labels are random to the probe."""
    rows = []
    for k in range(2 * PAIRS):
        pixels = texture(64, 64, seed=k)
        path = tmp_path / f"{k}.png"
        path.write_bytes(png(traced(pixels) if k // 2 % 4 in ((0, 1), (0, 2))[k % 2] else pixels))
        rows.append(Row(str(path), ("fake", "real")[k % 2], extra={"match": str(k // 2)}))
    found = probe_set(rows, limit=0.62)
    assert found.balanced_accuracy.low < 0.5 < found.balanced_accuracy.high
    assert found.auc.low < 0.5 < found.auc.high
    assert not found.leaks


def test_a_fake_and_its_real_are_never_on_both_sides_of_a_fold():
    """Halves that are nearly equal: who learnt one half takes the other for the same class."""
    rng = np.random.default_rng(0)
    base = rng.normal(size=(100, 400))
    halves = [base + 0.01 * rng.normal(size=base.shape) for _ in range(2)]
    balanced_accuracy, _ = probe(*halves)
    assert balanced_accuracy.value > 0.4


def test_the_probe_finds_what_a_line_separates_and_nothing_in_noise():
    rng = np.random.default_rng(1)
    noise = rng.normal(size=(2, 200, 20))
    balanced_accuracy, auc = probe(*noise)
    assert balanced_accuracy.low < 0.5 < balanced_accuracy.high
    assert auc.low < 0.5 < auc.high
    noise[0, :, 3] += 2
    balanced_accuracy, auc = probe(*noise)
    # Two normal distributions two apart: Phi(1) and Phi(2 / sqrt 2).
    assert balanced_accuracy.value == pytest.approx(0.841, abs=0.05)
    assert auc.value == pytest.approx(0.921, abs=0.04)


@pytest.mark.parametrize("alike", [0.0, 1.0])
def test_figures_and_intervals_agree_with_sklearn_and_the_bootstrap(alike):
    rng = np.random.default_rng(2)
    shared = alike * rng.normal(size=150)
    fakes = np.round(shared + rng.normal(size=150) + 0.7, 1)  # with ties
    reals = np.round(shared + rng.normal(size=150), 1)
    auc = _auc(fakes, reals)
    labels = np.repeat([1, 0], 150)
    assert auc.value == pytest.approx(roc_auc_score(labels, [*fakes, *reals]), abs=1e-4)
    right = (1.0 * (fakes > 0.3) + (reals <= 0.3)) / 2
    share = _share(right)
    draws = rng.integers(0, 150, (400, 150))
    aucs = [roc_auc_score(labels, [*fakes[draw], *reals[draw]]) for draw in draws]
    for figure, samples in ((auc, aucs), (share, right[draws].mean(1))):
        assert (figure.high - figure.low) / 2 == pytest.approx(1.96 * np.std(samples), rel=0.15)


def test_traces_see_the_grain_and_neither_brightness_nor_contrast():
    pixels = texture(128, 160, spread=8.0)
    rest = traces(pixels // 2 + 20)
    other = traces(traced(pixels))
    whole = traces(pixels)
    assert np.abs(rest - whole).mean() < 0.2 * np.abs(other - whole).mean()


@pytest.mark.parametrize("size", [(32, 32), (33, 200), (512, 300)])
def test_traces_have_one_length_and_are_finite(size):
    vectors = [traces(texture(*size)), traces(flat(*size, 0)), traces(flat(*size, 255))]
    for vector in vectors:
        assert vector.shape == traces(texture(64, 64)).shape
        assert np.isfinite(vector).all()


def test_too_few_pairs_are_said_and_recorded(scenes, tmp_path):
    build_semantic_set(scenes, tmp_path, replace(CONFIG, count=19))
    with pytest.raises(TooFewPairsError, match="19 pairs are too few"):
        probe_set(read_manifest(tmp_path / "manifest.parquet"), limit=0.6)
    save_leakage("19 pairs are too few", tmp_path / "leakage.json")
    report = json.loads((tmp_path / "leakage.json").read_text())
    assert report == {"leaks": None, "reason": "19 pairs are too few"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, None),
        ('{"leaks": false}', None),
        ('{"leaks": null, "reason": "19 pairs are too few"}', "19 pairs are too few"),
        ("{", "cannot be read"),
        ("[]", "cannot be read"),
        ('{"leaks": true}', "cannot be read"),
        (
            '{"leaks": true, "balanced_accuracy": {"value": 0.84}, "limit": 0.6}',
            "THIS SET LEAKS: pixels alone tell its classes apart (balanced accuracy 0.84, "
            "limit 0.60)",
        ),
    ],
)
def test_what_is_said_before_training(tmp_path, text, says):
    path = tmp_path / "leakage.json"
    if text is not None:
        path.write_text(text)
    warning = leakage_warning(path)
    assert warning is None if says is None else says in warning


def test_the_report_of_a_set_that_leaks_is_understood(tmp_path):
    figure = Figure(0.84, 0.8, 0.88)
    for limit, leaks in ((0.6, True), (0.9, False)):
        save_leakage(Leakage(figure, figure, figure, 100, limit), tmp_path / "leakage.json")
        assert (leakage_warning(tmp_path / "leakage.json") is not None) == leaks
