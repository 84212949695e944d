"""The leakage probe: can the pixels alone tell the classes of a set apart?

A set is to teach what images show. Where a linear model on trace statistics, which know nothing of
the motif, tells its classes apart, a network will learn that instead. The probe is cross-validated,
and a fake and its match are never on both sides of a fold.
"""

import json
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from aligngemini.datasets.manifest import Row
from aligngemini.datasets.photos import map_ahead
from aligngemini.datasets.pixel_set_files import write_whole
from aligngemini.datasets.semantic_set import Progress, no_progress
from aligngemini.datasets.traces import traces
from aligngemini.images.decode import decode, read_bytes
from aligngemini.images.degrade import Pixels, rescale

Vectors = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

FEWEST_PAIRS = 20
MOST_PAIRS = 1000
"""More would make the interval no narrower than three points."""

FOLDS = 5
Z95 = 1.96
MOTIF_SIDE = 64
"""Longest side, pixels, at which no trace of how an image was made is left."""


class TooFewPairsError(ValueError):
    """A set too small to be probed."""


@dataclass(frozen=True)
class Figure:
    """A measured share and its 95 % interval, by pairs (normal approximation)."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Leakage:
    """What the probe found; chance is 0.5 everywhere.

    Attributes:
        balanced_accuracy: Of the probe at 0.5.
        auc: Area under its ROC curve.
        motif: Balanced accuracy of the same probe on thumbnails without any trace: what different
            subjects alone give it.
        pairs: How many it was measured on.
        limit: Most balanced accuracy that was allowed.
    """

    balanced_accuracy: Figure
    auc: Figure
    motif: Figure
    pairs: int
    limit: float

    @property
    def leaks(self) -> bool:
        """Whether the pixels tell more than was allowed."""
        return self.balanced_accuracy.value > self.limit


def probe_set(
    rows: Sequence[Row],
    *,
    limit: float,
    seed: int = 0,
    threads: int = 1,
    progress: Progress = no_progress,
) -> Leakage:
    """Probe a set whose rows carry `match`, the name that a fake shares with its real.

    Args:
        rows: Of the manifest; at most `MOST_PAIRS` matches are looked at, drawn by the seed.
        limit: Balanced accuracy that is allowed, 0.5 to 1.
        seed: Of the choice and of the folds.
        threads: For decoding and statistics.
        progress: Shows how far the work is.

    Raises:
        TooFewPairsError: There are fewer than `FEWEST_PAIRS` matches.
        ImageError: An image of the set cannot be read.
    """
    found: dict[str, dict[str, str]] = {}
    for row in rows:
        found.setdefault(str(row.extra.get("match", "")), {})[row.label] = row.path
    matches = [pair for _, pair in sorted(found.items()) if pair.keys() == {"fake", "real"}]
    if len(matches) < FEWEST_PAIRS:
        raise TooFewPairsError(
            f"{len(matches)} pairs are too few to measure leakage; it takes {FEWEST_PAIRS}"
        )
    drawn = np.random.default_rng(seed).permutation(len(matches))[:MOST_PAIRS]
    paths = [matches[k][label] for k in drawn for label in ("fake", "real")]
    statistics = []
    with ThreadPoolExecutor(threads) as executor, progress(len(paths), text="Probing") as step:
        for both in map_ahead(executor, _statistics, paths, 2 * threads):
            statistics.append(both)
            step()
    details, motifs = (np.stack(vectors) for vectors in zip(*statistics, strict=True))
    balanced_accuracy, auc = probe(details[::2], details[1::2], seed=seed)
    motif, _ = probe(motifs[::2], motifs[1::2], seed=seed)
    return Leakage(balanced_accuracy, auc, motif, len(drawn), limit)


def probe(fakes: Vectors, reals: Vectors, *, seed: int = 0) -> tuple[Figure, Figure]:
    """How well a linear model tells the rows of one table from those of another.

    Logistic regression on standardised columns, cross-validated in `FOLDS` folds by row number.

    Args:
        fakes: (N, F), a row a pair.
        reals: (N, F), the other halves in the same order.
        seed: Of the folds.

    Returns:
        Balanced accuracy and area under the ROC curve.
    """
    scores = _held_out_scores(np.stack([fakes, reals], axis=1), seed)
    right = np.stack([scores[:, 0] > 0.5, scores[:, 1] <= 0.5], axis=1)
    return _share(right.mean(1)), _auc(scores[:, 0], scores[:, 1])


def leakage_report(leakage: Leakage | str) -> dict[str, Any]:
    """As JSON holds it; a text says why there are no figures."""
    if isinstance(leakage, str):
        return {"leaks": None, "reason": leakage}
    return {"leaks": leakage.leaks, **asdict(leakage)}


def save_leakage(leakage: Leakage | str, path: Path) -> None:
    """Write the report as JSON; a text says why there are no figures."""
    write_whole(path, (json.dumps(leakage_report(leakage), indent=2) + "\n").encode())


def leakage_warning(path: Path) -> str | None:
    """What to say before a set is trained on, or None where its probe found nothing.

    Args:
        path: Of the report; a set that nobody probed has none.
    """
    if not path.is_file():
        return None
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        leaks, found, limit = report["leaks"], report.get("balanced_accuracy"), report.get("limit")
        if leaks is None:
            return f"nobody knows whether this set leaks: {report['reason']}"
        if not leaks:
            return None
        figures = f"balanced accuracy {found['value']:.2f}, limit {limit:.2f}"
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return f"nobody knows whether this set leaks: {path} cannot be read"
    return (
        f"THIS SET LEAKS: pixels alone tell its classes apart ({figures}). What is trained on it "
        "may learn that instead of what the images show, and fail on others"
    )


def _statistics(path: str) -> tuple[Vectors, Vectors]:
    pixels = decode(read_bytes(path), path=path).pixels
    return traces(pixels), traces(_thumbnail(pixels))


def _thumbnail(pixels: Pixels) -> Pixels:
    return rescale(pixels, min(1.0, MOTIF_SIDE / max(pixels.shape[:2])), filter_name="box")


def _held_out_scores(pairs: Vectors, seed: int) -> Vectors:
    """P(fake) of each image by a model that saw neither it nor its match: (N, 2) of (N, 2, F)."""
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - of the train extra
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

    count = len(pairs)
    labels = np.tile([1, 0], count)
    fold = np.random.default_rng(seed).permutation(count) % FOLDS
    scores = np.empty((count, 2))
    for number in range(FOLDS):
        held_out = fold == number
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))
        model.fit(
            pairs[~held_out].reshape(-1, pairs.shape[2]), labels[: 2 * int((~held_out).sum())]
        )
        found = model.predict_proba(pairs[held_out].reshape(-1, pairs.shape[2]))[:, 1]
        scores[held_out] = found.reshape(-1, 2)
    return scores


def _share(parts: Vectors) -> Figure:
    """The mean of one value a pair, and its interval."""
    return _figure(float(parts.mean()), float(parts.std(ddof=1)) / math.sqrt(len(parts)))


def _auc(fakes: Vectors, reals: Vectors) -> Figure:
    """Area under the ROC curve, its interval by DeLong (1988) with pairs as Obuchowski (1997)."""
    above = (fakes[:, None] > reals[None]) + 0.5 * (fakes[:, None] == reals[None])
    parts = above.mean(1) + above.mean(0)
    return _figure(float(above.mean()), float(parts.std(ddof=1)) / math.sqrt(len(parts)))


def _figure(value: float, error: float) -> Figure:
    low, high = max(0.0, value - Z95 * error), min(1.0, value + Z95 * error)
    return Figure(round(value, 4), round(low, 4), round(high, 4))
