"""The expert learns, resumes to the bit, keeps its best, and touches only what it is to train."""

import hashlib
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from fixtures.drawn import texture
from fixtures.pairs import CROP, expert_recipe, rebuilt, write_pairs
from safetensors.torch import load_file
from sklearn.metrics import accuracy_score, balanced_accuracy_score, roc_auc_score
from torch.optim.lr_scheduler import CosineAnnealingLR
from transformers import EvalPrediction, TrainerCallback

from aligngemini.branches.pixel import PixelBranch
from aligngemini.datasets.manifest import ManifestError, read_manifest, write_manifest
from aligngemini.datasets.pairs import HeldOutDataset, collate, find_pairs
from aligngemini.images.views import center_crop
from aligngemini.models.expert import PixelExpert
from aligngemini.runtimes.folder import open_folder
from aligngemini.training import expert as training
from aligngemini.training.expert import adapt, new_expert, train_expert
from aligngemini.training.expert_build import build_expert
from aligngemini.training.expert_recipe import Lora
from aligngemini.training.expert_trainer import FIGURES, ExpertInTraining, figures, rate_share
from aligngemini.training.recipe import RecipeError

LORA = {"train": "lora", "lora": Lora(rank=2, alpha=4)}
HEAD = {"train": "head", "contrastive": 0.0}


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    return write_pairs(tmp_path_factory.mktemp("pairs"), 24, val=12)


@pytest.fixture(scope="module")
def rows(manifest):
    return read_manifest(manifest)


def train(recipe, rows, work, *, held_out=True):
    return train_expert(
        recipe,
        new_expert(recipe),
        find_pairs(rows, "train"),
        find_pairs(rows, "val") if held_out else [],
        work,
        workers=0,
    )


def same_weights(one, two):
    one, two = one.state_dict(), two.state_dict()
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def test_it_learns_drawn_pairs_in_seconds(rows, tmp_path):
    expert, metrics = train(expert_recipe(steps=100, eval_steps=50), rows, tmp_path)
    assert metrics["auc"] > 0.9
    pixels = np.stack(
        [
            center_crop(picture, CROP)
            for seed in range(100, 112)
            for picture in (texture(96, 96, seed=seed, spread=20.0),) * 2
        ]
    )
    pixels[1::2] = [
        center_crop(rebuilt(texture(96, 96, seed=seed, spread=20.0)), CROP)
        for seed in range(100, 112)
    ]
    model = ExpertInTraining(expert, expert_recipe()).eval()
    labels = torch.arange(24) % 2
    with torch.no_grad():
        logits = model(torch.from_numpy(pixels), labels.float())["logits"]
    assert roc_auc_score(labels, logits) > 0.9


class KillAt(TrainerCallback):
    """Ends a run without a word, right after the checkpoint of a step was written."""

    def __init__(self, step):
        self.step = step

    def on_save(self, args, state, control, **others):
        if state.global_step == self.step:
            raise KeyboardInterrupt


def train_killed(monkeypatch, recipe, rows, work, *, at):
    class Killed(training.ExpertTrainer):
        def __init__(self, **options):
            super().__init__(**options)
            self.add_callback(KillAt(at))

    with monkeypatch.context() as patch:
        patch.setattr(training, "ExpertTrainer", Killed)
        with pytest.raises(KeyboardInterrupt):
            train(recipe, rows, work)
    assert (work / f"checkpoint-{at}" / "trainer_state.json").is_file()
    assert not (work / training.TRAINED).exists()


@pytest.mark.parametrize("how", [{}, LORA, HEAD], ids=["all", "lora", "head"])
def test_killed_and_resumed_gives_the_same_weights_to_the_bit(rows, tmp_path, monkeypatch, how):
    recipe = expert_recipe(steps=9, eval_steps=3, accumulation=2, batch_size=2, **how)
    straight, figures_straight = train(recipe, rows, tmp_path / "straight")
    train_killed(monkeypatch, recipe, rows, tmp_path / "killed", at=3)
    resumed, figures_resumed = train(recipe, rows, tmp_path / "killed")
    assert same_weights(straight, resumed)
    assert figures_straight == figures_resumed
    untrained = new_expert(recipe)
    assert not torch.equal(untrained.head.weight, resumed.head.weight)


def test_resuming_takes_up_the_steps_that_are_left(rows, tmp_path, monkeypatch):
    recipe = expert_recipe(steps=6, eval_steps=2)
    train_killed(monkeypatch, recipe, rows, tmp_path, at=4)
    drawn = []
    get = training.PairDataset.__getitem__
    monkeypatch.setattr(
        training.PairDataset, "__getitem__", lambda self, k: drawn.append(k) or get(self, k)
    )
    train(recipe, rows, tmp_path)
    assert drawn == list(range(16, 24))


def test_patience_goes_on_where_it_was(rows, tmp_path, monkeypatch):
    # At this rate nothing is learned: no checkpoint is better than the first.
    recipe = expert_recipe(steps=40, eval_steps=1, patience=4, learning_rate=1e-12)
    train(recipe, rows, tmp_path / "straight")
    train_killed(monkeypatch, recipe, rows, tmp_path / "killed", at=3)
    steps = []
    evaluate = training.ExpertTrainer.evaluate

    def counted(self, *arguments, **options):
        steps.append(self.state.global_step)
        return evaluate(self, *arguments, **options)

    monkeypatch.setattr(training.ExpertTrainer, "evaluate", counted)
    train(recipe, rows, tmp_path / "killed")
    assert steps == [4, 5, 5]  # first, three before the kill, one after; and the chosen one


def test_the_best_checkpoint_is_kept_not_the_last(rows, tmp_path):
    # Every few steps the classes swap: far too high a rate.
    recipe = expert_recipe(steps=24, eval_steps=2, learning_rate=0.05, patience=50)
    expert, metrics = train(recipe, rows, tmp_path)
    states = [json.loads(p.read_text()) for p in tmp_path.glob("checkpoint-*/trainer_state.json")]
    last = max(states, key=lambda state: state["global_step"])
    measured = {
        entry["step"]: entry["eval_balanced_accuracy"]
        for entry in last["log_history"]
        if "eval_balanced_accuracy" in entry
    }
    assert metrics["balanced_accuracy"] == max(measured.values()) == last["best_metric"]
    best = tmp_path / f"checkpoint-{last['best_global_step']}" / "model.safetensors"
    assert torch.equal(load_file(best)["expert.head.weight"], expert.head.weight)


def test_the_last_step_is_measured_too(rows, tmp_path):
    train(expert_recipe(steps=3, eval_steps=2), rows, tmp_path)
    state = json.loads((tmp_path / "checkpoint-3" / "trainer_state.json").read_text())
    measured = [entry["step"] for entry in state["log_history"] if "eval_auc" in entry]
    assert measured == [2, 3]


def test_finished_run_is_not_trained_further(rows, tmp_path, monkeypatch):
    recipe = expert_recipe(steps=2, **LORA)
    first, figures_first = train(recipe, rows, tmp_path)
    monkeypatch.setattr(training.ExpertTrainer, "train", None)
    again, figures_again = train(recipe, rows, tmp_path)
    assert same_weights(first, again)
    assert figures_first == figures_again


def test_without_held_out_pairs_the_last_weights_and_no_figures(rows, tmp_path):
    expert, metrics = train(expert_recipe(steps=3, eval_steps=2), rows, tmp_path, held_out=False)
    assert metrics == {}
    last = load_file(tmp_path / "checkpoint-3" / "model.safetensors")
    assert torch.equal(last["expert.head.weight"], expert.head.weight)


@pytest.mark.parametrize("how", [LORA, HEAD], ids=["lora", "head"])
def test_what_is_frozen_stays(rows, tmp_path, how):
    recipe = expert_recipe(steps=3, **how)
    before = new_expert(recipe).state_dict()
    expert, _ = train(recipe, rows, tmp_path)
    after = expert.state_dict()
    assert before.keys() == after.keys()  # LoRA is merged
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    heads = {"head.weight", "head.bias"}
    if how is HEAD:
        assert changed == heads
    else:
        # Every linear layer of the blocks and nothing else: q, k, v, o and the MLP's two.
        assert heads < changed
        assert len(changed - heads) == 2 * 6
        assert all(".layer" in name and name.endswith("weight") for name in changed - heads)


def test_merging_keeps_the_numbers(rows):
    recipe = expert_recipe(**LORA)
    expert = new_expert(recipe)
    adapt(expert, recipe)
    for name, weight in expert.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.1)
    trainable = sum(weight.numel() for weight in expert.parameters() if weight.requires_grad)
    # Rank 2 on four 32 x 32 layers and two of 32 x 128 in each of two blocks, and the head.
    assert trainable == 2 * 2 * (4 * (32 + 32) + 2 * (32 + 128)) + 33
    images = torch.rand(2, 3, CROP, CROP)
    with torch.no_grad():
        adapted = expert.eval()(images).logits
        expert.backbone = expert.backbone.merge_and_unload()
        torch.testing.assert_close(expert(images).logits, adapted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("how", [{}, LORA], ids=["all", "lora"])
def test_recomputed_activations_give_the_same_weights(rows, tmp_path, how):
    recipe = expert_recipe(steps=3, **how)
    plain, _ = train(recipe, rows, tmp_path / "plain")
    thrifty, _ = train(replace(recipe, gradient_checkpointing=True), rows, tmp_path / "thrifty")
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(thrifty.state_dict()[name], value, rtol=1e-4, atol=1e-5)


def test_accumulated_steps_are_one_large_step(rows, tmp_path):
    """Cross-entropy is a mean over images: four passes over a pair equal one over four."""
    large = expert_recipe(steps=3, contrastive=0.0)
    small = replace(large, batch_size=1, accumulation=4)
    logs = []
    for name, recipe in (("large", large), ("small", small)):
        train(recipe, rows, tmp_path / name, held_out=False)
        state = tmp_path / name / "checkpoint-3" / "trainer_state.json"
        logs.append(json.loads(state.read_text())["log_history"])
    for one, other in zip(*logs, strict=True):
        assert one == pytest.approx(other, rel=1e-3)


@pytest.mark.parametrize("period", [1000, 37])
def test_the_rate_is_pytorchs_periodic_cosine(period):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1e-4)
    reference = CosineAnnealingLR(optimizer, T_max=period, eta_min=1e-7)
    for step in range(2 * period + 50):
        assert 1e-4 * rate_share(step, period) == pytest.approx(reference.get_last_lr()[0])
        optimizer.step()
        reference.step()


@pytest.mark.parametrize(
    ("schedule", "last"), [("cosine", rate_share(4, 5)), ("cosine-periodic", rate_share(4, 1000))]
)
def test_schedules_are_stepped_once_an_optimiser_step(rows, tmp_path, schedule, last):
    recipe = expert_recipe(steps=5, accumulation=2, batch_size=1, schedule=schedule)
    train(recipe, rows, tmp_path, held_out=False)
    state = json.loads((tmp_path / "checkpoint-5" / "trainer_state.json").read_text())
    assert state["log_history"][-1]["learning_rate"] == pytest.approx(3e-3 * last)


def test_figures_are_scikit_learns():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 200).astype(np.float32)
    logits = rng.normal(labels, 1.5).astype(np.float32)
    got = figures(EvalPrediction(logits, labels), threshold=0.8)
    calls = logits >= 0
    assert tuple(got) == FIGURES
    assert got["auc"] == pytest.approx(roc_auc_score(labels, logits))
    assert got["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(labels, calls))
    for name, label in (("real_accuracy", 0), ("fake_accuracy", 1)):
        of_class = labels == label
        assert got[name] == pytest.approx(accuracy_score(labels[of_class], calls[of_class]))
    scores = 1 / (1 + np.exp(-logits))
    assert got["false_alarm_rate"] == pytest.approx((scores[labels == 0] >= 0.8).mean())
    assert got["miss_rate"] == pytest.approx((scores[labels == 1] < 0.8).mean())


def test_diverged_weights_are_the_worst():
    got = figures(EvalPrediction(np.array([np.nan, 1.0]), np.array([0.0, 1.0])), threshold=0.5)
    assert (got["balanced_accuracy"], got["false_alarm_rate"]) == (0, 1)


@pytest.fixture(scope="module")
def built(manifest, tmp_path_factory):
    folder = tmp_path_factory.mktemp("built")
    recipe = expert_recipe(steps=4, threshold=0.6, **LORA)
    fingerprint = build_expert(recipe, manifest, folder / "m", folder / "work", workers=0)
    return folder, fingerprint


def test_folder_is_ready_for_detection(built, rows):
    folder, fingerprint = built
    model = open_folder(folder / "m")
    assert model.fingerprint == fingerprint
    assert (model.preprocess.kind, model.preprocess.crop_size) == ("center-crop", CROP)
    branch = PixelBranch.load(folder / "m", device="cpu", threads=1)
    expert = PixelExpert.from_pretrained(folder / "m").eval()
    data = HeldOutDataset(find_pairs(rows, "val"), CROP)
    batch = collate([data[k] for k in range(0, len(data), 2)])
    with torch.no_grad():
        expected = ExpertInTraining(expert, expert_recipe())(**batch)["logits"]
    photos = [texture(96, 96 + k % 3, seed=k, spread=20.0) for k in range(24, 36)]
    np.testing.assert_allclose(branch.logits(photos), expected, atol=1e-4)
    assert not list(folder.glob("*.part"))


def test_calibration_and_card_say_what_was_measured(built, manifest):
    folder, _ = built
    metrics = json.loads((folder / "work" / "trained" / "metrics.json").read_text())
    calibration = open_folder(folder / "m").calibration
    assert (calibration.threshold, calibration.threshold_real) == (0.6, 0.6)
    assert (calibration.scale, calibration.bias) == (1, 0)
    assert calibration.false_alarm_rate == metrics["false_alarm_rate"]
    assert calibration.miss_rate == metrics["miss_rate"]
    assert "12 held-out pairs" in calibration.fitted_on
    card = (folder / "m" / "card.md").read_text()
    for name, value in (("AUC", "auc"), ("balanced accuracy at 0.5", "balanced_accuracy")):
        assert f"| {name} | {metrics[value]:.3f} |" in card
    assert "- 24 photos, of which 12 came as JPEG" in card
    assert "- 12 reconstructions (halved 12)" in card
    assert "rank: 2" in card
    assert hashlib.sha256(manifest.read_bytes()).hexdigest() in card
    assert str(folder) not in card
    assert "{" not in card


def test_same_command_again_gives_the_same_model(built, manifest, tmp_path):
    folder, fingerprint = built
    recipe = expert_recipe(steps=4, threshold=0.6, **LORA)
    shutil.copytree(folder / "work", tmp_path / "work")
    assert build_expert(recipe, manifest, tmp_path / "m", tmp_path / "work") == fingerprint


def test_a_folder_in_use_is_left_alone(manifest, tmp_path):
    out = tmp_path / "m"
    out.mkdir()
    (out / "mine.txt").write_text("precious")
    with pytest.raises(RecipeError, match="is there already"):
        build_expert(expert_recipe(), manifest, out, tmp_path / "work")
    assert [path.name for path in tmp_path.rglob("*")] == ["m", "mine.txt"]


def test_work_of_another_run_is_not_gone_on_with(built, manifest, tmp_path):
    folder, _ = built
    other = expert_recipe(steps=5, threshold=0.6, **LORA)
    with pytest.raises(RecipeError, match="holds a run of other images or settings"):
        build_expert(other, manifest, tmp_path / "m", folder / "work", workers=0)


def test_a_backbone_of_ones_own_leaves_no_trace_of_its_place(manifest, tmp_path):
    place = tmp_path / "secret-place" / "backbone"
    new_expert(expert_recipe()).backbone.save_pretrained(place)
    recipe = expert_recipe(steps=1, backbone=str(place), backbone_config=None, **HEAD)
    build_expert(recipe, manifest, tmp_path / "m", tmp_path / "work", workers=0)
    for name in ("card.md", "config.json", "preprocess.json", "calibration.json"):
        assert "secret-place" not in (tmp_path / "m" / name).read_text(), name
    assert "Backbone: backbone;" in (tmp_path / "m" / "card.md").read_text()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"backbone": "/no/such/folder", "backbone_config": None}, "/no/such/folder: .*--backbone"),
        ({"backbone_config": {"model_type": "nonesuch"}}, "nonesuch"),
        ({"crop_size": 50}, "crop_size 50 is no multiple of patch_size 8"),
    ],
)
def test_what_cannot_be_trained_is_said_before(manifest, tmp_path, change, message):
    with pytest.raises(RecipeError, match=message):
        build_expert(expert_recipe(**change), manifest, tmp_path / "m", tmp_path / "work")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pair": ""}, "it has no pairs"),
        ({"split": "val"}, "all of its pairs are in the split val"),
    ],
)
def test_a_set_without_pairs_is_said(rows, tmp_path, change, message):
    write_manifest([replace(row, **change) for row in rows], tmp_path / "set.csv")
    with pytest.raises(ManifestError, match=rf"set\.csv: nothing to train on, {message}"):
        build_expert(expert_recipe(), tmp_path / "set.csv", tmp_path / "m", tmp_path / "work")


@pytest.mark.parametrize("workers", [0, 1])
def test_a_file_damaged_in_the_meantime_ends_the_run_with_its_name(tmp_path, workers):
    manifest = write_pairs(tmp_path, 3)
    (tmp_path / "fake-1.png").write_bytes(b"\x89PNG\r\n\x1a\ncut short")
    with pytest.raises(ManifestError, match=rf"^{tmp_path}/fake-1\.png cannot be trained on: .*$"):
        build_expert(expert_recipe(), manifest, tmp_path / "m", tmp_path / "work", workers=workers)
    assert not (tmp_path / "m").exists()
