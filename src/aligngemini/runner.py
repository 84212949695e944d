"""Many inputs through detectors in worker processes: what the command line runs.

`Detector` judges in the caller's process. Here each file is judged in a worker that may crash, hang
or run out of memory without taking the run along, and nothing heavy is imported by the caller.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from aligngemini.cores import usable_cores
from aligngemini.evidence import MILD_CHANGES, Problem
from aligngemini.fusion import open_rule
from aligngemini.isolation import map_isolated
from aligngemini.runtimes.published import DEFAULT_GAMMA
from aligngemini.verdict import Verdict

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

    @property
    def delivery(self) -> str | None:
        """What happens to the image before it is judged; see `images.deliveries`."""
        ...


@dataclass(frozen=True)
class DetectorOptions:
    """What `Detector.load` is called with in every worker; see there."""

    pixel: tuple[str, ...] = ("compact",)
    semantic: str = "off"
    explain: bool = False
    max_pixels: int | None = None
    four_bit: bool = False
    gamma: str = DEFAULT_GAMMA
    fusion: str = "or"
    cascade: bool = False
    calibration: str | None = None
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
            gamma=self.gamma,
            fusion=self.fusion,
            cascade=self.cascade,
            calibration=self.calibration,
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
        maps: PNGs of the maps of the GAMMA branch by name, to be stretched over the preview, if
            heatmaps were asked for and there is such a branch.
    """

    verdict: Verdict
    preview: bytes | None = None
    heatmap: npt.NDArray[np.float32] | None = field(default=None, repr=False, compare=False)
    maps: Mapping[str, bytes] = field(default_factory=dict, repr=False)


def judge_paths(
    items: Iterable[Input],
    options: DetectorOptions,
    *,
    workers: int | None = None,
    timeout: float | None = None,
    previews: bool = False,
    heatmaps: bool = False,
    heatmap_dir: str | Path | None = None,
    stability: bool = False,
) -> Generator[Judged, None, None]:
    """Judge inputs in worker processes, in order; every input gives exactly one `Judged`.

    The workers start at once and load while the caller goes on; closing the generator, or losing
    it, ends them.

    Args:
        items: May be endless; memory does not grow with their number. What an item's `delivery`
            says is done in the worker; the verdict then names the file by its own path and SHA-256,
            has the size of the delivered picture, and says in `notes` how it was delivered.
        options: What to judge with.
        workers: Processes; None takes `default_workers`.
        timeout: Seconds one input may take before it is given up as `timeout`; None takes a minute,
            or ten where a model is large, and with `stability` as long for each of its changes.
        previews: Whether to make previews.
        heatmaps: Whether to hand heatmaps back.
        heatmap_dir: Existing folder that takes an overlay of every image that has a heatmap, as
            `<stem>.<first 8 digits of the SHA-256>.png`, and one of each of its maps, as
            `<stem>.<digits>.<map>.png`.
        stability: Whether to judge each image again after `MILD_CHANGES`.

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
    if timeout is None:
        times = 1 + len(MILD_CHANGES) if stability else 1
        timeout = times * (LARGE_TIMEOUT if large else TIMEOUT)
    answers = map_isolated(
        partial(
            _Judge,
            options,
            threads=max(1, cpus // workers),
            previews=previews,
            heatmaps=heatmaps,
            heatmap_dir=None if heatmap_dir is None else Path(heatmap_dir),
            stability=stability,
        ),
        _remember(items, pending),
        workers=workers,
        timeout=timeout,
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
    folders = [model for model in (*options.pixel, options.gamma) if model != "off"]
    return in_process or any(map(is_large, folders))


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
        stability: bool,
    ) -> None:
        self.detector = options.load(threads)
        self.previews = previews
        self.heatmaps = heatmaps
        self.heatmap_dir = heatmap_dir
        self.stability = stability

    def __call__(self, item: Input) -> Judged:
        if item.problem is not None:
            return Judged(self.detector.failed(item.path, item.problem))
        image = self.detector.open(item.path)
        if isinstance(image, Verdict):
            return Judged(image)
        digest = image.sha256
        if item.delivery is not None:
            image = self._deliver(image, item.delivery)
            if isinstance(image, Verdict):
                return Judged(image)
        wanted = self.heatmaps or self.heatmap_dir is not None
        verdict = replace(self.detector.judge(image, heatmaps=wanted), sha256=digest)
        if self.stability:
            from aligngemini.stability import with_stability  # noqa: PLC0415 - when asked for

            verdict = with_stability(self.detector, image, verdict)
        if self.heatmap_dir is not None:
            verdict = self._save_overlays(image, verdict, self.heatmap_dir)
        verdict.to_json()  # a record nobody could write (a NaN) fails here, as this input's error
        preview = _preview(image) if self.previews else None
        heatmap, maps = _drawn(verdict) if self.heatmaps else (None, {})
        return Judged(without_heatmaps(verdict), preview, heatmap, maps)

    def _deliver(self, image: Image, delivery: str) -> Image | Verdict:
        """The image as it arrives, or the verdict of one that cannot."""
        from aligngemini.images.deliveries import deliver_image  # noqa: PLC0415 - when asked for
        from aligngemini.images.item import ImageError  # noqa: PLC0415

        try:
            delivered = deliver_image(image, delivery)
            self.detector.limits.check_size((delivered.width, delivered.height))
        except ImageError as error:
            return self.detector.failed(image.path, error.problem, image.data)
        return delivered

    def _save_overlays(self, image: Image, verdict: Verdict, folder: Path) -> Verdict:
        from aligngemini.report.drawing import save_overlays  # noqa: PLC0415 - when asked for

        try:
            save_overlays(image, verdict, folder)
        except OSError as error:
            # The verdict stands all the same, and the record says what is missing.
            note = f"heatmap not written: {error.strerror or error}"
            return replace(verdict, notes=(*verdict.notes, note))
        return verdict


def _drawn(verdict: Verdict) -> tuple[npt.NDArray[np.float32] | None, dict[str, bytes]]:
    """The heatmap and the maps that travel back."""
    from aligngemini.report.drawing import heatmap_of, map_pngs  # noqa: PLC0415 - when asked for

    return heatmap_of(verdict), map_pngs(verdict)


def _preview(image: Image) -> bytes:
    from aligngemini.report.overlay import preview_jpeg  # noqa: PLC0415 - only when asked for

    return preview_jpeg(image)


def without_heatmaps(verdict: Verdict) -> Verdict:
    """The verdict as it travels: small."""
    branches = {
        name: replace(evidence, heatmap=None, maps=None)
        for name, evidence in verdict.branches.items()
    }
    return replace(verdict, branches=branches)
