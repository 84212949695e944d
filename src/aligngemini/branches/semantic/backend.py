"""What every way of running a vision-language model promises the semantic branch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from aligngemini.evidence import Label, Problem
from aligngemini.prompts import Prompt
from aligngemini.runtimes.folder import Calibration

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Answer:
    """What a model says of one image; one of the two is there.

    Attributes:
        log_odds: Log-likelihood of the verdict `fake` less that of the verdict `real`.
        label: The verdict in its words, of a server that gives no probabilities.
    """

    log_odds: float | None = None
    label: Label | None = None


class AnswerError(Exception):
    """A model gave no answer."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


class Backend(Protocol):
    """A model that can be asked, in this process or behind a URL.

    Attributes:
        name: Of the model.
        fingerprint: Changes whenever the answers could, as far as can be told.
        prompt: Its wording.
        calibration: How its log-odds become a score.
    """

    name: str
    fingerprint: str
    prompt: Prompt
    calibration: Calibration

    def answer(self, images: Sequence[Pixels]) -> list[Answer | Problem]:
        """An answer for each image, in order, or why there is none.

        Args:
            images: (H, W, 3) uint8 RGB of any size.
        """
        ...

    def explain(self, image: Pixels, label: str) -> str:
        """What the model says when its answer opens with the verdict `label`, without that.

        Raises:
            AnswerError: It says nothing.
        """
        ...
