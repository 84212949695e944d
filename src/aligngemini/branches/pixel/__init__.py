"""The pixel branch: were these pixels made by a decoder?"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from aligngemini.branches.pixel.center_crop import CenterCropViews
from aligngemini.branches.pixel.crops_and_whole import CropsAndWholeViews
from aligngemini.branches.pixel.views import Views
from aligngemini.evidence import Evidence, Problem, calibrated, label_for
from aligngemini.images.item import Image
from aligngemini.runtimes.folder import ModelError, ModelFolder, open_folder
from aligngemini.runtimes.opening import Runtime, open_runtime
from aligngemini.runtimes.preprocess import CropsAndWhole, Tiles


class PixelBranch:
    """A pixel expert out of a model folder."""

    def __init__(self, folder: ModelFolder, runtime: Runtime, *, name: str = "pixel") -> None:
        """Join a checked folder and the runtime that holds its weights.

        Args:
            folder: Says what the expert looks at and how its numbers are read.
            runtime: Its engine.
            name: Of the branch in records; several experts need several names.

        Raises:
            ModelError: The weights take other views than the folder's preprocessing makes, or are
                a GAMMA model's.
        """
        self.name = name
        self.folder = folder
        self.runtime = runtime
        self.fingerprint = folder.fingerprint
        self.model = f"{folder.name}@{folder.fingerprint}"
        self.views = _views(folder, runtime)

    @classmethod
    def load(
        cls,
        model: str | Path = "compact",
        *,
        device: str = "auto",
        threads: int | None = None,
        name: str = "pixel",
    ) -> "PixelBranch":
        """Load a model by name or folder.

        Raises:
            ModelError: See `open_folder`, `open_runtime` and the constructor.
        """
        folder = open_folder(model)
        return cls(folder, open_runtime(folder, device=device, threads=threads), name=name)

    def judge(self, images: Sequence[Image], *, heatmaps: bool = False) -> list[Evidence]:
        """Evidence for each image, in order; see `Branch.judge`."""
        start = time.perf_counter()
        logits = self.logits([image.pixels for image in images])
        ms = (time.perf_counter() - start) * 1000 / max(1, len(images))
        return [
            self._evidence(image, logit, ms, heatmaps=heatmaps)
            for image, logit in zip(images, logits, strict=True)
        ]

    def logits(self, images: Sequence[npt.NDArray[np.uint8]]) -> list[float]:
        """The model's own number for each (H, W, 3) uint8 RGB image, before calibration."""
        return self.views.logits(images)

    def logit(self, pixels: npt.NDArray[np.uint8]) -> float:
        """The same for one image."""
        return self.logits([pixels])[0]

    def heatmap(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Where the expert's score comes from; see the views of its kind.

        Args:
            pixels: (H, W, 3) uint8 RGB.

        Returns:
            (h, w) float32 in [0, 1], one value a patch; NaN where nobody looked.
        """
        return self.views.heatmap(pixels, self._calibrated)

    def out_of_scope(self, image: Image) -> str | None:
        """Why the score of this image means nothing, or None where it does.

        The thresholds were set on photos and photo-like pictures of a certain size. Of anything
        else the branch says `undecided`, whatever the score.
        """
        return self.views.too_small(image.pixels) or image.scope.remark

    def _evidence(self, image: Image, logit: float, ms: float, *, heatmaps: bool) -> Evidence:
        calibration = self.folder.calibration
        if not np.isfinite(logit):
            # NaN compares false with every threshold: it would pass for `undecided`.
            problem = Problem("internal", f"the pixel expert's answer is no number: {logit}")
            return Evidence(model=self.model, error=problem)
        # In float64, as the thresholds were set: in float32 the photo just below one may reach it.
        score = float(self._calibrated(logit))
        label = label_for(score, calibration.threshold, calibration.threshold_real)
        start = time.perf_counter()
        remark = self.out_of_scope(image)
        heatmap = self.heatmap(image.pixels) if heatmaps else None
        return Evidence(
            verdict=label if remark is None else "undecided",
            remark=remark,
            score=score,
            threshold=calibration.threshold,
            threshold_real=calibration.threshold_real,
            false_alarm_rate=calibration.false_alarm_rate,
            model=self.model,
            ms=ms + (time.perf_counter() - start) * 1000,
            heatmap=heatmap,
        )

    def _calibrated(self, logit: Any) -> Any:
        """P(fake) of a logit, or of an array of them."""
        calibration = self.folder.calibration
        return calibrated(logit, calibration.scale, calibration.bias)


def _views(folder: ModelFolder, runtime: Runtime) -> Views:
    preprocess = folder.preprocess
    if isinstance(preprocess, Tiles):
        raise ModelError(f"{folder.path} is a GAMMA model: use it with --gamma")
    views: Views = (
        CropsAndWholeViews(preprocess, runtime)
        if isinstance(preprocess, CropsAndWhole)
        else CenterCropViews(preprocess, runtime)
    )
    if not _fits(views.inputs, runtime.inputs):
        raise ModelError(
            f"the weights in {folder.path} take {runtime.inputs}, but its preprocess.json makes "
            f"{views.inputs}: the two are not of one model"
        )
    return views


def _fits(made: dict[str, list[int]], taken: dict[str, list[int | str]]) -> bool:
    """Whether views of these shapes go into these inputs; the first axis is how many."""
    return made.keys() == taken.keys() and all(
        len(shape) + 1 == len(taken[name])
        and all(isinstance(b, str) or a == b for a, b in zip(shape, taken[name][1:], strict=True))
        for name, shape in made.items()
    )
