"""The expert's losses against pytorch-metric-learning's and PyTorch's."""

import pytest
import torch
from pytorch_metric_learning.losses import ContrastiveLoss
from torch.nn.functional import binary_cross_entropy_with_logits

from aligngemini.training.losses import contrastive_loss, expert_loss

PUBLISHED = ContrastiveLoss(pos_margin=0, neg_margin=1)


def features(count, width=8, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, width, generator=generator, dtype=torch.float64).float()


def with_gradient(loss, rows, labels):
    rows = rows.clone().requires_grad_()
    value = loss(rows, labels)
    value.backward()
    return value.detach(), rows.grad


LABELS = {
    "mixed": [0, 0, 0, 1, 1, 1, 0, 1],
    "one class": [1, 1, 1, 1],
    "one each": [0, 1],
    "one of a kind": [0, 0, 0, 1],
}


@pytest.mark.parametrize("name", LABELS)
@pytest.mark.parametrize("spread", [0.05, 1.0])
def test_contrastive_loss_and_its_gradient_are_the_published_ones(name, spread):
    labels = torch.tensor(LABELS[name])
    rows = features(1, seed=9) + spread * features(len(labels))
    expected, slope = with_gradient(PUBLISHED, rows, labels)
    got, ours = with_gradient(contrastive_loss, rows, labels)
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(ours, slope, rtol=1e-3, atol=1e-5)


def test_margin_is_the_published_one():
    labels = torch.tensor(LABELS["mixed"])
    rows = features(8)
    expected = ContrastiveLoss(pos_margin=0, neg_margin=0.4)(rows, labels)
    torch.testing.assert_close(contrastive_loss(rows, labels, margin=0.4), expected)


@pytest.mark.parametrize("labels", [[0, 0, 1, 1], [1, 1, 1, 1], [0, 1, 0, 1]])
def test_identical_features_have_a_finite_gradient(labels):
    rows = features(1).repeat(4, 1)
    rows[3] = features(1, seed=3)[0]
    value, slope = with_gradient(contrastive_loss, rows, torch.tensor(labels))
    assert value.isfinite()
    assert slope.isfinite().all()


@pytest.mark.parametrize("rows", [torch.zeros(3, 4), torch.ones(1, 4), torch.ones(3, 4)])
def test_batches_without_anything_to_learn_give_zeros(rows):
    value, slope = with_gradient(contrastive_loss, rows, torch.zeros(len(rows)))
    assert value == 0
    assert (slope == 0).all()


def test_bfloat16_features_are_compared_in_float32():
    rows = features(6).bfloat16()
    labels = torch.tensor([0.0, 0, 0, 1, 1, 1])
    torch.testing.assert_close(
        contrastive_loss(rows, labels), contrastive_loss(rows.float(), labels)
    )


def test_expert_loss_is_the_weighted_sum():
    rows, logits = features(6), features(6, 1, seed=2)[:, 0]
    labels = torch.tensor([0.0, 0, 0, 1, 1, 1])
    bce = binary_cross_entropy_with_logits(logits, labels)
    got = expert_loss(logits, rows, labels, bce=0.3, contrastive=0.7)
    torch.testing.assert_close(got, 0.3 * bce + 0.7 * PUBLISHED(rows, labels))
    alone = expert_loss(logits, rows, labels, bce=1.0, contrastive=0.0)
    torch.testing.assert_close(alone, bce)
