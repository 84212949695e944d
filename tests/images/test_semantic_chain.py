"""The semantic set's degradation: as drawn, in its order, and alike for both classes."""

import io
from dataclasses import asdict, replace

import numpy as np
import pytest
from fixtures.drawn import flat, texture
from PIL import Image as PILImage
from PIL import ImageFilter

from aligngemini.images.degrade import Degradation, SemanticChain, semantic_chain
from aligngemini.settings import SettingsError

STEPS = ("shrink", "noise", "blur", "jpeg")


def only(*steps, **settings):
    """A chain of which some steps always happen and the others never."""
    probabilities = {f"{step}_probability": float(step in steps) for step in STEPS}
    return SemanticChain(**probabilities, **settings)


def run(pixels, chain, seed=0):
    return semantic_chain(pixels, np.random.default_rng(seed), chain)


def by_hand(pixels, done: Degradation) -> np.ndarray:
    """The chain without its noise, in Pillow's own words."""
    image = PILImage.fromarray(pixels)
    width, height = image.size
    small = (round(width * done.scale), round(height * done.scale))
    image = image.resize(small, PILImage.Resampling[done.shrink_filter.upper()])
    image = image.filter(ImageFilter.GaussianBlur(done.blur))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=done.jpeg_quality, subsampling="4:2:0")
    image = PILImage.open(file)
    return np.asarray(
        image.resize((width, height), PILImage.Resampling[done.enlarge_filter.upper()])
    )


@pytest.mark.parametrize("seed", range(6))
def test_what_was_done_is_what_is_recorded_in_that_order(seed):
    pixels = texture(90, 120, seed=seed)
    degraded, done = run(pixels, only("shrink", "blur", "jpeg"), seed)
    assert done.noise is None
    np.testing.assert_array_equal(degraded, by_hand(pixels, done))


def test_noise_comes_before_the_blur_and_after_shrinking():
    grey = flat(256, 256, 128)
    noisy, done = run(grey, only("noise", noise=(8.0, 8.0)))
    assert done.noise == 8.0
    assert noisy.astype(float).std() == pytest.approx(8.0, rel=0.03)
    blurred, _ = run(grey, only("noise", "blur", noise=(8.0, 8.0), blur=(1.5, 1.5)))
    assert blurred.astype(float).std() < 2.5
    chain = only("shrink", "noise", noise=(8.0, 8.0), scale=(0.25, 0.25), filters=("nearest",))
    blocks, _ = run(grey, chain)
    blocks = blocks.reshape(64, 4, 64, 4, 3)
    assert (np.ptp(blocks, axis=(1, 3)) == 0).all()
    assert blocks.astype(float).std() == pytest.approx(8.0, rel=0.03)


def test_every_draw_lies_in_its_range_and_they_fill_it():
    draws = [asdict(run(flat(40, 40, 9), SemanticChain(), seed)[1]) for seed in range(300)]
    ranges = {"scale": (0.25, 0.5), "noise": (2, 10), "blur": (0.4, 1.5), "jpeg_quality": (30, 70)}
    for name, (low, high) in ranges.items():
        values = [draw[name] for draw in draws]
        assert low <= min(values) < low + 0.05 * (high - low)
        assert high >= max(values) > high - 0.05 * (high - low)
    assert {30, 70} <= {draw["jpeg_quality"] for draw in draws}
    for name in ("shrink_filter", "enlarge_filter"):
        assert {draw[name] for draw in draws} == set(SemanticChain().filters)


def test_same_seed_same_result_whatever_is_shown():
    first, second = texture(64, 80, seed=1), flat(64, 80, 200)
    before = first.copy()
    degraded, done = run(first, SemanticChain(), 5)
    again, done_again = run(first, SemanticChain(), 5)
    np.testing.assert_array_equal(degraded, again)
    np.testing.assert_array_equal(first, before)
    assert (degraded.shape, degraded.dtype) == (first.shape, np.uint8)
    assert done == done_again == run(second, SemanticChain(), 5)[1]


def test_two_pictures_of_one_size_get_the_same_noise():
    noises = []
    for grey in (100, 140):
        noisy, _ = run(flat(50, 50, grey), only("noise"), 3)
        noises.append(noisy.astype(int) - grey)
    np.testing.assert_array_equal(*noises)


def test_without_any_step_nothing_happens():
    pixels = texture(33, 44)
    degraded, done = run(pixels, only())
    np.testing.assert_array_equal(degraded, pixels)
    assert set(asdict(done).values()) == {None}


@pytest.mark.parametrize("step", STEPS)
def test_a_step_happens_as_often_as_asked_and_changes_no_other(step):
    fields = {"shrink": "scale", "noise": "noise", "blur": "blur", "jpeg": "jpeg_quality"}
    never = replace(SemanticChain(), **{f"{step}_probability": 0.3})
    pixels = flat(32, 32, 90)
    rare, always = (
        [asdict(run(pixels, chain, seed)[1]) for seed in range(300)]
        for chain in (never, SemanticChain())
    )
    happened = [draw[fields[step]] is not None for draw in rare]
    assert np.mean(happened) == pytest.approx(0.3, abs=0.08)
    for some, whole in zip(rare, always, strict=True):
        assert {k: v for k, v in some.items() if v is not None}.items() <= whole.items()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"scale": (0.5, 0.25)}, "the lower first"),
        ({"scale": (0.5, 1.5)}, "scale must be two numbers between 0.01 and 1.0"),
        ({"scale": (0.5,)}, "scale"),
        ({"noise": (-1.0, 2.0)}, "noise"),
        ({"blur": (0.0, 99.0)}, "blur"),
        ({"quality": (0, 50)}, "quality must be two numbers between 1 and 100"),
        ({"jpeg_probability": 1.5}, "jpeg_probability must lie between 0 and 1"),
        ({"filters": ("sinc",)}, "filters must be some of nearest"),
        ({"filters": ()}, "filters"),
    ],
)
def test_ranges_that_make_no_sense_are_refused(settings, said):
    with pytest.raises(SettingsError, match=said):
        SemanticChain(**settings)
