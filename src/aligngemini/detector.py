"""The detector: images through their branches, then fusion."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image as PILImage

from aligngemini.branches.base import Branch
from aligngemini.evidence import Evidence, Problem, branch_kind, expert_name
from aligngemini.fusion import Rule, join, open_rule
from aligngemini.fusion.cascade import not_needed
from aligngemini.images.decode import Limits, decode, from_pil, read_bytes
from aligngemini.images.item import Image, ImageError, digest
from aligngemini.runtimes.published import DEFAULT_GAMMA
from aligngemini.verdict import Guarantee, Verdict

if TYPE_CHECKING:
    from aligngemini.calibration import CalibrationFile

ImageInput: TypeAlias = "str | Path | bytes | PILImage.Image | npt.NDArray[np.uint8] | Image"

ORDER = ("pixel", "semantic", "gamma", "provenance")
BY_COST = ("provenance", "pixel", "gamma", "semantic")
"""Kinds of branches, the cheapest first: what a cascade runs before it asks for more."""
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
        fusion: str | Path | Rule = "or",
        cascade: bool = False,
        limits: Limits | None = None,
        skipped: dict[str, str] | None = None,
        calibration: "CalibrationFile | None" = None,
    ) -> None:
        """Join branches that are already loaded.

        Args:
            branches: At least one.
            fusion: The rule that joins them: its name, a fusion file, or a rule.
            cascade: Whether to leave out of each image the branches that can no longer change its
                verdict. The verdict is that of a full run; the score is that of what ran.
            limits: What is refused before decoding.
            skipped: Branches that are not there, with the reason each record gives.
            calibration: Thresholds to read the branches against, instead of their own.

        Raises:
            FusionError: (a ValueError) The fusion rule is unknown, or was fitted on other models.
            CalibrationError: (a ValueError) The calibration was made with another detector.
        """
        self.branches = list(branches)
        self.rule = open_rule(fusion)
        self.rule.check(
            {one.name: one.fingerprint for one in self.branches if one.name != "provenance"}
        )
        self.fusion = self.rule.name
        self.cascade = cascade
        self.limits = limits or Limits()
        self.skipped = dict(skipped or {})
        self.guarantee: Guarantee | None = None
        if calibration is not None:
            self._calibrate(calibration)

    @classmethod
    def load(
        cls,
        *,
        pixel: str | Path | Sequence[str | Path] = "compact",
        semantic: str | Path = "off",
        explain: bool = False,
        max_pixels: int | None = None,
        four_bit: bool = False,
        gamma: str | Path = DEFAULT_GAMMA,
        fusion: str | Path | Rule = "or",
        cascade: bool = False,
        calibration: str | Path | None = None,
        device: str = "auto",
        trust: str | Path | None = None,
        limits: Limits | None = None,
        threads: int | None = None,
    ) -> "Detector":
        """Load the branches: pixel experts, a vision-language model, GAMMA, the provenance reader.

        Args:
            pixel: A pixel expert: the name of one that ships (`compact`) or is installed, a model
                folder, `hf:` with an image classifier of the Hub; or `off`. Of several, each is a
                branch of its own: `pixel`, `pixel-2`, ...
            semantic: A vision-language model: a folder that `aligngemini train semantic` wrote, a
                base model by folder, short name or repository of the Hub, the URL of an
                OpenAI-compatible server; or `off`.
            explain: Whether that model also writes reasons, which costs many times its verdict.
            max_pixels: Larger images are shrunk to this many before that model sees them; None
                keeps its own.
            four_bit: Whether to hold that model's weights in four bits; needs a GPU.
            gamma: A GAMMA model, which also says where: the name of one that ships or is installed,
                or a model folder; or `off`, and the records have no such branch.
            fusion: The rule that joins the branches: `or`, `weighted`, `vote`, a file that
                `aligngemini fuse fit` wrote, or a rule.
            cascade: Whether to leave out branches that can no longer change a verdict.
            calibration: A file that `aligngemini calibrate` wrote, whose thresholds are taken
                instead of the models' own.
            device: `auto`, `cpu` or `cuda`. `auto` takes CUDA where the runtime has it.
            trust: PEM file of certificate authorities whose C2PA signatures are believed.
            limits: What is refused before decoding.
            threads: CPU threads a forward pass may use; None leaves it to the runtime.

        Raises:
            ModelError: A model is missing, damaged or does not match its card, or the device is
                not there.
            FusionError: (a ValueError) The fusion rule is unknown, or was fitted on other models.
            CalibrationError: (a ValueError) The calibration cannot be read, or was made with
                another detector.
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
        if str(semantic) == "off":
            skipped["semantic"] = SEMANTIC_SKIPPED
        else:
            from aligngemini.branches.semantic.loading import (  # noqa: PLC0415 - when asked for
                load_semantic,
            )

            branches.append(
                load_semantic(
                    semantic,
                    device=device,
                    threads=threads,
                    explain=explain,
                    max_pixels=max_pixels,
                    four_bit=four_bit,
                )
            )
        if str(gamma) != "off":
            from aligngemini.branches.gamma import GammaBranch  # noqa: PLC0415 - when asked for

            branches.append(GammaBranch.load(gamma, device=device, threads=threads))
        branches.append(ProvenanceBranch(trust=trust))
        found = None
        if calibration is not None:
            from aligngemini.calibration import read_calibration  # noqa: PLC0415 - when asked for

            found = read_calibration(Path(calibration))
        return cls(
            branches,
            fusion=fusion,
            cascade=cascade,
            limits=limits,
            skipped=skipped,
            calibration=found,
        )

    def judge(self, image: ImageInput, *, heatmaps: bool = False) -> Verdict:
        """Judge one image; see `judge_batch`."""
        return self.judge_batch([image], heatmaps=heatmaps)[0]

    def judge_batch(self, images: Iterable[ImageInput], *, heatmaps: bool = False) -> list[Verdict]:
        """Judge images, in order. Never raises for an image: what fails is a record with an error.

        Args:
            images: Paths, file bytes, PIL images, (H, W, 3) uint8 RGB arrays or decoded `Image`s.
            heatmaps: Whether to fill `Evidence.heatmap` and `Evidence.maps`.
        """
        opened = [self.open(image) for image in images]
        readable = [item for item in opened if isinstance(item, Image)]
        rows = map(self._verdict, readable, self._evidence(readable, heatmaps=heatmaps))
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

    def _calibrate(self, calibration: "CalibrationFile") -> None:
        """Read the branches, or the rule that has thresholds of its own, against a calibration."""
        from aligngemini.calibration import (  # noqa: PLC0415 - when asked for
            CalibratedBranch,
            CalibratedRule,
        )

        scoring = [one for one in self.branches if one.name != "provenance"]
        fitted = getattr(self.rule, "model", None)
        models = {one.name: getattr(one, "model", f"@{one.fingerprint}") for one in scoring}
        calibration.check(models, fitted or self.rule.name)
        if fitted is not None:
            self.rule = CalibratedRule(self.rule, calibration)
        else:
            self.branches = [
                CalibratedBranch(one, calibration) if one in scoring else one
                for one in self.branches
            ]
        self.guarantee = calibration.guarantee

    def _evidence(self, images: Sequence[Image], *, heatmaps: bool) -> list[dict[str, Evidence]]:
        """Evidence for each image by branch; each branch sees the images that need it at once."""
        found: list[dict[str, Evidence]] = [{} for _ in images]
        branches = sorted(self.branches, key=_cost) if self.cascade else self.branches
        for position, branch in enumerate(branches):
            wanted = list(range(len(images)))
            if self.cascade:
                pending = [later.name for later in branches[position:]]
                wanted = [k for k in wanted if not self._leave_out(found[k], pending)]
            answers = branch.judge([images[k] for k in wanted], heatmaps=heatmaps)
            for k, evidence in zip(wanted, answers, strict=True):
                found[k][branch.name] = evidence
        return found

    def _leave_out(self, known: dict[str, Evidence], pending: Sequence[str]) -> bool:
        """Note the next branch as skipped where neither it nor those after it are needed."""
        reason = not_needed(self.rule, known, pending)
        if reason is not None:
            known[pending[0]] = Evidence(skipped=reason)
        return reason is not None

    def _verdict(self, image: Image, evidence: Mapping[str, Evidence]) -> Verdict:
        label, fused = join(self.rule, evidence)
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
            score=fused.score,
            fusion=self.fusion,
            fused=fused if fused.threshold is not None or fused.remark is not None else None,
            branches={name: branches[name] for name in order},
            notes=image.notes,
            guarantee=self.guarantee,
            scope=image.scope,
            pixels=None if image.data else image.pixels_sha256,
        )


def _cost(branch: Branch) -> int:
    """Where a branch stands in a cascade; experts keep their order."""
    kind = branch_kind(branch.name)
    return BY_COST.index(kind) if kind in BY_COST else len(BY_COST)


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
