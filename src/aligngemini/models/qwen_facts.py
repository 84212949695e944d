"""What is known of Qwen2.5-VL before any of it is loaded: where it is, and how it sizes images."""

import math

MODELS = {
    "qwen2.5-vl-3b": "Qwen/Qwen2.5-VL-3B-Instruct",
    "qwen2.5-vl-7b": "Qwen/Qwen2.5-VL-7B-Instruct",
    "qwen2.5-vl-32b": "Qwen/Qwen2.5-VL-32B-Instruct",
}
"""Repositories of the Hub by short name."""

PATCH = 28
"""Side of the square of pixels that one visual token stands for."""

MIN_PIXELS = 4 * PATCH**2
MAX_PIXELS = 1280 * PATCH**2
"""What images are sized to unless somebody says otherwise: 1,003,520 pixels at the most."""

MAX_ASPECT = 200
"""One side over the other; the model refuses narrower pictures."""


def visual_grid(
    height: int, width: int, *, min_pixels: int = MIN_PIXELS, max_pixels: int = MAX_PIXELS
) -> tuple[int, int]:
    """Rows and columns of visual tokens of an image; times `PATCH`, the size it is resized to.

    The rule of `transformers`' Qwen2-VL image processors: sides rounded to whole tokens, then both
    scaled by one factor where the area leaves the limits.

    Args:
        height: Of the image, pixels.
        width: Likewise.
        min_pixels: Smaller images are enlarged to this many pixels.
        max_pixels: Larger ones are shrunk to this many.

    Raises:
        ValueError: The picture is narrower than `MAX_ASPECT` allows.
    """
    if max(height, width) > MAX_ASPECT * min(height, width):
        raise ValueError(f"one side is more than {MAX_ASPECT} times the other")
    rows, columns = round(height / PATCH), round(width / PATCH)
    area = rows * columns * PATCH**2
    if area > max_pixels:
        shrink = math.sqrt(height * width / max_pixels)
        rows = max(1, math.floor(height / shrink / PATCH))
        columns = max(1, math.floor(width / shrink / PATCH))
    elif area < min_pixels:
        grow = math.sqrt(min_pixels / (height * width))
        rows = math.ceil(height * grow / PATCH)
        columns = math.ceil(width * grow / PATCH)
    return rows, columns
