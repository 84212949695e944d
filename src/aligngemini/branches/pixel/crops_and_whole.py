"""The compact expert's way of looking: native crops and one small view of the whole image."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from aligngemini.branches.pixel.views import Heat, Pixels, cells_along, stitch
from aligngemini.images.views import cut, grid, pad_to, textured_tiles, whole
from aligngemini.runtimes.opening import Runtime
from aligngemini.runtimes.preprocess import CropsAndWhole

RIM = 8  # one patch in so many, at each side of a tile, saw beyond the tile's border
HEATMAP_TILES = 8  # along each axis: a map of at most 64 tiles


class CropsAndWholeViews:
    """See `Views`."""

    def __init__(self, settings: CropsAndWhole, runtime: Runtime) -> None:
        self.settings = settings
        self.runtime = runtime
        self.inputs = {
            "crops": [settings.crop_size] * 2 + [3],
            "whole": [settings.whole_size] * 2 + [3],
        }

    def logits(self, images: Sequence[Pixels]) -> list[float]:
        """One image at a time: their crops do not fill a batch alike."""
        return [self._logit(pixels) for pixels in images]

    def heatmap(self, pixels: Pixels, calibrated: Callable[[Any], Any]) -> Heat:
        """Where the native crops point to a decoder.

        Each patch's own P(fake), faded where the patch counts for less than the average one in the
        score, from tiles spread over the whole image: what lies between the tiles of a very large
        image is NaN.
        """
        size = self.settings.crop_size
        padded = pad_to(pixels, size)
        tiles = grid(padded.shape[0], padded.shape[1], size, HEATMAP_TILES)
        blank = np.zeros((1, *self.inputs["whole"]), np.uint8)
        answers = [
            self.runtime.run(crops=crop[None], whole=blank) for crop in cut(padded, tiles, size)
        ]
        counts = np.exp(np.stack([answer["weights"][0] for answer in answers]).clip(-30, 30))
        fade = np.minimum(counts / counts.mean(), 1)
        heat = calibrated(np.stack([answer["patches"][0] for answer in answers])) * fade
        patches = [_without_rim(tile) for tile in heat.astype(np.float32)]
        cells = len(patches[0])
        height, width = (cells_along(side, size, cells) for side in pixels.shape[:2])
        return stitch(patches, tiles, size, padded.shape)[:height, :width]

    def too_small(self, pixels: Pixels) -> str | None:
        """Smaller than a crop."""
        size = self.settings.crop_size
        if min(pixels.shape[:2]) < size:
            return f"under {size} pixels a side, too small for the pixel expert"
        return None

    def _logit(self, pixels: Pixels) -> float:
        views = self.settings
        padded = pad_to(pixels, views.crop_size)
        tiles = textured_tiles(padded, views.crop_size, views.crops, views.grid)
        outputs = self.runtime.run(
            crops=cut(padded, tiles, views.crop_size),
            whole=whole(pixels, views.whole_size, filter_name=views.whole_filter)[None],
        )
        return float(outputs["logit"][0])


def _without_rim(patch: Heat) -> Heat:
    """A tile's patches, those that felt its border replaced by their neighbours."""
    rim = len(patch) // RIM
    inside = patch[rim : len(patch) - rim, rim : len(patch) - rim]
    return np.pad(inside, rim, mode="edge")
