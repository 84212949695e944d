"""What GAMMA minimises: cross-entropy for the image, cross-entropy and Dice for each map.

The paper (arXiv 2509.10250) sums a classification loss and segmentation losses; which ones, and
their weights, is not published.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from aligngemini.models.gamma import GammaOutput
from aligngemini.settings import SettingsError


@dataclass(frozen=True)
class LossWeights:
    """Weights of the sum.

    Attributes:
        image: Of the image's cross-entropy.
        generated: Of the map `generated`: its cross-entropy and its Dice loss alike.
        moved: Of the map `moved`, likewise.
    """

    image: float = 1.0
    generated: float = 0.5
    moved: float = 0.5

    def __post_init__(self) -> None:
        if min(self.image, self.generated, self.moved) < 0 or not self.image:
            raise SettingsError("loss weights must not be below 0, and image must be above it")


def dice_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Soft Dice loss, the mean over the images whose mask marks something.

    `1 - 2 * sum(p * t) / (sum(p) + sum(t))` with p the sigmoid of the logits (V-Net, Milletari et
    al. 2016, with plain sums below). Overlap with a mask that marks nothing says nothing: such
    images do not count here, and cross-entropy alone teaches them. A mask that marks everything is
    a mask like others.

    Args:
        logits: (N, h, w).
        targets: (N, h, w), marked shares of the cells in [0, 1].

    Returns:
        A scalar in [0, 1]; 0, with gradients of 0, where no mask marks anything.
    """
    probabilities = torch.sigmoid(logits.float()).flatten(1)
    targets = targets.float().flatten(1)
    marked = targets.sum(1)
    overlap = 2 * (probabilities * targets).sum(1)
    # Nothing divides by zero: what an empty mask gives is multiplied by 0.
    dice = overlap / (probabilities.sum(1) + marked).clamp(min=1e-6)
    counts = (marked > 0).float()
    return ((1 - dice) * counts).sum() / counts.sum().clamp(min=1)


def map_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy over all cells plus Dice loss; arguments as for `dice_loss`."""
    cross_entropy = F.binary_cross_entropy_with_logits(logits.float(), targets.float())
    return cross_entropy + dice_loss(logits, targets)


def image_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy over the images whose label is known.

    Args:
        logits: (N,), above 0 for `fake`.
        labels: (N,) float: 1 for `fake`, 0 for `real`, below 0 for unknown.

    Returns:
        A scalar; 0, with gradients of 0, where no label is known.
    """
    known = (labels >= 0).float()
    terms = F.binary_cross_entropy_with_logits(
        logits.float(), labels.float().clamp(min=0), reduction="none"
    )
    return (terms * known).sum() / known.sum().clamp(min=1)


def gamma_loss(
    output: GammaOutput, labels: Tensor, masks: Tensor, weights: LossWeights = LossWeights()
) -> Tensor:
    """The weighted sum; a map whose weight is 0 is left out.

    Args:
        output: Of the model, for N images.
        labels: (N,), see `image_loss`.
        masks: (N, 2, h, w), marked shares of the cells in [0, 1]: generated, moved.
        weights: See the class.
    """
    loss = weights.image * image_loss(output.logits, labels)
    if weights.generated:
        loss = loss + weights.generated * map_loss(output.generated, masks[:, 0])
    if weights.moved:
        loss = loss + weights.moved * map_loss(output.moved, masks[:, 1])
    return loss
