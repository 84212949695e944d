"""The semantic branch: is what the picture shows possible?

A vision-language model is asked, and its verdict is the likelier of two sentences, never free text:
what it would go on to say plays no part in the score.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import replace

from aligngemini.branches.semantic.backend import Answer, AnswerError, Backend
from aligngemini.branches.semantic.explanation import explanation
from aligngemini.evidence import Evidence, Problem, calibrated, label_for
from aligngemini.images.item import Image
from aligngemini.models.qwen_facts import MAX_ASPECT, PATCH

LABEL_ONLY = "the server gives no probabilities: label only"


class SemanticBranch:
    """A vision-language model, in this process or behind a URL.

    Attributes:
        name: `semantic`.
        fingerprint: The backend's.
    """

    name = "semantic"

    def __init__(self, backend: Backend, *, explain: bool = False) -> None:
        """Ask a model that is loaded.

        Args:
            backend: The model.
            explain: Whether to have reasons written for `fake` and `real`; costs many times the
                verdict.
        """
        self.backend = backend
        self.explain = explain
        self.fingerprint = backend.fingerprint
        self.model = f"{backend.name}@{backend.fingerprint}"

    def judge(self, images: Sequence[Image], *, heatmaps: bool = False) -> list[Evidence]:
        """Evidence for each image, in order; see `Branch.judge`. There are no heatmaps."""
        start = time.perf_counter()
        refused = [_refusal(image) for image in images]
        fit = [image for image, why in zip(images, refused, strict=True) if why is None]
        answers = iter(self.backend.answer([image.pixels for image in fit]) if fit else [])
        ms = (time.perf_counter() - start) * 1000 / max(1, len(fit))
        return [
            self._evidence(image, next(answers) if why is None else why, ms)
            for image, why in zip(images, refused, strict=True)
        ]

    def _evidence(self, image: Image, answer: Answer | Problem, ms: float) -> Evidence:
        if isinstance(answer, Problem):
            return Evidence(model=self.model, error=answer)
        start = time.perf_counter()
        evidence = _within_scope(self._read(answer), image)
        if self.explain and evidence.verdict in ("fake", "real"):
            evidence = self._explained(image, evidence, evidence.verdict)
        return replace(evidence, ms=ms + (time.perf_counter() - start) * 1000)

    def _read(self, answer: Answer) -> Evidence:
        """Score and verdict of an answer."""
        if answer.log_odds is None:
            return Evidence(verdict=answer.label, remark=LABEL_ONLY, model=self.model)
        if not math.isfinite(answer.log_odds):
            # NaN compares false with every threshold: it would pass for `undecided`.
            problem = Problem("internal", f"the model's answer is no number: {answer.log_odds}")
            return Evidence(model=self.model, error=problem)
        calibration = self.backend.calibration
        score = float(calibrated(answer.log_odds, calibration.scale, calibration.bias))
        return Evidence(
            verdict=label_for(score, calibration.threshold, calibration.threshold_real),
            score=score,
            threshold=calibration.threshold,
            threshold_real=calibration.threshold_real,
            false_alarm_rate=calibration.false_alarm_rate,
            model=self.model,
        )

    def _explained(self, image: Image, evidence: Evidence, label: str) -> Evidence:
        """The evidence with reasons for its label, or with the problem there was."""
        try:
            text = self.backend.explain(image.pixels, label)
        except AnswerError as error:
            return replace(evidence, error=error.problem)
        contrary = self.backend.prompt.verdict("real" if label == "fake" else "fake")
        return replace(evidence, explanation=explanation(text, contrary))


def _within_scope(evidence: Evidence, image: Image) -> Evidence:
    """The evidence, `undecided` where the picture is of no kind the model was measured on.

    What a drawing shows need not be possible, and nobody measured how often that is called fake.
    """
    if image.scope.remark is None or evidence.verdict is None:
        return evidence
    return replace(evidence, verdict="undecided", remark=image.scope.remark)


def _refusal(image: Image) -> Problem | None:
    """Why the model cannot be shown this image."""
    width, height = image.width, image.height
    if min(width, height) < PATCH:
        return Problem(
            "too-small",
            f"the picture has {width} x {height} pixels; its content needs {PATCH} a side",
        )
    if max(width, height) > MAX_ASPECT * min(width, height):
        return Problem(
            "too-small", f"one side is more than {MAX_ASPECT} times the other: too narrow to read"
        )
    return None
