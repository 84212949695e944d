"""The detector: images through their branches, then fusion."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image as PILImage

from aligngemini.branches.base import Branch
from aligngemini.fusion import FUSIONS
from aligngemini.images.decode import Limits, decode, from_pil, read_bytes
from aligngemini.images.item import Image, ImageError, digest
from aligngemini.verdict import Evidence, Problem, Verdict, branch_kind, expert_name

ImageInput: TypeAlias = "str | Path | bytes | PILImage.Image | npt.NDArray[np.uint8] | Image"

ORDER = ("pixel", "semantic", "provenance")
SEMANTIC_SKIPPED = "no vision-language model configured"


class Detector:
    """Judges images. Build one with `Detector.load`, use it for as many images as you like.

    Example:
        >>> from aligngemini import Detector
        >>> detector = Detector.load()
        >>> verdict = detector.judge("photo.jpg")  # doctest: +SKIP
        >>> verdict.verdict, verdict.score  # doctest: +SKIP
        ('real', 0.08)
    """

    def __init__(
        self,
        branches: Sequence[Branch],
        *,
        fusion: str = "or",
        limits: Limits | None = None,
        skipped: dict[str, str] | None = None,
    ) -> None:
        """Join branches that are already loaded.

        Args:
            branches: At least one.
            fusion: Name of the rule that joins them.
            limits: What is refused before decoding.
            skipped: Branches that are not there, with the reason each record gives.

        Raises:
            ValueError: The fusion rule is unknown.
        """
        if fusion not in FUSIONS:
            raise ValueError(f"unknown fusion rule {fusion!r}; known: {', '.join(FUSIONS)}")
        self.branches = list(branches)
        self.fusion = fusion
        self.limits = limits or Limits()
        self.skipped = dict(skipped or {})

    @classmethod
    def load(
        cls,
        *,
        pixel: str | Path | Sequence[str | Path] = "compact",
        fusion: str = "or",
        device: str = "auto",
        trust: str | Path | None = None,
        limits: Limits | None = None,
        threads: int | None = None,
    ) -> "Detector":
        """Load the branches: the pixel expert and the provenance reader.

        Args:
            pixel: A pixel expert: the name of one that ships (`compact`) or is installed, a model
                folder, `hf:` with an image classifier of the Hub; or `off`. Of several, each is a
                branch of its own: `pixel`, `pixel-2`, ...
            fusion: Name of the rule that joins the branches.
            device: `auto`, `cpu` or `cuda`. `auto` takes CUDA where the runtime has it.
            trust: PEM file of certificate authorities whose C2PA signatures are believed.
            limits: What is refused before decoding.
            threads: CPU threads a forward pass may use; None leaves it to the runtime.

        Raises:
            ModelError: A model is missing, damaged or does not match its card, or the device is
                not there.
        """
        from aligngemini.branches.loading import load_pixel  # noqa: PLC0415 - loads ONNX Runtime
        from aligngemini.branches.provenance import ProvenanceBranch  # noqa: PLC0415

        branches: list[Branch] = []
        skipped: dict[str, str] = {}
        experts = [pixel] if isinstance(pixel, str | Path) else list(pixel)
        if [str(expert) for expert in experts] == ["off"]:
            skipped["pixel"] = "switched off"
        else:
            branches += [
                load_pixel(expert, device=device, threads=threads, name=expert_name(number))
                for number, expert in enumerate(experts, start=1)
            ]
        skipped["semantic"] = SEMANTIC_SKIPPED
        branches.append(ProvenanceBranch(trust=trust))
        return cls(branches, fusion=fusion, limits=limits, skipped=skipped)

    def judge(self, image: ImageInput, *, heatmaps: bool = False) -> Verdict:
        """Judge one image; see `judge_batch`."""
        return self.judge_batch([image], heatmaps=heatmaps)[0]

    def judge_batch(self, images: Iterable[ImageInput], *, heatmaps: bool = False) -> list[Verdict]:
        """Judge images, in order. Never raises for an image: what fails is a record with an error.

        Args:
            images: Paths, file bytes, PIL images, (H, W, 3) uint8 RGB arrays or decoded `Image`s.
            heatmaps: Whether to fill `Evidence.heatmap`.
        """
        opened = [self.open(image) for image in images]
        readable = [item for item in opened if isinstance(item, Image)]
        evidence = {
            branch.name: branch.judge(readable, heatmaps=heatmaps) for branch in self.branches
        }
        rows = iter(
            self._verdict(image, {name: rows[k] for name, rows in evidence.items()})
            for k, image in enumerate(readable)
        )
        return [next(rows) if isinstance(item, Image) else item for item in opened]

    def open(self, image: ImageInput) -> Image | Verdict:
        """Decode one input, or say in a verdict why it cannot be."""
        if isinstance(image, Image):
            return image
        path = str(image) if isinstance(image, str | Path) else ""
        data = b""
        try:
            if isinstance(image, np.ndarray):
                image = _from_array(image)
            if isinstance(image, PILImage.Image):
                return from_pil(image, limits=self.limits)
            if isinstance(image, bytes | bytearray | memoryview):
                data = bytes(image)
            else:
                data = read_bytes(image, limits=self.limits)
            return decode(data, path=path, limits=self.limits)
        except ImageError as error:
            return self.failed(path, error.problem, data)

    def failed(self, path: str, problem: Problem, data: bytes = b"") -> Verdict:
        """The record of an input that could not be judged."""
        return Verdict(path=path, sha256=digest(data), fusion=self.fusion, error=problem)

    def _verdict(self, image: Image, evidence: dict[str, Evidence]) -> Verdict:
        label, score = FUSIONS[self.fusion](evidence)
        branches = dict(evidence)
        branches.update({name: Evidence(skipped=reason) for name, reason in self.skipped.items()})
        order = sorted(branches, key=_place)
        return Verdict(
            path=image.path,
            sha256=image.sha256,
            width=image.width,
            height=image.height,
            format=image.format,
            verdict=label,
            score=score,
            fusion=self.fusion,
            branches={name: branches[name] for name in order},
            notes=image.notes,
        )


def _place(name: str) -> int:
    """Where a branch stands in a record; experts keep their order."""
    kind = branch_kind(name)
    return ORDER.index(kind) if kind in ORDER else len(ORDER)


def _from_array(array: npt.NDArray[np.uint8]) -> PILImage.Image:
    try:
        return PILImage.fromarray(array)
    except (TypeError, ValueError) as error:
        raise ImageError(
            "unsupported",
            f"an array of shape {array.shape} and type {array.dtype}, not (height, width, 3) uint8",
        ) from error
