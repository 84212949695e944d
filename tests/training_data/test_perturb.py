"""Perturbations: the mask stays on what it marked, and a seed repeats them."""

import numpy as np
import pytest
from fixtures.drawn import texture
from hypothesis import given, settings
from hypothesis import strategies as st

from aligngemini.datasets.manipulations.perturb import (
    Perturbations,
    Step,
    apply_steps,
    draw_steps,
    perturb,
)
from aligngemini.images.degrade import blur, reencode, rescale

NEVER = Perturbations(resample=0, colour=0, detail=0, recompress=0)
ALWAYS = Perturbations(resample=1, colour=1, detail=1, recompress=1)


def planted(height, width, seed):
    """A photo with a white ellipse, and the two masks of that and of all else."""
    rng = np.random.default_rng(seed)
    centre, radii = rng.uniform(0.35, 0.65, 2), rng.uniform(0.15, 0.3, 2)
    rows, columns = np.ogrid[:height, :width]
    mask = ((rows / height - centre[0]) / radii[0]) ** 2 + (
        (columns / width - centre[1]) / radii[1]
    ) ** 2 <= 1
    pixels = np.where(mask[..., None], 240, 20).astype(np.uint8).repeat(3, axis=2)
    return pixels, np.stack([mask, ~mask], axis=-1)


@settings(max_examples=60, deadline=None)
@given(height=st.integers(120, 260), width=st.integers(120, 260), seed=st.integers(0, 10**6))
def test_masks_stay_on_what_they_marked(height, width, seed):
    pixels, masks = planted(height, width, seed)
    done = perturb(pixels, masks, np.random.default_rng(seed), ALWAYS)
    assert done.masks.shape == (*done.pixels.shape[:2], 2)
    grey = done.pixels.mean(axis=2)
    light = grey > np.percentile(grey, [2, 98]).mean()  # brightness and contrast have changed
    for mask, seen in zip(np.moveaxis(done.masks, -1, 0), (light, ~light), strict=True):
        agree = np.count_nonzero(mask & seen) / np.count_nonzero(mask | seen)
        assert agree > 0.92, done.spec


def test_a_seed_repeats_them():
    pixels, masks = planted(90, 120, 0)
    one, two = (perturb(pixels, masks, np.random.default_rng(5), ALWAYS) for _ in range(2))
    np.testing.assert_array_equal(one.pixels, two.pixels)
    np.testing.assert_array_equal(one.masks, two.masks)
    assert one.spec == two.spec
    assert one.spec != perturb(pixels, masks, np.random.default_rng(6), ALWAYS).spec


def test_nothing_drawn_is_nothing_done():
    pixels, masks = planted(90, 120, 0)
    done = perturb(pixels, masks, np.random.default_rng(0), NEVER)
    np.testing.assert_array_equal(done.pixels, pixels)
    np.testing.assert_array_equal(done.masks, masks)
    assert done.spec == ""


def test_steps_are_what_they_are_called():
    pixels, masks = texture(80, 100), planted(80, 100, 0)[1]
    rng = np.random.default_rng(0)

    def after(*steps):
        return apply_steps(pixels, masks, steps, rng).pixels

    half = rescale(pixels, 0.5, filter_name="lanczos")
    np.testing.assert_array_equal(after(Step("scale", 0.5, "lanczos")), half)
    saved = reencode(pixels, 84, subsampling="4:4:4")
    np.testing.assert_array_equal(after(Step("jpeg", 84, "4:4:4")), saved)
    np.testing.assert_array_equal(after(Step("webp", 70)), reencode(pixels, 70, codec="WEBP"))
    np.testing.assert_array_equal(
        after(Step("blur", 0.9), Step("jpeg", 75)), reencode(blur(pixels, 0.9), 75)
    )
    assert np.std(after(Step("noise", 4.0)).astype(float) - pixels) == pytest.approx(4, rel=0.1)
    assert after(Step("brightness", 0.9)).mean() == pytest.approx(0.9 * pixels.mean(), rel=0.02)
    assert after(Step("contrast", 0.8)).std() < 0.9 * pixels.std()
    assert np.ptp(after(Step("saturation", 0.0)), axis=2).max() <= 1
    assert np.std(after(Step("sharpen", 1.0)).astype(float)) > np.std(pixels.astype(float))
    with pytest.raises(ValueError, match="no perturbation 'swirl'"):
        after(Step("swirl", 1.0))


def test_the_spec_says_what_was_done():
    pixels, masks = planted(80, 100, 0)
    steps = (Step("scale", 0.62, "lanczos"), Step("jpeg", 84, "4:2:0"))
    done = apply_steps(pixels, masks, steps, np.random.default_rng(0))
    assert done.spec == "scale:0.62:lanczos+jpeg:84:4:2:0"


def test_settings_bound_what_is_drawn():
    limits = Perturbations(
        resample=1, scale=(0.7, 0.8), detail=1, blur=(0.4, 0.5), recompress=1, quality=(80, 90)
    )
    drawn = [
        step for seed in range(200) for step in draw_steps(np.random.default_rng(seed), limits, 500)
    ]
    bounds = {"scale": (0.7, 0.8), "blur": (0.4, 0.5), "jpeg": (80, 90), "webp": (80, 90)}
    for name, (low, high) in bounds.items():
        values = [step.value for step in drawn if step.name == name]
        assert values, name
        assert low <= min(values) <= max(values) <= high


def test_small_pictures_are_not_made_too_small():
    always = Perturbations(resample=1, scale=(0.1, 0.2), min_side=64)
    for side in (80, 40):
        (step, *_) = draw_steps(np.random.default_rng(0), always, side)
        assert step.name == "scale"
        assert round(step.value * side) == min(side, 64)
