"""GAMMA learns where, resumes to the bit, trains what it is to, and becomes a model folder."""

import dataclasses
import json
from collections import Counter

import numpy as np
import pytest
import torch
from fixtures.manipulated import (
    KINDS,
    PLAIN,
    SIDE,
    TINY_DINO,
    edited,
    gamma_recipe,
    write_set,
)
from sklearn.metrics import balanced_accuracy_score, f1_score, roc_auc_score
from transformers import EvalPrediction, TrainerCallback

from aligngemini.branches.gamma import GammaBranch
from aligngemini.datasets.crop_settings import Stage
from aligngemini.datasets.manifest import ManifestError, read_manifest, write_manifest
from aligngemini.datasets.manipulation_set import Sample, read_manipulation_set
from aligngemini.evaluation.regions import Measured
from aligngemini.evaluation.segmentation import PixelCounts
from aligngemini.runtimes.folder import open_folder
from aligngemini.runtimes.preprocess import Tiles
from aligngemini.training import gamma as training
from aligngemini.training.expert import adapt
from aligngemini.training.expert_recipe import Lora
from aligngemini.training.gamma import new_gamma, spread, train_gamma
from aligngemini.training.gamma_build import build_gamma, calibrate
from aligngemini.training.gamma_trainer import FIGURES, GammaInTraining, figures
from aligngemini.training.recipe import RecipeError

LORA = {**TINY_DINO, "train": "lora", "lora": Lora(rank=2, alpha=4), "learning_rate": 3e-3}

STAGED = {
    "stages": (Stage(steps=1, side=16, crops=2), Stage(steps=2, side=32)),
    "crops": dataclasses.replace(PLAIN, pairs=True),
}


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    return write_set(tmp_path_factory.mktemp("set"), 8, val=3)


@pytest.fixture(scope="module")
def samples(manifest):
    return read_manipulation_set(manifest)


def train(recipe, samples, work, *, held_out=True):
    parts = {name: [s for s in samples if s.split == name] for name in ("train", "val")}
    held = parts["val"] if held_out else []
    return train_gamma(recipe, new_gamma(recipe), parts["train"], held, work, workers=0)


@torch.no_grad()
def region_scores(gamma, kind, map_name, seeds):
    """Cells' truth and logits on pictures never trained on."""
    pixels, masks = zip(*(edited(kind, seed) for seed in seeds), strict=True)
    images = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2) / 255
    logits = getattr(gamma(images), map_name)
    cells = np.stack(masks).reshape(len(seeds), SIDE // 4, 4, SIDE // 4, 4).mean((2, 4)) > 0.5
    return cells.ravel(), logits.numpy().ravel()


@pytest.mark.parametrize("misplaced", [False, True], ids=["true-masks", "misplaced-masks"])
def test_it_learns_in_seconds_what_the_masks_mark(tmp_path, misplaced):
    recipe = gamma_recipe(steps=70, eval_steps=70)
    manifest = write_set(tmp_path, 12, val=4, kinds=KINDS[:3], misplaced=misplaced)
    gamma, metrics = train(recipe, read_manipulation_set(manifest), tmp_path / "work")
    for kind, name in (("vae-region", "generated"), ("splice", "moved")):
        truth, logits = region_scores(gamma, kind, name, range(900, 908))
        if misplaced:
            assert roc_auc_score(truth, logits) < 0.5
        else:
            assert roc_auc_score(truth, logits) > 0.9
            assert f1_score(truth, logits >= 0) > 0.7
            assert metrics["auc"] > 0.9


class KillAt(TrainerCallback):
    """Ends a run without a word, right after the checkpoint of a step was written."""

    def __init__(self, step):
        self.step = step

    def on_save(self, args, state, control, **others):
        if state.global_step == self.step:
            raise KeyboardInterrupt


@pytest.mark.parametrize("changes", [STAGED, LORA], ids=["staged-pairs", "lora"])
def test_killed_and_resumed_gives_the_same_weights_to_the_bit(
    samples, tmp_path, monkeypatch, changes
):
    recipe = gamma_recipe(steps=5, eval_steps=2, batch_size=2, accumulation=2, **changes)
    straight, figures_straight = train(recipe, samples, tmp_path / "straight")

    class Killed(training.GammaTrainer):
        def __init__(self, **options):
            super().__init__(**options)
            self.add_callback(KillAt(2))

    with monkeypatch.context() as patch:
        patch.setattr(training, "GammaTrainer", Killed)
        with pytest.raises(KeyboardInterrupt):
            train(recipe, samples, tmp_path / "killed")
    resumed, figures_resumed = train(recipe, samples, tmp_path / "killed")
    assert figures_straight == figures_resumed
    one, other = straight.state_dict(), resumed.state_dict()
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    monkeypatch.setattr(training.GammaTrainer, "train", None)
    again, _ = train(recipe, samples, tmp_path / "killed")  # nothing is trained any more
    assert all(torch.equal(again.state_dict()[name], one[name]) for name in one)


def test_lora_adapts_the_blocks_and_leaves_the_rest_of_the_backbone(samples, tmp_path):
    recipe = gamma_recipe(steps=3, **LORA)
    before = new_gamma(recipe).state_dict()
    gamma, _ = train(recipe, samples, tmp_path, held_out=False)
    after = gamma.state_dict()
    assert before.keys() == after.keys()  # LoRA is merged
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    of_backbone = {name for name in changed if name.startswith("backbone.")}
    assert len(of_backbone) == 2 * 6  # q, k, v, o and the MLP's two, in two blocks
    assert all(".layer" in name and name.endswith("weight") for name in of_backbone)
    for part in ("classifier.weight", "reverse.gate", "decoder.narrow", "heads.moved.logit"):
        assert any(name.startswith(part) for name in changed)


def test_merging_lora_keeps_the_numbers():
    recipe = gamma_recipe(**LORA)
    gamma = new_gamma(recipe)
    adapt(gamma, recipe)
    for name, weight in gamma.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.1)
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        adapted = gamma.eval()(images)
        gamma.backbone = gamma.backbone.merge_and_unload()
        merged = gamma(images)
    torch.testing.assert_close(merged.logits, adapted.logits, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(merged.generated, adapted.generated, rtol=1e-4, atol=1e-5)


def test_recomputed_activations_give_the_same_weights(samples, tmp_path):
    recipe = gamma_recipe(steps=2, batch_size=2, **LORA)
    plain, _ = train(recipe, samples, tmp_path / "plain", held_out=False)
    thrifty = dataclasses.replace(recipe, gradient_checkpointing=True)
    recomputed, _ = train(thrifty, samples, tmp_path / "thrifty", held_out=False)
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(recomputed.state_dict()[name], value, rtol=1e-4, atol=1e-5)


def test_a_head_that_is_not_there_is_not_in_the_loss():
    recipe = gamma_recipe(heads=("moved",))
    model = GammaInTraining(new_gamma(recipe), recipe)
    batch = {
        "pixels": torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8),
        "labels": torch.tensor([0.0, 1.0]),
    }
    masks = torch.zeros(2, 2, 16, 16)
    other = masks.clone()
    other[:, 0] = 1
    model.eval()
    losses = [model(**batch, masks=given)["loss"] for given in (masks, other)]
    torch.testing.assert_close(*losses)


def random_prediction(seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.choice([-1.0, 0.0, 1.0], 40)
    masks = (rng.random((40, 2, 6, 6)) < 0.3).astype(np.float32)
    masks[:20, 0] = 0
    masks[:10, 1] = 0
    logits = rng.normal(labels, 1.5)
    maps = [rng.normal(masks[:, k], 1.0) for k in range(2)]
    return EvalPrediction((logits, *maps), (labels, masks))


def test_figures_are_scikit_learns():
    prediction = random_prediction()
    logits, generated, moved = prediction.predictions
    labels, masks = prediction.label_ids
    got = figures(prediction)
    assert tuple(got) == ("quality", *(name for name in FIGURES if name != "quality"))
    known = labels >= 0
    assert got["auc"] == pytest.approx(roc_auc_score(labels[known], logits[known]))
    assert got["balanced_accuracy"] == pytest.approx(
        balanced_accuracy_score(labels[known], logits[known] >= 0)
    )
    for head, values, first in (("generated", generated, 20), ("moved", moved, 10)):
        truth = masks[first:, ("generated", "moved").index(head)].reshape(40 - first, -1)
        guess = values[first:].reshape(40 - first, -1)
        expected = [f1_score(t, g >= 0) for t, g in zip(truth, guess, strict=True)]
        assert got[f"{head}_f1"] == pytest.approx(np.mean(expected))
        areas = [roc_auc_score(t, g) for t, g in zip(truth, guess, strict=True)]
        assert got[f"{head}_auc"] == pytest.approx(np.mean(areas))
    untouched = np.maximum(generated, moved)[:10]
    assert got["false_area"] == pytest.approx((untouched >= 0).mean())
    assert got["quality"] == pytest.approx(
        np.mean([got["auc"], got["generated_f1"], got["moved_f1"]])
    )


def test_figures_without_a_value_are_left_out():
    prediction = random_prediction()
    labels, masks = prediction.label_ids
    labels[:], masks[:] = 0, 0
    got = figures(prediction)
    assert set(got) == {"quality", "false_area"}


def test_diverged_weights_are_the_worst():
    prediction = random_prediction()
    prediction.predictions[1][3, 2, 2] = np.nan
    got = figures(prediction)
    assert (got["quality"], got["false_area"]) == (0, 1)


def test_held_out_images_are_spread_over_manipulations():
    def sample(kind, k):
        return Sample(f"{kind}{k}", None, None, False, kind, "", "", "val", "fake")

    many = [sample("splice", k) for k in range(50)] + [sample("none", k) for k in range(3)]
    chosen = spread(many, 12)
    assert Counter(one.manipulation for one in chosen) == {"none": 3, "splice": 9}
    numbers = [int(one.path.removeprefix("splice")) for one in chosen if one.manipulation != "none"]
    assert numbers[0] < 6
    assert numbers[-1] > 40
    assert len({one.path for one in chosen}) == 12
    assert sorted(one.path for one in spread(many, 100)) == sorted(one.path for one in many)


def measured(kind, logit, path, delivery="as is"):
    sample = Sample(path, None, None, False, kind, "", "", "val", "fake")
    return Measured(sample, delivery, logit, {"either": PixelCounts(0, 0, 0, 1)}, {})


def test_thresholds_hold_under_the_worst_delivery():
    rng = np.random.default_rng(0)
    everything = [
        measured(kind, rng.normal(at + shift), f"{kind}-{k}", delivery)
        for kind, at in (("none", 0.0), ("splice", 3.0))
        for delivery, shift in (("as is", 0.0), ("JPEG 75", 1.0))
        for k in range(200)
    ]
    calibration = calibrate(everything, moved_is_fake=True)

    def scores(kind, delivery):
        part = [m for m in everything if (m.sample.manipulation, m.delivery) == (kind, delivery)]
        logits = np.array([m.logit for m in part])
        return 1 / (1 + np.exp(-(calibration.scale * logits + calibration.bias)))

    rates = [(scores("none", d) >= calibration.threshold).mean() for d in ("as is", "JPEG 75")]
    assert max(rates) == 0.01
    misses = [
        (scores("splice", d) < calibration.threshold_real).mean() for d in ("as is", "JPEG 75")
    ]
    assert max(misses) <= 0.10
    assert calibration.threshold_real <= calibration.threshold
    assert "200 held-out photos nobody touched and 200 held-out fakes" in calibration.fitted_on


def test_moved_pixels_set_no_threshold_where_they_are_not_fake():
    everything = [measured("none", 0.0, "a"), measured("splice", 5.0, "b")]
    assert calibrate(everything, moved_is_fake=False).fitted_on.startswith("nothing")
    everything.append(measured("vae-region", 2.0, "c"))
    assert "1 held-out fakes" in calibrate(everything, moved_is_fake=False).fitted_on


def test_a_model_that_ranks_photos_above_fakes_calls_nothing():
    everything = [measured("none", 3.0 + k, f"a{k}") for k in range(4)]
    everything += [measured("splice", -3.0 - k, f"b{k}") for k in range(4)]
    calibration = calibrate(everything, moved_is_fake=True)
    assert (calibration.threshold, calibration.threshold_real) == (1.0, 0.0)
    assert "score no higher than" in calibration.fitted_on


@pytest.fixture(scope="module")
def built(manifest, tmp_path_factory):
    folder = tmp_path_factory.mktemp("built")
    recipe = gamma_recipe(steps=4, deliveries=("as is", "JPEG 90"))
    fingerprint = build_gamma(recipe, manifest, folder / "m", folder / "work", workers=0)
    return folder, fingerprint


def test_folder_is_ready_for_detection(built):
    folder, fingerprint = built
    model = open_folder(folder / "m")
    assert model.fingerprint == fingerprint
    assert model.preprocess == Tiles(64, 4, 16, mean=(0.0,) * 3, std=(1.0,) * 3)
    look = GammaBranch.load(folder / "m", device="cpu").look(edited("splice", 3)[0])
    assert {name: values.shape for name, values in look.maps.items()} == {
        "generated": (24, 24),
        "moved": (24, 24),
    }


def test_card_says_what_was_measured_and_on_what(built):
    folder, _ = built
    card = (folder / "m" / "card.md").read_text()
    for kind in KINDS:
        assert card.count(f"| {kind} | 3 |") == 2
    assert "### as is" in card
    assert "### JPEG 90" in card
    assert "- 32 images: none 8, vae-region 8, splice 8, full 8" in card
    assert "- Generated pixels by halved 16" in card
    assert "tile_size: 64" in card
    metrics = json.loads((folder / "work" / "trained" / "metrics.json").read_text())
    assert set(metrics) <= set(FIGURES)
    assert {"quality", "auc", "generated_f1", "moved_f1", "false_area"} <= set(metrics)


def test_another_runs_work_is_refused(built, manifest, tmp_path):
    folder, _ = built
    with pytest.raises(RecipeError, match="holds a run of other images or settings"):
        build_gamma(gamma_recipe(steps=5), manifest, tmp_path / "m", folder / "work")
    with pytest.raises(RecipeError, match="is there already"):
        build_gamma(gamma_recipe(), manifest, folder / "m", tmp_path / "work")


def test_the_plan_ends_at_the_recipes_steps():
    recipe = gamma_recipe(**STAGED)  # four steps
    assert [(stage.steps, stage.side) for stage in recipe.plan()] == [(1, 16), (2, 32), (1, 64)]
    short = dataclasses.replace(recipe, steps=2)
    assert [(stage.steps, stage.side) for stage in short.plan()] == [(1, 16), (1, 32)]
    assert [(stage.steps, stage.side) for stage in gamma_recipe().plan()] == [(4, 64)]


def test_tiles_that_do_not_fit_the_backbone_are_said():
    with pytest.raises(RecipeError, match="crops of 60 pixels: sides must be multiples of 8"):
        new_gamma(gamma_recipe(tile_size=60))


def test_a_set_with_nothing_to_train_on_is_said(manifest, tmp_path):
    rows = [row for row in read_manifest(manifest) if row.split == "val"]
    write_manifest(rows, tmp_path / "val.csv")
    absolute = {"mask_moved": str(manifest.parent / "mask-splice-8.png")}
    rows = [
        dataclasses.replace(row, extra={**row.extra, **absolute})
        if row.extra.get("mask_moved")
        else row
        for row in rows
    ]
    write_manifest(rows, tmp_path / "val.csv")
    with pytest.raises(ManifestError, match="all of its images are in the split val"):
        build_gamma(gamma_recipe(), tmp_path / "val.csv", tmp_path / "m", tmp_path / "work")
