"""Alignment and augmentation of pairs, against independent ways to the same pixels."""

from dataclasses import replace

import numpy as np
import pytest
from fixtures.drawn import texture
from PIL import Image, ImageFilter
from scipy.fft import dctn, idctn

from aligngemini.datasets.augment import (
    align,
    blend,
    draw_flips,
    draw_scales,
    draw_steps,
)
from aligngemini.datasets.pair_settings import Alignment, Augmentation, Rescaling
from aligngemini.datasets.scaled_crop import scaled_crop
from aligngemini.images.degrade import reencode, sharpen
from aligngemini.images.filters import FILTERS
from aligngemini.images.jpeg import JpegSettings
from aligngemini.settings import SettingsError

STEP_NAMES = ("jpeg", "mirror", "flip", "noise", "pepper", "blur", "sharpen", "jitter", "grey")
OFF = dict.fromkeys(STEP_NAMES, 0.0)
NEVER = Alignment(jpeg=0, blend=0, second_blend=0)


def pair(height=70, width=90):
    return texture(height, width, seed=1), texture(height, width, seed=2)


def only(name, **values):
    """Augmentation by one step alone, always taken."""
    return Augmentation(**{**OFF, name: 1.0, **values})


def drawn(settings, pixels, seed=0):
    for step in draw_steps(settings, np.random.default_rng(seed)):
        pixels = step(pixels)
    return pixels


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:0"])
def test_a_fake_is_compressed_as_its_photo_was(subsampling):
    real, fake = pair()
    compression = JpegSettings(71, subsampling)
    aligned = align(real, fake, compression, replace(NEVER, jpeg=1.0), np.random.default_rng(0))
    np.testing.assert_array_equal(aligned, reencode(fake, 71, subsampling=subsampling))


def test_nothing_is_compressed_beside_a_photo_that_was_no_jpeg():
    real, fake = pair()
    aligned = align(real, fake, None, replace(NEVER, jpeg=1.0), np.random.default_rng(0))
    np.testing.assert_array_equal(aligned, fake)


def test_half_of_the_fakes_are_compressed_by_default():
    real, fake = pair(16, 16)
    rng = np.random.default_rng(0)
    settings = Alignment(blend=0.0)
    changed = [
        not np.array_equal(align(real, fake, JpegSettings(60, "4:2:0"), settings, rng), fake)
        for _ in range(400)
    ]
    assert 0.4 < np.mean(changed) < 0.6


def test_the_weight_of_a_blend_is_the_fakes():
    real, fake = pair()
    np.testing.assert_array_equal(blend(real, fake, 0.0), real)
    np.testing.assert_array_equal(blend(real, fake, 1.0), fake)
    expected = 0.3 * fake.astype(float) + 0.7 * real
    np.testing.assert_allclose(blend(real, fake, 0.3), expected, atol=0.501)


def extremes(values):
    return min(values), max(values)


def fake_weight(real, fake, mixed):
    """Least squares for w in mixed = w * fake + (1 - w) * real."""
    step = fake.astype(float) - real
    return float((step * (mixed.astype(float) - real)).sum() / (step**2).sum())


def test_blend_weights_fill_their_range_and_stay_in_it():
    real, fake = pair(24, 24)
    rng = np.random.default_rng(0)
    first, second = (
        [fake_weight(real, fake, align(real, fake, None, settings, rng)) for _ in range(300)]
        for settings in (
            replace(NEVER, blend=1.0),
            replace(NEVER, second_blend=1.0, second_weight=(0.5, 1.0)),
        )
    )
    assert extremes(first) == pytest.approx((0.2, 0.8), abs=0.03)
    assert extremes(second) == pytest.approx((0.5, 1.0), abs=0.03)


def test_two_blends_follow_one_another():
    real, fake = pair(24, 24)
    settings = replace(
        NEVER, blend=1, blend_weight=(0.5, 0.5), second_blend=1, second_weight=(0.6, 0.6)
    )
    mixed = align(real, fake, None, settings, np.random.default_rng(0))
    assert fake_weight(real, fake, mixed) == pytest.approx(0.3, abs=0.01)


@pytest.mark.parametrize("real_weight", [0.0, 0.237, 0.8])
def test_the_published_frequency_mix_is_a_pixel_blend(real_weight):
    real, fake = pair(61, 83)
    spectra = [dctn(pixels.astype(float), axes=(0, 1), norm="ortho") for pixels in (real, fake)]
    mixed = idctn(
        real_weight * spectra[0] + (1 - real_weight) * spectra[1], axes=(0, 1), norm="ortho"
    )
    by_frequency = np.rint(mixed.clip(0, 255))
    by_pixel = blend(real, fake, 1 - real_weight)
    assert np.abs(by_frequency - by_pixel).max() <= 1  # where the two round apart
    assert (by_frequency == by_pixel).mean() > 0.99


def test_scales_are_one_smaller_and_one_larger_by_distinct_filters():
    rng = np.random.default_rng(0)
    scales = [draw_scales(Rescaling(), rng) for _ in range(200)]
    assert all(first == (1.0, "nearest") for first, _, _ in scales)
    downs, ups = ([scale[k][0] for scale in scales] for k in (1, 2))
    assert extremes(downs) == pytest.approx((0.2, 1.0), abs=0.03)
    assert extremes(ups) == pytest.approx((1.0, 3.5), abs=0.1)
    assert all(down[1] != up[1] for _, down, up in scales)
    assert {scale[1][1] for scale in scales} == set(FILTERS)
    assert draw_scales(None, rng) == [(1.0, "nearest")]


def published_view(pixels, size, place, steps, *, factor, filter_name):
    """Resize all, change all, pad, crop: the order of the published code."""
    height, width = (max(1, round(side * factor)) for side in pixels.shape[:2])
    whole = np.asarray(Image.fromarray(pixels).resize((width, height), FILTERS[filter_name]))
    for step in steps:
        whole = step(whole)
    pads = [(max(0, size - side) // 2, (max(0, size - side) + 1) // 2) for side in (height, width)]
    whole = np.pad(whole, (*pads, (0, 0)))
    top, left = (
        int(part * (side - size + 1)) for part, side in zip(place, whole.shape[:2], strict=True)
    )
    return whole[top : top + size, left : left + size]


STEPS = {
    "none": [],
    "jpeg": [lambda pixels: reencode(pixels, 60)],
    "sharpen": [lambda pixels: sharpen(pixels, 3.0, 2.0)],
    "median": [
        lambda pixels: np.asarray(Image.fromarray(pixels).filter(ImageFilter.MedianFilter(3)))
    ],
}


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize(
    ("shape", "factor"), [((150, 230), 1.0), ((150, 230), 0.45), ((89, 149), 2.3), ((30, 200), 1.0)]
)
def test_a_part_gives_the_pixels_of_the_whole(steps, shape, factor):
    pixels = texture(*shape, seed=3)
    for filter_name in FILTERS:
        for place in ((0.0, 0.999), (0.4, 0.7)):
            got = scaled_crop(
                pixels, 64, place, STEPS[steps], factor=factor, filter_name=filter_name
            )
            expected = published_view(
                pixels, 64, place, STEPS[steps], factor=factor, filter_name=filter_name
            )
            assert got.shape == (64, 64, 3)
            # Pillow places a box in single precision: a weight may round the other way.
            difference = np.abs(got.astype(int) - expected)
            assert difference.max() <= 3, filter_name
            assert (difference == 0).mean() > 0.98, filter_name


def test_a_large_image_costs_no_more_than_its_crop():
    seen = []
    scaled_crop(texture(400, 900), 64, (0.5, 0.5), [lambda p: seen.append(p.shape) or p], factor=3)
    assert max(seen[0]) <= 64 + 2 * 32 + 16


def test_small_images_get_zeros_around():
    crop = scaled_crop(np.full((10, 21, 3), 200, np.uint8), 32, (0.3, 0.9), [])
    assert crop.shape == (32, 32, 3)
    assert (crop[11:21, 5:26] == 200).all()
    assert crop.sum() == 200 * 10 * 21 * 3


def test_nothing_happens_where_nothing_is_asked():
    assert draw_steps(Augmentation(**OFF), np.random.default_rng(0)) == []
    pixels = pair()[0]
    np.testing.assert_array_equal(
        pixels[draw_flips(Augmentation(**OFF), np.random.default_rng(0))], pixels
    )


def test_flips():
    pixels = pair()[0]
    rng = np.random.default_rng(0)
    np.testing.assert_array_equal(pixels[draw_flips(only("mirror"), rng)], pixels[:, ::-1])
    np.testing.assert_array_equal(pixels[draw_flips(only("flip"), rng)], pixels[::-1])


def test_jpeg_takes_qualities_of_its_range():
    pixels = pair(24, 24)[0]
    settings = only("jpeg", jpeg_quality=(90, 91))
    allowed = [reencode(pixels, quality) for quality in (90, 91)]
    hits = [
        [np.array_equal(drawn(settings, pixels, seed), one) for one in allowed]
        for seed in range(20)
    ]
    assert np.any(hits, axis=1).all()
    assert np.any(hits, axis=0).all()


def test_noise_has_its_spread():
    grey = np.full((200, 200, 3), 128, np.uint8)
    difference = drawn(only("noise", noise_sigma=20.0), grey).astype(float) - 128
    assert difference.std() == pytest.approx(20.0, rel=0.02)
    assert abs(difference.mean()) < 0.5


def test_pepper_is_black_and_of_its_share():
    grey = np.full((200, 200, 3), 128, np.uint8)
    peppered = drawn(only("pepper", pepper_share=(0.05, 0.05)), grey)
    black = (peppered == 0).all(-1)
    assert black.mean() == pytest.approx(0.05, abs=0.005)
    assert (peppered[~black] == 128).all()


def test_blurs_smooth_and_keep_the_level():
    pixels = pair(60, 60)[0]
    outcomes = [drawn(only("blur"), pixels, seed).astype(float) for seed in range(24)]
    for outcome in outcomes:
        assert np.diff(outcome, axis=0).std() <= np.diff(pixels.astype(float), axis=0).std()
        assert outcome.mean() == pytest.approx(pixels.mean(), abs=1.5)
    assert len({outcome.tobytes() for outcome in outcomes}) > 15
    median = np.asarray(Image.fromarray(pixels).filter(ImageFilter.MedianFilter(3)))
    assert any(np.array_equal(outcome, median) for outcome in outcomes)


def test_a_gaussian_blur_has_the_weights_of_a_bell():
    dot = np.zeros((11, 11, 3), np.uint8)
    dot[5, 5] = 255
    sigmas = []
    for seed in range(40):
        response = drawn(only("blur"), dot, seed)[..., 0].astype(float)
        ring = response[5, 6]
        if ring and response[6, 6] == pytest.approx(ring**2 / response[5, 5], abs=2):
            sigmas.append(np.sqrt(0.5 / np.log(response[5, 5] / ring)))
    assert sigmas
    assert min(sigmas) >= 0.1
    assert max(sigmas) <= 2.2  # read off eight bits


def test_sharpening_is_unsharp_masking_with_sigma_3():
    pixels = pair()[0]
    settings = only("sharpen", sharpen_amount=(1.5, 1.5))
    np.testing.assert_array_equal(drawn(settings, pixels), sharpen(pixels, 3.0, 1.5))


def test_jitter_changes_only_what_it_may():
    pixels = pair()[0]
    still = dict.fromkeys(("brightness", "contrast", "saturation", "hue"), 0.0)
    np.testing.assert_allclose(drawn(only("jitter", **still), pixels), pixels, atol=8)  # HSV rounds
    brighter = [
        drawn(only("jitter", **{**still, "brightness": 0.4}), pixels, seed).mean() / pixels.mean()
        for seed in range(30)
    ]
    assert 0.55 < min(brighter) < 0.75
    assert 1.2 < max(brighter) < 1.45


def test_a_hue_turns_by_its_share_of_the_circle():
    red = np.full((8, 8, 3), (255, 0, 0), np.uint8)
    still = dict.fromkeys(("brightness", "contrast", "saturation"), 0.0)
    hues = {tuple(drawn(only("jitter", **still, hue=1 / 3), red, seed)[0, 0]) for seed in range(60)}
    assert all(0 in hue for hue in hues)  # pure colours stay pure
    assert max(hue[1] for hue in hues) > 150  # towards green
    assert max(hue[2] for hue in hues) > 150  # towards blue


def test_grey_has_one_value_a_pixel():
    grey = drawn(only("grey"), pair()[0])
    assert (grey == grey[..., :1]).all()
    np.testing.assert_array_equal(grey[..., 0], np.asarray(Image.fromarray(pair()[0]).convert("L")))


def test_every_step_repeats_itself():
    always = Augmentation(**dict.fromkeys(OFF, 1.0))
    pixels = pair()[0]
    for seed in range(8):
        steps = draw_steps(always, np.random.default_rng(seed))
        assert len(steps) == 10
        for step in steps:
            np.testing.assert_array_equal(step(pixels), step(pixels))


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (Alignment, {"blend": 1.2}, "blend 1.2 is not between 0 and 1"),
        (Alignment, {"blend_weight": (0.8, 0.2)}, r"blend_weight \[0.8, 0.2\] is not a range"),
        (Alignment, {"second_weight": (0.1,)}, "second_weight"),
        (Rescaling, {"down": (0.0, 1.0)}, "down"),
        (Rescaling, {"up": (0.5, 2.0)}, "up"),
        (Augmentation, {"jpeg_quality": (0, 50)}, "jpeg_quality"),
        (Augmentation, {"noise": -0.1}, "noise -0.1"),
        (Augmentation, {"noise_sigma": -1.0}, "noise_sigma"),
        (Augmentation, {"hue": 0.6}, "hue"),
    ],
)
def test_settings_out_of_range_are_refused(kind, values, message):
    with pytest.raises(SettingsError, match=message):
        kind(**values)
