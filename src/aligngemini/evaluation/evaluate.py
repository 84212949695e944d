"""A detector on labelled images: judged once, kept, and turned into rows of scores."""

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from itertools import chain
from pathlib import Path

from aligngemini.calibration import read_calibration
from aligngemini.datasets.manifest import Row
from aligngemini.evaluation.protocols import delivery_for
from aligngemini.evaluation.scores import FUSED, SHARED, ScoreRow
from aligngemini.evaluation.store import Judgment, Said, Store
from aligngemini.evidence import Problem
from aligngemini.fusion import FusionError, open_rule
from aligngemini.images.files import read_bytes
from aligngemini.images.item import ImageError
from aligngemini.images.scope import VERSION as SCOPE_RULES
from aligngemini.images.sources import Item
from aligngemini.isolation import WorkerStartError, map_isolated
from aligngemini.runner import LARGE_TIMEOUT, DetectorOptions, judge_paths

OR_AT_HALF = "or@0.5"
"""The `branch` that stands for the papers' rule: fake if any branch scores 0.5 or more."""


def evaluate(
    rows: Sequence[Row],
    protocols: Sequence[str],
    options: DetectorOptions,
    out: Path,
    *,
    workers: int | None = None,
    timeout: float | None = None,
    retry: bool = False,
    step: Callable[[], None] = lambda: None,
) -> list[ScoreRow]:
    """Judge images under protocols; what `out` holds already is not judged again.

    Args:
        rows: Labelled images; `extra["subset"]` names the subset, `*` for photos that all share.
        protocols: Names of `PROTOCOLS`, or deliveries.
        options: The detector. A cascade would leave branches out, and is refused.
        out: Folder that keeps what was judged.
        workers: As `judge_paths`.
        timeout: As `judge_paths`.
        retry: Whether to judge again what failed for a reason that may have passed.
        step: Called `len(rows) * len(protocols)` times in all.

    Returns:
        Rows by protocol, image and branch, the rule as `fused`. They depend on the images and the
        detector alone, not on how often the evaluation was stopped.

    Raises:
        DeliveryError: (a ValueError) There is no such protocol.
        CalibrationError: (a ValueError) The calibration cannot be read.
        FusionError: (a ValueError) The fusion rule is unknown, or no branch scores.
        ValueError: A cascade was asked for.
        WorkerStartError: The detector could not be loaded.
        OSError: The folder cannot be written.
    """
    if options.cascade:
        raise ValueError("a cascade leaves branches out, and an evaluation shows each of them")
    for protocol in protocols:
        delivery_for(protocol, "fake")
    models = name_models(options)
    # Beside the models, whatever else a verdict may hang on.
    detector = (
        f"{models[FUSED]}, four bits {options.four_bit}, trusting {options.trust}, "
        f"rules of scope {SCOPE_RULES}"
    )
    digests = Digests()
    asked: deque[tuple[str, str | None]] = deque()
    with Store(out, detector, retry=retry) as store:
        items = left_to_judge(rows, protocols, store=store, digests=digests, asked=asked, step=step)
        first = next(items, None)
        if first is not None:  # else there is no need of workers
            judged = judge_paths(chain([first], items), options, workers=workers, timeout=timeout)
            with closing(judged):
                for one in judged:
                    digest, delivery = asked.popleft()
                    if one.verdict.sha256 in (None, digest):  # else the file changed meanwhile
                        store.add(digest, delivery, Judgment.of(one.verdict))
        return list(_score_rows(rows, protocols, store, digests, models))


def name_models(options: DetectorOptions) -> dict[str, str]:
    """`name@fingerprint` of each branch that scores, and of all together as `fused`.

    The detector is loaded for it once, in a process of its own.

    Raises:
        CalibrationError: (a ValueError) As `evaluate`.
        FusionError: (a ValueError) As `evaluate`.
        WorkerStartError: As `evaluate`.
    """
    rule = open_rule(options.fusion)
    answers = map_isolated(partial(_Names, options), [None], workers=1, timeout=LARGE_TIMEOUT)
    with closing(answers):
        models = next(answers)
    if isinstance(models, Problem):
        raise WorkerStartError(models.message)
    if not models:
        raise FusionError("no branch of this detector gives a score; switch one on")
    together = ", ".join(f"{name} {model}" for name, model in models.items())
    named = {FUSED: f"{getattr(rule, 'model', rule.name)} of {together}"}
    if options.calibration is not None:
        calibration = read_calibration(Path(options.calibration))
        named[FUSED] += f" under {calibration.guarantee.name}"
    if rule.name == "or" and len(models) > 1:
        named[OR_AT_HALF] = f"{OR_AT_HALF} of {together}"
    return {**named, **models}


class Digests:
    """SHA-256 of files, each read once."""

    def __init__(self) -> None:
        """Begin with none."""
        self._known: dict[str, str | Problem] = {}

    def of(self, path: str) -> str | Problem:
        """Lower-case hex, or why the file cannot be read."""
        if path not in self._known:
            try:
                self._known[path] = hashlib.sha256(read_bytes(path)).hexdigest()
            except ImageError as error:
                self._known[path] = error.problem
        return self._known[path]


class _Names:
    """What tells a worker's models."""

    def __init__(self, options: DetectorOptions) -> None:
        self._branches = options.load(threads=1).branches

    def __call__(self, _: None) -> dict[str, str]:
        return {
            branch.name: getattr(branch, "model", f"{branch.name}@{branch.fingerprint}")
            for branch in self._branches
            if branch.name != "provenance"
        }


def left_to_judge(
    rows: Sequence[Row],
    protocols: Sequence[str],
    *,
    store: Store,
    digests: Digests,
    asked: deque[tuple[str, str | None]],
    step: Callable[[], None],
) -> Iterator[Item]:
    """What is not in the store yet, each image and delivery once.

    Args:
        rows: See `evaluate`.
        protocols: See `evaluate`.
        store: What is judged already.
        digests: Of the files.
        asked: Takes digest and delivery of each item as it is handed out.
        step: Called for each row and protocol.
    """
    handed_out = set()
    for row in rows:
        digest = digests.of(row.path)
        for protocol in protocols:
            step()
            if isinstance(digest, Problem):
                continue
            key = digest, delivery_for(protocol, row.label)
            if key not in handed_out and store.get(*key) is None:
                handed_out.add(key)
                asked.append(key)
                yield Item(row.path, delivery=key[1])


def _score_rows(
    rows: Sequence[Row],
    protocols: Sequence[str],
    store: Store,
    digests: Digests,
    models: Mapping[str, str],
) -> Iterator[ScoreRow]:
    for protocol in protocols:
        for row in rows:
            digest = digests.of(row.path)
            judgment = _judgment(store, digest, delivery_for(protocol, row.label))
            for branch, model in models.items():
                said = _said(judgment, branch)
                sha256 = digest if isinstance(digest, str) else ""
                yield score_row(row, said, sha256=sha256, protocol=protocol, judge=(branch, model))


def score_row(
    row: Row, said: Said, *, sha256: str, protocol: str, judge: tuple[str, str]
) -> ScoreRow:
    """What one branch said of an image under a protocol; `judge` is the branch and its model."""
    branch, model = judge
    return ScoreRow(
        path=printable_path(row.path),
        sha256=sha256,
        label=row.label,
        subset=subset_of(row),
        generator=row.generator,
        source=row.source,
        protocol=protocol,
        branch=branch,
        model=model,
        score=said.score,
        verdict=said.verdict,
        threshold=said.threshold,
        threshold_real=said.threshold_real,
        error=said.error,
    )


def subset_of(row: Row) -> str:
    """The subset an image belongs to; where none is named, a fake's is its generator."""
    return str(row.extra.get("subset") or row.generator or SHARED)


def printable_path(path: str) -> str:
    """A path as valid Unicode; bytes that are none are escaped."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _judgment(store: Store, digest: str | Problem, delivery: str | None) -> Judgment:
    if isinstance(digest, Problem):
        return Judgment(error=digest.code)
    return store.get(digest, delivery) or Judgment(error="unreadable")  # it changed meanwhile


def _said(judgment: Judgment, branch: str) -> Said:
    if branch == OR_AT_HALF:
        return _or_at_half(judgment)
    return judgment.said.get(branch, Said(None, None, None, None, judgment.error or "no-score"))


def _or_at_half(judgment: Judgment) -> Said:
    """The rule of AlignGemini (section 3) with every expert at 0.5, whatever thresholds ship."""
    scores = [
        said.score
        for name, said in judgment.said.items()
        if name != FUSED and said.score is not None
    ]
    if not scores:
        return Said(None, None, None, None, judgment.error or "no-score")
    return Said(max(scores), "fake" if max(scores) >= 0.5 else "real", 0.5, 0.5)
