"""Inpainting pipelines: opened from a folder, seeded, pasted back, and refused in one sentence."""

import json

import numpy as np
import pytest
from fixtures import inpainters
from fixtures.drawn import texture
from fixtures.vaes import kl

from aligngemini.datasets.manipulations import draw_mask, inpaint
from aligngemini.datasets.manipulations.blending import Edge
from aligngemini.models.inpainting import FACTOR, Inpainter, InpainterError, open_inpainter
from aligngemini.models.reconstruction import Unreconstructed

PHOTO = texture(128, 192, seed=1)
MASK = np.zeros((128, 192), bool)
MASK[30:70, 50:120] = True


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return inpainters.inpainter(tmp_path_factory.mktemp("pipelines") / "my pipeline")


@pytest.fixture(scope="module")
def painter(folder):
    return open_inpainter(str(folder), steps=2)


def test_a_folder_becomes_an_inpainter(painter):
    assert isinstance(painter, Inpainter)
    assert painter.name == "my-pipeline"
    assert len(painter.revision) == 64
    assert (painter.side, painter.factor) == (16 * 8, FACTOR)


def test_a_seed_repeats_a_painting(painter):
    one, two, other = (painter.paint(PHOTO, MASK, seed=seed) for seed in (3, 3, 4))
    assert one.shape == PHOTO.shape
    assert one.dtype == np.uint8
    np.testing.assert_array_equal(one, two)
    assert (one != other).any(axis=2)[MASK].mean() > 0.5


def test_only_the_region_is_painted(painter):
    photo = texture(150, 211, seed=2)  # no multiple of anything
    region = draw_mask(150, 211, np.random.default_rng(0))
    made = inpaint(photo, region, painter, np.random.default_rng(1), edge=Edge("hard"))
    np.testing.assert_array_equal(made.pixels[~region], photo[~region])
    np.testing.assert_array_equal(made.generated, region)
    assert not made.moved.any()
    assert (made.pixels != photo).any(axis=2)[region].mean() > 0.8


def test_the_model_sees_what_it_was_trained_on(painter):
    seen = []

    class Watched:
        factor, side = painter.factor, painter.side

        def paint(self, pixels, mask, *, seed):
            seen.append((pixels, mask))
            return painter.paint(pixels, mask, seed=seed)

    region = np.zeros((300, 300), bool)
    region[5:25, 5:25] = True
    photo = texture(300, 300)
    inpaint(photo, region, Watched(), np.random.default_rng(0))
    ((pixels, mask),) = seen
    # Of the photo, not of its reflection beyond the 89 pixels of region and context.
    np.testing.assert_array_equal(pixels, photo[:128, :128])
    assert np.count_nonzero(mask) == 400


def test_what_the_safety_checker_blacks_out_is_no_painting(folder):
    from types import SimpleNamespace

    class Prudish:
        vae_scale_factor = 8

        def set_progress_bar_config(self, **options):
            pass

        def __call__(self, **options):
            return SimpleNamespace(images=np.zeros((1, 128, 192, 3)), nsfw_content_detected=[True])

    painter = Inpainter(Prudish(), name="p", revision="r")
    made = painter.paint(PHOTO, MASK, seed=0)
    assert isinstance(made, Unreconstructed)
    assert made.code == "refused"


def test_options_that_the_pipeline_refuses_are_said(folder):
    painter = open_inpainter(str(folder), steps=1, strength=0.1)
    with pytest.raises(InpainterError, match="StableDiffusionInpaintPipeline cannot paint"):
        painter.paint(PHOTO, MASK, seed=0)


@pytest.mark.parametrize("name", ["nowhere", "a/b/c", "../x y"])
def test_a_name_that_is_none_is_refused(name):
    with pytest.raises(InpainterError, match="there is no inpainting model"):
        open_inpainter(name)


def test_a_folder_without_pipeline_is_refused(tmp_path):
    with pytest.raises(InpainterError, match=r"no model_index\.json in it"):
        open_inpainter(str(kl(tmp_path / "vae")))


def test_a_pipeline_that_cannot_inpaint_is_refused(tmp_path):
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": "DDPMPipeline"}))
    with pytest.raises(InpainterError, match="cannot be opened for inpainting"):
        open_inpainter(str(tmp_path))


def test_a_repository_out_of_reach_is_refused(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(InpainterError, match="not in the local cache"):
        open_inpainter("nobody/nothing")
