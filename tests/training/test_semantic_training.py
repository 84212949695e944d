"""Training on preference pairs: what is trained, going on after a stop, the folder that results."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import load_dataset
from fixtures.rules import PROMPT, lora_recipe, newborn, world_recipe, write_world
from safetensors.torch import load_file
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from transformers import TrainerCallback

from aligngemini.images.decode import decode
from aligngemini.runtimes.semantic_folder import open_semantic_folder
from aligngemini.runtimes.vlm import Vlm
from aligngemini.training import semantic
from aligngemini.training.pixel import last_checkpoint
from aligngemini.training.recipe import RecipeError
from aligngemini.training.semantic import figures_of, steps_of, train_semantic
from aligngemini.training.semantic_build import build_semantic
from aligngemini.training.semantic_data import PreferenceError, open_preferences
from aligngemini.training.semantic_recipe import RECIPES, load_semantic_recipe

ADAPTER = "adapter_model.safetensors"


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return newborn(tmp_path_factory.mktemp("base") / "small-vl")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_world(tmp_path_factory.mktemp("set") / "world", 16, held_out=8)


@pytest.fixture(scope="module")
def preferences(data, tmp_path_factory):
    return open_preferences(data, tmp_path_factory.mktemp("cache"), held_out=0.1, seed=0)


@pytest.fixture(scope="module")
def built(base, data, tmp_path_factory):
    """A model folder of a few steps, fast enough to change its mind."""
    folder = tmp_path_factory.mktemp("built")
    recipe = lora_recipe(base, learning_rate=3e-2)
    fingerprint = build_semantic(recipe, data, folder / "adapter", folder / "work")
    return folder / "adapter", folder / "work", fingerprint


def test_adapters_are_on_the_language_models_attention_alone(built):
    modules = {name.rpartition(".lora_")[0] for name in load_file(built[0] / ADAPTER)}
    wanted = {
        f"base_model.model.model.language_model.layers.{layer}.self_attn.{part}_proj"
        for layer in (0, 1)
        for part in "qkvo"
    }
    assert modules == wanted


def test_adapters_have_left_their_start(built):
    weights = load_file(built[0] / ADAPTER)
    assert all(value.abs().max() > 0 for name, value in weights.items() if "lora_B" in name)


def test_folder_judges_as_was_measured_in_training(built, data):
    folder = open_semantic_folder(built[0])
    assert folder.fingerprint == built[2]
    settings = folder.settings
    assert settings.prompt == PROMPT
    vlm = Vlm(
        folder.base,
        adapter=folder.adapter,
        prompt=settings.prompt,
        min_pixels=settings.min_pixels,
        max_pixels=settings.max_pixels,
        device="cpu",
    )
    rows = load_dataset("parquet", data_files=str(data / "preferences/validation.parquet"))["train"]
    scores = vlm.score([np.asarray(images[0]) for images in rows["images"]])
    difference = scores[:, 0] - scores[:, 1]
    fake = np.array(rows["label"]) == "fake"
    last = figures_of(last_checkpoint(built[1]))[-1]
    assert last["step"] == 4
    assert last["auc"] == pytest.approx(roc_auc_score(fake, difference))
    assert last["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(fake, difference > 0))
    calibration = folder.calibration
    assert calibration.false_alarm_rate == pytest.approx((difference[~fake] >= 0).mean())
    assert calibration.miss_rate == pytest.approx((difference[fake] < 0).mean())


def test_card_says_what_was_done(built):
    card = (built[0] / "card.md").read_text()
    for text in (
        "Base model: small-vl",
        "8 real and 8 fake images",
        "held out (the set's split val): 4 real and 4 fake images",
        "| 4 |",
        "4 optimiser steps",
        "objective dpo, beta 0.05. Reported by others of the paper: nothing.",
        PROMPT.question,
    ):
        assert text in card


def test_folder_tells_nothing_of_the_machine(built, tmp_path_factory):
    for file in built[0].iterdir():
        assert str(tmp_path_factory.getbasetemp()).encode() not in file.read_bytes(), file.name
        assert (
            b"small-vl" not in file.read_bytes()
            or b"/small-vl" not in file.read_bytes()
            or (file.name == "semantic.json")
        )
    assert not built[0].with_name("adapter.part").exists()


def test_model_of_all_weights_stands_alone(base, data, tmp_path):
    recipe = world_recipe(
        base, steps=1, objective="sft", beta=None, batch_size=4, device_batch_size=4
    )
    build_semantic(recipe, data, tmp_path / "model", tmp_path / "work")
    moved = shutil.move(tmp_path / "model", tmp_path / "moved")
    folder = open_semantic_folder(moved)
    assert folder.adapter is None
    vlm = Vlm(folder.base, prompt=folder.settings.prompt, device="cpu")
    picture = decode((data / "images/0.png").read_bytes(), path="0.png").pixels
    assert np.isfinite(vlm.score([picture])).all()
    before = load_file(base / "model.safetensors")
    after = load_file(folder.base / "model.safetensors")
    assert not torch.equal(
        before["visual.patch_embed.proj.weight"], after["visual.patch_embed.proj.weight"]
    )


class StopError(Exception):
    pass


@pytest.fixture
def watched(monkeypatch):
    """The numbers of the steps taken; training is cut off before the one in `stop_before`."""
    taken = []
    stop_before = []

    class Watch(TrainerCallback):
        def on_step_begin(self, args, state, control, **others):
            if state.global_step + 1 in stop_before:
                raise StopError
            taken.append(state.global_step + 1)

    class WatchedTrainer(semantic.VerdictDPOTrainer):
        def __init__(self, *, callbacks, **options):
            super().__init__(**options, callbacks=[*callbacks, Watch()])

    monkeypatch.setattr(semantic, "VerdictDPOTrainer", WatchedTrainer)
    return taken, stop_before


def test_resumed_run_ends_where_an_uninterrupted_one_does(base, preferences, watched, tmp_path):
    taken, stop_before = watched
    recipe = lora_recipe(base, learning_rate=1e-2)
    straight = load_file(train_semantic(recipe, preferences, tmp_path / "straight") / ADAPTER)
    assert taken == [1, 2, 3, 4]
    taken.clear()
    stop_before.append(4)
    with pytest.raises(StopError):
        train_semantic(recipe, preferences, tmp_path / "resumed")
    assert taken == [1, 2, 3]
    stop_before.clear()
    taken.clear()
    checkpoint = train_semantic(recipe, preferences, tmp_path / "resumed")
    assert taken == [3, 4]
    resumed = load_file(checkpoint / ADAPTER)
    assert straight.keys() == resumed.keys()
    assert all(torch.equal(straight[name], resumed[name]) for name in straight)
    assert [row["step"] for row in figures_of(checkpoint)] == [2, 4]
    taken.clear()
    # What is finished is not even loaded.
    gone = replace(recipe, base=str(tmp_path / "gone"))
    assert train_semantic(gone, preferences, tmp_path / "resumed") == checkpoint
    assert taken == []


def test_sft_never_sees_the_rejected_answers(base, preferences, tmp_path):
    recipe = lora_recipe(base, steps=1, objective="sft", beta=None, learning_rate=1e-2)
    other = preferences.train.map(
        lambda row: {"rejected": [{"role": "assistant", "content": "Something else."}]},
        remove_columns="rejected",
    )
    first, second = (
        load_file(train_semantic(recipe, changed, tmp_path / name) / ADAPTER)
        for name, changed in (("a", preferences), ("b", replace(preferences, train=other)))
    )
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(value.any() for name, value in first.items() if "lora_B" in name)


def test_one_epoch_unless_steps_are_given(base):
    recipe = lora_recipe(base, steps=None, epochs=1.0, batch_size=16)
    assert [steps_of(recipe, pairs) for pairs in (10, 16, 17, 10_000)] == [1, 1, 2, 625]
    assert steps_of(replace(recipe, steps=7), 10_000) == 7


def test_pairs_are_held_out_where_the_set_has_no_split(base, data, tmp_path):
    shutil.copytree(data, tmp_path / "set")
    (tmp_path / "set/preferences/validation.parquet").unlink()
    opened = open_preferences(tmp_path / "set", tmp_path / "cache", held_out=0.25, seed=3)
    assert (len(opened.train), len(opened.held_out)) == (12, 4)
    paths = {row["path"] for part in (opened.train, opened.held_out) for row in part}
    assert len(paths) == 16
    none = open_preferences(tmp_path / "set", tmp_path / "cache", held_out=0.0, seed=3)
    assert (len(none.train), len(none.held_out)) == (16, 0)


def test_a_saved_dataset_will_do(data, tmp_path):
    rows = load_dataset("parquet", data_files=str(data / "preferences/train.parquet"))
    rows.save_to_disk(tmp_path / "saved")
    (tmp_path / "saved/prompt.json").write_bytes((data / "prompt.json").read_bytes())
    opened = open_preferences(tmp_path / "saved", tmp_path / "cache", held_out=0.0, seed=0)
    assert opened.counts() == {"real": 8, "fake": 8}


def _without_prompt(folder):
    (folder / "prompt.json").unlink()


def _empty(folder):
    shutil.rmtree(folder / "preferences")


def _cut(folder):
    path = folder / "preferences/train.parquet"
    path.write_bytes(path.read_bytes()[:500])


def _one_label(folder):
    path = folder / "preferences/train.parquet"
    rows = load_dataset("parquet", data_files=str(path))["train"]
    rows.filter(lambda label: label == "real", input_columns="label").to_parquet(path)


def _same_verdict_twice(folder):
    path = folder / "preferences/train.parquet"
    rows = load_dataset("parquet", data_files=str(path))["train"]
    rows.map(lambda row: {"rejected": row["chosen"]}).to_parquet(path)


def _no_column(folder):
    path = folder / "preferences/train.parquet"
    rows = load_dataset("parquet", data_files=str(path))["train"]
    (folder / "preferences/validation.parquet").unlink()
    rows.remove_columns("rejected").to_parquet(path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_without_prompt, "pair 1: question or verdicts are not those of prompt.json"),
        (_empty, "holds no preference pairs; `aligngemini build semantic-set"),
        (_cut, "cannot be read"),
        (_one_label, "there is no fake image to train on"),
        (_same_verdict_twice, "pair 1: question or verdicts are not"),
        (_no_column, "the column rejected is missing"),
    ],
)
def test_data_that_cannot_be_used_is_said(data, tmp_path, damage, message):
    shutil.copytree(data, tmp_path / "set")
    damage(tmp_path / "set")
    with pytest.raises(PreferenceError, match=message):
        open_preferences(tmp_path / "set", tmp_path / "cache", held_out=0.1, seed=0)


def test_image_that_cannot_be_decoded_is_named(data, tmp_path):
    shutil.copytree(data, tmp_path / "set")
    path = tmp_path / "set/preferences/train.parquet"
    rows = load_dataset("parquet", data_files=str(path))["train"].to_list()
    from datasets import Dataset, Image, List

    rows[3]["images"] = [{"bytes": b"\x89PNG broken", "path": "3.png"}]
    Dataset.from_list(rows).cast_column("images", List(Image(decode=False))).to_parquet(path)
    opened = open_preferences(tmp_path / "set", tmp_path / "cache", held_out=0.1, seed=0)
    with pytest.raises(PreferenceError, match=r"3\.png .* cannot be decoded"):
        list(opened.train)


def test_folders_in_use_are_left_alone(built, base, data, tmp_path):
    folder, work, _ = built
    recipe = lora_recipe(base, learning_rate=3e-2)
    with pytest.raises(RecipeError, match="is there already"):
        build_semantic(recipe, data, folder, tmp_path)
    with pytest.raises(RecipeError, match="holds a run of other pairs or settings"):
        build_semantic(replace(recipe, seed=1), data, tmp_path / "out", work)
    assert not (tmp_path / "out").exists()


def test_shards_are_not_taken_for_weights(built, base, data, tmp_path):
    work = shutil.copytree(built[1], tmp_path / "work")
    (last_checkpoint(work) / ADAPTER).unlink()
    with pytest.raises(RecipeError, match="FULL_STATE_DICT"):
        build_semantic(lora_recipe(base, learning_rate=3e-2), data, tmp_path / "out", work)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"base": str(Path(__file__).parent)}, "cannot open the base model .*/training: "),
        ({"targets": ".*no_such_layer"}, "does not fit"),
        ({"batch_size": 5}, "batch_size 5 is no multiple"),
    ],
)
def test_recipe_that_does_not_fit_is_said(base, preferences, tmp_path, changes, message):
    with pytest.raises(RecipeError, match=message):
        train_semantic(replace(lora_recipe(base), **changes), preferences, tmp_path)


@pytest.mark.parametrize("name", RECIPES)
def test_what_ships_can_be_loaded(name):
    recipe = load_semantic_recipe(name)
    assert recipe.objective == {"aligngemini": "dpo", "sft": "sft"}[name]
    assert recipe.targets is not None


def test_the_papers_values_ship():
    recipe = load_semantic_recipe("aligngemini")
    assert (recipe.beta, recipe.learning_rate, recipe.epochs) == (0.05, 1e-6, 1.0)
    assert (recipe.lora.rank, recipe.lora.alpha) == (16, 32)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"objective": "ppo"}, "objective 'ppo'; known: dpo, sft"),
        ({"objective": "sft"}, "beta belongs to the objective dpo"),
        ({"beta": -1.0}, "beta belongs to the objective dpo, which needs one above 0"),
        ({"train": "all"}, "lora and targets belong to train: lora"),
        ({"targets": "("}, "targets is no regular expression"),
        ({"min_pixels": 2_000_000}, "min_pixels must be above 0 and not above max_pixels"),
        ({"held_out": 1.0}, "warmup and held_out are shares"),
        ({"evals": 0}, "must be 1 or more"),
        ({"stpes": 1}, "unknown setting stpes"),
    ],
)
def test_settings_that_do_not_fit_are_said(changes, message):
    with pytest.raises(RecipeError, match=message):
        load_semantic_recipe("aligngemini", **changes)


def test_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(RecipeError, match="no recipe 'nonesuch'; known: aligngemini, sft"):
        load_semantic_recipe("nonesuch")


def test_hashes_cover_the_adapter(built):
    hashes = json.loads((built[0] / "hashes.json").read_text())
    assert set(hashes) == {"adapter_config.json", ADAPTER, "semantic.json", "calibration.json"}
