"""Small valid files of every format, drawn here."""

import io

import numpy as np
import pillow_heif
import pytest
from PIL import Image

SIZE = (64, 48)


def encode(image: Image.Image, name: str, **options) -> bytes:
    """An image as a file of a format, by Pillow's name."""
    if name == "HEIF":
        pillow_heif.register_heif_opener()
    buffer = io.BytesIO()
    image.save(buffer, name, **options)
    return buffer.getvalue()


def scene(size: tuple[int, int] = SIZE) -> Image.Image:
    """A gradient with four differently coloured corners, so that a turn or a crop shows."""
    width, height = size
    y, x = np.mgrid[0:height, 0:width]
    pixels = np.stack([x * 3, y * 5, (x + y) * 2], -1).astype(np.uint8)
    pixels[:8, :8], pixels[:8, -8:] = (255, 0, 0), (0, 255, 0)
    pixels[-8:, :8], pixels[-8:, -8:] = (0, 0, 255), (255, 255, 0)
    return Image.fromarray(pixels)


@pytest.fixture(scope="session")
def picture() -> Image.Image:
    return scene()


@pytest.fixture(scope="session")
def save():
    return encode


@pytest.fixture(scope="session")
def encoded() -> dict[str, bytes]:
    """One small valid file a format; HEIC and AVIF without loss of time over quality."""
    options = {"AVIF": {"speed": 10}, "TIFF": {"compression": "tiff_lzw"}, "HEIF": {"quality": 40}}
    names = ("JPEG", "PNG", "WEBP", "AVIF", "HEIF", "TIFF", "GIF", "BMP")
    return {name: encode(scene(), name, **options.get(name, {})) for name in names}
