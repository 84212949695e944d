"""What a pixel expert minimises (DDA, arXiv 2505.14359 and its published training code)."""

import torch
from torch import Tensor
from torch.nn import functional


def contrastive_loss(features: Tensor, labels: Tensor, *, margin: float = 1.0) -> Tensor:
    """Pulls images of one label together and pushes the two labels apart.

    Hadsell et al. (CVPR 2006) on every pair of a batch, as pytorch-metric-learning's
    `ContrastiveLoss(pos_margin=0, neg_margin=margin)` averages it: Euclidean distances d between
    features of length 1; the mean of d over pairs of one label, plus the mean of margin - d over
    pairs of two labels nearer than that. Terms of 0 do not count in either mean.

    Args:
        features: (N, D); a float16 or bfloat16 input is computed on in float32.
        labels: (N,), equal for images of one class.
        margin: Above 0; distances lie in [0, 2].

    Returns:
        A scalar; 0, with gradients of 0, where there is no pair.
    """
    unit = functional.normalize(features.float(), dim=1)
    first, second = torch.triu_indices(len(unit), len(unit), 1, device=unit.device)
    squares = (unit[first] - unit[second]).square().sum(1)
    # The root has no finite slope at 0; such pairs count for nothing, as in the reference.
    apart = squares > 0
    distances = torch.where(apart, squares, 1.0).sqrt() * apart
    alike = labels[first] == labels[second]
    return _mean_of_positive(distances[alike]) + _mean_of_positive(margin - distances[~alike])


def expert_loss(
    logits: Tensor, features: Tensor, labels: Tensor, *, bce: float, contrastive: float
) -> Tensor:
    """Weighted sum of binary cross-entropy on the logits and the contrastive loss on the features.

    Args:
        logits: (N,), above 0 for `fake`.
        features: (N, D).
        labels: (N,) float, 1 for `fake`.
        bce: Weight of the first.
        contrastive: Weight of the second; 0 leaves it out.
    """
    loss = bce * functional.binary_cross_entropy_with_logits(logits.float(), labels)
    if contrastive:
        loss = loss + contrastive * contrastive_loss(features, labels)
    return loss


def _mean_of_positive(terms: Tensor) -> Tensor:
    terms = terms.relu()
    return terms.sum() / (terms > 0).sum().clamp(min=1)
