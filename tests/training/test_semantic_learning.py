"""DPO learns a rule of the world that pixel statistics do not tell, and nothing without one."""

import numpy as np
import pytest
from fixtures.rules import newborn, scene, world_recipe, write_world
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from aligngemini.training.semantic import figures_of, train_semantic
from aligngemini.training.semantic_data import open_preferences


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return newborn(tmp_path_factory.mktemp("base"))


def balanced_accuracy(recipe, folder, scenes, **world):
    data = write_world(folder / "set", scenes, held_out=120, **world)
    preferences = open_preferences(data, folder / "cache", held_out=0.0, seed=0)
    checkpoint = train_semantic(recipe, preferences, folder / "work")
    return figures_of(checkpoint)[-1]["balanced_accuracy"]


def test_it_learns_what_is_possible(base, tmp_path):
    assert balanced_accuracy(world_recipe(base), tmp_path, 600) >= 0.9


def test_it_learns_nothing_from_labels_that_mean_nothing(base, tmp_path):
    recipe = world_recipe(base)
    assert 0.35 < balanced_accuracy(recipe, tmp_path, 300, shuffled=True) < 0.65


def test_pixel_statistics_do_not_tell_the_classes_apart():
    rng = np.random.default_rng(0)
    features = np.stack([statistics(scene(rng, possible=k % 2 == 0)) for k in range(600)])
    fake = np.arange(600) % 2
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=500))
    probe.fit(features[:400], fake[:400])
    assert probe.score(features[400:], fake[400:]) < 0.6


def statistics(pixels):
    """Thumbnails, means, deviations, histograms and radial spectra of each channel."""
    unit = pixels / 255
    half = len(pixels) // 2
    rows, columns = np.indices(pixels.shape[:2]) - half
    radius = np.hypot(rows, columns).astype(int).ravel()
    count = np.bincount(radius)[1:half]
    thumbnail = unit.reshape(14, 8, 14, 8, 3).mean((1, 3))
    parts = [thumbnail.ravel(), unit.mean((0, 1)), unit.std((0, 1))]
    for channel in np.moveaxis(unit, 2, 0):
        parts.append(np.histogram(channel, 32, (0, 1), density=True)[0])
        power = np.abs(np.fft.fftshift(np.fft.fft2(channel - channel.mean()))) ** 2
        parts.append(np.log(np.bincount(radius, power.ravel())[1:half] / count))
    return np.concatenate(parts)
