"""One input of a scan to one answer: what every engine's workers call."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from aligngemini.evidence import Problem
from aligngemini.isolation import WorkerStartError, map_isolated
from aligngemini.isolation_worker import problem_of
from aligngemini.record_id import record_id
from aligngemini.runner import LARGE_TIMEOUT, DetectorOptions
from aligngemini.verdict import Verdict

if TYPE_CHECKING:  # loads numpy and Pillow, which are the workers' to load
    from aligngemini.detector import Detector
    from aligngemini.images.item import Image
    from aligngemini.scan.items import ScanItem


@dataclass(frozen=True)
class Identity:
    """Which detector judges: everything a record depends on beside the image.

    Attributes:
        about: By name: the models of all branches (`name@fingerprint`), the rule, the calibration,
            the version of the rules of scope, and the options that change answers. JSON.
    """

    about: Mapping[str, Any]

    @property
    def fingerprint(self) -> str:
        """Twelve hex digits that change whenever anything in `about` does."""
        text = json.dumps(self.about, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def fusion(self) -> str:
        """Name of the rule, as records give it."""
        return str(self.about["fusion"]).partition("@")[0]


@dataclass(frozen=True)
class Answer:
    """What came of one input.

    An input that could not be read has a `problem` and no `sha256`. One that was read has a
    `sha256` and the `record` of its content, or neither record nor problem where that content was
    known already.

    Attributes:
        address: Of the `ScanItem`.
        stamp: Of the `ScanItem`.
        sha256: Of the bytes, lower-case hex.
        record: The record of `aligngemini detect` without its `path`, as one line of JSON; of an
            image that could not be judged too. Equal for equal bytes, but for the times.
        problem: Why there are no bytes.
        size: Bytes read.
        seconds: Time by stage: `read`, `decode`, `judge`.
        near: Perceptual hash, where near-duplicates are looked for and the image has one.
        borrowed: Whether `record` is that of a near-duplicate, taken over.
    """

    address: str
    stamp: str = ""
    sha256: str | None = None
    record: str | None = None
    problem: Problem | None = None
    size: int = 0
    seconds: Mapping[str, float] = field(default_factory=dict, compare=False)
    near: int | None = None
    borrowed: bool = False


def unknown(sha256: str) -> bool:
    """That no content is known: every input is judged."""
    return False


def nothing_alike(question: tuple[str, int]) -> str | None:
    """That nobody's verdict is taken over: near-duplicates are judged as well."""
    return None


class ScanJudge:
    """Answers inputs, one after the other; loaded once in each worker.

    Attributes:
        identity: Of the detector it loaded.
    """

    def __init__(
        self,
        options: DetectorOptions,
        *,
        threads: int = 1,
        known: Callable[[str], bool] = unknown,
        alike: Callable[[tuple[str, int]], str | None] | None = None,
        fingerprint: str | None = None,
        detector: Detector | None = None,
    ) -> None:
        """Load the detector.

        Args:
            options: What to judge with.
            threads: CPU threads a forward pass may use.
            known: Told the SHA-256 of each content before it is decoded; says whether a record of
                it is there already.
            alike: Told the SHA-256 and the perceptual hash of each image before it is judged; gives
                the record to take over from a near-duplicate, or None. Without it none are
                looked for.
            fingerprint: The detector's, where it must be the one that others have loaded.
            detector: What these options describe, where it is loaded already.

        Raises:
            ModelError: As `Detector.load`.
            ValueError: As `Detector.load`; or it is another detector than it should be.
        """
        self._detector = detector or options.load(threads)
        self._known = known
        self._alike = alike
        self.identity = identity_of(self._detector, options)
        if fingerprint not in (None, self.identity.fingerprint):
            raise ValueError(
                f"the models, the rule or the calibration are no longer those that this scan began "
                f"with (detector {self.identity.fingerprint} instead of {fingerprint}): scan again"
            )

    def __call__(self, item: ScanItem) -> Answer:
        """Read, decode and judge one input. Raises nothing for an input, whatever its bytes."""
        if item.problem is not None:
            return Answer(item.address, item.stamp, problem=item.problem)
        seconds: dict[str, float] = {}
        try:
            with _timed(seconds, "read"):
                data = b"" if item.read is None else item.read()
                digest = hashlib.sha256(data).hexdigest()
        except Exception as error:
            return Answer(item.address, item.stamp, problem=_problem_of(error), seconds=seconds)
        read = partial(Answer, item.address, item.stamp, digest, size=len(data), seconds=seconds)
        if self._known(digest):
            return read()
        try:
            return self._judge(data, digest, read)
        except Exception as error:
            problem = _problem_of(error)
            return read(record=failed_record(digest, problem, self._detector.fusion))

    def _judge(self, data: bytes, digest: str, read: partial[Answer]) -> Answer:
        from aligngemini.images.decode import decode  # noqa: PLC0415 - see above

        seconds = read.keywords["seconds"]
        with _timed(seconds, "decode"):
            image = decode(data, limits=self._detector.limits)
        near = None
        if self._alike is not None:
            from aligngemini.scan.near import perceptual_hash  # noqa: PLC0415 - when asked for

            near = perceptual_hash(image.pixels)
            other = None if near is None else self._alike((digest, near))
            borrowed = None if other is None else borrowed_record(image, other)
            if borrowed is not None:
                return read(record=borrowed, near=near, borrowed=True)
        with _timed(seconds, "judge"):
            return read(record=record_of(self._detector.judge(image)), near=near)


def record_of(verdict: Verdict) -> str:
    """The record of a content: that of its verdict, without the path.

    Raises:
        ValueError: It holds a number that JSON cannot.
    """
    record = verdict.to_dict()
    del record["path"]
    return json.dumps(record, allow_nan=False)


def failed_record(sha256: str, problem: Problem, fusion: str) -> str:
    """The record of a content that could not be judged."""
    return record_of(Verdict(path="", sha256=sha256, fusion=fusion, error=problem))


def lost(item: ScanItem, sha256: str | None, problem: Problem, fusion: str) -> Answer:
    """The answer for an input whose worker gave none.

    Args:
        item: The input.
        sha256: Of its bytes, where the worker came to read them.
        problem: What happened to the worker.
        fusion: Name of the rule.
    """
    if sha256 is None:
        return Answer(item.address, item.stamp, problem=problem)
    return Answer(item.address, item.stamp, sha256, failed_record(sha256, problem, fusion))


def borrowed_record(image: Image, record: str) -> str | None:
    """The record of an image that was not judged, for a near-duplicate was.

    None where the other one has fewer pixels: what its verdict rests on may be less than there is.

    Args:
        image: The one.
        record: The other's.
    """
    other = json.loads(record)
    if other["width"] * other["height"] < image.width * image.height:
        return None
    note = f"not judged itself: this is the verdict of its near-duplicate {other['sha256']}"
    size = {"width": image.width, "height": image.height, "format": image.format}
    mine = {**other, "sha256": image.sha256, **size, "notes": [*image.notes, note]}
    return json.dumps({**mine, "id": record_id(mine)}, allow_nan=False)


def identify(options: DetectorOptions) -> Identity:
    """Which detector these options describe.

    It is loaded for that once, in a process of its own, which ends.

    Raises:
        WorkerStartError: It cannot be loaded; the cause is what `Detector.load` raised.
    """
    prepare = partial(_Identify, options)
    with closing(map_isolated(prepare, [None], workers=1, timeout=LARGE_TIMEOUT)) as answers:
        answer = next(answers)
    if isinstance(answer, Problem):
        raise WorkerStartError(answer.message)
    return answer


class _Identify:
    def __init__(self, options: DetectorOptions) -> None:
        self._identity = identity_of(options.load(threads=1), options)

    def __call__(self, _: None) -> Identity:
        return self._identity


def identity_of(detector: Detector, options: DetectorOptions) -> Identity:
    """Which detector this is, loaded as these options say."""
    from aligngemini.images.scope import VERSION  # noqa: PLC0415 - see above

    rule = getattr(detector.rule, "rule", detector.rule)  # below a calibration's
    return Identity(
        {
            "models": {
                branch.name: getattr(branch, "model", f"{branch.name}@{branch.fingerprint}")
                for branch in detector.branches
            },
            "skipped": detector.skipped,
            "fusion": getattr(rule, "model", rule.name),
            "calibration": detector.guarantee and detector.guarantee.name,
            "scope": VERSION,
            "cascade": detector.cascade,
            "explain": options.explain,
            "max_pixels": options.max_pixels,
            "four_bit": options.four_bit,
        }
    )


def _problem_of(error: Exception) -> Problem:
    problem = getattr(error, "problem", None)  # of an ImageError
    return problem if isinstance(problem, Problem) else problem_of(error)


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    start = time.perf_counter()
    try:
        yield
    finally:
        seconds[stage] = time.perf_counter() - start
