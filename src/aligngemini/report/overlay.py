"""Pictures for people: previews, and heatmaps and maps drawn over them."""

from io import BytesIO
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image as PILImage

from aligngemini.images.item import Image
from aligngemini.report.files import replacing

LONGEST_OVERLAY = 2048
LONGEST_HEATMAP = 128
LONGEST_MAP = 384  # finer: it says where a region ends
LOWEST_SHOWN = 0.25
STRONGEST_ALPHA = 0.85

Anchors: TypeAlias = "tuple[tuple[float, tuple[int, int, int]], ...]"
Colours: TypeAlias = "npt.NDArray[np.uint8]"

# Brighter is higher, in every kind of colour vision and in print without colour.
ANCHORS = (
    (0.00, (42, 22, 104)),
    (0.40, (130, 28, 126)),
    (0.65, (210, 58, 90)),
    (0.85, (248, 138, 48)),
    (1.00, (255, 226, 120)),
)
# Told apart from the others where two maps lie over each other.
MOVED_ANCHORS = (
    (0.00, (10, 36, 74)),
    (0.40, (10, 84, 124)),
    (0.65, (14, 138, 150)),
    (0.85, (70, 200, 160)),
    (1.00, (206, 246, 190)),
)


def preview_jpeg(image: Image, max_side: int = 512) -> bytes:
    """A small JPEG of an image, of 30 to 50 kB for most photos.

    Args:
        image: Any decoded image; one that is small already is not enlarged.
        max_side: Pixels of the preview's longest side, at least 1.

    Raises:
        ValueError: `max_side` is below 1.
    """
    if max_side < 1:
        raise ValueError(f"a preview needs at least one pixel a side, not {max_side}")
    picture = PILImage.fromarray(image.pixels)
    picture.thumbnail((max_side, max_side), PILImage.Resampling.LANCZOS, reducing_gap=3.0)
    buffer = BytesIO()
    picture.save(buffer, "JPEG", quality=80, optimize=True)
    return buffer.getvalue()


def heatmap_png(heatmap: npt.ArrayLike) -> bytes:
    """A small PNG of a heatmap alone, to be stretched over a preview.

    Args:
        heatmap: (h, w) in [0, 1], NaN where nobody looked.

    Returns:
        A PNG with a palette that carries alpha, longest side 128 pixels: transparent where the
        map is NaN or low, more opaque and brighter the higher it is.

    Raises:
        ValueError: The heatmap is not two-dimensional or has no values.
    """
    return _png(heatmap, COLOURS, LONGEST_HEATMAP, enlarge=True)


def map_png(values: npt.ArrayLike, name: str) -> bytes:
    """The same for a map that says where, longest side 384 pixels at most.

    Args:
        values: (h, w) in [0, 1], NaN where nobody looked.
        name: Of the map; `moved` has colours of its own.

    Raises:
        ValueError: The map is not two-dimensional or has no values.
    """
    return _png(values, _colours_of(name), LONGEST_MAP, enlarge=False)


def save_overlay(
    image: Image, heatmap: npt.ArrayLike, path: str | Path, *, of: str | None = None
) -> None:
    """Write an image with its heatmap over it, as PNG.

    The image is drawn in grey, so that every colour in the file is the heatmap's. It is written
    at no more than 2048 pixels on its longest side: a map of some dozen patches gains nothing
    beyond, and a PNG of 12 megapixels takes seconds.

    Args:
        image: The image the heatmap belongs to.
        heatmap: (h, w) in [0, 1], NaN where nobody looked; stretched over the whole image.
        path: Where to write. The folder must exist; a file there is replaced once the new one is
            complete.
        of: Name of the map, for its colours; None for a heatmap.

    Raises:
        ValueError: The heatmap is not two-dimensional or has no values.
        OSError: The file cannot be written.
    """
    values = _checked(heatmap)
    size = _fitted(image.width, image.height, LONGEST_OVERLAY, enlarge=False)
    picture = PILImage.fromarray(image.pixels)
    picture = picture.resize(size, PILImage.Resampling.LANCZOS, reducing_gap=3.0)
    base = picture.convert("L").convert("RGBA")
    colours = PILImage.fromarray(_colours_of(of)[_indices(values, size)])
    merged = PILImage.alpha_composite(base, colours).convert("RGB")
    with replacing(Path(path)) as file:
        merged.save(file, "PNG", compress_level=3)


def _png(values: npt.ArrayLike, colours: Colours, longest: int, *, enlarge: bool) -> bytes:
    """A PNG with a palette that carries alpha."""
    checked = _checked(values)
    height, width = checked.shape
    picture = PILImage.fromarray(
        _indices(checked, _fitted(width, height, longest, enlarge=enlarge))
    )
    picture.putpalette(colours[:, :3].tobytes())
    buffer = BytesIO()
    picture.save(buffer, "PNG", optimize=True, transparency=colours[:, 3].tobytes())
    return buffer.getvalue()


def _colours_of(name: str | None) -> Colours:
    return MOVED_COLOURS if name == "moved" else COLOURS


def _colours(anchors: Anchors) -> Colours:
    """The colour map: (256, 4) RGBA, the first one fully transparent."""
    levels = np.linspace(0.0, 1.0, 256)
    stops = [stop for stop, _ in anchors]
    channels = [np.interp(levels, stops, [rgb[c] for _, rgb in anchors]) for c in range(3)]
    strength = np.clip((levels - LOWEST_SHOWN) / (1.0 - LOWEST_SHOWN), 0.0, 1.0)
    # The root lifts the middle: a linear ramp leaves a doubtful patch invisible on a busy photo.
    alpha = 255.0 * STRONGEST_ALPHA * np.sqrt(strength)
    colours: npt.NDArray[np.float64] = np.stack([*channels, alpha], axis=1)
    return np.rint(colours).astype(np.uint8)


COLOURS, MOVED_COLOURS = _colours(ANCHORS), _colours(MOVED_ANCHORS)


def _checked(heatmap: npt.ArrayLike) -> npt.NDArray[np.float32]:
    values = np.asarray(heatmap, dtype=np.float32)
    if values.ndim != 2 or values.size == 0:
        raise ValueError(f"a heatmap is (height, width), not {values.shape}")
    return values


def _fitted(width: int, height: int, longest: int, *, enlarge: bool) -> tuple[int, int]:
    """A size of the same shape whose longest side is `longest`, or less if not to be enlarged."""
    scale = longest / max(width, height)
    if not enlarge:
        scale = min(scale, 1.0)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _indices(values: npt.NDArray[np.float32], size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """The heatmap at (width, height), as indices into `COLOURS`; 0 where it is NaN."""
    seen = ~np.isnan(values)
    # Averages over what was seen only, so that NaN neither spreads nor pulls its neighbours down.
    known = np.where(seen, np.clip(values, 0.0, 1.0), 0.0).astype(np.float32)
    total = _resized(known, size, PILImage.Resampling.BILINEAR)
    weight = _resized(seen.astype(np.float32), size, PILImage.Resampling.BILINEAR)
    stretched = np.divide(total, weight, out=np.zeros_like(total), where=weight > 1e-6)
    visible = _resized(seen.astype(np.float32), size, PILImage.Resampling.NEAREST) > 0.5
    levels = np.where(visible, np.clip(stretched, 0.0, 1.0), 0.0)
    return np.rint(levels * 255.0).astype(np.uint8)


def _resized(
    values: npt.NDArray[np.float32], size: tuple[int, int], how: PILImage.Resampling
) -> npt.NDArray[np.float32]:
    return np.asarray(PILImage.fromarray(values).resize(size, how), dtype=np.float32)
