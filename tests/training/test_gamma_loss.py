"""GAMMA's loss, against plain sums, and its conventions for masks without or full of marks."""

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score, log_loss

from aligngemini.models.gamma import GammaOutput
from aligngemini.settings import SettingsError
from aligngemini.training.gamma_loss import LossWeights, dice_loss, gamma_loss, image_loss, map_loss


def random_maps(count=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(count, 5, 6, generator=generator) * 2
    return logits, (torch.rand(count, 5, 6, generator=generator) < 0.4).float()


def test_dice_of_decided_maps_is_one_minus_scikit_learns_f1():
    logits, targets = random_maps()
    decided = torch.where(logits > 0, 100.0, -100.0)
    expected = np.mean(
        [
            1 - f1_score(target.flatten().numpy(), (logit > 0).flatten().numpy())
            for logit, target in zip(logits, targets, strict=True)
        ]
    )
    assert dice_loss(decided, targets).item() == pytest.approx(expected, abs=1e-6)


def test_soft_dice_is_the_formula():
    logits, targets = random_maps(1)
    p = 1 / (1 + np.exp(-logits.numpy().astype(np.float64)))
    t = targets.numpy()
    expected = 1 - 2 * (p * t).sum() / (p.sum() + t.sum())
    assert dice_loss(logits, targets).item() == pytest.approx(expected, abs=1e-6)


def test_empty_masks_do_not_count_in_dice():
    logits, targets = random_maps(2)
    alone = dice_loss(logits[:1], targets[:1])
    beside = dice_loss(logits, torch.stack([targets[0], torch.zeros(5, 6)]))
    torch.testing.assert_close(alone, beside)


@pytest.mark.parametrize("logit", [-200.0, 0.0, 200.0])
def test_nothing_but_empty_masks_is_no_dice_loss_and_no_gradient(logit):
    logits = torch.full((2, 4, 4), logit, requires_grad=True)
    loss = dice_loss(logits, torch.zeros(2, 4, 4))
    loss.backward()
    assert loss.item() == 0
    assert (logits.grad == 0).all()


def test_empty_masks_are_learned_by_cross_entropy():
    logits = torch.zeros(1, 4, 4, requires_grad=True)
    loss = map_loss(logits, torch.zeros(1, 4, 4))
    loss.backward()
    assert loss.item() == pytest.approx(np.log(2))
    assert (logits.grad > 0).all()


def test_full_masks_are_masks_like_others():
    full = torch.ones(1, 4, 4)
    assert dice_loss(torch.full((1, 4, 4), 50.0), full).item() == pytest.approx(0, abs=1e-6)
    assert dice_loss(torch.full((1, 4, 4), -50.0), full).item() == pytest.approx(1, abs=1e-6)
    assert dice_loss(torch.zeros(1, 4, 4), full).item() == pytest.approx(1 - 2 * 0.5 / 1.5)


def test_image_loss_is_scikit_learns_over_known_labels():
    logits = torch.tensor([0.3, -1.2, 2.0, 7.0])
    labels = torch.tensor([1.0, 0.0, 0.0, -1.0])
    expected = log_loss([1, 0, 0], torch.sigmoid(logits[:3]).numpy())
    assert image_loss(logits, labels).item() == pytest.approx(expected, rel=1e-5)


def test_without_known_labels_no_image_loss():
    logits = torch.tensor([0.3], requires_grad=True)
    loss = image_loss(logits, torch.tensor([-1.0]))
    loss.backward()
    assert (loss.item(), logits.grad.item()) == (0, 0)


def test_the_sum_is_weighted_and_heads_can_be_left_out():
    generated, masks_a = random_maps(seed=1)
    moved, masks_b = random_maps(seed=2)
    output = GammaOutput(torch.tensor([0.5, -0.5, 1.0]), generated, moved)
    labels, masks = torch.tensor([1.0, 0.0, 1.0]), torch.stack([masks_a, masks_b], 1)
    image = image_loss(output.logits, labels)
    parts = map_loss(generated, masks_a), map_loss(moved, masks_b)
    torch.testing.assert_close(
        gamma_loss(output, labels, masks), image + 0.5 * parts[0] + 0.5 * parts[1]
    )
    weights = LossWeights(image=2.0, generated=0.0, moved=3.0)
    torch.testing.assert_close(gamma_loss(output, labels, masks, weights), 2 * image + 3 * parts[1])


def test_weights_that_teach_nothing_are_refused():
    with pytest.raises(SettingsError, match="image must be above it"):
        LossWeights(image=0.0)
    with pytest.raises(SettingsError, match="must not be below 0"):
        LossWeights(moved=-1.0)
