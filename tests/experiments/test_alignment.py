"""The alignment study: its models are the real ones, and its numbers decide what it concludes."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from aligngemini.experiments import alignment, vision, vlm
from aligngemini.experiments.alignment import PAIRS, REFERENCE, SMOKE, STUDY
from aligngemini.experiments.alignment_sets import EITHER, NEW_DECODERS, NEW_RULES, PIXEL, SEMANTIC
from aligngemini.experiments.alignment_words import conclude
from aligngemini.experiments.report import write_report
from aligngemini.experiments.runs import run_study
from aligngemini.experiments.study import StudyError, Task
from aligngemini.experiments.table import Table
from aligngemini.experiments.vlm import PROMPT, StudyVlm, VlmSettings
from aligngemini.experiments.world.scene import RULES
from aligngemini.experiments.world.sets import LabelledImages, photos, scenes
from aligngemini.images.degrade import blur
from aligngemini.models.expert import BACKBONES
from aligngemini.models.qwen import MODELS
from aligngemini.models.vaes import PUBLISHED
from aligngemini.runtimes.vlm import Vlm

SIDE = 56
SMALL = VlmSettings(width=32, layers=2, sight_steps=2, words_steps=2, steps=3, batch=8)


@pytest.fixture(scope="module")
def small_vlm():
    torch.manual_seed(0)
    return StudyVlm(SMALL, SIDE)


@pytest.fixture(scope="module")
def pictures():
    return photos(scenes(np.random.default_rng(0), 6, RULES), SIDE)


def test_smoke_runs_every_cell_and_writes_the_report(tmp_path):
    runs = run_study(STUDY, "smoke", tmp_path, seeds=(0, 1))
    assert runs.table.cells == tuple(alignment.cells(SMOKE))
    for cell in runs.table.cells:
        for figure in (SEMANTIC, NEW_RULES, PIXEL, NEW_DECODERS, EITHER):
            values = runs.table.values(cell, figure)
            assert values.min() >= 0
            assert values.max() <= 1
    text = write_report(STUDY, "smoke", runs, tmp_path, "the command")
    assert "Null controls" in text
    # A pair's numbers come out of the kept scores of its two branches.
    one = next((tmp_path / "cache").glob("*/"))
    tests = np.load(one / "tests-seed0.npz")
    branches = [
        np.load(one / f"scores-{arm.replace(', ', '-')}-seed0.npz") for arm in PAIRS["aligned pair"]
    ]
    ranks = [
        [(branch[REFERENCE] < score).mean() for score in branch[EITHER]] for branch in branches
    ]
    expected = roc_auc_score(tests[f"{EITHER}/fake"], np.max(ranks, axis=0))
    assert runs.table.values("aligned pair", EITHER)[0] == pytest.approx(expected)


def test_visual_tokens_may_be_computed_once(small_vlm, pictures):
    """What `read` gives of kept tokens is what the model gives of the pictures."""
    tokens = small_vlm.looked_at(pictures)
    with torch.no_grad():
        logits, ids = small_vlm.read(tokens, PROMPT.question, ["no"] * len(pictures))
    judge = Vlm.of(small_vlm.model, small_vlm.processor, PROMPT, device="cpu")
    fake, real = judge.score(list(pictures)).T
    token = small_vlm.processor.tokenizer("no")["input_ids"]
    assert ids.tolist() == [token] * len(pictures)
    assert logits.log_softmax(-1)[:, 0, token[0]].numpy() == pytest.approx(fake, abs=1e-5)
    assert vlm.scores(small_vlm, pictures) == pytest.approx(fake - real, abs=1e-5)


def test_supervision_moves_the_adapters_and_nothing_else(pictures):
    torch.manual_seed(0)
    trained = StudyVlm(SMALL, SIDE)
    before = {name: value.clone() for name, value in trained.model.state_dict().items()}
    images = LabelledImages(pictures, np.arange(len(pictures)) % 2 == 1)
    vlm.supervise(trained, images, 0)
    after = trained.model.get_base_model().state_dict()
    for name, value in before.items():
        kept = after.get(name, after.get(name.replace(".weight", ".base_layer.weight")))
        if kept is None:
            kept = after[name.replace(".bias", ".base_layer.bias")]
        assert torch.equal(kept, value), name
    moved = [v.abs().max() for n, v in trained.model.state_dict().items() if "lora_B" in n]
    assert moved
    assert min(moved) > 0


def test_dpo_prefers_the_right_verdict(pictures):
    torch.manual_seed(0)
    settings = VlmSettings(width=32, layers=2, steps=60, batch=6, rate=1e-2)
    trained = StudyVlm(settings, SIDE)
    images = LabelledImages(pictures, np.arange(len(pictures)) % 2 == 1)
    before = vlm.scores(trained, pictures)
    vlm.supervise(trained, images, 0)
    moved = vlm.scores(trained, pictures) - before
    assert moved[images.fake].min() > moved[~images.fake].max()


def test_the_vision_model_learns_a_trace_it_is_shown():
    rng = np.random.default_rng(0)
    real = photos(scenes(rng, 16, RULES), SIDE)
    smooth = [blur(pixels, 1.0) for pixels in real]
    pixels = np.stack([real, smooth], 1).reshape(-1, SIDE, SIDE, 3)
    images = LabelledImages(pixels, np.arange(32) % 2 == 1)
    settings = vision.VisionSettings(widths=(8, 16), strides=(1, 2), steps=30, rate=1e-2, batch=16)
    torch.manual_seed(0)
    model = vision.new_vision(settings)
    vision.supervise(model, images, settings, 0)
    assert roc_auc_score(images.fake, vision.scores(model, pixels)) > 0.9


def test_pairs_stay_together():
    chosen = vision.draw_pairs(np.random.default_rng(0), 100, 32)
    assert len(chosen) == 32
    assert set(chosen[:16] + 1) == set(chosen[16:])
    assert (chosen[:16] % 2 == 0).all()


def table(**changed):
    """Numbers as the paper has them, unless changed: AUC by arm, the same for every figure."""
    arms = {
        "VLM, semantic": {SEMANTIC: 0.95, NEW_RULES: 0.9, PIXEL: 0.5, NEW_DECODERS: 0.5},
        "VLM, pixel": {SEMANTIC: 0.5, NEW_RULES: 0.5, PIXEL: 0.6, NEW_DECODERS: 0.5},
        "VLM, mixed": {SEMANTIC: 0.8, NEW_RULES: 0.6, PIXEL: 0.5, NEW_DECODERS: 0.5},
        "vision, semantic": {SEMANTIC: 0.6, NEW_RULES: 0.5, PIXEL: 0.5, NEW_DECODERS: 0.5},
        "vision, pixel": {SEMANTIC: 0.5, NEW_RULES: 0.5, PIXEL: 0.99, NEW_DECODERS: 0.9},
        "vision, mixed": {SEMANTIC: 0.5, NEW_RULES: 0.5, PIXEL: 0.9, NEW_DECODERS: 0.8},
        "aligned pair": {EITHER: 0.9, "either: all unseen": 0.8},
        "misaligned pair": {EITHER: 0.6, "either: all unseen": 0.5},
        "mixed pair": {EITHER: 0.8, "either: all unseen": 0.7},
    }
    for arm, figures in changed.items():
        arms[arm] |= figures
    noise = np.random.default_rng(0)
    return Table(
        {
            (arm, seed): {name: value + noise.normal(0, 0.002) for name, value in figures.items()}
            for arm, figures in arms.items()
            for seed in range(3)
        }
    )


def test_numbers_like_the_papers_support_it():
    lines = conclude(table())
    assert all("**supports**" in line for line in lines)


def test_numbers_against_the_paper_contradict_it():
    lines = conclude(table(**{"vision, semantic": {SEMANTIC: 0.99}, "mixed pair": {EITHER: 0.95}}))
    assert "**contradicts** that a VLM supervised on meaning" in lines[0]
    assert any("**contradicts** that an aligned pair beats two models" in line for line in lines)


def test_two_guessers_tell_nothing():
    lines = conclude(table(**{"VLM, semantic": {NEW_RULES: 0.5}}))
    (line,) = [line for line in lines if "unseen rules" in line]
    assert "cannot tell" in line


def test_full_scale_names_what_exists():
    full = STUDY.settings["full"]
    assert full.vlm.base in MODELS
    assert full.vision.backbone in BACKBONES
    assert {full.sets.decoder, *full.sets.new_decoders} <= PUBLISHED.keys()


def test_a_folder_without_a_decoder_is_said(tmp_path):
    (tmp_path / "data").mkdir()
    task = Task("vision, pixel", 0, SMOKE, tmp_path, tmp_path / "data")
    with pytest.raises(StudyError, match=r"no decoder: .*holds no VAE"):
        STUDY.run(task)
