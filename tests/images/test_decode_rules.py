"""Each rule of the table in `aligngemini.images.decode`, by pixel values."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from aligngemini.images.decode import Limits, decode, from_pil
from aligngemini.images.item import ImageError

LOSSLESS = ("PNG", "TIFF", "BMP")


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def with_exif(image, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif.tobytes()


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "AVIF", "HEIF", "TIFF", "GIF", "BMP"])
def test_every_format_opens_under_its_own_name(encoded, picture, name):
    image = decode(encoded[name], path="a.xyz")
    assert (image.format, image.width, image.height) == (name, *picture.size)
    assert image.pixels.dtype == np.uint8
    assert image.pixels.flags.c_contiguous
    assert image.pixels.flags.writeable
    assert (image.data, image.path) == (encoded[name], "a.xyz")
    assert np.abs(image.pixels.astype(int) - np.asarray(picture)).mean() < 12


@pytest.mark.parametrize("name", LOSSLESS)
def test_lossless_formats_keep_every_value(encoded, picture, name):
    image = decode(encoded[name])
    np.testing.assert_array_equal(image.pixels, np.asarray(picture))
    assert image.notes == ()


def test_jpeg_has_exactly_the_pixels_of_pillow_at_full_size(save):
    big = Image.fromarray(np.random.default_rng(0).integers(0, 256, (700, 900, 3), np.uint8))
    data = save(big, "JPEG", quality=85)  # larger than one strip
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    np.testing.assert_array_equal(decode(data).pixels, expected)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_orientation_is_applied(save, picture, name, orientation):
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 95, "subsampling": 0}}
    data = save(picture, name, exif=with_exif(picture, orientation), **options.get(name, {}))
    upright = Image.open(io.BytesIO(data))
    upright.load()
    expected = np.asarray(ImageOps.exif_transpose(upright).convert("RGB"))
    image = decode(data)
    np.testing.assert_array_equal(image.pixels, expected)
    turned = f"turned as EXIF orientation {orientation} says"
    assert image.notes == (() if orientation == 1 else (turned,))


def test_orientation_is_applied_across_strips(save):
    tall = Image.fromarray(np.random.default_rng(0).integers(0, 256, (900, 700, 3), np.uint8))
    data = save(tall, "PNG", exif=with_exif(tall, 6))
    np.testing.assert_array_equal(decode(data).pixels, np.rot90(np.asarray(tall), -1))


@pytest.mark.parametrize("name", ["AVIF", "HEIF"])
def test_container_rotation_is_applied_once_in_avif_and_heic(save, picture, name):
    # Both writers turn EXIF's orientation into irot/imir, so the file then has the two.
    data = save(picture, name, exif=with_exif(picture, 6), quality=90)
    expected = np.rot90(np.asarray(picture), -1).astype(int)
    image = decode(data)
    assert image.pixels.shape == expected.shape
    assert np.abs(image.pixels - expected).mean() < 6


@pytest.mark.parametrize("name", ["AVIF", "HEIF"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_exif_that_contradicts_the_container_is_ignored_in_avif_and_heic(
    save, picture, name, orientation
):
    # The writers clear EXIF's orientation once it is in irot/imir, so a neighbouring tag is
    # written as well and turned into an orientation afterwards.
    exif = Image.Exif()
    exif[0x0112], exif[0x0113] = orientation, 8
    data = save(picture, name, exif=exif.tobytes(), quality=90)
    entries = [(struct.pack(o + "HHI", 0x0113, 3, 1), o) for o in "<>"]
    entry, order = next((e, o) for e, o in entries if e in data)
    lied = data.replace(entry, struct.pack(order + "HHI", 0x0112, 3, 1))
    np.testing.assert_array_equal(decode(lied).pixels, decode(data).pixels)


def test_palette_is_looked_up(save, picture):
    indexed = picture.quantize(16)
    image = decode(save(indexed, "PNG"))
    np.testing.assert_array_equal(image.pixels, np.asarray(indexed.convert("RGB")))
    assert image.notes == ()


@pytest.mark.parametrize("name", ["PNG", "GIF"])
def test_transparent_palette_entry_is_white(save, name):
    indexed = Image.new("P", (40, 40), 1)
    indexed.putpalette([10, 20, 30, 200, 100, 50])
    indexed.paste(0, (0, 0, 20, 40))
    image = decode(save(indexed, name, transparency=0))
    assert image.pixels[5, 5].tolist() == [255, 255, 255]
    assert image.pixels[5, 35].tolist() == [200, 100, 50]
    assert image.notes == ("transparency shown on white",)


def test_alpha_is_shown_on_white(save):
    image = Image.new("RGBA", (40, 40), (200, 100, 50, 255))
    image.putpixel((0, 0), (9, 9, 9, 0))
    image.putpixel((1, 0), (0, 100, 200, 128))
    decoded = decode(save(image, "PNG"))
    assert decoded.pixels[0, 0].tolist() == [255, 255, 255]
    np.testing.assert_allclose(decoded.pixels[0, 1].astype(int), [127, 177, 227], atol=1)
    assert decoded.pixels[9, 9].tolist() == [200, 100, 50]
    assert decoded.notes == ("transparency shown on white",)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_opaque_alpha_changes_nothing(save, picture, mode):
    image = picture.convert(mode)
    decoded = decode(save(image, "PNG"))
    np.testing.assert_array_equal(decoded.pixels, np.asarray(image.convert("RGB")))
    assert decoded.notes == ()


def test_grey_with_alpha(save):
    image = Image.new("LA", (40, 40), (90, 255))
    image.putpixel((0, 0), (10, 0))
    decoded = decode(save(image, "PNG"))
    assert decoded.pixels[0, 0].tolist() == [255, 255, 255]
    assert decoded.pixels[1, 1].tolist() == [90, 90, 90]


@pytest.mark.parametrize("name", ["PNG", "TIFF"])
def test_sixteen_bit_grey_keeps_the_high_byte(save, name):
    values = np.linspace(0, 65535, 40 * 40).astype(np.uint16).reshape(40, 40)
    decoded = decode(save(Image.fromarray(values), name))
    np.testing.assert_array_equal(decoded.pixels[..., 1], values >> 8)
    assert decoded.notes == ("16 bits a channel reduced to 8",)


def test_sixteen_bit_colour_keeps_the_high_byte():
    values = np.linspace(0, 65535, 40 * 40 * 3).astype(">u2").reshape(40, 40, 3)
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    data = (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", struct.pack(">IIBBBBB", 40, 40, 16, 2, 0, 0, 0))
        + png_chunk(b"IDAT", zlib.compress(rows))
        + png_chunk(b"IEND", b"")
    )
    decoded = decode(data)
    np.testing.assert_array_equal(decoded.pixels, (values >> 8).astype(np.uint8))
    assert decoded.notes == ("16 bits a channel reduced to 8",)


def test_twelve_bit_tiff_is_scaled_by_twelve_bits():
    width = height = 40
    values = (np.arange(width * height) % 4096).reshape(height, width)
    pairs = values.reshape(-1, 2)
    packed = np.stack(
        [pairs[:, 0] >> 4, (pairs[:, 0] & 15) << 4 | pairs[:, 1] >> 8, pairs[:, 1] & 255], -1
    ).astype(np.uint8)
    tags = [(256, width), (257, height), (258, 12), (259, 1), (262, 1), (273, 8), (277, 1)]
    tags += [(278, height), (279, packed.size)]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    data = b"II*\0" + struct.pack("<I", 8 + packed.size) + packed.tobytes()
    data += struct.pack("<H", len(tags)) + entries + struct.pack("<I", 0)
    decoded = decode(data)
    np.testing.assert_array_equal(decoded.pixels[..., 0], values >> 4)
    assert decoded.notes == ("12 bits a channel reduced to 8",)


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_numbers_without_a_range_are_stretched(save, dtype):
    values = np.linspace(-1000, 3000, 40 * 40).astype(dtype).reshape(40, 40)
    decoded = decode(save(Image.fromarray(values), "TIFF"))
    assert decoded.pixels[0, 0].tolist() == [0, 0, 0]
    assert decoded.pixels[-1, -1].tolist() == [255, 255, 255]
    assert abs(int(decoded.pixels[20, 0, 0]) - 128) <= 1
    assert decoded.notes == ("values from -1000 to 3000 stretched to 0 to 255",)


def test_floats_that_are_no_numbers_are_black(save):
    values = np.linspace(0, 1, 1600, dtype=np.float32).reshape(40, 40)
    values[0, :2] = np.nan, -np.inf
    values[0, 2] = np.inf
    decoded = decode(save(Image.fromarray(values), "TIFF"))
    assert decoded.pixels[0, :3, 0].tolist() == [0, 0, 255]
    assert decoded.pixels[-1, -1, 0] == 255


def test_constant_float_image_is_black(save):
    decoded = decode(save(Image.new("F", (40, 40), 0.25), "TIFF"))
    assert not decoded.pixels.any()


def test_one_bit_is_black_and_white(save, picture):
    image = picture.convert("1")
    decoded = decode(save(image, "PNG"))
    np.testing.assert_array_equal(decoded.pixels[..., 0], np.asarray(image) * 255)
    assert set(np.unique(decoded.pixels)) == {0, 255}


def test_grey_goes_to_all_channels(save, picture):
    decoded = decode(save(picture.convert("L"), "PNG"))
    for channel in range(3):
        np.testing.assert_array_equal(
            decoded.pixels[..., channel], np.asarray(picture.convert("L"))
        )


@pytest.mark.parametrize("name", ["JPEG", "TIFF"])
def test_cmyk_is_not_a_negative(save, name):
    image = Image.new("CMYK", (40, 40), (0, 200, 200, 0))  # red ink
    decoded = decode(save(image, name))
    np.testing.assert_allclose(decoded.pixels[5, 5].astype(int), [255, 55, 55], atol=4)
    assert decoded.notes == ("converted from CMYK",)


def test_ycbcr_tiff(save, picture):
    decoded = decode(save(picture.convert("YCbCr"), "TIFF"))
    assert np.abs(decoded.pixels.astype(int) - np.asarray(picture)).max() <= 4
    assert decoded.notes == ("converted from YCbCr",)


def test_lab_tiff(save):
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    image = Image.new("RGB", (40, 40), (200, 100, 50))
    image = ImageCms.profileToProfile(image, srgb, lab, outputMode="LAB")
    del image.info["icc_profile"]
    data = save(image, "TIFF")
    decoded = decode(data)
    np.testing.assert_allclose(decoded.pixels[5, 5].astype(int), [200, 100, 50], atol=3)
    assert decoded.notes == ("converted from LAB",)


def test_profile_is_not_applied_and_is_named_unless_srgb(save, picture):
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    other = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
    for profile, notes in ((srgb, ()), (other, ("colour profile not applied",))):
        decoded = decode(save(picture, "PNG", icc_profile=profile))
        np.testing.assert_array_equal(decoded.pixels, np.asarray(picture))
        assert decoded.notes == notes


@pytest.mark.parametrize(
    ("name", "note"),
    [
        ("GIF", "first of 3 frames"),
        ("PNG", "first of 3 frames"),
        ("WEBP", "first of 3 frames"),
        ("AVIF", "first of 3 frames"),
        ("TIFF", "first of 3 pages"),
        ("MPO", "first of 3 pictures"),
        ("HEIF", "main picture of 3"),
    ],
)
def test_first_of_several_is_judged_and_said(save, name, note):
    colours = [(220, 30, 30), (30, 220, 30), (30, 30, 220)]
    frames = [Image.new("RGB", (40, 40), colour) for colour in colours]
    data = save(frames[0], name, save_all=True, append_images=frames[1:])
    decoded = decode(data)
    np.testing.assert_allclose(decoded.pixels[20, 20].astype(int), colours[0], atol=12)
    assert decoded.format == ("JPEG" if name == "MPO" else name)
    assert decoded.notes == (note,)


def test_preview_in_a_raw_file_is_not_judged_as_the_picture(save, picture):
    with pytest.raises(ImageError, match="preview") as caught:
        decode(save(picture, "TIFF", tiffinfo={254: 1}))
    assert caught.value.code == "unsupported"


def test_from_pil_follows_the_same_rules(save, picture):
    translucent = Image.new("RGBA", (40, 40), (9, 9, 9, 0))
    assert from_pil(translucent).pixels.min() == 255
    grey = Image.fromarray(np.full((40, 40), 0x1234, np.uint16))
    assert np.unique(from_pil(grey).pixels).tolist() == [0x12]
    turned = Image.open(io.BytesIO(save(picture, "JPEG", exif=with_exif(picture, 6))))
    image = from_pil(turned, path="memory")
    assert (image.height, image.width) == picture.size
    assert (image.format, image.data, image.sha256, image.path) == ("JPEG", b"", None, "memory")
    np.testing.assert_array_equal(from_pil(picture).pixels, np.asarray(picture))


def test_from_pil_takes_the_present_frame(save):
    frames = [Image.new("RGB", (40, 40), colour) for colour in ("red", "lime", "blue")]
    gif = Image.open(io.BytesIO(save(frames[0], "GIF", save_all=True, append_images=frames[1:])))
    gif.seek(1)
    image = from_pil(gif)
    assert image.pixels[20, 20].tolist() == [0, 255, 0]
    assert image.notes == ("frame 2 of several",)


def test_from_pil_is_not_fooled_by_a_broken_file(encoded):
    broken = Image.open(io.BytesIO(encoded["JPEG"][:-200]))
    for _ in range(2):  # Pillow may take the image for loaded after its first failure
        with pytest.raises(ImageError) as caught:
            from_pil(broken)
        assert caught.value.code == "truncated"


def test_from_pil_is_not_fooled_by_bad_compression(encoded):
    data = bytearray(encoded["TIFF"])
    data[20:400] = b"\xff" * 380
    broken = Image.open(io.BytesIO(bytes(data)))
    for _ in range(2):
        with pytest.raises(ImageError) as caught:
            from_pil(broken)
        assert caught.value.code in ("corrupt", "truncated")


def test_from_pil_opens_nothing_off_the_list(save, picture):
    opened = Image.open(io.BytesIO(save(picture, "PPM")))
    with pytest.raises(ImageError) as caught:
        from_pil(opened)
    assert caught.value.code == "unsupported"
    assert from_pil(opened.convert("RGB")).width == picture.width


def test_from_pil_keeps_the_limits():
    with pytest.raises(ImageError) as caught:
        from_pil(Image.new("L", (40, 40)), limits=Limits(max_pixels=1000))
    assert caught.value.code == "too-large"
