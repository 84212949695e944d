"""Training learns what there is to learn, and nothing where there is nothing."""

from collections import Counter
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch
from fixtures.training import QUICK, RECIPE, write_set
from transformers import TrainerCallback

from aligngemini.datasets.manifest import ManifestError, Row
from aligngemini.datasets.pool import Pool, build_pool
from aligngemini.evaluation.metrics import auc
from aligngemini.training import pixel
from aligngemini.training.pixel import hold_out, last_checkpoint, train_compact


@pytest.fixture(scope="module")
def learned_from(tmp_path_factory) -> Pool:
    folder = tmp_path_factory.mktemp("learned")
    return build_pool(write_set(folder / "images", 24), RECIPE.pool, folder / "pool", workers=1)


@pytest.fixture(scope="module")
def held_out(tmp_path_factory) -> Pool:
    folder = tmp_path_factory.mktemp("held-out")
    rows = write_set(folder / "images", 16, first=100)
    return build_pool(rows, RECIPE.pool, folder / "pool", workers=1)


def scores(expert, pool):
    with torch.no_grad():
        result = expert(
            torch.from_numpy(np.array(pool.crops)).permute(0, 1, 4, 2, 3),
            torch.from_numpy(np.array(pool.whole)).permute(0, 3, 1, 2),
        )
    fake = np.array([row.label == "fake" for row in pool.rows])
    return {view: (values[~fake].numpy(), values[fake].numpy()) for view, values in result.items()}


def weights(expert):
    return {name: value.clone() for name, value in expert.state_dict().items()}


def test_it_learns_in_seconds(learned_from, held_out, tmp_path):
    expert = train_compact(RECIPE, learned_from, tmp_path)
    assert not expert.training
    answers = scores(expert, held_out)
    assert auc(*answers["logits"]) > 0.9
    assert auc(*answers["native"]) > 0.9


def test_it_learns_nothing_from_labels_that_mean_nothing(learned_from, held_out, tmp_path):
    expert = train_compact(RECIPE, meaningless(learned_from), tmp_path)
    assert 0.3 < auc(*scores(expert, meaningless(held_out))["logits"]) < 0.7


def meaningless(pool):
    """Half of the images of each origin called fake, so that not even chance tells them apart."""
    seen = Counter()
    rows = []
    for row in pool.rows[::2]:  # two journeys an image
        seen[row.generator, row.source] += 1
        fake = seen[row.generator, row.source] % 2
        label, generator = ("fake", "g") if fake else ("real", "")
        rows += [Row(row.path, label, generator=generator, source="s")] * 2
    return replace(pool, rows=rows)


def test_same_seed_same_weights(learned_from, tmp_path):
    first, again, other = (
        weights(train_compact(replace(QUICK, seed=seed), learned_from, tmp_path / str(k)))
        for k, seed in enumerate((0, 0, 1))
    )
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_resumed_run_ends_where_an_uninterrupted_one_does(tmp_path):
    # Nothing to crop and nothing to mirror: the dice of a view fall anew when a run is resumed.
    recipe = replace(
        RECIPE,
        steps=8,
        batch_size=4,
        train_crop=48,
        native=replace(RECIPE.native, dropout=0.0),
        whole=replace(RECIPE.whole, dropout=0.0),
    )
    pool = mirrored_pool(count=40, crop=48, whole=32)
    straight = weights(train_compact(recipe, pool, tmp_path / "straight"))
    with steps_watched(stop_before=5) as steps, pytest.raises(StopError):
        train_compact(recipe, pool, tmp_path / "resumed")
    assert steps == [1, 2, 3, 4]
    with steps_watched() as steps:
        resumed = weights(train_compact(recipe, pool, tmp_path / "resumed", resume=True))
    assert steps == [5, 6, 7, 8]
    for name, value in straight.items():
        torch.testing.assert_close(resumed[name], value, rtol=0, atol=1e-6, msg=name)


def test_finished_run_is_not_trained_further(learned_from, tmp_path):
    first = weights(train_compact(QUICK, learned_from, tmp_path, resume=True))
    with steps_watched() as steps:
        expert = train_compact(QUICK, learned_from, tmp_path, resume=True)
    assert steps == []
    assert not expert.training
    again = weights(expert)
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_last_checkpoint_is_the_one_of_most_steps_that_is_whole(tmp_path):
    assert last_checkpoint(tmp_path / "gone") is None
    for steps in (9, 100, 20):
        (tmp_path / f"checkpoint-{steps}").mkdir()
        (tmp_path / f"checkpoint-{steps}" / "trainer_state.json").write_text("{}")
    (tmp_path / "checkpoint-200").mkdir()
    (tmp_path / "checkpoint-200" / "model.safetensors").write_bytes(b"cut short")
    assert last_checkpoint(tmp_path) == tmp_path / "checkpoint-100"


def mirrored_pool(count, crop, whole):
    rng = np.random.default_rng(0)
    views = []
    for shape in ((count, 1, crop, crop // 2, 3), (count, whole, whole // 2, 3)):
        half = rng.integers(0, 256, shape, dtype=np.uint8)
        views.append(np.concatenate([half, half[..., ::-1, :]], axis=-2))
    rows = [Row(str(k), ("real", "fake")[k % 2], generator="g", source="s") for k in range(count)]
    return Pool(*views, rows=rows, failed={})


class StopError(Exception):
    pass


@contextmanager
def steps_watched(stop_before=None):
    """Gives the numbers of the steps taken; before the one named, training is cut off."""
    taken = []

    class Watch(TrainerCallback):
        def on_step_begin(self, args, state, control, **others):
            if state.global_step + 1 == stop_before:
                raise StopError
            taken.append(state.global_step + 1)

    class WatchedTrainer(pixel.BalancedTrainer):
        def __init__(self, **options):
            super().__init__(**options, callbacks=[Watch()])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pixel, "BalancedTrainer", WatchedTrainer)
        yield taken


@pytest.mark.parametrize("label", ["real", "fake"])
def test_a_class_without_images_is_said(learned_from, tmp_path, label):
    with pytest.raises(ManifestError, match=f"no {label} image to train on"):
        train_compact(QUICK, learned_from, tmp_path, keep=lambda row: row.label != label)


def test_what_is_held_out_is_never_read(learned_from, tmp_path):
    keep = hold_out({"NEAREST"}, {"street"})
    poisoned = replace(learned_from, crops=np.array(learned_from.crops))
    for k, row in enumerate(learned_from.rows):
        if not keep(row):
            poisoned.crops[k] = np.random.default_rng(k).integers(0, 256, poisoned.crops[k].shape)
    first, second = (
        weights(train_compact(QUICK, pool, tmp_path / name, keep=keep))
        for name, pool in (("clean", learned_from), ("poisoned", poisoned))
    )
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_held_out_source_takes_its_pairs_along():
    photo = Row("a.jpg", "real", source="street")
    pair = Row("b.png", "fake", generator="taef2", source="street", pair="a.jpg")
    image = Row("c.png", "fake", generator="flux", source="street")
    keep = hold_out(generators={"taef2"}, sources={"street"})
    assert [keep(row) for row in (photo, pair, image)] == [False, False, True]
    keep = hold_out(generators={"flux", "taef2"}, sources={"garden"})
    assert [keep(row) for row in (photo, pair, image)] == [True, True, False]
