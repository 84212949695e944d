"""The thesis as a study: {vision model, VLM} x {semantic, pixel, mixed supervision}."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from matplotlib.figure import Figure

from aligngemini.evaluation.metrics import auc
from aligngemini.experiments import vision, vlm
from aligngemini.experiments.alignment_sets import (
    EITHER,
    EITHER_NEW,
    GIVEN,
    NEW_DECODERS,
    NEW_RULES,
    NOTHING,
    PIXEL,
    PIXEL_POST,
    SEMANTIC,
    SEMANTIC_POST,
    SetSettings,
    held_out_sets,
    ordinary_photos,
    training_sets,
)
from aligngemini.experiments.alignment_words import DESIGN, MEANING, conclude
from aligngemini.experiments.figures import bars
from aligngemini.experiments.schooling import facts_told, schooled_vlm
from aligngemini.experiments.study import Control, Study, Task
from aligngemini.experiments.table import Table
from aligngemini.experiments.vision import VisionSettings
from aligngemini.experiments.vlm import StudyVlm, VlmSettings
from aligngemini.experiments.world.sets import LabelledImages
from aligngemini.images.degrade import Pixels

Scores = npt.NDArray[np.float64]

SINGLE = {
    f"{name}, {kind}": (name, kind)
    for name in ("VLM", "vision")
    for kind in ("semantic", "pixel", "mixed")
}
TOWER = "VLM and its tower, pixel"
PAIRS = {
    "aligned pair": ("VLM, semantic", "vision, pixel"),
    "misaligned pair": ("VLM, pixel", "vision, semantic"),
    "mixed pair": ("VLM, mixed", "vision, mixed"),
}
LOTS = {
    "VLM, semantic by lot": ("VLM", "semantic"),
    "vision, pixel by lot": ("vision", "pixel"),
}
REFERENCE = "photos"  # key of the scores that bring two branches to one scale


@dataclass(frozen=True)
class AlignmentSettings:
    """Of one scale.

    Attributes:
        sets: The images.
        vlm: The vision-language model.
        vision: The vision model.
        pictures: That a small VLM is pretrained on.
        tower_steps: Of the arm that trains the VLM's tower too; 0 leaves it out.
    """

    sets: SetSettings = field(default_factory=SetSettings)
    vlm: VlmSettings = field(default_factory=VlmSettings)
    vision: VisionSettings = field(default_factory=VisionSettings)
    pictures: int = 3000
    tower_steps: int = 150


def cells(settings: AlignmentSettings) -> list[str]:
    """The arms: models alone, pairs of them, and those whose labels mean nothing."""
    return [*SINGLE, *([TOWER] if settings.tower_steps else []), *PAIRS, *LOTS]


def run(task: Task) -> Mapping[str, float]:
    """AUC of one arm on every test set, and for the semantic VLM what it can tell of scenes."""
    tests = held_out_sets(task, task.settings.sets)
    if task.cell in PAIRS:
        branches = [_scores(task, branch) for branch in PAIRS[task.cell]]
        found = {name: _either_of(branches, name) for name in (*tests, REFERENCE)}
    else:
        found = _scores(task, task.cell)
    figures = {name: _auc(found[name], images) for name, images in tests.items()}
    if task.cell == "VLM, semantic":
        side = task.settings.sets.side
        figures["facts"] = facts_told(_schooled(task), task.seed, side)
    return figures


def draw(table: Table) -> Figure:
    """Both axes and both together, an arm a bar."""
    given = [GIVEN] if table.has("vision, pixel", GIVEN) else []
    panels = {
        "meaning": [SEMANTIC, SEMANTIC_POST, NEW_RULES],
        "pixels": [PIXEL, PIXEL_POST, NEW_DECODERS, *given],
        "either (pairs: fake if one branch says so)": [EITHER, EITHER_NEW],
    }
    shown = [cell for cell in table.cells if cell not in LOTS]
    return bars(table, panels, shown, label="AUC")


def _scores(task: Task, arm: str) -> dict[str, Scores]:
    """What one trained model says of all test images; kept, for pairs need it again."""
    file = task.cache / f"scores-{arm.replace(', ', '-').replace(' ', '-')}-seed{task.seed}.npz"
    if not file.is_file():
        judge = _trained(task, arm)
        images = held_out_sets(task, task.settings.sets)
        images[REFERENCE] = ordinary_photos(task, task.settings.sets)
        partial = file.with_name(f".partial.{file.name}")
        np.savez(partial, **{name: judge(one.pixels) for name, one in images.items()})  # type: ignore[arg-type]  # NumPy's stub has flags among the names
        partial.replace(file)
    with np.load(file) as stored:
        return dict(stored)


def _trained(task: Task, arm: str) -> Callable[[Pixels], Scores]:
    """An arm's model, trained."""
    settings: AlignmentSettings = task.settings
    model, kind = {**SINGLE, **LOTS, TOWER: ("VLM", "pixel")}[arm]
    images: LabelledImages = training_sets(task, settings.sets)[kind]
    if arm in LOTS:
        images = images.by_lot(np.random.default_rng([task.seed, 14]))
    torch.manual_seed(task.seed)
    if model == "vision":
        network = vision.new_vision(settings.vision)
        vision.supervise(network, images, settings.vision, task.seed)
        return lambda pixels: vision.scores(network, pixels)
    reader = _schooled(task)
    tower_steps = settings.tower_steps if arm == TOWER else None
    vlm.supervise(reader, images, task.seed, tower_steps=tower_steps)
    return lambda pixels: vlm.scores(reader, pixels)


def _schooled(task: Task) -> StudyVlm:
    settings: AlignmentSettings = task.settings
    return schooled_vlm(task, settings.vlm, settings.sets.side, settings.pictures)


def _either_of(branches: list[dict[str, Scores]], name: str) -> Scores:
    """The OR of two branches at any threshold: the larger of their ranks among ordinary photos."""
    ranks = [
        np.searchsorted(np.sort(branch[REFERENCE]), branch[name]) / len(branch[REFERENCE])
        for branch in branches
    ]
    return np.maximum(*ranks)


def _auc(scores: Scores, images: LabelledImages) -> float:
    return auc(scores[~images.fake], scores[images.fake])


FULL = AlignmentSettings(
    sets=SetSettings(
        side=448,
        pairs=5000,
        tests=1000,
        decoder="sd21",
        new_decoders=("sdxl", "sd3", "flux1"),
    ),
    vlm=VlmSettings(base="qwen2.5-vl-7b", steps=1250, rate=2e-5, batch=16, beta=0.05),
    vision=VisionSettings(backbone="dinov2-large", steps=5000, rate=1e-5, batch=32),
    tower_steps=0,
)
SMOKE = AlignmentSettings(
    sets=SetSettings(side=56, pairs=12, tests=12),
    vlm=VlmSettings(width=32, layers=2, sight_steps=2, words_steps=2, steps=2, batch=8),
    vision=VisionSettings(widths=(8, 8, 8), strides=(2, 2, 2), steps=2, batch=8),
    pictures=24,
    tower_steps=2,
)

STUDY = Study(
    name="alignment",
    question="Does a model generalise better when what it is trained on fits what it is good at?",
    design=DESIGN,
    settings={"smoke": SMOKE, "tiny": AlignmentSettings(), "full": FULL},
    cells=cells,
    run=run,
    figure=draw,
    conclude=conclude,
    controls=(
        Control("VLM, semantic by lot", SEMANTIC, "labels drawn by lot"),
        Control("vision, pixel by lot", PIXEL, "labels drawn by lot"),
        Control("VLM, semantic", NOTHING, "no rule broken"),
        Control("vision, pixel", NOTHING, "no trace"),
    ),
    meaning=MEANING,
    data="a folder with a VAE that no arm was trained on: TAEF2's files, or one of diffusers",
)
