"""What each part of GAMMA is worth: trained without it, tested on what no variant was shown.

    python tools/ablate_gamma.py set/manifest.parquet --unseen-kind inpaint-classical \
        --unseen-generator NAME --work ablation --out ablation.md

The manifest is one of `aligngemini build manipulation-set ... --fakes DIR`: photos, edited photos
and whole AI images. Images of the unseen manipulation and of the unseen generator are kept out of
every training. Every variant is trained with several seeds, on small crops first, each edited one
beside its original, and tested on one crop of each held-out image after JPEG 90. A run that was
stopped goes on where it was.
"""

import argparse
import json
import math
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch

from aligngemini.datasets.crop_settings import CropSettings, Delivery, Stage
from aligngemini.datasets.manipulated import HeldOutCrops
from aligngemini.datasets.manipulation_set import FULL, UNTOUCHED, Sample, read_manipulation_set
from aligngemini.datasets.pair_settings import Augmentation
from aligngemini.evaluation.metrics import auc
from aligngemini.evaluation.segmentation import count_pixels, pixel_auc
from aligngemini.models.gamma import Gamma
from aligngemini.models.small_backbone import SmallConfig
from aligngemini.training.gamma import new_gamma, spread, train_gamma
from aligngemini.training.gamma_recipe import GammaRecipe, load_gamma_recipe

VARIANTS = {
    "everything": {},
    "without manipulations": {},  # see `variant`
    "without head `generated`": {"heads": ("moved",)},
    "without head `moved`": {"heads": ("generated",)},
    "without reverse attention": {"reverse_attention": False},
}
SMALLER = {
    "small": SmallConfig(
        fine=(12, 16, 24, 32),
        fine_strides=(1, 2, 2, 2),
        coarse=(48,),
        coarse_strides=(2,),
        dilations=(1, 2, 4),
    ),
    "tile_size": 128,
    "overlap": 32,
    "map_stride": 8,
    "decoder_width": 24,
    "batch_size": 4,
    "bf16": True,
}
"""Changes of `gamma-compact` that make fifteen trainings bearable on two cores."""
MILD = Delivery(rescale=0, jpeg=0.5, jpeg_quality=(85, 98))
FLIPS = Augmentation(jpeg=0, noise=0, pepper=0, blur=0, sharpen=0, jitter=0, grey=0)
TESTED = CropSettings(
    aim=1.0,
    delivery=replace(MILD, jpeg=1, jpeg_quality=(90, 90)),
    augmentation=replace(FLIPS, flip=0, mirror=0),
)
MOST = 200  # test crops of a group


def main() -> None:
    """Train, test, write the table."""
    given = _arguments()
    runs = [(name, seed) for seed in range(given.seeds) for name in VARIANTS]
    with ProcessPoolExecutor(given.jobs, mp_context=get_context("spawn")) as pool:
        done = [pool.submit(run, given, name, seed) for name, seed in runs]
        results = {key: future.result() for key, future in zip(runs, done, strict=True)}
    table = markdown(results, given)
    given.out.write_text(table, encoding="utf-8")
    print(table)


def run(given: argparse.Namespace, name: str, seed: int) -> dict[str, float]:
    """Train one variant with one seed; gives its figures by group."""
    work = given.work / f"{list(VARIANTS).index(name)}-{seed}"
    finished = work / "figures.json"
    if finished.is_file():
        return json.loads(finished.read_text())
    torch.set_num_threads(1)
    samples = read_manipulation_set(given.manifest)
    recipe = variant(name, given.steps, seed)
    training = [one for one in samples if one.split != "val" and not unseen(one, given)]
    gamma, _ = train_gamma(recipe, new_gamma(recipe), training, [], work, workers=0)
    figures = tested(gamma, recipe, groups(samples, given))
    finished.write_text(json.dumps(figures))
    return figures


def variant(name: str, steps: int, seed: int) -> GammaRecipe:
    """The recipe of one row."""
    recipe = load_gamma_recipe("gamma-compact", steps=steps, seed=seed)
    stages = (
        Stage(max(1, round(0.7 * steps)), side=64, crops=6, delivery=0.0),
        Stage(steps, side=128, crops=2),
    )
    crops = replace(recipe.crops, pairs=True, shares=None, delivery=MILD, augmentation=FLIPS)
    recipe = replace(
        recipe, **SMALLER, stages=stages, crops=crops, eval_steps=steps, **VARIANTS[name]
    )
    if name == "without manipulations":
        whole = {UNTOUCHED: 1.0, FULL: 1.0}
        recipe = replace(recipe, crops=replace(recipe.crops, shares=whole))
    return recipe


def unseen(sample: Sample, given: argparse.Namespace) -> bool:
    """Whether no variant may be trained on it."""
    return sample.manipulation == given.unseen_kind or sample.generator == given.unseen_generator


def groups(samples: Sequence[Sample], given: argparse.Namespace) -> dict[str, list[Sample]]:
    """Test images by what they test; the first group is the photos that others are held against."""
    held_out = [one for one in samples if one.split == "val"]
    return {
        "untouched": [one for one in held_out if one.manipulation == UNTOUCHED],
        "seen": [
            one for one in held_out if one.manipulation != UNTOUCHED and not unseen(one, given)
        ],
        f"unseen manipulation ({given.unseen_kind})": [
            one for one in held_out if one.manipulation == given.unseen_kind
        ],
        f"unseen generator ({given.unseen_generator})": [
            one for one in samples if one.generator == given.unseen_generator
        ],
    }


@torch.no_grad()
def tested(gamma: Gamma, recipe: GammaRecipe, parts: dict[str, list[Sample]]) -> dict[str, float]:
    """By group: image AUC against untouched photos, F1 and AUC of both maps together."""
    figures: dict[str, float] = {}
    photos = np.empty(0)
    for name, samples in parts.items():
        logits, f1, areas, false = [], [], [], []
        chosen = spread(samples, MOST)
        for item in HeldOutCrops(chosen, recipe.tile_size, recipe.shape(), TESTED, seed=0):
            output = gamma(item["pixels"].permute(0, 3, 1, 2) / 255)
            either = torch.maximum(output.generated, output.moved)[0].numpy()
            truth = (item["masks"][0].amax(0) >= 0.5).numpy()
            logits.append(output.logits.item())
            f1.append(count_pixels(either >= 0, truth).f1)
            areas.append(pixel_auc(either, truth))
            false.append((either >= 0).mean())
        if name == "untouched":
            photos = np.array(logits)
            figures["false area"] = float(np.mean(false))
        elif logits:
            figures[f"{name}: image AUC"] = auc(photos, np.array(logits))
            figures[f"{name}: pixel F1"] = float(np.mean(f1))
            if not np.isnan(areas).all():  # it is, for images that are marked all over
                figures[f"{name}: pixel AUC"] = float(np.nanmean(areas))
    return figures


def markdown(results: dict[tuple[str, int], dict[str, float]], given: argparse.Namespace) -> str:
    """Mean and standard deviation over the seeds (n - 1), a row a variant."""
    columns = list(next(iter(results.values())))
    lines = ["| | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name in VARIANTS:
        cells = []
        for column in columns:
            values = [results[name, seed][column] for seed in range(given.seeds)]
            deviation = np.std(values, ddof=1) if len(values) > 1 else math.nan
            cells.append(f"{np.mean(values):.3f} ± {deviation:.3f}")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("manifest", type=Path)
    add("--unseen-kind", default="inpaint-classical", metavar="KIND")
    add("--unseen-generator", required=True, metavar="NAME")
    add("--work", type=Path, required=True, metavar="DIR")
    add("--out", type=Path, required=True, metavar="FILE")
    add("--steps", type=int, default=600, metavar="N")
    add("--seeds", type=int, default=3, metavar="N")
    add("--jobs", type=int, default=os.cpu_count() or 1, metavar="N")
    return parser.parse_args()


if __name__ == "__main__":
    main()
