"""Which formats are opened, told from the bytes and never from the file's name."""

import importlib
import struct

from aligngemini.images.item import ImageError
from aligngemini.images.quiet import silence_libtiff

ACCEPTED = "JPEG, PNG, WebP, AVIF, HEIC, TIFF, GIF and BMP"

_PLUGINS = {
    "JPEG": "PIL.JpegImagePlugin",
    "PNG": "PIL.PngImagePlugin",
    "WEBP": "PIL.WebPImagePlugin",
    "AVIF": "PIL.AvifImagePlugin",
    "TIFF": "PIL.TiffImagePlugin",
    "GIF": "PIL.GifImagePlugin",
    "BMP": "PIL.BmpImagePlugin",
}

FORMATS = frozenset({*_PLUGINS, "HEIF"})
"""Everything that is opened, by Pillow's names."""

_MAGIC = (
    (b"\xff\xd8", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"II+\x00", "TIFF"),  # BigTIFF
    (b"MM\x00+", "TIFF"),
)

_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_HEIF_BRANDS = frozenset(
    {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
)

# (where, what, name): known by sight and not opened. Some decoders of these start other programs
# (EPS), others were written for friendly files only.
_OTHER = (
    (0, b"8BPS", "a Photoshop document (PSD)"),
    (0, b"%!PS", "a PostScript drawing (EPS)"),
    (0, b"\xc5\xd0\xd3\xc6", "a PostScript drawing (EPS)"),
    (0, b"%PDF", "a PDF document"),
    (0, b"\x00\x00\x01\x00", "an icon (ICO)"),
    (0, b"\x00\x00\x02\x00", "a cursor (CUR)"),
    (0, b"icns", "an icon (ICNS)"),
    (0, b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 image"),
    (0, b"\xff\x4f\xff\x51", "a JPEG 2000 image"),
    (0, b"\x00\x00\x00\x0cJXL ", "a JPEG XL image"),
    (0, b"\xff\x0a", "a JPEG XL image"),
    (0, b"II\xbc\x01", "a JPEG XR image"),
    (0, b"DDS ", "a texture (DDS)"),
    (0, b"BLP", "a texture (BLP)"),
    (0, b"qoif", "a QOI image"),
    (0, b"SIMPLE  =", "an astronomical image (FITS)"),
    (0, b"\x01\xda", "an SGI image"),
    (0, b"\x76\x2f\x31\x01", "an OpenEXR image"),
    (0, b"#?RADIANCE", "a Radiance HDR image"),
    (0, b"gimp xcf", "a GIMP document (XCF)"),
    (4, b"\x11\xaf", "an animation (FLI)"),
    (4, b"\x12\xaf", "an animation (FLC)"),
    (8, b"CR\x02", "a camera's raw file (CR2)"),
    (0, b"IIU\x00", "a camera's raw file (RW2)"),
    (0, b"IIRO", "a camera's raw file (ORF)"),
    (0, b"FUJIFILMCCD-RAW", "a camera's raw file (RAF)"),
    (4, b"ftypcrx", "a camera's raw file (CR3)"),
    (4, b"ftyp", "a video or audio file (MP4 or QuickTime)"),
    (4, b"moov", "a video (QuickTime)"),
    (8, b"AVI ", "a video (AVI)"),
    (8, b"WAVE", "a sound file (WAV)"),
    (0, b"\x1aE\xdf\xa3", "a video (Matroska or WebM)"),
    (0, b"\x00\x00\x01\xba", "a video (MPEG)"),
    (0, b"OggS", "a video or audio file (Ogg)"),
    (0, b"ID3", "a sound file (MP3)"),
    (0, b"PK\x03\x04", "an archive or office document (ZIP)"),
    (0, b"\x1f\x8b", "a compressed file (gzip)"),
    (0, b"7z\xbc\xaf", "an archive (7z)"),
    (0, b"Rar!", "an archive (RAR)"),
    (0, b"\x7fELF", "a program"),
    (0, b"MZ", "a program"),
    (0, b"version https://git-lfs", "a Git LFS pointer, not the file it stands for"),
)


def sniff(data: bytes) -> str:
    """The format that the first bytes say, by Pillow's name.

    Args:
        data: The file, or at least its first 4,096 bytes.

    Returns:
        `JPEG`, `PNG`, `WEBP`, `AVIF`, `HEIF`, `TIFF`, `GIF` or `BMP`.

    Raises:
        ImageError: `unsupported`, saying what the bytes seem to be instead.
    """
    for magic, name in _MAGIC:
        # Canon's raw files begin as TIFF and would open as the preview in them.
        if data.startswith(magic) and data[8:11] != b"CR\x02":
            return name
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WEBP"
    if data[4:8] == b"ftyp" and (brand := _isobmff(data)):
        return brand
    if _is_bmp(data):
        return "BMP"
    kind = _describe(data)
    if kind:
        raise ImageError("unsupported", f"looks like {kind}; judged are {ACCEPTED}")
    raise ImageError(
        "unsupported", f"not an image, as far as its bytes tell; judged are {ACCEPTED}"
    )


def load_plugin(name: str) -> None:
    """Make Pillow able to open a format, and import nothing else.

    Args:
        name: What `sniff` returned.
    """
    if name == "HEIF":
        # Lazily: a quarter of a second that only people with HEIC files should pay.
        pillow_heif = importlib.import_module("pillow_heif")
        pillow_heif.register_heif_opener()
    else:
        importlib.import_module(_PLUGINS[name])
    if name == "TIFF":
        silence_libtiff()


def _isobmff(data: bytes) -> str | None:
    """AVIF and HEIC share a container; the brands tell them apart."""
    major = data[8:12]
    if major in _AVIF_BRANDS:
        return "AVIF"
    if major not in _HEIF_BRANDS:
        return None
    if major in (b"mif1", b"msf1"):  # "some picture": the compatible brands say which
        (end,) = struct.unpack(">I", data[:4])
        brands = data[16 : min(end, 512)]
        if any(brands[k : k + 4] in _AVIF_BRANDS for k in range(0, len(brands), 4)):
            return "AVIF"
    return "HEIF"


def _is_bmp(data: bytes) -> bool:
    # Two letters are little to go by: text begins with "BM" too, but never with such a length.
    return data[:2] == b"BM" and len(data) >= 18 and struct.unpack_from("<I", data, 14)[0] < 65536


def _describe(data: bytes) -> str | None:
    for offset, magic, kind in _OTHER:
        if data[offset : offset + len(magic)] == magic:
            return kind
    if data[:1] == b"P" and data[1:2] in b"1234567" and data[2:3].isspace():
        return "a Netpbm image (PPM)"
    text = data[:4096].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html")):
        return "a web page (HTML)"
    if text.startswith((b"<svg", b"<?xml", b"<!--", b"<!doctype svg")) and b"<svg" in text:
        return "a drawing (SVG)"
    return None
