"""The published experts' way of looking: one centred native crop (DDA, its inference code)."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from aligngemini.branches.pixel.views import Heat, Pixels, cells_along, stitch
from aligngemini.images.views import center_crop, cut, grid
from aligngemini.runtimes.opening import Runtime
from aligngemini.runtimes.preprocess import CenterCrop

BATCH = 16  # images of one forward pass, so that memory does not grow with what is judged
HEATMAP_TILES = 3  # along each axis: each is a whole forward pass of a large model


class CenterCropViews:
    """See `Views`."""

    def __init__(self, settings: CenterCrop, runtime: Runtime) -> None:
        self.settings = settings
        self.runtime = runtime
        self.inputs = {"pixels": [settings.crop_size] * 2 + [3]}
        # An int8 export takes one: its numbers would depend on the others of a batch.
        self.batch = 1 if runtime.inputs.get("pixels", [])[:1] == [1] else BATCH

    def logits(self, images: Sequence[Pixels]) -> list[float]:
        """The centred crop of each image, in batches."""
        crops = [center_crop(pixels, self.settings.crop_size) for pixels in images]
        logits: list[float] = []
        for start in range(0, len(crops), self.batch):
            outputs = self.runtime.run(pixels=np.stack(crops[start : start + self.batch]))
            logits += outputs["logit"].tolist()
        return logits

    def heatmap(self, pixels: Pixels, calibrated: Callable[[Any], Any]) -> Heat:
        """Where the expert looks: its last linear unit on every patch, instead of the class token.

        From tiles spread over the whole image, although the score rests on the centre alone; what
        lies between the tiles of a large image is NaN.
        """
        size = self.settings.crop_size
        height, width = pixels.shape[:2]
        padding = [(0, max(0, size - side)) for side in (height, width)]
        padded = np.pad(pixels, (*padding, (0, 0)))
        tiles = grid(padded.shape[0], padded.shape[1], size, HEATMAP_TILES)
        patches = [
            calibrated(self.runtime.run(pixels=crop[None])["patches"][0]).astype(np.float32)
            for crop in cut(padded, tiles, size)
        ]
        cells = len(patches[0])
        rows, columns = cells_along(height, size, cells), cells_along(width, size, cells)
        return stitch(patches, tiles, size, padded.shape)[:rows, :columns]

    def too_small(self, pixels: Pixels) -> str | None:
        """Never: a small image is padded, as in training."""
        return None
