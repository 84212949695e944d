"""How a JPEG file was compressed, told from its own tables: quality and chroma subsampling.

What JPEG alignment needs: a picture that is to share a photo's compression has to be saved at the
photo's quality, and few photo sets come with a list of theirs.
"""

import io
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
from PIL import Image as PILImage
from PIL import JpegImagePlugin

from aligngemini.images.formats import load_plugin
from aligngemini.images.quiet import quiet

Table = npt.NDArray[np.float64]

# Annex K of ITU-T T.81, row by row: what libjpeg scales, and with it nearly everything else.
_LUMA = (
    *(16, 11, 10, 16, 24, 40, 51, 61),
    *(12, 12, 14, 19, 26, 58, 60, 55),
    *(14, 13, 16, 24, 40, 57, 69, 56),
    *(14, 17, 22, 29, 51, 87, 80, 62),
    *(18, 22, 37, 56, 68, 109, 103, 77),
    *(24, 35, 55, 64, 81, 104, 113, 92),
    *(49, 64, 78, 87, 103, 121, 120, 101),
    *(72, 92, 95, 98, 112, 100, 103, 99),
)
_CHROMA = (
    *(17, 18, 24, 47, 99, 99, 99, 99),
    *(18, 21, 26, 66, 99, 99, 99, 99),
    *(24, 26, 56, 99, 99, 99, 99, 99),
    *(47, 66, 99, 99, 99, 99, 99, 99),
    *((99,) * 32),
)


@dataclass(frozen=True)
class JpegSettings:
    """What to save a picture with to compress it like a given file.

    Attributes:
        quality: 1 to 100 on libjpeg's scale, which is Pillow's.
        subsampling: `4:4:4`, `4:2:2` or `4:2:0`, the three that Pillow writes.
    """

    quality: int
    subsampling: str


def jpeg_settings(data: bytes) -> JpegSettings | None:
    """Read from a JPEG file's header how it was compressed.

    The quality is the one whose libjpeg tables lie nearest to the file's, in the mean absolute
    difference of the logarithms: exact for files that libjpeg wrote with its own tables, an
    estimate for the tables of cameras and of Photoshop.

    Of the subsamplings that Pillow cannot write, 4:4:0 is given as `4:2:2` and 4:1:1 (like all
    coarser ones) as `4:2:0`, which keep as many chroma samples or the next more. Grey and CMYK
    files, which subsample nothing, are `4:4:4`.

    Args:
        data: The whole file, which `decode` has opened.

    Returns:
        None for what is no JPEG, or one whose header lacks its tables.
    """
    if not data.startswith(b"\xff\xd8"):
        return None
    load_plugin("JPEG")
    with quiet(), PILImage.open(io.BytesIO(data), formats=["JPEG"]) as image:
        return settings_of(image)


def settings_of(image: PILImage.Image) -> JpegSettings | None:
    """The same as `jpeg_settings`, of a JPEG file that Pillow has opened.

    Args:
        image: Loaded or not; None comes back for what is no JPEG.
    """
    if not isinstance(image, JpegImagePlugin.JpegImageFile):
        return None
    components, tables = image.layer, image.quantization
    used = [tables.get(component[3]) for component in components[:2]]
    if not used or None in used:
        return None
    found = np.log(np.array(used, np.float64).clip(1))
    # A grey file has a table for luma only.
    distance = np.abs(_tables()[:, : len(found)] - found).mean((1, 2))
    return JpegSettings(int(distance.argmin()) + 1, _subsampling([c[1:3] for c in components]))


@cache
def _tables() -> Table:
    """(100, 2, 64): logarithms of libjpeg's tables for luma and chroma, at quality 1 to 100."""
    base = np.array([_LUMA, _CHROMA])
    qualities = np.arange(1, 101)
    percent = np.where(qualities < 50, 5000 // qualities, 200 - 2 * qualities)
    scaled = (base * percent[:, None, None] + 50) // 100
    return np.log(scaled.clip(1, 255).astype(np.float64))


def _subsampling(factors: list[tuple[int, int]]) -> str:
    """Sampling factors (across, down) of the components, as Pillow spells them."""
    if len(factors) != 3:
        return "4:4:4"
    (across, down), (chroma_across, chroma_down) = factors[:2]
    pixels_a_sample = (across * down) / (chroma_across * chroma_down)
    if pixels_a_sample <= 1:
        return "4:4:4"
    return "4:2:2" if pixels_a_sample <= 2 else "4:2:0"
