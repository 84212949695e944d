"""How well a map marks what a mask says: pixel F1, IoU and AUC of one image.

Masks that mark nothing: F1 and IoU are 1 where the map marks nothing either and 0 where it marks
anything, as scikit-learn's `f1_score` and `jaccard_score` have it with `zero_division=1`. The AUC
has no value (NaN) for a mask that marks nothing or everything. A full mask is a mask like others.
Figures of masks that mark nothing say little about where a model looks: averages over images should
take those with a region, and report the share marked on the others (`marked_share`).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aligngemini.evaluation.metrics import auc

Scores = npt.NDArray[np.floating]
Mask = npt.NDArray[np.bool_]

THRESHOLD = 0.5
"""Pixels from here up are marked; fixed, so that nothing is chosen on what is measured."""


@dataclass(frozen=True)
class PixelCounts:
    """Pixels of one image, or the sum over several.

    Attributes:
        hits: Marked, and rightly so.
        false: Marked, and wrongly so.
        missed: Not marked, and wrongly so.
        passed: Not marked, and rightly so.
    """

    hits: int
    false: int
    missed: int
    passed: int

    def __add__(self, other: "PixelCounts") -> "PixelCounts":
        """Of both together."""
        return PixelCounts(
            self.hits + other.hits,
            self.false + other.false,
            self.missed + other.missed,
            self.passed + other.passed,
        )

    @property
    def f1(self) -> float:
        """`2 * hits / (2 * hits + false + missed)`; 1 where neither marks anything."""
        wrong = self.false + self.missed
        return 2 * self.hits / (2 * self.hits + wrong) if self.hits or wrong else 1.0

    @property
    def iou(self) -> float:
        """`hits / (hits + false + missed)`; 1 likewise."""
        wrong = self.false + self.missed
        return self.hits / (self.hits + wrong) if self.hits or wrong else 1.0

    @property
    def marked_share(self) -> float:
        """Share of all pixels that is marked; the falsely marked share of an untouched photo."""
        return (self.hits + self.false) / (self.hits + self.false + self.missed + self.passed)


def count_pixels(marked: Mask, mask: Mask) -> PixelCounts:
    """Compare what a map marks with what its mask marks.

    Args:
        marked: Any shape.
        mask: The same shape.

    Raises:
        ValueError: The shapes differ, or hold no pixel.
    """
    if marked.shape != mask.shape or not mask.size:
        raise ValueError(f"map {marked.shape} and mask {mask.shape} must have one size")
    hits = int((marked & mask).sum())
    false, missed = int(marked.sum()) - hits, int(mask.sum()) - hits
    return PixelCounts(hits, false, missed, mask.size - hits - false - missed)


def pixel_auc(scores: Scores, mask: Mask) -> float:
    """How often a pixel of the region scores above one outside; ties count half.

    Args:
        scores: Any shape, no NaN.
        mask: The same shape.

    Returns:
        NaN where the mask marks nothing or everything.

    Raises:
        ValueError: A score is NaN.
    """
    if mask.all() or not mask.any():
        return float("nan")
    return auc(scores[~mask], scores[mask])
