"""The command line, with a branch of a few lines where the pixel expert would be.

Run as a script it is `aligngemini`. The colour of a first pixel makes the branch misbehave.
"""

import os
import signal
import sys
import threading
from pathlib import Path

import numpy as np

from aligngemini.branches.provenance import ProvenanceBranch
from aligngemini.detector import SEMANTIC_SKIPPED, Detector
from aligngemini.evidence import Evidence, label_for
from aligngemini.runner import DetectorOptions

DIES, RAISES, HANGS = (255, 0, 0), (0, 255, 0), (0, 0, 255)
THRESHOLD, THRESHOLD_REAL = 0.7, 0.3


class Brightness:
    """The brighter, the more fake."""

    name = "pixel"
    fingerprint = "f00d"

    def judge(self, images, *, heatmaps=False):
        return [self._judge(image, heatmaps) for image in images]

    def _judge(self, image, heatmaps):
        first = tuple(image.pixels[0, 0].tolist())
        if first == DIES:
            os.kill(os.getpid(), signal.SIGKILL)
        if first == RAISES:
            raise RuntimeError("green is too much for me")
        if first == HANGS:
            threading.Event().wait()
        score = float(image.pixels.mean()) / 255
        return Evidence(
            verdict=label_for(score, THRESHOLD, THRESHOLD_REAL),
            score=score,
            threshold=THRESHOLD,
            threshold_real=THRESHOLD_REAL,
            model="brightness@f00d",
            ms=1.0,
            heatmap=image.pixels[::16, ::16, 0].astype(np.float32) / 255 if heatmaps else None,
        )


def load(options: DetectorOptions, threads: int) -> Detector:
    branches = [Brightness(), ProvenanceBranch(trust=options.trust)]
    return Detector(branches, fusion=options.fusion, skipped={"semantic": SEMANTIC_SKIPPED})


def make_model_folder(path: Path) -> Path:
    """A folder that passes for a model as far as the command line looks into it."""
    from aligngemini.runtimes import folder

    path.mkdir()
    (path / "model.onnx").write_bytes(b"never read")
    (path / "preprocess.json").write_text(
        '{"kind": "crops-and-whole", "crop_size": 32, "crops": 1, "grid": 1, "whole_size": 32, '
        '"whole_filter": "bilinear"}'
    )
    (path / "calibration.json").write_text(
        '{"scale": 1.0, "bias": 0.0, "threshold": 0.7, "threshold_real": 0.3, '
        '"false_alarm_rate": 0.01, "miss_rate": 0.2, "fitted_on": "nothing"}'
    )
    folder.seal_folder(path)
    return path


if __name__ == "__main__":
    from aligngemini.cli import main

    DetectorOptions.load = load
    sys.exit(main())
