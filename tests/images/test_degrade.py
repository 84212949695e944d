"""Journeys of an image: the same for the same seed, and saying nothing of the label."""

import io

import numpy as np
import pytest
from fixtures.drawn import flat, texture
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PILImage

from aligngemini.images.degrade import (
    DELIVERIES,
    FILTERS,
    add_noise,
    blur,
    deliver,
    reencode,
    rescale,
    sharpen,
)


def step_size(pixels):
    """Mean difference of neighbours: how sharp or noisy an image is."""
    return np.abs(np.diff(pixels.astype(int), axis=1)).mean()


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32), st.integers(20, 90), st.integers(20, 90))
def test_same_seed_same_journey(seed, height, width):
    pixels = texture(height, width)
    before = pixels.copy()
    first, second = (deliver(pixels, np.random.default_rng(seed), min_side=24) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(pixels, before)
    assert first.dtype == np.uint8
    assert first.shape[2:] == (3,)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32), st.integers(10, 90), st.integers(10, 90))
def test_shrinking_stops_at_the_least_side(seed, height, width):
    delivered = deliver(texture(height, width), np.random.default_rng(seed), min_side=24)
    assert min(delivered.shape[:2]) >= min(24, height, width)
    assert max(delivered.shape[:2]) <= round(1.3 * max(height, width))
    ratio = (delivered.shape[0] / delivered.shape[1]) / (height / width)
    assert ratio == pytest.approx(1, rel=0.15)


def test_journey_depends_on_the_draws_alone_and_not_on_what_is_shown():
    for seed in range(20):
        states = []
        for pixels in (texture(50, 60), flat(50, 60, 3)):
            rng = np.random.default_rng(seed)
            shape = deliver(pixels, rng, min_side=24).shape
            # Noise takes one draw a pixel, the same for both.
            states.append((shape, rng.bit_generator.state["state"]))
        assert states[0] == states[1]


def test_journeys_differ():
    pixels = texture(60, 60)
    delivered = [deliver(pixels, np.random.default_rng(k), min_side=24) for k in range(30)]
    assert len({image.tobytes() for image in delivered}) > 25
    assert len({image.shape for image in delivered}) > 10


def test_deliveries_are_what_their_names_say():
    pixels = texture(61, 81)
    assert list(DELIVERIES) == ["as is", "JPEG 90", "JPEG 75", "half size"]
    np.testing.assert_array_equal(DELIVERIES["as is"](pixels), pixels)
    for quality in (90, 75):
        file = io.BytesIO()
        PILImage.fromarray(pixels).save(file, "JPEG", quality=quality, subsampling="4:2:0")
        expected = np.asarray(PILImage.open(file))
        np.testing.assert_array_equal(DELIVERIES[f"JPEG {quality}"](pixels), expected)
    half = PILImage.fromarray(pixels).resize((40, 30), PILImage.Resampling.BICUBIC)
    np.testing.assert_array_equal(DELIVERIES["half size"](pixels), np.asarray(half))


def test_lower_quality_loses_more():
    pixels = texture(64, 64)
    losses = [
        np.abs(reencode(pixels, quality, codec=codec).astype(int) - pixels).mean()
        for codec in ("JPEG", "WEBP")
        for quality in (95, 70, 30)
    ]
    assert 0 < losses[0] < losses[1] < losses[2]
    assert 0 < losses[3] < losses[4] < losses[5]


def test_chroma_subsampling_blurs_colour_alone():
    pixels = np.zeros((32, 32, 3), np.uint8)
    pixels[:, ::2] = (255, 0, 0)
    pixels[:, 1::2] = (0, 0, 255)
    fine, coarse = (
        reencode(pixels, 95, subsampling=chroma).astype(int) for chroma in ("4:4:4", "4:2:0")
    )
    assert np.abs(fine - pixels).mean() < 10
    assert np.abs(coarse - pixels).mean() > 50


@given(st.integers(1, 60), st.integers(1, 60), st.floats(0.01, 3))
@settings(deadline=None, max_examples=60)
def test_both_sides_take_one_factor(height, width, factor):
    scaled = rescale(flat(height, width, 9), factor)
    assert scaled.shape == (max(1, round(height * factor)), max(1, round(width * factor)), 3)
    assert np.ptp(scaled) == 0


@pytest.mark.parametrize("name", FILTERS)
def test_filters_are_pillows_of_that_name(name):
    pixels = texture(30, 30)
    expected = PILImage.fromarray(pixels).resize((21, 21), PILImage.Resampling[name.upper()])
    np.testing.assert_array_equal(rescale(pixels, 0.7, filter_name=name), np.asarray(expected))


def test_blur_smooths_and_sharpening_sharpens():
    pixels = texture(64, 64)
    steps = [step_size(image) for image in (blur(pixels, 2), blur(pixels, 0.6), pixels)]
    assert steps[0] < steps[1] < steps[2] < step_size(sharpen(pixels, 1.0, 1.0))


@pytest.mark.parametrize("sigma", [2.0, 8.0])
def test_noise_is_as_strong_as_asked_and_without_bias(sigma):
    noisy = add_noise(flat(128, 128, 120), sigma, np.random.default_rng(0)).astype(float) - 120
    assert noisy.std() == pytest.approx(sigma, rel=0.03)
    assert abs(noisy.mean()) < 4 * sigma / np.sqrt(noisy.size)


def test_noise_stops_at_black_and_white():
    for grey in (0, 255):
        noisy = add_noise(flat(32, 32, grey), 3.0, np.random.default_rng(0))
        assert np.abs(noisy.astype(int) - grey).max() < 30
