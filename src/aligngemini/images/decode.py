"""The only door for untrusted bytes: a file's bytes to an RGB array, or one clear error.

What is decided, and how:

| matter | rule |
|---|---|
| format | told from the bytes: JPEG, PNG, WebP, AVIF, HEIC, TIFF, GIF, BMP; never from the name |
| limits | size in bytes, then pixels as the header declares them, then decoding |
| orientation | EXIF's is applied; in AVIF and HEIC, only the container's `irot` and `imir` |
| several pictures | the first frame or page; in HEIC the primary picture; said in a note |
| palette | looked up; a transparent entry is transparency |
| transparency | shown on white; opaque pixels keep their exact values |
| 16 bits a channel | the high byte (`>> 8`), grey and colour alike; 10 and 12 bits likewise |
| 32-bit integers, floats | the image's own range is stretched to 0 to 255; NaN is 0 |
| 1 bit, grey | 0 and 255, or the grey value, in all three channels |
| CMYK | Pillow's formula, no profile; JPEG's CMYK is taken as inverted (Adobe) |
| YCbCr, HSV | Pillow's formula |
| LAB | to sRGB by LittleCMS, D50 |
| ICC profile | not applied: it would change the values that were stored; said unless it is sRGB |
| metadata | broken EXIF, text or checksums beside the picture never stop it; said in a note |
| preview | a TIFF whose first page is a reduced copy (DNG, NEF) is refused, not judged by it |
| decoder | Pillow's at full size: no draft decoding, no resizing |

Transparency is shown on white because a verdict must be on what people see: what lies under fully
transparent pixels is arbitrary, differs between encoders, and could hide any other picture.
"""

import io

from PIL import Image as PILImage
from PIL import ImageFile

from aligngemini.images.convert import Pixels, to_rgb
from aligngemini.images.exif import orientation
from aligngemini.images.files import read_bytes
from aligngemini.images.formats import FORMATS, load_plugin, sniff
from aligngemini.images.item import Image, ImageError
from aligngemini.images.limits import PLAIN_BYTES_PER_PIXEL, Limits
from aligngemini.images.png import lacks_rows
from aligngemini.images.problems import to_image_error
from aligngemini.images.quiet import quiet
from aligngemini.images.salvage import without_metadata
from aligngemini.images.structure import BYTES_PER_PIXEL, MAX_SCAN_PIXELS, Layout, survey

__all__ = ["Limits", "decode", "from_pil", "read_bytes"]

_PICTURE_WORDS = {"TIFF": "page", "JPEG": "picture", "HEIF": "picture"}
_DAMAGE = ("corrupt", "truncated")
_FAILED = "_aligngemini_failed"


def decode(data: bytes, *, path: str = "", limits: Limits | None = None) -> Image:
    """Decode a file's bytes by the rules above.

    Args:
        data: The whole file.
        path: Its name, for the record only.
        limits: What is refused before decoding.

    Raises:
        ImageError: With code `empty`, `unsupported`, `truncated`, `corrupt`, `too-large` or
            `too-small`. Nothing else is raised, whatever the bytes.
    """
    limits = limits or Limits()
    limits.check_bytes(len(data))
    name = sniff(data)
    with quiet():
        try:
            pixels, notes = _read(name, data, limits)
        except ImageError as error:
            bare = without_metadata(name, data) if error.code in _DAMAGE else None
            if bare is None:
                raise
            try:
                pixels, notes = _read(name, bare, limits)
            except ImageError as second:
                raise second if second.code not in _DAMAGE else error from None
            notes.append("metadata that could not be read was passed over")
    return Image(pixels, name, data, path, tuple(notes))


def from_pil(pil_image: PILImage.Image, *, limits: Limits | None = None, path: str = "") -> Image:
    """Take over an image that Pillow already opened, by the same rules.

    A lazily opened file is loaded here, in its present frame, and what that raises is an error like
    any other.

    Args:
        pil_image: Any Pillow image, loaded or not.
        limits: What is refused before loading; `max_bytes` does not apply.
        path: A name for the record.

    Raises:
        ImageError: As `decode` does.
    """
    limits = limits or Limits()
    name = "JPEG" if pil_image.format == "MPO" else pil_image.format
    # Pillow may call a broken file loaded after its first `load` has failed, so failures are kept.
    failed: ImageError | None = getattr(pil_image, _FAILED, None)
    if failed:
        raise ImageError(failed.code, failed.message)
    if isinstance(pil_image, ImageFile.ImageFile) and name not in FORMATS:
        raise ImageError("unsupported", f"opened as {name}; convert it first to have it judged")
    with quiet():
        try:
            layout = Layout(BYTES_PER_PIXEL.get(name or "", PLAIN_BYTES_PER_PIXEL))
            limits.check_size(pil_image.size, layout.bytes_per_pixel)
            several = getattr(pil_image, "is_animated", False)
            pil_image.load()
            pixels, notes = _convert(pil_image, name, layout)
        except Exception as error:
            problem = to_image_error(error, name, b"")
            if problem.code in _DAMAGE:
                setattr(pil_image, _FAILED, problem)
            raise problem from error
    if several:
        notes.insert(0, f"{_picture_word(name)} {pil_image.tell() + 1} of several")
    return Image(pixels, name, b"", path, tuple(notes))


def _read(name: str, data: bytes, limits: Limits) -> tuple[Pixels, list[str]]:
    try:
        layout = survey(name, data)
        load_plugin(name)
        with PILImage.open(io.BytesIO(data), formats=[name]) as image:
            limits.check_size(image.size, layout.bytes_per_pixel)
            _check_passes(image.size, layout.passes)
            notes = _frame_note(image, name, layout)
            image.load()
            if name == "PNG" and lacks_rows(image, data):
                raise ImageError("corrupt", "damaged PNG data: rows are missing")
            # HEIC's coded picture may differ from what the container declares.
            limits.check_size(image.size, layout.bytes_per_pixel)
            pixels, more = _convert(image, name, layout)
            return pixels, notes + more
    except Exception as error:  # decoders raise of every kind; none may get past this door
        raise to_image_error(error, name, data) from error


def _check_passes(size: tuple[int, int], passes: int) -> None:
    if passes > 1 and size[0] * size[1] * passes > MAX_SCAN_PIXELS:
        raise ImageError(
            "too-large", f"a picture of {size[0]} x {size[1]} pixels drawn in {passes} passes"
        )


def _convert(image: PILImage.Image, name: str | None, layout: Layout) -> tuple[Pixels, list[str]]:
    """The pixels of a loaded image, and notes on everything but its frames."""
    notes: list[str] = []
    turn = 1
    if name == "TIFF":
        turned = layout.turned  # Pillow has done it already
    else:
        turn = turned = _exif_orientation(image, notes)
    if turned != 1:
        notes.append(f"turned as EXIF orientation {turned} says")
    bits = max(layout.bits, image.info.get("bit_depth", 8) if name == "HEIF" else 8)
    if image.mode.startswith("I;16") and bits == 8:
        bits = 16
    if bits > 8 and image.mode not in ("I", "F"):
        notes.append(f"{bits} bits a channel reduced to 8")
    pixels, more = to_rgb(image, turn, bits)
    notes += more
    profile = image.info.get("icc_profile")
    if profile and b"sRGB" not in profile and "sRGB".encode("utf-16-be") not in profile:
        notes.append("colour profile not applied")
    return pixels, notes


def _exif_orientation(image: PILImage.Image, notes: list[str]) -> int:
    """What is left to turn: for AVIF and HEIC, Pillow's plugins put the container's word here."""
    exif = image.info.get("exif")
    if not isinstance(exif, bytes) or not exif:
        return 1
    try:
        return orientation(exif)
    except ValueError:
        notes.append("EXIF could not be read")
        return 1


def _frame_note(image: PILImage.Image, name: str, layout: Layout) -> list[str]:
    count = layout.pictures or int(getattr(image, "n_frames", 1))
    if count <= 1:
        return []
    if name == "HEIF":
        return [f"main picture of {count}"]
    return [f"first of {count} {_picture_word(name)}s"]


def _picture_word(name: str | None) -> str:
    return _PICTURE_WORDS.get(name or "", "frame")
