"""A model is a folder: weights, preprocessing, calibration, card, and hashes over them."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from aligngemini.images.filters import FILTERS
from aligngemini.settings import SettingsError, from_mapping

T = TypeVar("T")

PARTS = ("model.onnx", "preprocess.json", "calibration.json")
HASHES = "hashes.json"


class ModelError(Exception):
    """A model that cannot be used; the message says what is wrong and what to do."""


@dataclass(frozen=True)
class Preprocess:
    """How an image becomes the model's input: data, so that training and detection cannot drift.

    Attributes:
        kind: Which pair of views the model takes; `crops-and-whole` is the only one so far.
        crop_size: Side of a native crop, pixels.
        crops: How many of the most textured crops the score rests on.
        grid: Crops along each axis at the most, among which those are chosen.
        whole_size: Side of the whole view, pixels.
        whole_filter: Pillow's resampling filter for the whole view.
        decoder: Codec library the pixels have to come from.
    """

    kind: str
    crop_size: int
    crops: int
    grid: int
    whole_size: int
    whole_filter: str
    decoder: str = "pillow"

    def __post_init__(self) -> None:
        if self.kind != "crops-and-whole" or self.decoder != "pillow":
            raise SettingsError(f"views of kind {self.kind!r}, decoded by {self.decoder!r}")
        if self.whole_filter not in FILTERS:
            raise SettingsError(f"whole_filter {self.whole_filter!r}; known: {', '.join(FILTERS)}")
        if min(self.crop_size, self.crops, self.grid, self.whole_size) < 1:
            raise SettingsError("crop_size, crops, grid and whole_size must be 1 at least")


@dataclass(frozen=True)
class Calibration:
    """How a logit becomes a score and a score a label.

    Attributes:
        scale: Multiplies the logit before the sigmoid; above 0.
        bias: Added after it.
        threshold: Scores from here up are `fake`.
        threshold_real: Scores below are `real`; between the two, `undecided`.
        false_alarm_rate: Share of held-out photos at or above `threshold`.
        miss_rate: Share of held-out AI images below `threshold_real`.
        fitted_on: In words, the images these numbers come from.
    """

    scale: float
    bias: float
    threshold: float
    threshold_real: float
    false_alarm_rate: float
    miss_rate: float
    fitted_on: str

    def __post_init__(self) -> None:
        if not self.scale > 0:
            raise SettingsError(f"scale {self.scale}: photos would score above AI images")
        if not 0 <= self.threshold_real <= self.threshold <= 1:
            raise SettingsError(
                f"thresholds {self.threshold_real} and {self.threshold}: the first must not be "
                "above the second, and both must lie in [0, 1]"
            )


@dataclass(frozen=True)
class ModelFolder:
    """A checked model folder."""

    path: Path
    name: str
    fingerprint: str
    preprocess: Preprocess
    calibration: Calibration

    @property
    def weights(self) -> Path:
        """The ONNX file."""
        return self.path / "model.onnx"


def shipped_models() -> dict[str, Path]:
    """Folders of the models inside the package, by the name users give."""
    # Not importlib.resources, which takes longer to import than the weights to read.
    return {"compact": Path(__file__).parents[1] / "assets" / "compact-v1"}


def open_folder(model: str | Path) -> ModelFolder:
    """Find a model by name or path and check it against its hashes.

    Args:
        model: The name of a model that ships, or the path of a model folder.

    Raises:
        ModelError: The folder or one of its parts is missing, a hash does not match, or a setting
            is not one this version knows.
    """
    path = shipped_models().get(str(model), Path(model))
    if not path.is_dir():
        names = ", ".join(shipped_models())
        raise ModelError(f"no model named or at {model}; give one of: {names}, or a model folder")
    hashes = _read_json(path / HASHES)
    for part in PARTS:
        if hashes.get(part) != sha256_file(path / part):
            raise ModelError(
                f"{path / part} does not match {HASHES}: the folder is damaged or edited"
            )
    return ModelFolder(
        path=path,
        name=path.name,
        fingerprint=fingerprint(hashes),
        preprocess=_parse(Preprocess, path / "preprocess.json"),
        calibration=_parse(Calibration, path / "calibration.json"),
    )


def seal_folder(path: Path) -> str:
    """Write the hashes of a finished model folder; returns its fingerprint."""
    hashes = {part: sha256_file(path / part) for part in PARTS}
    (path / HASHES).write_text(json.dumps(hashes, indent=2) + "\n")
    return fingerprint(hashes)


def fingerprint(hashes: dict[str, str]) -> str:
    """Twelve hex digits that change whenever weights, preprocessing or thresholds do."""
    joined = "".join(hashes[part] for part in PARTS)
    return hashlib.sha256(joined.encode()).hexdigest()[:12]


def sha256_file(path: Path) -> str:
    """Hex digest of a file.

    Raises:
        ModelError: The file is not there or cannot be read.
    """
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}") from error


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise ModelError(f"{path} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ModelError(f"{path} must hold a JSON object")
    return value


def _parse(kind: type[T], path: Path) -> T:
    try:
        return from_mapping(kind, _read_json(path))
    except SettingsError as error:
        raise ModelError(f"{path} does not fit this version: {error}") from error
