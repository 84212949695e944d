"""Pillow's resampling filters by the names that recipes and model folders use."""

from PIL import Image as PILImage

FILTERS = {
    "nearest": PILImage.Resampling.NEAREST,
    "box": PILImage.Resampling.BOX,
    "bilinear": PILImage.Resampling.BILINEAR,
    "hamming": PILImage.Resampling.HAMMING,
    "bicubic": PILImage.Resampling.BICUBIC,
    "lanczos": PILImage.Resampling.LANCZOS,
}
