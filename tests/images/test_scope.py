"""Rules of scope: each measure against a count by hand, each kind of picture by its reason."""

from collections import Counter

import numpy as np
import pytest
from fixtures.drawn import striped, texture
from PIL import Image as PILImage
from PIL import ImageDraw, ImageFilter

from aligngemini.branches.hub import HubBranch
from aligngemini.branches.semantic import SemanticBranch
from aligngemini.branches.semantic.backend import Answer
from aligngemini.detector import Detector
from aligngemini.evidence import Evidence
from aligngemini.images import scope
from aligngemini.images.item import Image
from aligngemini.images.scope import scope_of


def lines(height: int, width: int) -> PILImage.Image:
    """Strokes in rows on white, as far as a small machine tells them from print."""
    picture = PILImage.new("RGB", (width, height), (250, 250, 250))
    draw = ImageDraw.Draw(picture)
    rng = np.random.default_rng(0)
    for top in range(10, height - 16, 20):
        for left in range(10, width - 10, 7):
            draw.line([left, top, left + int(rng.integers(-3, 4)), top + 12], (15, 15, 15), 2)
    return picture


def scanned(height: int, width: int) -> np.ndarray:
    """The same askew, out of focus and noisy: no two neighbours are equal."""
    soft = lines(height, width).rotate(1, fillcolor=(250, 250, 250))
    page = np.asarray(soft.filter(ImageFilter.GaussianBlur(0.6)), float)
    noisy = page + np.random.default_rng(1).normal(0, 4, page.shape)
    return noisy.clip(0, 255).astype(np.uint8)


def shapes() -> np.ndarray:
    """Clean shapes before a sky that changes from row to row."""
    sky = np.full((300, 400, 3), (90, 180, 240)) - np.arange(300)[:, None, None] // 4
    picture = PILImage.fromarray(sky.astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    for k in range(30):
        x, y = 37 * k % 380, 53 * k % 280
        draw.ellipse([x, y, x + 60, y + 40], (k * 8, 255 - k * 8, k * 5 % 256), (0, 0, 0))
    return np.asarray(picture)


def faint(height: int, width: int) -> np.ndarray:
    noise = np.random.default_rng(0).normal(128, 2, (height, width, 3))
    return noise.clip(0, 255).astype(np.uint8)


def few_colours() -> np.ndarray:
    colours = np.random.default_rng(0).integers(0, 256, (6, 3), dtype=np.uint8)
    return colours[np.random.default_rng(1).integers(0, 6, (200, 300))]


@pytest.mark.parametrize(
    ("pixels", "reason"),
    [
        (faint(120, 160), "constant"),
        (shapes(), "flat"),
        (few_colours(), "few-colours"),
        (scanned(300, 400), "text"),
    ],
)
def test_each_rule_holds_for_its_kind_alone(pixels, reason):
    assert scope_of(pixels).reasons == (reason,)


@pytest.mark.parametrize(
    "pixels", [texture(200, 300), striped(160, 200, 9), striped(160, 200, 250), texture(33, 700)]
)
def test_what_looks_like_a_photo_is_in_scope(pixels):
    found = scope_of(pixels)
    assert found.reasons == ()
    assert found.remark is None


@pytest.mark.parametrize("size", [(32, 32), (32, 3000), (700, 40)])
def test_any_size_is_measured(size):
    measured = scope_of(texture(*size)).measured
    assert all(np.isfinite(value) for value in measured.values())


def test_measures_are_what_a_count_by_hand_gives():
    pixels = scanned(120, 160)  # small enough that no row is left out
    measured = scope_of(pixels).measured
    flat = pixels.reshape(-1, 3)
    eight = sum(n for _, n in Counter(map(bytes, flat)).most_common(8))
    assert measured["colours"] == pytest.approx(eight / len(flat), abs=1e-4)
    luma = np.rint(flat @ [0.299, 0.587, 0.114])
    widest = max(((luma >= low) & (luma < low + 33)).mean() for low in range(256))
    assert measured["paper"] == pytest.approx(widest, abs=0.02)
    assert measured["contrast"] == pytest.approx(np.subtract(*np.percentile(luma, [99, 1])), abs=2)
    spread = flat.max(1).astype(int) - flat.min(1)
    assert measured["saturation"] == pytest.approx(np.percentile(spread, 90), abs=1)
    blocks = [
        np.ptp(pixels[top : top + 8, left : left + 8, 1].astype(int)) >= scope.STROKE
        for top in range(0, 120, 8)
        for left in range(0, 160, 8)
    ]
    assert measured["strokes"] == pytest.approx(np.mean(blocks), abs=1e-4)


def test_large_images_are_sampled_evenly():
    """Whether a large picture is sampled or a small one measured whole makes no difference."""
    small = shapes()
    large = small.repeat(6, 0).repeat(6, 1)
    of_small, of_large = scope_of(small).measured, scope_of(large).measured
    for name in ("colours", "paper", "contrast", "saturation"):
        assert of_large[name] == pytest.approx(of_small[name], abs=0.03 * max(1, of_small[name]))


class Sure:
    """A classifier and a language model that call everything fake."""

    labels = ("real", "fake")
    fingerprint = "f00d"
    name = "sure"

    def probabilities(self, images):
        return np.array([[0.001, 0.999]] * len(images))

    def answer(self, images):
        return [Answer(log_odds=None, label="fake") for _ in images]


@pytest.mark.parametrize(
    "branch", [HubBranch(Sure(), model="sure"), SemanticBranch(Sure())], ids=["pixels", "content"]
)
def test_no_branch_accuses_out_of_scope(branch):
    verdict = Detector([branch]).judge(shapes())
    (evidence,) = verdict.branches.values()
    assert (verdict.verdict, evidence.verdict) == ("undecided", "undecided")
    assert "flat colour" in evidence.remark
    assert verdict.to_dict()["scope"]["reasons"] == ["flat"]
    assert Detector([branch]).judge(texture(64, 64)).verdict == "fake"


class Signed:
    """A provenance branch whose file says AI, signed and trusted."""

    name = "provenance"
    fingerprint = "rules"

    def judge(self, images, *, heatmaps=False):
        return [Evidence(verdict="fake", signals=()) for _ in images]


def test_a_trusted_signature_stands_out_of_scope():
    verdict = Detector([HubBranch(Sure(), model="sure"), Signed()]).judge(shapes())
    assert verdict.verdict == "fake"
    assert verdict.branches["pixel"].verdict == "undecided"


def test_scope_is_measured_once_and_anew_for_other_pixels():
    image = Image(shapes())
    assert image.scope is image.scope
    assert Image(texture(64, 64)).scope.reasons == ()
