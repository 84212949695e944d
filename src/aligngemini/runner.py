"""Many inputs through detectors in worker processes: what the command line runs.

`Detector` judges in the caller's process. Here each file is judged in a worker that may crash, hang
or run out of memory without taking the run along, and nothing heavy is imported by the caller.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from aligngemini.cores import usable_cores
from aligngemini.fusion import open_rule
from aligngemini.isolation import map_isolated
from aligngemini.verdict import Problem, Verdict

if TYPE_CHECKING:  # numpy, Pillow and ONNX Runtime are the workers' to load
    import numpy as np
    import numpy.typing as npt

    from aligngemini.detector import Detector
    from aligngemini.images.item import Image

TIMEOUT = 60.0
MEMORY = 4 << 30  # bytes a worker may add to what it took to load; far more than any image needs
# What one image may take of a model of billions of parameters on a CPU.
LARGE_TIMEOUT = 600.0
LARGE_MEMORY = 16 << 30
STEM_LENGTH = 50  # characters; file names end at 255 bytes, and a character may take four


class Input(Protocol):
    """One input, as `images.sources.expand` yields them."""

    @property
    def path(self) -> str:
        """As the user named it."""
        ...

    @property
    def problem(self) -> Problem | None:
        """Why it is known already that it cannot be judged."""
        ...


@dataclass(frozen=True)
class DetectorOptions:
    """What `Detector.load` is called with in every worker; see there."""

    pixel: tuple[str, ...] = ("compact",)
    semantic: str = "off"
    explain: bool = False
    max_pixels: int | None = None
    four_bit: bool = False
    fusion: str = "or"
    cascade: bool = False
    device: str = "auto"
    trust: str | None = None

    def load(self, threads: int) -> Detector:
        """Load the detector these options describe.

        Args:
            threads: CPU threads one forward pass may use.

        Raises:
            ModelError: As `Detector.load`.
        """
        from aligngemini.detector import Detector  # noqa: PLC0415 - see above

        return Detector.load(
            pixel=self.pixel,
            semantic=self.semantic,
            explain=self.explain,
            max_pixels=self.max_pixels,
            four_bit=self.four_bit,
            fusion=self.fusion,
            cascade=self.cascade,
            device=self.device,
            trust=self.trust,
            threads=threads,
        )


@dataclass(frozen=True)
class Judged:
    """A verdict, with what there is to show beside it.

    Attributes:
        verdict: Always there; one that holds an error when the input could not be judged.
        preview: A small JPEG, if previews were asked for and the image could be decoded.
        heatmap: (h, w) float32 in [0, 1] with NaN where nobody looked, if heatmaps were asked for
            and a branch gave one.
    """

    verdict: Verdict
    preview: bytes | None = None
    heatmap: npt.NDArray[np.float32] | None = field(default=None, repr=False, compare=False)


def judge_paths(
    items: Iterable[Input],
    options: DetectorOptions,
    *,
    workers: int | None = None,
    timeout: float | None = None,
    previews: bool = False,
    heatmaps: bool = False,
    heatmap_dir: str | Path | None = None,
) -> Generator[Judged, None, None]:
    """Judge inputs in worker processes, in order; every input gives exactly one `Judged`.

    The workers start at once and load while the caller goes on; closing the generator, or losing
    it, ends them.

    Args:
        items: May be endless; memory does not grow with their number.
        options: What to judge with.
        workers: Processes; None takes `default_workers`.
        timeout: Seconds one input may take before it is given up as `timeout`; None takes a minute,
            or ten where a model is large.
        previews: Whether to make previews.
        heatmaps: Whether to hand heatmaps back.
        heatmap_dir: Existing folder that takes an overlay of every image that has a heatmap, as
            `<stem>.<first 8 digits of the SHA-256>.png`.

    Raises:
        FusionError: (a ValueError) The fusion rule is unknown, or its file cannot be used.
        WorkerStartError: While iterating: a worker could not load the detector (the cause is what
            `Detector.load` raised), or workers die or hang while they load.
    """
    rule = open_rule(options.fusion)
    cpus = usable_cores()
    large = any_large(options)
    workers = workers or default_workers(options)
    pending: deque[str] = deque()
    answers = map_isolated(
        partial(
            _Judge,
            options,
            threads=max(1, cpus // workers),
            previews=previews,
            heatmaps=heatmaps,
            heatmap_dir=None if heatmap_dir is None else Path(heatmap_dir),
        ),
        _remember(items, pending),
        workers=workers,
        timeout=timeout or (LARGE_TIMEOUT if large else TIMEOUT),
        memory=LARGE_MEMORY if large else MEMORY,
    )
    return _with_paths(answers, pending, rule.name)


def default_workers(options: DetectorOptions) -> int:
    """Processes to judge with: one a CPU, or one alone where a model is large."""
    return 1 if any_large(options) else usable_cores()


def any_large(options: DetectorOptions) -> bool:
    """Whether one of the models in this process is too large to be there several times."""
    from aligngemini.runtimes.folder import is_large  # noqa: PLC0415 - see above

    in_process = options.semantic != "off" and "://" not in options.semantic
    return in_process or any(is_large(expert) for expert in options.pixel if expert != "off")


def overlay_name(verdict: Verdict) -> str:
    """The file name of an image's overlay: told apart by content, recognised by its stem."""
    stem = re.sub(r"[^\w.() -]", "_", Path(verdict.path).stem)[:STEM_LENGTH]
    return f"{stem}.{(verdict.sha256 or '')[:8]}.png"


def _remember(items: Iterable[Input], pending: deque[str]) -> Iterator[Input]:
    """Pass items on, noting their paths for the answers that will not bring one."""
    for item in items:
        pending.append(item.path)
        yield item


def _with_paths(
    answers: Generator[Judged | Problem, None, None], pending: deque[str], fusion: str
) -> Generator[Judged, None, None]:
    with closing(answers):
        for answer in answers:
            path = pending.popleft()
            if isinstance(answer, Problem):
                yield Judged(Verdict(path=path, fusion=fusion, error=answer))
            else:
                yield answer


class _Judge:
    """What a worker does: loaded once, called for one input at a time."""

    def __init__(
        self,
        options: DetectorOptions,
        *,
        threads: int,
        previews: bool,
        heatmaps: bool,
        heatmap_dir: Path | None,
    ) -> None:
        self.detector = options.load(threads)
        self.previews = previews
        self.heatmaps = heatmaps
        self.heatmap_dir = heatmap_dir

    def __call__(self, item: Input) -> Judged:
        if item.problem is not None:
            return Judged(self.detector.failed(item.path, item.problem))
        image = self.detector.open(item.path)
        if isinstance(image, Verdict):
            return Judged(image)
        wanted = self.heatmaps or self.heatmap_dir is not None
        verdict = self.detector.judge(image, heatmaps=wanted)
        heatmap = _heatmap(verdict)
        if self.heatmap_dir is not None and heatmap is not None:
            verdict = self._save_overlay(image, heatmap, verdict, self.heatmap_dir)
        verdict.to_json()  # a record nobody could write (a NaN) fails here, as this input's error
        return Judged(
            _without_heatmaps(verdict),
            _preview(image) if self.previews else None,
            heatmap if self.heatmaps else None,
        )

    def _save_overlay(
        self, image: Image, heatmap: npt.NDArray[np.float32], verdict: Verdict, folder: Path
    ) -> Verdict:
        from aligngemini.report.overlay import save_overlay  # noqa: PLC0415 - only when asked for

        try:
            save_overlay(image, heatmap, folder / overlay_name(verdict))
        except OSError as error:
            # The verdict stands all the same, and the record says what is missing.
            note = f"heatmap not written: {error.strerror or error}"
            return replace(verdict, notes=(*verdict.notes, note))
        return verdict


def _heatmap(verdict: Verdict) -> npt.NDArray[np.float32] | None:
    """The map of the branch that the verdict rests on; another's would explain another score.

    A rule with a score of its own rests on all branches: then the first map there is.
    """
    if verdict.fused is None:
        return None if verdict.deciding is None else verdict.deciding.heatmap
    maps = (evidence.heatmap for evidence in verdict.branches.values())
    return next((one for one in maps if one is not None), None)


def _preview(image: Image) -> bytes:
    from aligngemini.report.overlay import preview_jpeg  # noqa: PLC0415 - only when asked for

    return preview_jpeg(image)


def _without_heatmaps(verdict: Verdict) -> Verdict:
    """The verdict as it travels: small."""
    branches = {
        name: replace(evidence, heatmap=None) for name, evidence in verdict.branches.items()
    }
    return replace(verdict, branches=branches)
