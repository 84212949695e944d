"""Quality and subsampling out of JPEG headers, against what Pillow was told to write."""

import io
import struct

import numpy as np
import pytest
from fixtures.drawn import png, texture
from PIL import Image

from aligngemini.images.jpeg import JpegSettings, jpeg_settings

PICTURE = Image.fromarray(texture(24, 40))


def saved(picture=PICTURE, **options):
    file = io.BytesIO()
    picture.save(file, "JPEG", **options)
    return file.getvalue()


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
def test_every_quality_and_subsampling_reads_back(subsampling):
    for quality in range(1, 101):
        data = saved(quality=quality, subsampling=subsampling)
        assert jpeg_settings(data) == JpegSettings(quality, subsampling)


def test_every_quality_of_grey_reads_back():
    for quality in range(1, 101):
        assert jpeg_settings(saved(PICTURE.convert("L"), quality=quality)).quality == quality


@pytest.mark.parametrize("options", [{"progressive": True}, {"optimize": True}, {"dpi": (72, 72)}])
def test_the_way_of_coding_does_not_matter(options):
    assert jpeg_settings(saved(quality=83, **options)) == JpegSettings(83, "4:2:0")


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_what_has_no_chroma_is_not_subsampled(mode):
    assert jpeg_settings(saved(PICTURE.convert(mode), quality=75)).subsampling == "4:4:4"


@pytest.mark.parametrize(
    ("factors", "subsampling"),
    [
        ((0x12, 0x11), "4:2:2"),  # 4:4:0
        ((0x41, 0x11), "4:2:0"),  # 4:1:1
        ((0x42, 0x11), "4:2:0"),  # 4:1:0
        ((0x22, 0x21), "4:2:2"),  # 4:4:0, spelled with larger numbers
        ((0x22, 0x22), "4:4:4"),
    ],
)
def test_factors_that_pillow_does_not_write_are_the_nearest_it_does(factors, subsampling):
    data = bytearray(saved(quality=75))
    start = data.index(b"\xff\xc0")  # the frame: size, then a triple for each component
    data[start + 11], data[start + 14], data[start + 17] = factors[0], factors[1], factors[1]
    assert jpeg_settings(bytes(data)).subsampling == subsampling


@pytest.mark.parametrize("quality", [30, 60, 90])
def test_tables_that_no_libjpeg_writes_are_nearest_to_their_strength(quality):
    with Image.open(io.BytesIO(saved(quality=quality))) as image:
        tables = list(image.quantization.values())
    rng = np.random.default_rng(0)
    other = [np.rint(np.multiply(t, rng.uniform(0.85, 1.15, 64))).clip(1, 255) for t in tables]
    found = jpeg_settings(saved(qtables=[list(map(int, table)) for table in other]))
    assert abs(found.quality - quality) <= 2


def test_no_jpeg_has_no_settings():
    assert jpeg_settings(png(texture(16, 16))) is None
    assert jpeg_settings(b"") is None


def test_header_without_its_tables_has_no_settings():
    data = saved(quality=75)
    while (start := data.find(b"\xff\xdb")) >= 0:
        (length,) = struct.unpack_from(">H", data, start + 2)
        data = data[:start] + data[start + 2 + length :]
    assert jpeg_settings(data) is None


def test_real_photos_have_plausible_settings(shared_data):
    photos = sorted((shared_data / "real" / "bsds500").rglob("*.jpg"))[:50]
    assert photos
    for photo in photos:
        settings = jpeg_settings(photo.read_bytes())
        again = saved(PICTURE, quality=settings.quality, subsampling=settings.subsampling)
        assert jpeg_settings(again) == settings
        assert settings.quality >= 50
