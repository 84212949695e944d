"""Which rule finds most at equal false alarms of the fused verdict, on sources not fitted on.

    aligngemini detect ../shared/data/real ../shared/data/ai --gamma gamma-compact \\
        --format jsonl --out both.jsonl
    python perf/fusion.py both.jsonl ../shared/data/manifest.csv

Five folds, each with a source of photos and generators of its own. What a rule needs (a scaling of
scores, weights) is fitted on the other four. Then, within the fold, its threshold is set so that
1 % or 5 % of the photos lie above it, and the share of fakes that do is counted; the difference to
`or` has a 95 % interval from 1,000 resamplings of photos and fakes within folds. Last, the
threshold is what a guarantee on the other four folds' photos gives: what a user meets.
"""

import csv
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression

from aligngemini.evaluation.calibration_scores import log_odds_of
from aligngemini.evaluation.guarantee import guaranteed_threshold
from aligngemini.evaluation.labelled import read_records
from aligngemini.evaluation.probabilities import SCALINGS
from aligngemini.fusion.base import counted_score
from aligngemini.verdict import Verdict

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
BRANCHES = ("pixel", "gamma")
NOWHERE = -20.0  # log-odds of what is out of scope: no threshold finds it
PHOTOS = ("bsds500", "imagenet-sample", "kangaroo", "raccoon")
FAKES = ("gpt-image-2-freestylefly", "haywood-artificial", "sd-imaginairy", "gpt-4o-jamez")
RATES = (0.01, 0.05)
DRAWS = 1000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Data:
    """Log-odds over the branches' own thresholds (n, 2), labels and folds (n,)."""

    margins: Floats
    fake: Flags
    fold: npt.NDArray[np.int_]


def main() -> None:
    """Print both tables."""
    data = _read(Path(sys.argv[1]), Path(sys.argv[2]))
    for fold in range(len(PHOTOS) + 1):
        inside = data.fold == fold
        fakes = int((inside & data.fake).sum())
        print(f"fold {fold}: {int(inside.sum()) - fakes} photos, {fakes} fakes")
    found = {name: _held_out(rule, data) for name, rule in RULES.items()}
    for rate in RATES:
        print(f"\nat {rate:.0%} false alarms in each fold: fakes found, and against `or`")
        base = found["or, as is"][0]
        rng = np.random.default_rng(0)
        draws = [_draw(data, rng) for _ in range(DRAWS)]
        for name, (margins, _) in found.items():
            share = _recall(margins, data, rate)
            off = [
                _recall(margins[d], _of(data, d), rate) - _recall(base[d], _of(data, d), rate)
                for d in draws
            ]
            low, high = np.percentile(off, [2.5, 97.5])
            ours = share - _recall(base, data, rate)
            print(f"| {name} | {share:.1%} | {ours:+.1%} [{low:+.1%}, {high:+.1%}] |")
    for rate in RATES:
        print(f"\nthreshold guaranteed elsewhere ({rate:.0%}, {CONFIDENCE:.0%}): photos, fakes")
        for name, (margins, others) in found.items():
            reached = np.zeros(len(margins), bool)
            for fold, photos in others.items():
                limit = guaranteed_threshold(photos, rate, CONFIDENCE)
                inside = data.fold == fold
                reached[inside] = margins[inside] > limit
            alarms, hits = reached[~data.fake].mean(), reached[data.fake].mean()
            print(f"| {name} | {alarms:.1%} | {hits:.1%} |")


def _read(records: Path, manifest: Path) -> Data:
    with manifest.open(newline="", encoding="utf-8") as file:
        known = {row["sha256"]: row for row in csv.DictReader(file)}
    margins, fake, fold = [], [], []
    for verdict in read_records(records):
        row = known.get(verdict.sha256 or "")
        if row is None or verdict.verdict is None:
            continue
        source, is_fake = row["path"].split("/")[1], row["label"] == "ai"
        named = FAKES if is_fake else PHOTOS
        margins.append([_margin(verdict, name) for name in BRANCHES])
        fake.append(is_fake)
        fold.append(named.index(source) if source in named else len(named))
    return Data(np.array(margins), np.array(fake), np.array(fold))


def _margin(verdict: Verdict, name: str) -> float:
    evidence = verdict.branches[name]
    score = counted_score(evidence)
    if score is None:
        return NOWHERE
    odds, threshold = log_odds_of(np.array([score, evidence.threshold]))
    return float(odds - threshold)


Fitted = Callable[[Floats], Floats]
Rule = Callable[[Data], Fitted]


def _held_out(rule: Rule, data: Data) -> tuple[Floats, dict[int, Floats]]:
    """Joint margins of every image by the rule fitted without its fold; those of its photos."""
    margins, others = np.empty(len(data.fake)), {}
    for fold in np.unique(data.fold):
        inside = data.fold == fold
        fitted = rule(_of(data, ~inside))
        margins[inside] = fitted(data.margins[inside])
        others[int(fold)] = fitted(data.margins[~inside & ~data.fake])
    return margins, others


def _of(data: Data, chosen: npt.NDArray[np.generic]) -> Data:
    return Data(data.margins[chosen], data.fake[chosen], data.fold[chosen])


def _recall(margins: Floats, data: Data, rate: float) -> float:
    """Share of the fakes above the limit that so many photos of their fold lie above."""
    hits = 0
    for fold in np.unique(data.fold):
        inside = data.fold == fold
        photos = np.sort(margins[inside & ~data.fake])
        limit = photos[-1 - int(rate * len(photos))]
        hits += int((margins[inside & data.fake] > limit).sum())
    return hits / int(data.fake.sum())


def _draw(data: Data, rng: np.random.Generator) -> npt.NDArray[np.intp]:
    parts = []
    for fold in np.unique(data.fold):
        for label in (False, True):
            rows = np.flatnonzero((data.fold == fold) & (data.fake == label))
            parts.append(rng.choice(rows, len(rows)))
    return np.concatenate(parts)


def _plain(join: Fitted) -> Rule:
    return lambda data: join


def _scaled(scaling: str, join: Fitted) -> Rule:
    """The same on scores made probabilities: each branch by a curve fitted on labels."""

    def fit(data: Data) -> Fitted:
        counted = data.margins > NOWHERE
        curves = [
            SCALINGS[scaling](data.margins[counted[:, k], k], data.fake[counted[:, k]])
            for k in range(len(BRANCHES))
        ]
        return lambda margins: join(
            np.stack([curve.of_odds(margins[:, k]) for k, curve in enumerate(curves)], axis=1)
        )

    return fit


def _learned(data: Data) -> Fitted:
    counted = (data.margins > NOWHERE).all(1)
    model = LogisticRegression(class_weight="balanced", max_iter=1000)
    model.fit(data.margins[counted], data.fake[counted])
    weights = np.clip(model.coef_[0], 0, None)
    return lambda margins: np.asarray(margins @ weights)


def _highest(margins: Floats) -> Floats:
    return np.asarray(margins.max(1))


def _lowest(margins: Floats) -> Floats:
    return np.asarray(margins.min(1))


def _mean(margins: Floats) -> Floats:
    return np.asarray(margins.mean(1))


RULES: dict[str, Rule] = {
    "or, as is": _plain(_highest),
    "or, temperature": _scaled("temperature", _highest),
    "or, isotonic": _scaled("isotonic", _highest),
    "weighted, as is": _plain(_mean),
    "weighted, temperature": _scaled("temperature", _mean),
    "weighted, isotonic": _scaled("isotonic", _mean),
    "vote (both), as is": _plain(_lowest),
    "vote (both), temperature": _scaled("temperature", _lowest),
    "vote (both), isotonic": _scaled("isotonic", _lowest),
    "learned": _learned,
    "pixel alone": _plain(lambda margins: margins[:, 0]),
    "GAMMA alone": _plain(lambda margins: margins[:, 1]),
}

if __name__ == "__main__":
    main()
