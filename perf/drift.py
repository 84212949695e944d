"""How often the drift watch warns of nothing, and how soon of a source of photos it never saw.

    aligngemini detect ../shared/data/real --format jsonl --out real.jsonl
    python perf/drift.py real.jsonl

Days are drawn, with replacement, from the scores that the pixel branch gives real photos.
"""

import sys
from pathlib import Path

import numpy as np

from aligngemini.calibration.drift import ALPHA, ScoreHistogram, counted_scores, watch
from aligngemini.evaluation.labelled import read_records

STREAMS = 1000
DAYS = 365
IMAGES = 200
LARGE = 100  # photos of a source, to be left out
MONTH = 30


def main() -> None:
    found = [
        (Path(one.path).parent.name, counted_scores(one.to_dict()))
        for one in read_records(Path(sys.argv[1]))
    ]
    sources = np.array([source for source, scores in found if "pixel" in scores])
    scores = np.array([scores["pixel"] for _, scores in found if "pixel" in scores])
    print(f"{len(scores)} photos, {IMAGES} images a day, alpha {ALPHA}")
    without_drift(scores)
    unseen_sources(scores, sources)


def without_drift(scores: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    for name in ("its own past", "photos calibrated on"):
        warned = {0.0: 0, 0.1: 0}
        for _ in range(STREAMS):
            reference = drawn(rng, scores, 1000) if name != "its own past" else None
            days = {str(day): drawn(rng, scores, IMAGES) for day in range(DAYS)}
            for tolerance in warned:
                looked = watch(days, reference, tolerance=tolerance)
                warned[tolerance] += any(one.warned for one in looked.values())
        for tolerance, count in warned.items():
            print(
                f"against {name}, tolerance {tolerance}: {count} of {STREAMS} streams of {DAYS} "
                "days without drift were warned of"
            )


def unseen_sources(scores: np.ndarray, sources: np.ndarray) -> None:
    """The photos of one source come in, for a month, after calibrating on all others."""
    rng = np.random.default_rng(0)
    print(f"{'source left out':20} {'photos':>6} {'a day':>6} {'days warned':>11} {'first':>6}")
    for source in np.unique(sources):
        left_out = sources == source
        if left_out.sum() < LARGE:
            continue
        reference = ScoreHistogram.of(scores[~left_out])
        for images in (100, 200, 1000):
            shares, first = [], []
            for _ in range(100):
                days = {str(k): drawn(rng, scores[left_out], images) for k in range(MONTH)}
                warned = [one.warned for one in watch(days, reference).values()]
                shares.append(np.mean(warned))
                first.append(warned.index(True) + 1 if any(warned) else np.inf)
            middle = np.median(first)
            print(
                f"{source:20} {left_out.sum():6} {images:6} {np.mean(shares):11.0%} "
                f"{'never' if np.isinf(middle) else f'{middle:.0f}':>6}"
            )


def drawn(rng: np.random.Generator, scores: np.ndarray, count: int) -> ScoreHistogram:
    return ScoreHistogram.of(rng.choice(scores, count))


if __name__ == "__main__":
    main()
