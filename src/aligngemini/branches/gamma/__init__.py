"""The GAMMA branch: was the picture, or a part of it, generated or changed, and where?

GAMMA (arXiv 2509.10250) is one network with a logit for the image and two maps. How a large image
is covered, how maps are read and when a picture counts as edited is not published: docs/gamma.md.
"""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from aligngemini.branches.gamma.areas import area_of, is_edited
from aligngemini.branches.gamma.tiling import Layout, Map, Mosaic, Pixels, cut_tile, lay_out
from aligngemini.evidence import Evidence, Problem, calibrated, label_for
from aligngemini.images.item import Image
from aligngemini.runtimes.folder import ModelError, ModelFolder, open_folder
from aligngemini.runtimes.opening import Runtime, open_runtime
from aligngemini.runtimes.preprocess import Tiles

BATCH = 4  # tiles of one forward pass, so that memory does not grow with the image
MAPS = ("generated", "moved")
"""Outputs of the model, and what records call its maps."""


@dataclass(frozen=True)
class Look:
    """What the model says of one image.

    Attributes:
        logit: Of the image, pooled over its tiles, before calibration; NaN where the model gave
            anything that is no number.
        maps: (h, w) float32 in [0, 1] by the names in `MAPS`, NaN where no tile lay.
        layout: Of the tiles and the maps' cells.
    """

    logit: float
    maps: dict[str, Map]
    layout: Layout


class GammaBranch:
    """A GAMMA model out of a model folder."""

    def __init__(self, folder: ModelFolder, runtime: Runtime, *, name: str = "gamma") -> None:
        """Join a checked folder and the runtime that holds its weights.

        Args:
            folder: Says how an image is covered and how the model's numbers are read.
            runtime: Its engine.
            name: Of the branch in records.

        Raises:
            ModelError: The folder holds another kind of model, or weights that take other tiles.
        """
        if not isinstance(folder.preprocess, Tiles):
            raise ModelError(
                f"{folder.path} is no GAMMA model but a pixel expert: use it with --pixel"
            )
        side = folder.preprocess.tile_size
        if not _takes(runtime, side):
            raise ModelError(
                f"the weights in {folder.path} take {runtime.inputs}, but its preprocess.json "
                f"makes tiles of {side} pixels: the two are not of one model"
            )
        self.name = name
        self.folder = folder
        self.settings = folder.preprocess
        self.runtime = runtime
        self.fingerprint = folder.fingerprint
        self.model = f"{folder.name}@{folder.fingerprint}"

    @classmethod
    def load(
        cls, model: str | Path, *, device: str = "auto", threads: int | None = None
    ) -> "GammaBranch":
        """Load a model by name or folder.

        Raises:
            ModelError: See `open_folder`, `open_runtime` and the constructor.
        """
        folder = open_folder(model)
        return cls(folder, open_runtime(folder, device=device, threads=threads))

    def judge(self, images: Sequence[Image], *, heatmaps: bool = False) -> list[Evidence]:
        """Evidence for each image, in order; see `Branch.judge`."""
        return [self._judge(image, heatmaps=heatmaps) for image in images]

    def look(self, pixels: Pixels) -> Look:
        """Run the model over the tiles of one image.

        Args:
            pixels: (H, W, 3) uint8 RGB.

        Raises:
            ModelError: The weights give other maps than the folder's preprocessing says.
        """
        height, width = pixels.shape[:2]
        layout = lay_out(height, width, self.settings)
        mosaic = Mosaic(layout, len(MAPS))
        logits: list[float] = []
        tiles = iter(layout)
        while batch := list(islice(tiles, BATCH)):
            cuts = np.stack([cut_tile(pixels, tile, layout) for tile in batch])
            outputs = self.runtime.run(pixels=cuts)
            logits += outputs["logit"].tolist()
            if not all(np.isfinite(values).all() for values in outputs.values()):
                logits.append(math.nan)  # in a map it would pass for a place where nobody looked
            for tile, maps in zip(batch, self._probabilities(outputs), strict=True):
                mosaic.add(tile, maps)
        whole = dict(zip(MAPS, mosaic.finish(), strict=True))
        return Look(pooled(logits, self.settings.top_share), whole, layout)

    def _probabilities(self, outputs: dict[str, npt.NDArray[Any]]) -> Iterator[Map]:
        """The maps of each tile, (maps, h, w) in [0, 1]."""
        cells = self.settings.tile_size // self.settings.map_stride
        maps = np.stack([outputs[name] for name in MAPS], axis=1)
        if maps.shape[2:] != (cells, cells):
            raise ModelError(
                f"the weights in {self.folder.path} give maps of {maps.shape[2:]}, and its "
                f"preprocess.json says {cells} x {cells}: the two are not of one model"
            )
        yield from 1 / (1 + np.exp(-np.clip(maps, -30, 30)))

    def _judge(self, image: Image, *, heatmaps: bool) -> Evidence:
        start = time.perf_counter()
        look = self.look(image.pixels)
        if not np.isfinite(look.logit):
            # NaN compares false with every threshold: it would pass for `undecided`.
            problem = Problem("internal", f"the GAMMA model's answer is no number: {look.logit}")
            return Evidence(model=self.model, error=problem)
        calibration = self.folder.calibration
        score = float(calibrated(look.logit, calibration.scale, calibration.bias))
        remark = image.scope.remark
        label = label_for(score, calibration.threshold, calibration.threshold_real)
        verdict = label if remark is None else "undecided"
        height, width = image.height, image.width
        seen = ~np.isnan(look.maps[MAPS[0]])
        areas = {
            name: area_of(values, look.layout.cell, height, width)
            for name, values in look.maps.items()
        }
        edited = verdict == "fake" and is_edited(look.maps, areas)
        return Evidence(
            verdict=verdict,
            detail="edited" if edited else None,
            remark=remark,
            score=score,
            threshold=calibration.threshold,
            threshold_real=calibration.threshold_real,
            false_alarm_rate=calibration.false_alarm_rate,
            model=self.model,
            areas=areas,
            coverage=None if seen.all() else float(seen.mean()),
            heatmap=np.fmax(*look.maps.values()) if heatmaps else None,
            maps=look.maps if heatmaps else None,
            ms=(time.perf_counter() - start) * 1000,
        )


def pooled(logits: Sequence[float], top_share: float) -> float:
    """Mean of the highest logits, of one at least; NaN where one of them is no number."""
    count = max(1, int(np.ceil(len(logits) * top_share)))
    return float(np.mean(np.sort(np.array(logits, np.float64))[-count:]))


def _takes(runtime: Runtime, side: int) -> bool:
    """Whether square tiles of RGB go in; a size that may vary is a name."""
    taken = runtime.inputs.get("pixels", [])
    return len(taken) == 4 and all(
        isinstance(size, str) or size == wanted
        for size, wanted in zip(taken[1:], (side, side, 3), strict=True)
    )
