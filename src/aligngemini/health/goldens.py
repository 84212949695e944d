"""What the models that ship answer to the drawn images, recorded when they were released."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from aligngemini.branches.base import Branch
from aligngemini.fusion.base import log_odds
from aligngemini.health.drawings import Pixels, drawings
from aligngemini.images.item import Image
from aligngemini.settings import from_mapping

RECORDED = Path(__file__).with_name("goldens.json")

TOLERANCE = {"cpu": 2e-3, "cuda": 2e-2}
"""Log-odds that an answer may be off, by device, in float32: engines add in orders of their own."""


@dataclass(frozen=True)
class Answer:
    """What a branch says of one image.

    Attributes:
        score: P(fake) in [0, 1].
        verdict: `fake`, `real` or `undecided`.
    """

    score: float
    verdict: str


@dataclass(frozen=True)
class Goldens:
    """The record.

    Attributes:
        drawings: SHA-256 of each drawn image, by its name.
        answers: By `name@fingerprint` of a model and by image.
    """

    drawings: dict[str, str]
    answers: dict[str, dict[str, Answer]]


def read_goldens(path: Path = RECORDED) -> Goldens:
    """Read a record that `write_goldens` wrote.

    Raises:
        SettingsError: (a ValueError) It does not fit this version.
    """
    return from_mapping(Goldens, json.loads(path.read_text(encoding="utf-8")))


def write_goldens(goldens: Goldens, path: Path = RECORDED) -> None:
    """Write a record."""
    path.write_text(json.dumps(asdict(goldens), indent=1) + "\n", encoding="utf-8")


def record(branches: Mapping[str, Branch]) -> Goldens:
    """Ask models, by `name@fingerprint`, about every drawn image."""
    drawn = drawings()
    return Goldens(
        drawings={name: digest(pixels) for name, pixels in drawn.items()},
        answers={
            model: {name: ask(branch, pixels) for name, pixels in drawn.items()}
            for model, branch in branches.items()
        },
    )


def ask(branch: Branch, pixels: Pixels) -> Answer:
    """One branch's answer to one image.

    Raises:
        ValueError: It gave none.
    """
    (evidence,) = branch.judge([Image(pixels)])
    if evidence.score is None or evidence.verdict is None:
        raise ValueError(evidence.error.message if evidence.error else "no score")
    return Answer(evidence.score, evidence.verdict)


def distance(one: float, other: float) -> float:
    """Between two scores, in log-odds."""
    return abs(log_odds(one) - log_odds(other))


def digest(pixels: Pixels) -> str:
    """SHA-256 of an image's shape and pixels."""
    return hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()
