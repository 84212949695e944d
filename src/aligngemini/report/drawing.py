"""What is drawn of one judged image, while its heatmaps and maps are at hand."""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from aligngemini.images.item import Image
from aligngemini.report.overlay import map_png, save_overlay
from aligngemini.verdict import Verdict

Map = npt.NDArray[np.float32]

STEM_LENGTH = 50  # characters; file names end at 255 bytes, and a character may take four


def heatmap_of(verdict: Verdict) -> Map | None:
    """The map of the branch that the verdict rests on; another's would explain another score.

    A rule with a score of its own rests on all branches: then the first map there is.
    """
    if verdict.fused is None:
        return None if verdict.deciding is None else verdict.deciding.heatmap
    maps = (evidence.heatmap for evidence in verdict.branches.values())
    return next((one for one in maps if one is not None), None)


def map_pngs(verdict: Verdict) -> dict[str, bytes]:
    """PNGs of the maps of the branch that says where, to be stretched over a preview."""
    return {name: map_png(values, name) for name, values in _maps(verdict).items()}


def save_overlays(image: Image, verdict: Verdict, folder: Path) -> None:
    """Write the image with its heatmap over it, and with each of its maps.

    Args:
        image: Of the verdict.
        verdict: With the heatmaps and maps in its branches.
        folder: Existing.

    Raises:
        OSError: A file cannot be written.
    """
    heatmap = heatmap_of(verdict)
    if heatmap is not None:
        save_overlay(image, heatmap, folder / overlay_name(verdict))
    for name, values in _maps(verdict).items():
        save_overlay(image, values, folder / overlay_name(verdict, name), of=name)


def overlay_name(verdict: Verdict, of: str | None = None) -> str:
    """The file name of an image's overlay: told apart by content, recognised by its stem.

    Args:
        verdict: Of the image.
        of: Name of the map that lies over it; None for the heatmap.
    """
    stem = re.sub(r"[^\w.() -]", "_", Path(verdict.path).stem)[:STEM_LENGTH]
    which = "" if of is None else f".{of}"
    return f"{stem}.{(verdict.sha256 or '')[:8]}{which}.png"


def _maps(verdict: Verdict) -> Mapping[str, Map]:
    found = (evidence.maps for evidence in verdict.branches.values())
    return next((maps for maps in found if maps is not None), {})
