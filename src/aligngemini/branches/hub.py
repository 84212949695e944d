"""Any image classifier of the Hugging Face Hub as a branch: a baseline beside the experts."""

import hashlib
import time
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from aligngemini.branches.fake_label import LabelError, fake_indices
from aligngemini.evidence import Evidence, Problem, label_for
from aligngemini.images.item import Image
from aligngemini.runtimes.folder import ModelError

THRESHOLD = 0.5  # where the likelier class wins; nobody measured what it means


class Classifier(Protocol):
    """What the branch needs of an engine; see `TorchClassifier`."""

    labels: list[str]
    fingerprint: str

    def probabilities(self, images: Sequence[npt.NDArray[np.uint8]]) -> npt.NDArray[np.float64]:
        """(N, labels) in [0, 1]."""
        ...


class HubBranch:
    """A classifier, and which of its labels mean fake."""

    def __init__(
        self,
        classifier: Classifier,
        *,
        model: str,
        fake_labels: Sequence[str] = (),
        name: str = "pixel",
    ) -> None:
        """Join a loaded classifier and the meaning of its labels.

        Args:
            classifier: The engine.
            model: What records call it.
            fake_labels: Labels whose probabilities add up to P(fake); empty to tell them by their
                words.
            name: Of the branch in records.

        Raises:
            ModelError: It cannot be told which labels mean fake.
        """
        try:
            self.fakes = fake_indices(classifier.labels, fake_labels)
        except LabelError as error:
            raise ModelError(
                f"{model}: {error}; name it, as in --pixel 'hf:{model}#LABEL'"
            ) from error
        self.name = name
        self.classifier = classifier
        # The same weights read by other labels give other numbers.
        read = f"{classifier.fingerprint} {self.fakes}"
        self.fingerprint = hashlib.sha256(read.encode()).hexdigest()[:12]
        self.model = f"{model}@{self.fingerprint}"

    def judge(self, images: Sequence[Image], *, heatmaps: bool = False) -> list[Evidence]:
        """Evidence for each image, in order; a classifier draws no heatmaps."""
        start = time.perf_counter()
        probabilities = self.classifier.probabilities([image.pixels for image in images])
        scores = probabilities[:, list(self.fakes)].sum(1).clip(max=1)
        ms = (time.perf_counter() - start) * 1000 / max(1, len(images))
        return [
            self._evidence(image, float(score), ms)
            for image, score in zip(images, scores, strict=True)
        ]

    def _evidence(self, image: Image, score: float, ms: float) -> Evidence:
        if not np.isfinite(score):
            problem = Problem("internal", f"the classifier's answer is no number: {score}")
            return Evidence(model=self.model, error=problem)
        remark = image.scope.remark
        return Evidence(
            verdict=label_for(score, THRESHOLD, THRESHOLD) if remark is None else "undecided",
            remark=remark,
            score=score,
            threshold=THRESHOLD,
            threshold_real=THRESHOLD,
            model=self.model,
            ms=ms,
        )
