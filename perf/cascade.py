"""Share of the vision-language model's calls that a cascade saves, by the share of fakes.

    python perf/cascade.py [--images 4000] [--false-alarms 0.01] [--recalls 0.4,0.8,0.95]

A simulation: branches with these operating points draw their scores, the detector's own cascade
decides what runs. No model is needed, and no time is measured. All branches have the same false
alarms and the same recall, independent of each other.
"""

import argparse
from statistics import NormalDist

import numpy as np

from aligngemini import Detector, Evidence
from aligngemini.evidence import label_for
from aligngemini.images.item import Image

SHARES = (0.0, 0.01, 0.1, 0.25, 0.5, 0.75, 1.0)
RULES = {
    "or": ("pixel", "semantic"),
    "vote": ("pixel", "pixel-2", "semantic"),
}


class Simulated:
    """Scores of two normal distributions of log-odds, one unit wide each."""

    fingerprint = "simulated"

    def __init__(self, name, fakes, false_alarms, recall, seed):
        normal = NormalDist()
        # The threshold is log-odds 0: so many photos and so many fakes lie above it.
        means = np.where(fakes, normal.inv_cdf(recall), normal.inv_cdf(false_alarms))
        odds = np.random.default_rng(seed).normal(means)
        self.name = name
        self.scores = 1 / (1 + np.exp(-odds))
        self.calls = 0

    def judge(self, images, *, heatmaps=False):
        self.calls += len(images)
        return [self._evidence(float(self.scores[int(image.path)])) for image in images]

    def _evidence(self, score):
        return Evidence(label_for(score, 0.5, 0.5), score, threshold=0.5, threshold_real=0.5)


def saved(rule, share, count, false_alarms, recall):
    """Share of semantic calls that are not made."""
    fakes = np.arange(count) < round(share * count)
    branches = [
        Simulated(name, fakes, false_alarms, recall, seed) for seed, name in enumerate(RULES[rule])
    ]
    pixels = np.zeros((32, 32, 3), np.uint8)
    images = [Image(pixels, path=str(k)) for k in range(count)]
    Detector(branches, fusion=rule, cascade=True).judge_batch(images)
    return 1 - branches[-1].calls / count


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--false-alarms", type=float, default=0.01)
    parser.add_argument("--recalls", default="0.4,0.8,0.95")
    given = parser.parse_args()
    print(f"{given.images} images, {given.false_alarms:.0%} false alarms a branch")
    print(f"{'rule':10}{'recall':>7}" + "".join(f"{share:>8.0%}" for share in SHARES) + "  fakes")
    for rule in RULES:
        for recall in map(float, given.recalls.split(",")):
            row = [saved(rule, share, given.images, given.false_alarms, recall) for share in SHARES]
            print(f"{rule:10}{recall:7.2f}" + "".join(f"{part:8.1%}" for part in row))


if __name__ == "__main__":
    main()
