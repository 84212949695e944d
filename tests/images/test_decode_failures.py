"""Whatever the bytes, `decode` gives an image or an `ImageError` with the right code, quietly."""

import logging
import pickle
import struct
import subprocess
import sys
import threading
import warnings
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from aligngemini.images.decode import Limits, decode
from aligngemini.images.item import ImageError

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "HEIF", "TIFF", "GIF", "BMP")
CODES = {"empty", "unsupported", "truncated", "corrupt", "too-large", "too-small"}


def code_of(data: bytes, **limits: int) -> str:
    with pytest.raises(ImageError) as caught:
        decode(data, limits=Limits(**limits))
    assert caught.value.message
    assert caught.value.message.isprintable()
    return caught.value.code


def outcome(data: bytes, **limits: int) -> str:
    """`ok` or the code; anything but an `ImageError` passes through and fails the test."""
    try:
        image = decode(data, limits=Limits(**limits))
    except ImageError as error:
        return error.code
    assert image.pixels.shape == (image.height, image.width, 3)
    assert min(image.width, image.height) >= 32
    return "ok"


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(
    width: int, height: int, *, extra: bytes = b"", rows: bytes = b"", colour: int = 0
) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", header)
        + extra
        + png_chunk(b"IDAT", zlib.compress(rows))
        + png_chunk(b"IEND", b"")
    )


def test_no_bytes_are_empty():
    assert code_of(b"") == "empty"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"8BPS\0\1" + bytes(40), "Photoshop"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "PostScript"),
        (b"%PDF-1.7\n", "PDF"),
        (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        (b"\n<!DOCTYPE html><html></html>", "web page"),
        (b"\0\0\1\0\1\0" + bytes(30), "ICO"),
        (b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(30), "JPEG 2000"),
        (b"\0\0\0\x18ftypisom" + bytes(30), "video"),
        (b"\0\0\0\x18ftypcrx " + bytes(30), "raw"),
        (b"II*\0\x10\0\0\0CR\2\0" + bytes(30), "raw"),
        (b"P6 32 32 255\n" + bytes(3072), "Netpbm"),
        (b"PK\3\4" + bytes(30), "ZIP"),
        (b"version https://git-lfs.github.com/spec/v1\n", "LFS"),
        (b"BMW is a maker of cars", "not an image"),
        (b"path,label\na.jpg,real\n", "not an image"),
        (b"\xff", "not an image"),
        (bytes(100), "not an image"),
    ],
)
def test_other_files_are_named_and_the_accepted_formats_with_them(data, words):
    with pytest.raises(ImageError, match=words) as caught:
        decode(data)
    assert caught.value.code == "unsupported"
    assert "JPEG, PNG, WebP" in caught.value.message


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.8])
def test_truncated_files_say_so(encoded, name, kept):
    data = encoded[name]
    assert code_of(data[: int(len(data) * kept)]) in ("truncated", "unsupported"), name
    if kept == 0.8:
        assert code_of(data[: int(len(data) * kept)]) == "truncated"


@pytest.mark.parametrize("name", FORMATS)
def test_signature_alone_is_a_failure(encoded, name):
    assert code_of(encoded[name][:20]) in ("truncated", "corrupt")


@pytest.mark.parametrize("name", ["JPEG", "PNG", "TIFF"])
def test_damage_inside_a_complete_file_is_corrupt(save, name):
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    options = {"TIFF": {"compression": "tiff_adobe_deflate"}}
    data = save(Image.fromarray(pixels), name, **options.get(name, {}))
    middle = len(data) // 2
    outcomes = set()
    for start, patch in ((200, b"\0" * 300), (middle, b"\xff\xd8" * 200), (middle, b"\0" * 999)):
        outcomes.add(outcome(data[:start] + patch + data[start + len(patch) :]))
    assert "corrupt" in outcomes
    assert outcomes <= {"corrupt", "ok"}  # some damage decodes, to other pixels


def test_png_that_declares_more_rows_than_it_has_is_corrupt():
    for rows in (0, 10, 63):
        assert code_of(png(64, 64, rows=b"\0" * 65 * rows)) == "corrupt"
    assert not decode(png(64, 64, rows=b"\0" * 65 * 64)).pixels.any()  # all there, and all black


def test_interlaced_png_that_lacks_its_last_pass_is_corrupt(save, picture):
    depth = (8, 0, 0, 0, 1)  # interlaced grey: more rows than 64, each with a filter byte
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 32, 64, *depth))
    sizes = [(4, 8), (4, 8), (8, 8), (8, 16), (16, 16), (16, 32), (32, 32)]
    rows = b"".join((b"\0" + b"\x80" * width) * height for width, height in sizes)
    for missing, ends in ((0, True), (33 * 32, False), (33, False)):
        body = png_chunk(b"IDAT", zlib.compress(rows[: len(rows) - missing]))
        data = b"\x89PNG\r\n\x1a\n" + header + body + png_chunk(b"IEND", b"")
        if ends:
            assert np.unique(decode(data).pixels).tolist() == [0x80]
        else:
            assert code_of(data) == "corrupt"


def test_bomb_is_refused_from_its_header():
    assert code_of(png(50_000, 50_000)) == "too-large"  # over Pillow's own ceiling
    assert code_of(png(11_000, 11_000)) == "too-large"  # under it, over ours


def test_108_megapixels_are_not_refused_by_size():
    # The size passes; only then does the missing pixel data count.
    assert code_of(png(12_032, 9_024)) == "corrupt"


def test_formats_with_hungry_decoders_have_a_smaller_limit(encoded):
    width, height = 64, 48
    pixels = width * height
    assert decode(encoded["PNG"], limits=Limits(max_pixels=pixels)).width == width
    for name in ("WEBP", "AVIF", "HEIF"):
        assert code_of(encoded[name], max_pixels=pixels) == "too-large"


def test_file_over_the_byte_limit(encoded):
    assert code_of(encoded["PNG"], max_bytes=100) == "too-large"


@pytest.mark.parametrize(
    ("size", "refused"), [((31, 64), True), ((64, 31), True), ((32, 32), False)]
)
def test_small_pictures(save, size, refused):
    data = save(Image.new("RGB", size), "PNG")
    if refused:
        assert code_of(data) == "too-small"
    else:
        assert decode(data).width == 32


def test_many_passes_over_many_pixels_are_refused(save):
    data = save(Image.new("L", (5000, 5000), 128), "JPEG", progressive=True)
    scan = data[data.rindex(b"\xff\xc4") : -2]
    assert decode(data).width == 5000
    assert code_of(data[:-2] + scan * 150 + data[-2:]) == "too-large"


def test_endless_bookkeeping_is_refused(save, picture):
    jpeg, gif, tiff = (save(picture, name) for name in ("JPEG", "GIF", "TIFF"))
    frame = gif.index(b",", 13)
    directory = struct.unpack("<I", tiff[4:8])[0]
    files = [
        jpeg[:2] + b"\xff\xe5\0\2" * 200_001 + jpeg[2:],
        png(64, 64, extra=png_chunk(b"abCd", b"") * 200_001),
        gif[:frame] + b"!\xfe" + b"\1a" * 200_001 + b"\0" + gif[frame:],
        tiff[:directory] + struct.pack("<H", 60_000) + bytes(12 * 60_000),
        tiff[:directory] + struct.pack("<HHHII", 1, 273, 4, 9_000_000, 8) + bytes(4),
    ]
    assert [code_of(data) for data in files] == ["corrupt"] * len(files)


def test_frames_of_a_gif_are_counted_no_further_than_needed(save):
    gif = save(Image.new("P", (40, 40)), "GIF")
    frame = b",\0\0\0\0\1\0\1\0\0\2\2D\1\0"
    decoded = decode(gif[:-1] + frame * 400_000 + b";")
    assert decoded.notes[0].startswith("first of 3")  # a million blocks hold so many
    assert decode(gif[:-1] + frame * 40 + b";").notes == ("first of 41 frames",)


def test_pages_that_point_at_each_other_end(save):
    tiff = bytearray(save(Image.new("RGB", (40, 40)), "TIFF"))
    directory = struct.unpack("<I", tiff[4:8])[0]
    count = struct.unpack_from("<H", tiff, directory)[0]
    struct.pack_into("<I", tiff, directory + 2 + 12 * count, directory)
    assert decode(bytes(tiff)).notes == ()


def test_prompt_of_over_a_megabyte_does_not_hide_the_picture(picture):
    rows = b"".join(b"\0" + row.tobytes() for row in np.asarray(picture))
    text = b"workflow\0\0" + zlib.compress(b"node " * 1_000_000)
    data = png(*picture.size, extra=png_chunk(b"zTXt", text), rows=rows, colour=2)
    decoded = decode(data)
    np.testing.assert_array_equal(decoded.pixels, np.asarray(picture))
    assert decoded.data == data
    assert decoded.notes == ("metadata that could not be read was passed over",)


def test_bad_checksum_counts_where_it_touches_the_picture(save, picture):
    plain = save(picture, "PNG")
    comment = b"\0\0\0\5tEXta\0bcd" + b"\xde\xad\xbe\xef"
    beside = decode(plain[:33] + comment + plain[33:])
    np.testing.assert_array_equal(beside.pixels, np.asarray(picture))
    broken = bytearray(plain)
    broken[29] ^= 1  # the header's own checksum
    assert code_of(bytes(broken)) == "corrupt"


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP"])
def test_broken_exif_is_noted_and_does_not_stop_decoding(save, picture, name):
    for exif in (
        b"Exif\0\0nonsense",
        b"Exif\0\0II*\0\xff\xff\xff\x7f",
        b"Exif\0\0MM\0*\0\0\0\x08\0\x09",
    ):
        decoded = decode(save(picture, name, exif=exif))
        assert (decoded.height, decoded.width) == np.asarray(picture).shape[:2]
        assert decoded.notes == ("EXIF could not be read",)


@pytest.mark.parametrize(
    ("kind", "value", "turned"),
    [(3, 6, True), (4, 6, True), (3, 0, False), (3, 9, False), (2, 6, False)],
)
def test_orientations_without_a_meaning_are_none(save, picture, kind, value, turned):
    number = struct.pack(">H" if kind == 3 else ">I", value).ljust(4, b"\0")
    block = b"Exif\0\0MM\0*\0\0\0\x08\0\1" + struct.pack(">HHI", 0x0112, kind, 1) + number
    image = decode(save(picture, "PNG", exif=block + bytes(4)))
    assert (image.width, image.height) == (picture.size[::-1] if turned else picture.size)
    assert bool(image.notes) is turned


def test_avif_with_broken_exif_is_decoded(save, picture):
    data = save(picture, "AVIF", exif=b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0")
    broken = data.replace(b"II*\0\x08\0\0\0", b"nonsense")
    assert broken != data
    decoded = decode(broken)
    np.testing.assert_array_equal(decoded.pixels, decode(data).pixels)
    assert "metadata that could not be read was passed over" in decoded.notes


def test_index_of_pictures_that_contradicts_itself_is_passed_over(save, picture):
    data = save(picture, "MPO", save_all=True, append_images=[picture])
    broken = data.replace(b"\1\xb0\4\0\1\0\0\0\2\0\0\0", b"\1\xb0\4\0\1\0\0\0\xff\xff\0\0")
    assert broken != data
    np.testing.assert_array_equal(decode(broken).pixels, decode(data).pixels)


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_mutated_files_give_an_image_or_an_image_error(encoded, name, data):
    mutant = bytearray(encoded[name])
    where = st.integers(0, len(mutant) - 1)
    # Headers are where the lies that matter are told.
    for position in data.draw(st.lists(st.one_of(st.integers(0, 63), where), max_size=12)):
        mutant[position % len(mutant)] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        start, end = sorted((data.draw(where), data.draw(where)))
        mutant[start:end] = data.draw(st.binary(max_size=16))
    assert outcome(bytes(mutant), max_pixels=1_000_000) in {*CODES, "ok"}


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes_are_no_image(data):
    assert code_of(data) in CODES


def test_nothing_is_printed_warned_or_logged(save, encoded, picture, capfd):
    logging.getLogger("PIL").propagate = False  # pytest's own handler would take what stderr gets
    corrupt = bytearray(encoded["TIFF"])
    corrupt[8:200] = b"\xff" * 192
    directory = struct.unpack("<I", encoded["TIFF"][4:8])[0]
    samples = encoded["TIFF"].replace(
        struct.pack("<HHI", 277, 3, 1) + b"\3\0", struct.pack("<HHI", 277, 3, 1) + b"\xff\0"
    )
    files = [
        bytes(corrupt),
        samples,
        encoded["TIFF"][: directory + 30],
        encoded["TIFF"][:100] + encoded["TIFF"][-200:],
        save(picture, "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + bytes(range(100))),
        png(64, 64, extra=png_chunk(b"acTL", bytes(8)), rows=b"\0" * 65 * 64),
        png(10_000, 9_500),
    ]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        codes = [outcome(data) for data in files]
    logging.getLogger("PIL").propagate = True
    assert codes == ["corrupt", "corrupt", "truncated", "truncated", "ok", "ok", "corrupt"]
    assert caught == []
    assert capfd.readouterr() == ("", "")


def test_errors_travel_between_processes():
    error = pickle.loads(pickle.dumps(ImageError("corrupt", "why")))
    assert (error.code, error.message) == ("corrupt", "why")


def test_global_state_of_pillow_and_of_warnings_is_left_alone(encoded):
    before = (Image.MAX_IMAGE_PIXELS, list(warnings.filters))
    threads = [
        threading.Thread(target=lambda: [decode(data) for data in encoded.values()])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (Image.MAX_IMAGE_PIXELS, list(warnings.filters)) == before


def test_a_jpeg_does_not_pay_for_heic(tmp_path, encoded):
    (tmp_path / "a.jpg").write_bytes(encoded["JPEG"])
    script = (
        "import sys; from aligngemini.images.decode import decode, read_bytes;"
        "decode(read_bytes(sys.argv[1])); assert 'pillow_heif' not in sys.modules;"
        "assert 'PIL.AvifImagePlugin' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "a.jpg")], check=True)


@pytest.mark.shared
@pytest.mark.parametrize("folder", ["hostile", "provenance", "manipulated", "real", "ai"])
def test_shared_files_give_an_image_or_an_image_error(shared_data, folder, capfd):
    paths = sorted(path for path in (shared_data / folder).rglob("*") if path.is_file())
    assert len(paths) > 50
    thorough = folder in ("hostile", "provenance")
    outcomes = {outcome(path.read_bytes()) for path in paths[:: 1 if thorough else 10]}
    assert outcomes <= ({*CODES, "ok"} if thorough else {"ok"})
    assert capfd.readouterr() == ("", "")
