"""Whether an export gives PyTorch's numbers, from the bytes of a file to the score."""

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image as PILImage

from aligngemini.branches.pixel import PixelBranch
from aligngemini.evidence import calibrated
from aligngemini.images.decode import decode
from aligngemini.images.files import read_bytes
from aligngemini.images.item import Image, ImageError
from aligngemini.runtimes.folder import Calibration, ModelFolder
from aligngemini.runtimes.opening import Runtime
from aligngemini.training.onnx_graph import ExportError, check_outputs

Logits: TypeAlias = npt.NDArray[np.floating[Any]]

BATCH = 4

DRAWN = (
    ((1.5, 1.2), "JPEG", "RGB"),
    ((0.6, 1.3), "PNG", "RGB"),
    ((0.9, 0.4), "JPEG", "L"),
    ((1.1, 1.1), "WEBP", "RGB"),
)
"""Drawn images: sides as a share of the crop's, format, colour; they need padding and cropping."""
SMALLEST = 33
"""Pixels a side of a drawn image at the least; under 32 none is decoded."""


@dataclass
class Parity:
    """How an export compares with PyTorch.

    Attributes:
        images: How many were compared.
        logit: Largest difference of a logit.
        score: Largest difference of a score.
        unreadable: Why an image could not be opened, by path.
    """

    images: int = 0
    logit: float = 0.0
    score: float = 0.0
    unreadable: dict[str, str] = field(default_factory=dict)

    def add(self, expected: Logits, got: Logits, calibration: Calibration) -> None:
        """Compare the logits of some images, and the scores they become.

        Raises:
            ExportError: One is more than 1e-4 away.
        """
        self.logit = max(self.logit, check_outputs({"logit": expected}, {"logit": got}))
        scores = [
            calibrated(logits, calibration.scale, calibration.bias) for logits in (expected, got)
        ]
        self.score = max(self.score, check_outputs({"score": scores[0]}, {"score": scores[1]}))
        self.images += len(expected)


def compare_files(
    model: ModelFolder,
    trained: Runtime,
    exported: Runtime,
    files: Iterable[tuple[str, bytes | None]],
    *,
    step: Callable[[], None] = lambda: None,
) -> Parity:
    """Judge files with both engines, one by one and several at a time.

    Args:
        model: The folder they belong to.
        trained: PyTorch.
        exported: ONNX Runtime.
        files: Path and bytes; None for bytes reads the path.
        step: Called after each image.

    Raises:
        ExportError: A logit or a score is more than 1e-4 away.
    """
    parity = Parity()
    sides = [PixelBranch(model, runtime) for runtime in (trained, exported)]
    size, images = 1, open_images(files, parity.unreadable)
    while chunk := list(islice(images, size)):
        pixels = [image.pixels for image in chunk]
        expected, got = (np.array(side.logits(pixels)) for side in sides)
        parity.add(expected, got, model.calibration)
        for _ in chunk:
            step()
        size = BATCH  # the first alone: a batch of one takes other paths through an engine
    return parity


def compare_sizes(trained: Runtime, exported: Runtime, sides: Sequence[tuple[int, int]]) -> None:
    """Run both engines on noise of other sizes.

    Args:
        trained: PyTorch.
        exported: ONNX Runtime.
        sides: Height and width, pixels, multiples of the patch size.

    Raises:
        ExportError: A number is more than 1e-4 away, or the export does not take the size.
    """
    rng = np.random.default_rng(0)
    for height, width in sides:
        pixels = rng.integers(0, 256, (2, height, width, 3), dtype=np.uint8)
        try:
            got = exported.run(pixels=pixels)
        except Exception as error:  # ONNX Runtime raises many types that share no base class
            raise ExportError(f"the export does not run at {height} x {width} pixels") from error
        check_outputs(trained.run(pixels=pixels), got)


def drawn_files(crop_size: int) -> list[tuple[str, bytes | None]]:
    """Files of noise over shapes: larger and smaller than the crop, odd, grey."""
    rng = np.random.default_rng(0)
    files: list[tuple[str, bytes | None]] = []
    for number, (shares, container, mode) in enumerate(DRAWN):
        height, width = (max(SMALLEST, int(share * crop_size) | 1) for share in shares)
        coarse = rng.integers(40, 216, (4, 4, 3), dtype=np.uint8)
        shapes = PILImage.fromarray(coarse).resize((width, height), PILImage.Resampling.BICUBIC)
        noisy = np.asarray(shapes) + rng.normal(0, 20, (height, width, 3))
        file = io.BytesIO()
        PILImage.fromarray(noisy.clip(0, 255).astype(np.uint8)).convert(mode).save(file, container)
        files.append((f"drawn-{number}", file.getvalue()))
    return files


def open_images(
    files: Iterable[tuple[str, bytes | None]], unreadable: dict[str, str]
) -> Iterator[Image]:
    """Decode files one after the other; those that cannot be opened go to `unreadable`."""
    for path, data in files:
        try:
            yield decode(read_bytes(Path(path)) if data is None else data, path=path)
        except ImageError as error:  # noqa: PERF203 - one bad image is not the end
            unreadable[path] = error.message
