"""How well a calibration holds on real photos, and how long a million scores take.

    aligngemini detect ../shared/data/real --format jsonl --out real.jsonl
    python perf/calibration.py real.jsonl

Draws 1,000 calibrations from the photos of all sources and counts how often the promise is broken
among them all, then calibrates on all sources but one and looks at that one (nothing is promised).
"""

import sys
import time
from pathlib import Path

import numpy as np

from aligngemini.datasets.manifest import Row
from aligngemini.evaluation.calibrate import Promise, calibrate_scores
from aligngemini.evaluation.calibration_scores import Scores, collect
from aligngemini.evaluation.labelled import Labelled, read_records
from aligngemini.fusion import FUSIONS

RULE = FUSIONS["or"]
PROMISE = Promise(0.05, 0.9)
FOR_CALIBRATION = 300
DRAWS = 1000


def main() -> None:
    verdicts = [one for one in read_records(Path(sys.argv[1])) if one.verdict is not None]
    images = [Labelled(Row(one.path, "real"), one) for one in verdicts]
    sources = np.array([Path(one.path).parent.name for one in verdicts])
    scores = collect(images, RULE)
    print(f"{len(images)} photos; promise: {PROMISE.rate:.0%} with {PROMISE.confidence:.0%}")
    resampled(scores)
    unseen_sources(scores, sources)
    million()


def resampled(scores: Scores) -> None:
    """The photos are all there is: drawn from with replacement, their rate is the true one."""
    rng = np.random.default_rng(0)
    broken = 0
    for _ in range(DRAWS):
        chosen = rng.integers(len(scores.fake), size=FOR_CALIBRATION)
        file = calibrate_scores(scores.of(chosen), RULE, PROMISE)
        broken += scores.alarms(RULE, file.shift, file.offsets).mean() > PROMISE.rate
    print(f"{DRAWS} calibrations on {FOR_CALIBRATION} photos drawn: promise broken in {broken}")


def unseen_sources(scores: Scores, sources: np.ndarray) -> None:
    print(f"{'source left out':28} {'photos':>6} {'called fake':>11}")
    for source in np.unique(sources):
        left_out = sources == source
        file = calibrate_scores(scores.of(~left_out), RULE, PROMISE)
        alarms = scores.of(left_out).alarms(RULE, file.shift, file.offsets)
        print(f"{source:28} {left_out.sum():6} {alarms.mean():11.1%}")


def million() -> None:
    rng = np.random.default_rng(0)
    n, names = 1_000_000, ("pixel", "semantic")
    yes = np.ones((n, 2), bool)
    models = dict.fromkeys(names, "m@1")
    drawn = Scores(
        names, models, rng.random((n, 2)), yes, yes, ~yes, np.array([0.5, 0.6]), rng.random(n) < 0.2
    )
    began = time.perf_counter()
    calibrate_scores(drawn, RULE, Promise(0.01, 0.95))
    print(f"1,000,000 images, two branches, fakes among them: {time.perf_counter() - began:.1f} s")


if __name__ == "__main__":
    main()
