"""The pixel branch: were these pixels made by a decoder?"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from aligngemini.images.item import Image
from aligngemini.images.views import Tile, cut, flat_share, grid, pad_to, textured_tiles, whole
from aligngemini.runtimes.folder import ModelError, ModelFolder, open_folder
from aligngemini.runtimes.onnx import OnnxRuntime
from aligngemini.verdict import Evidence, Problem, calibrated, label_for

FLAT_SHARE = 0.7  # no photo of the development data reaches 0.66
RIM = 8  # one patch in so many, at each side of a tile, saw beyond the tile's border
HEATMAP_TILES = 8  # along each axis: a map of at most 64 tiles


class PixelBranch:
    """A pixel expert over native crops and one small view of the whole image."""

    name = "pixel"

    def __init__(self, folder: ModelFolder, runtime: OnnxRuntime) -> None:
        """Join a checked folder and the runtime that holds its graph."""
        self.folder = folder
        self.runtime = runtime
        self.fingerprint = folder.fingerprint
        self.model = f"{folder.name}@{folder.fingerprint}"

    @classmethod
    def load(
        cls, model: str | Path = "compact", *, device: str = "auto", threads: int | None = None
    ) -> "PixelBranch":
        """Load a model by name or folder.

        Raises:
            ModelError: See `open_folder` and `OnnxRuntime`; or the graph takes other views than
                the folder's preprocessing makes.
        """
        folder = open_folder(model)
        runtime = OnnxRuntime(folder.weights, device=device, threads=threads)
        _check_views(folder, runtime)
        return cls(folder, runtime)

    def judge(self, images: Sequence[Image], *, heatmaps: bool = False) -> list[Evidence]:
        """Evidence for each image, in order; see `Branch.judge`."""
        return [self._judge_one(image, heatmaps) for image in images]

    def logit(self, pixels: npt.NDArray[np.uint8]) -> float:
        """The model's own number for one (H, W, 3) uint8 RGB image, before calibration."""
        views = self.folder.preprocess
        padded = pad_to(pixels, views.crop_size)
        tiles = textured_tiles(padded, views.crop_size, views.crops, views.grid)
        outputs = self.runtime.run(
            crops=cut(padded, tiles, views.crop_size),
            whole=whole(pixels, views.whole_size, filter_name=views.whole_filter)[None],
        )
        return float(outputs["logit"][0])

    def heatmap(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Where the native crops point to a decoder.

        Each patch's own P(fake), faded where the patch counts for less than the average one in the
        score, from tiles spread over the whole image: what lies between the tiles of a very large
        image is NaN.

        Args:
            pixels: (H, W, 3) uint8 RGB.

        Returns:
            (h, w) float32 in [0, 1], one value a patch.
        """
        size = self.folder.preprocess.crop_size
        padded = pad_to(pixels, size)
        height, width = padded.shape[:2]
        tiles = grid(height, width, size, HEATMAP_TILES)
        blank = np.zeros((1, *2 * (self.folder.preprocess.whole_size,), 3), np.uint8)
        answers = [
            self.runtime.run(crops=crop[None], whole=blank) for crop in cut(padded, tiles, size)
        ]
        counts = np.exp(np.stack([answer["weights"][0] for answer in answers]).clip(-30, 30))
        fade = np.minimum(counts / counts.mean(), 1)
        heat = self._calibrated(np.stack([answer["patches"][0] for answer in answers])) * fade
        patches = [_without_rim(tile) for tile in heat.astype(np.float32)]
        return _stitch(patches, tiles, size, padded.shape[:2])[
            : _cells(pixels.shape[0], size, patches[0]), : _cells(pixels.shape[1], size, patches[0])
        ]

    def out_of_scope(self, pixels: npt.NDArray[np.uint8]) -> str | None:
        """Why the score of this image means nothing, or None where it does.

        The thresholds were set on photos and photo-like pictures of a certain size. Of anything
        else the branch says `undecided`, whatever the score.
        """
        size = self.folder.preprocess.crop_size
        if min(pixels.shape[:2]) < size:
            return f"under {size} pixels a side, too small for the pixel expert"
        if flat_share(pixels) > FLAT_SHARE:
            return (
                "mostly flat colour, as in drawings and screenshots, which the expert cannot judge"
            )
        return None

    def _judge_one(self, image: Image, heatmaps: bool) -> Evidence:
        start = time.perf_counter()
        calibration = self.folder.calibration
        # In float64, as the thresholds were set: in float32 the photo just below one may reach it.
        logit = self.logit(image.pixels)
        if not np.isfinite(logit):
            # NaN compares false with every threshold: it would pass for `undecided`.
            problem = Problem("internal", f"the pixel expert's answer is no number: {logit}")
            return Evidence(model=self.model, error=problem)
        score = float(self._calibrated(logit))
        label = label_for(score, calibration.threshold, calibration.threshold_real)
        remark = self.out_of_scope(image.pixels)
        return Evidence(
            verdict=label if remark is None else "undecided",
            remark=remark,
            score=score,
            threshold=calibration.threshold,
            threshold_real=calibration.threshold_real,
            model=self.model,
            ms=(time.perf_counter() - start) * 1000,
            heatmap=self.heatmap(image.pixels) if heatmaps else None,
        )

    def _calibrated(self, logit: Any) -> Any:
        """P(fake) of a logit, or of an array of them."""
        calibration = self.folder.calibration
        return calibrated(logit, calibration.scale, calibration.bias)


def _check_views(folder: ModelFolder, runtime: OnnxRuntime) -> None:
    views = folder.preprocess
    made = {"crops": [views.crop_size] * 2 + [3], "whole": [views.whole_size] * 2 + [3]}
    taken = {name: shape[1:] for name, shape in runtime.inputs.items()}
    if taken != made:
        raise ModelError(
            f"{folder.weights} takes {taken}, but its preprocess.json makes {made}: "
            "the two are not of one model"
        )


def _cells(length: int, size: int, patch: npt.NDArray[np.float32]) -> int:
    """Patches along a side of `length` pixels, rounded up."""
    cells: int = patch.shape[0]
    return -(-length * cells // size)


def _without_rim(patch: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """A tile's patches, those that felt its border replaced by their neighbours."""
    rim = len(patch) // RIM
    inside = patch[rim : len(patch) - rim, rim : len(patch) - rim]
    return np.pad(inside, rim, mode="edge")


def _stitch(
    patches: list[npt.NDArray[np.float32]], tiles: list[Tile], size: int, shape: tuple[int, ...]
) -> npt.NDArray[np.float32]:
    """Mean of the tiles' patches where they overlap, NaN where no tile lies."""
    cells = patches[0].shape[0]
    height, width = (_cells(side, size, patches[0]) for side in shape)
    total = np.zeros((height, width), np.float32)
    count = np.zeros((height, width), np.float32)
    for patch, tile in zip(patches, tiles, strict=True):
        # Rounded up: tiles that touch leave no gap, and the last ends with the map.
        top, left = _cells(tile.top, size, patch), _cells(tile.left, size, patch)
        total[top : top + cells, left : left + cells] += patch
        count[top : top + cells, left : left + cells] += 1
    with np.errstate(invalid="ignore"):
        return total / count
