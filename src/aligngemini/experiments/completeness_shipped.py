"""The models that ship on real images, for the study of completeness."""

import logging
from functools import partial
from pathlib import Path

import numpy as np

from aligngemini.branches.gamma import GammaBranch
from aligngemini.branches.pixel import PixelBranch
from aligngemini.evaluation.metrics import threshold_at
from aligngemini.evidence import calibrated
from aligngemini.experiments.budgets import called_fake, within_budget
from aligngemini.experiments.photos import AI, REAL, Image, find_images, kept
from aligngemini.experiments.study import Task
from aligngemini.fusion import FUSIONS
from aligngemini.images.decode import decode, read_bytes
from aligngemini.images.item import ImageError
from aligngemini.images.views import center_crop

logger = logging.getLogger(__name__)

COMPACT, GAMMA = "compact-v1", "gamma-compact-v1"
SHIPPED = (COMPACT, f"{COMPACT} + {GAMMA}")
"""Cells: the first model alone, and both."""

JUDGED = "judged"
MOST = 384  # pixels a side that are looked at
FEWEST = 160  # that compact-v1 needs


def run_shipped(task: Task, count: int, budget: float) -> dict[str, float]:
    """One of `SHIPPED` on photos and AI images that a seed draws.

    Args:
        task: Its cell is one of `SHIPPED`.
        count: AI images; photos half as many again.
        budget: False alarms on these photos.

    Returns:
        Nothing but 0 images judged, where no data is given.
    """
    if task.data is None:
        return {JUDGED: 0.0}
    file = task.cache / f"shipped-{task.seed}.npz"
    logits = kept(file, partial(_judge, task.data, task.seed, count))
    branches = {"pixel": "pixel"} if task.cell == COMPACT else {"pixel": "pixel", "gamma": "gamma"}
    photos = {name: logits[f"real/{name}"] for name in branches}
    fakes = {name: logits[f"ai/{name}"] for name in branches}
    rule = FUSIONS["or"]
    thresholds = within_budget(rule, photos, budget)
    missed = ~called_fake(rule, fakes, thresholds)
    found = {
        "false alarms": float(called_fake(rule, photos, thresholds).mean()),
        "missed: AI images": float(missed.mean()),
        JUDGED: float(len(missed) + len(photos["pixel"])),
    }
    if task.cell == COMPACT and missed.any():
        limit = threshold_at(logits["real/gamma"], budget)
        found["of these found by GAMMA"] = float((logits["ai/gamma"][missed] >= limit).mean())
    return found


def _judge(data: Path, seed: int, count: int) -> dict[str, np.ndarray]:
    """P(fake) by class and branch of images that the seed draws."""
    pixel = PixelBranch.load("compact", threads=1)
    gamma = GammaBranch.load("gamma-compact", threads=1)
    rng = np.random.default_rng([seed, 40])
    found: dict[str, np.ndarray] = {}
    for label, names, most in (("real", REAL, count * 3 // 2), ("ai", AI, count)):
        images = find_images(data, names)
        drawn = [images[k] for k in rng.permutation(len(images))]
        scores = []
        for image in drawn:
            pixels = _middle(image)
            if pixels is not None:
                one, other = pixel.folder.calibration, gamma.folder.calibration
                scores.append(
                    (
                        calibrated(pixel.logit(pixels), one.scale, one.bias),
                        calibrated(gamma.look(pixels).logit, other.scale, other.bias),
                    )
                )
            if len(scores) == most:
                break
        both = np.array(scores, np.float64).reshape(-1, 2)
        found[f"{label}/pixel"], found[f"{label}/gamma"] = both.T
    return found


def _middle(image: Image) -> np.ndarray | None:
    """The middle of an image, or None for one that cannot be judged."""
    try:
        pixels = decode(read_bytes(image.path), path=image.path).pixels
    except ImageError as error:
        logger.warning("%s is left out: %s", image.path, error.message)
        return None
    if min(pixels.shape[:2]) < FEWEST:
        return None
    return center_crop(pixels, min(MOST, *pixels.shape[:2]))
