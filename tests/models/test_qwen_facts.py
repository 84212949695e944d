"""Image sizes against `transformers`' own rule, and its processor."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from transformers import Qwen2VLImageProcessorPil
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

from aligngemini.models.qwen_facts import MAX_PIXELS, MIN_PIXELS, PATCH, visual_grid

SIDE = st.integers(1, 4000)


@given(height=SIDE, width=SIDE, low=st.integers(1, 64), more=st.integers(0, 2000))
def test_sizes_are_those_of_transformers(height, width, low, more):
    limits = {"min_pixels": low * PATCH**2, "max_pixels": (low + more) * PATCH**2}
    try:
        expected = smart_resize(height, width, PATCH, **limits)
    except ValueError:
        with pytest.raises(ValueError, match="200 times"):
            visual_grid(height, width, **limits)
        return
    rows, columns = visual_grid(height, width, **limits)
    assert (rows * PATCH, columns * PATCH) == expected


def test_an_image_resized_beforehand_gives_the_processor_the_same_pixels():
    pixels = np.random.default_rng(0).integers(0, 256, (1300, 1111, 3), dtype=np.uint8)
    size = {"shortest_edge": MIN_PIXELS, "longest_edge": MAX_PIXELS}
    processor = Qwen2VLImageProcessorPil(size=size)
    rows, columns = visual_grid(1300, 1111)
    image = Image.fromarray(pixels)
    beforehand = image.resize((columns * PATCH, rows * PATCH), Image.Resampling.BICUBIC)
    ours = processor(images=[beforehand], return_tensors="np")
    theirs = processor(images=[image], return_tensors="np")
    np.testing.assert_array_equal(ours["pixel_values"], theirs["pixel_values"])
    assert ours["image_grid_thw"].tolist() == [[1, rows * 2, columns * 2]]
