"""What a worker of the service does: files in, finished JSON out."""

import json
import os
import signal
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

from aligngemini.evidence import Problem
from aligngemini.images.limits import Limits
from aligngemini.isolation_worker import problem_of
from aligngemini.report.page import data_uri
from aligngemini.runner import DetectorOptions, Judged, without_heatmaps
from aligngemini.serve.facts import facts_of, set_explain
from aligngemini.serve.words import words_of
from aligngemini.verdict import Verdict

if TYPE_CHECKING:  # the workers' to load: this module is also the parent's
    from aligngemini.images.item import Image

NICER = 5  # than the process that listens: it has to say no while all cores judge
TOGETHER = 32_000_000  # pixels of the images that go through a model at once


@dataclass(frozen=True)
class Wanted:
    """What a caller wants beside the record.

    Attributes:
        heatmaps: The heatmap, and the maps of the GAMMA branch.
        previews: A small JPEG.
        explain: The reasons of the semantic branch, where there is one.
        report: What the HTML report shows, as `Answer.judged`.
    """

    heatmaps: bool = False
    previews: bool = False
    explain: bool = False
    report: bool = False


@dataclass(frozen=True)
class Task:
    """One image to judge.

    Attributes:
        name: What the record's `path` says.
        data: The file.
        wanted: What is to come with the record.
    """

    name: str
    data: bytes | bytearray = field(repr=False)
    wanted: Wanted = Wanted()


@dataclass(frozen=True)
class Answer:
    """What came of one image.

    Attributes:
        body: The record as JSON, with what else was wanted.
        verdict: Its verdict.
        problem: Its error.
        seconds: What each branch took.
        failed: Branches that gave no answer.
        scores: Those that tell of drift, by branch.
        judged: For the HTML report, where it was asked for.
    """

    body: bytes = field(repr=False)
    verdict: str | None = None
    problem: Problem | None = None
    seconds: tuple[tuple[str, float], ...] = ()
    failed: tuple[str, ...] = ()
    scores: tuple[tuple[str, float], ...] = ()
    judged: Judged | None = None


class Judge:
    """Loaded once in a worker, called for what it takes at a time."""

    def __init__(self, options: DetectorOptions, *, threads: int, limits: Limits) -> None:
        """Load the detector.

        Args:
            options: What to judge with.
            threads: CPU threads of one forward pass.
            limits: What is refused before decoding.
        """
        # Service managers tell the whole group to end, but the parent lets work be finished.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if sys.platform != "win32":
            os.nice(NICER)
        self.detector = options.load(threads)
        self.detector.limits = limits
        self._options = options

    def __call__(self, tasks: Sequence[Task]) -> list[Answer]:
        """The answer to each; one that cannot be judged fails none of the others.

        No task at all asks what is loaded here: the one answer says it, see `facts_of`.
        """
        if not tasks:
            return [Answer(json.dumps(facts_of(self.detector, self._options)).encode())]
        answers: list[Answer] = []
        for wanted, group in groupby(tasks, key=lambda task: task.wanted):
            set_explain(self.detector, on=wanted.explain)
            for images in _bounded(map(self._open, group)):
                answers += self._judge(images, wanted)
        return answers

    def _open(self, task: Task) -> "Image | Verdict":
        return replace(self.detector.open(bytes(task.data)), path=task.name)

    def _judge(self, images: "Sequence[Image | Verdict]", wanted: Wanted) -> list[Answer]:
        """The answers to images, and to what could not be opened, which is a verdict already."""
        pictures = [one for one in images if not isinstance(one, Verdict)]
        heatmaps = wanted.heatmaps or wanted.report
        verdicts = iter(self._together(pictures, heatmaps=heatmaps))
        return [
            answer_to(one, None, wanted)
            if isinstance(one, Verdict)
            else answer_to(next(verdicts), one, wanted)
            for one in images
        ]

    def _together(self, images: "Sequence[Image]", *, heatmaps: bool) -> list[Verdict]:
        """Verdicts; where a batch fails as a whole, each image is tried alone."""
        try:
            return self.detector.judge_batch(images, heatmaps=heatmaps)
        except Exception as error:
            if len(images) == 1:
                problem = problem_of(error)
                return [self.detector.failed(images[0].path, problem, images[0].data)]
        return [one for image in images for one in self._together([image], heatmaps=heatmaps)]


def answer_to(verdict: Verdict, image: "Image | None" = None, wanted: Wanted = Wanted()) -> Answer:
    """The answer that says a verdict.

    Args:
        verdict: With its heatmaps and maps, where they were asked for.
        image: Decoded; None where that was not possible.
        wanted: What goes with the record.
    """
    from aligngemini.calibration.drift import counted_scores  # noqa: PLC0415 - loads numpy

    result = verdict.to_dict() | {"words": words_of(verdict)}
    if image is not None and not wanted.report:
        result |= _pictures(verdict, image, wanted)
    branches = verdict.branches.items()
    return Answer(
        json.dumps(result, allow_nan=False).encode(),
        verdict.verdict,
        verdict.error,
        tuple((name, one.ms / 1000) for name, one in branches if one.ms is not None),
        tuple(name for name, one in branches if one.error is not None),
        tuple(counted_scores(result).items()),
        _judged(verdict, image) if wanted.report else None,
    )


def _judged(verdict: Verdict, image: "Image | None") -> Judged:
    """What the HTML report shows."""
    if image is None:
        return Judged(verdict)
    from aligngemini.report.drawing import heatmap_of, map_pngs  # noqa: PLC0415 - when asked for
    from aligngemini.report.overlay import preview_jpeg  # noqa: PLC0415

    return Judged(
        without_heatmaps(verdict), preview_jpeg(image), heatmap_of(verdict), map_pngs(verdict)
    )


def _pictures(verdict: Verdict, image: "Image", wanted: Wanted) -> dict[str, Any]:
    """What is drawn, as links that hold it."""
    from aligngemini.report.drawing import heatmap_of, map_pngs  # noqa: PLC0415 - when asked for
    from aligngemini.report.overlay import heatmap_png, preview_jpeg  # noqa: PLC0415

    drawn: dict[str, Any] = {}
    if wanted.previews:
        drawn["preview"] = data_uri("image/jpeg", preview_jpeg(image))
    if wanted.heatmaps:
        heatmap = heatmap_of(verdict)
        if heatmap is not None:
            drawn["heatmap"] = data_uri("image/png", heatmap_png(heatmap))
        maps = map_pngs(verdict)
        drawn["maps"] = {name: data_uri("image/png", data) for name, data in maps.items()}
    return drawn


def _bounded(images: "Iterable[Image | Verdict]") -> "Iterator[list[Image | Verdict]]":
    """Groups of images that take a bounded amount of memory together, or are one alone."""
    group: list[Image | Verdict] = []
    pixels = 0
    for image in images:
        size = (image.width or 0) * (image.height or 0)
        if group and pixels + size > TOGETHER:
            yield group
            group, pixels = [], 0
        group.append(image)
        pixels += size
    if group:
        yield group
