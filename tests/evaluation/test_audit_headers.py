import io
import os

import numpy as np
import pytest
from fixtures import metadata
from PIL import Image as PILImage

from aligngemini.evaluation.audit import headers
from aligngemini.evaluation.audit.headers import read_header
from aligngemini.images.item import ImageError


@pytest.fixture
def header(tmp_path):
    def header(data):
        path = tmp_path / "file"
        path.write_bytes(data)
        return read_header(path)

    return header


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF", "HEIF"])
def test_every_format_gives_its_size(header, form):
    found = header(metadata.encode(form))
    assert (found.format, found.width, found.height) == (form, 64, 48)
    assert found.size == len(metadata.encode(form))
    assert found.metadata == frozenset()


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "1", "I;16"])
def test_colour_modes_of_png_are_those_stored(header, mode):
    file = io.BytesIO()
    PILImage.new(mode, (40, 40)).save(file, "PNG")
    assert header(file.getvalue()).mode == mode


def test_compression_of_jpeg_is_that_it_was_saved_with(header):
    for quality, subsampling, progressive in ((95, "4:4:4", False), (60, "4:2:0", True)):
        found = header(
            metadata.encode(
                "JPEG", quality=quality, subsampling=subsampling, progressive=progressive
            )
        )
        assert (found.quality, found.subsampling, found.progressive) == (
            quality,
            subsampling,
            progressive,
        )
    found = header(metadata.encode("PNG"))
    assert (found.quality, found.subsampling, found.progressive) == (0, "", False)


@pytest.mark.parametrize(
    ("data", "there"),
    [
        (metadata.encode("JPEG", exif=metadata.exif(Software="GIMP")), {"EXIF"}),
        (
            metadata.encode(
                "JPEG",
                exif=metadata.exif({"ExposureTime": 0.01}, Make="Canon", Model="EOS"),
            ),
            {"EXIF", "a camera in EXIF"},
        ),
        (metadata.encode("PNG", icc_profile=b"profile"), {"a colour profile"}),
        (metadata.encode("JPEG", comment=b"hello"), {"a text or comment"}),
        (metadata.png(Title="a lake"), {"a text or comment"}),
        (
            metadata.png(parameters="a lake\nNegative prompt: dog"),
            {"a text or comment", "a generator's traces"},
        ),
        (metadata.encode("JPEG", xmp=metadata.xmp()), {"XMP"}),
        (metadata.encode("WEBP", xmp=metadata.xmp()), {"XMP"}),
    ],
)
def test_metadata_is_named(header, data, there):
    assert header(data).metadata == there


def test_nothing_is_decoded_and_only_the_head_of_a_large_file_is_read(
    tmp_path, monkeypatch, header
):
    noise = np.random.default_rng(0).integers(0, 255, (600, 600, 3), dtype=np.uint8)
    path = tmp_path / "large.png"
    PILImage.fromarray(noise).save(path)
    assert path.stat().st_size > 2 * headers.HEAD

    def refuse(*_arguments, **_options):
        raise AssertionError("the file was read whole, or decoded")

    monkeypatch.setattr(headers, "read_bytes", refuse)
    monkeypatch.setattr(PILImage.Image, "load", refuse)
    found = read_header(path)
    assert (found.format, found.width, found.size) == ("PNG", 600, path.stat().st_size)


def test_a_header_longer_than_the_head_is_read_to_its_end(tmp_path):
    path = tmp_path / "long.jpg"
    data = metadata.encode("JPEG", quality=71)
    for _ in range(6):
        data = metadata.segment(data, 0xE5, bytes(65_000))
    path.write_bytes(data)
    assert len(data) > headers.HEAD
    assert read_header(path).quality == 71


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty"),
        (b"no image at all" * 10, "unsupported"),
        (metadata.encode("PNG")[:20], "truncated"),
        (metadata.encode("JPEG")[:60], "truncated"),
    ],
)
def test_what_is_no_image_is_an_error(header, data, code):
    with pytest.raises(ImageError) as caught:
        header(data)
    assert caught.value.code == code


def test_a_file_that_is_not_there_or_no_file_is_an_error(tmp_path):
    with pytest.raises(ImageError, match="no such file"):
        read_header(tmp_path / "nowhere.png")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ImageError, match="pipe"):
        read_header(tmp_path / "pipe")
