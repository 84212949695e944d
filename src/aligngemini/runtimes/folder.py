"""A model is a folder: weights, preprocessing, calibration, card, and hashes over them."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from aligngemini.runtimes.preprocess import Preprocess, preprocess_from, preprocess_to
from aligngemini.runtimes.published import PUBLISHED
from aligngemini.runtimes.store import installed_models
from aligngemini.settings import SettingsError, from_mapping

T = TypeVar("T")

ONNX, SAFETENSORS, CONFIG = "model.onnx", "model.safetensors", "config.json"
PREPROCESS, CALIBRATION, SOURCE = "preprocess.json", "calibration.json", "source.json"
HASHES, CARD, DIAGNOSTICS = "hashes.json", "card.md", "diagnostics.json"
PORTABLE = (ONNX, SAFETENSORS, CONFIG, PREPROCESS, CALIBRATION, SOURCE, CARD, DIAGNOSTICS, HASHES)
"""All files a folder may hold that go where it goes."""
SHIPPED = {"compact": "compact-v1", "gamma-compact": "gamma-compact-v1"}
"""Folders in the package's assets, by the name users give."""
LARGE = 200_000_000  # bytes of weights
SETTINGS = (PREPROCESS, CALIBRATION)
EXPORTED_FROM = "exported_from"
"""In the hashes of an export: those of the weights it gives the same numbers as."""


class ModelError(Exception):
    """A model that cannot be used; the message says what is wrong and what to do."""


@dataclass(frozen=True)
class Calibration:
    """How a logit becomes a score and a score a label.

    Attributes:
        scale: Multiplies the logit before the sigmoid; above 0.
        bias: Added after it.
        threshold: Scores from here up are `fake`.
        threshold_real: Scores below are `real`; between the two, `undecided`.
        fitted_on: In words, the images these numbers come from.
        false_alarm_rate: Share of held-out photos at or above `threshold`; None where nobody
            measured it.
        miss_rate: Share of held-out AI images below `threshold_real`; None likewise.
    """

    scale: float
    bias: float
    threshold: float
    threshold_real: float
    fitted_on: str
    false_alarm_rate: float | None = None
    miss_rate: float | None = None

    def __post_init__(self) -> None:
        if not self.scale > 0:
            raise SettingsError(f"scale {self.scale}: photos would score above AI images")
        if not 0 <= self.threshold_real <= self.threshold <= 1:
            raise SettingsError(
                f"thresholds {self.threshold_real} and {self.threshold}: the first must not be "
                "above the second, and both must lie in [0, 1]"
            )


@dataclass(frozen=True)
class Source:
    """Where weights that this machine did not train came from.

    Attributes:
        file: Name of the file they were converted from; None for a folder taken as it was.
        sha256: Of that file.
        repo: Repository of the Hub it was downloaded from; None for a file that was there.
        revision: Its commit.
    """

    file: str | None = None
    sha256: str | None = None
    repo: str | None = None
    revision: str | None = None


@dataclass(frozen=True)
class ModelFolder:
    """A checked model folder.

    Attributes:
        path: Where it lies.
        name: The folder's own.
        fingerprint: See `fingerprint`.
        preprocess: How an image becomes the model's input.
        calibration: How a logit becomes a label.
        onnx: The exported graph, or None.
        safetensors: The weights for PyTorch, or None; at least one of the two is there.
        source: Where the weights came from, or None for those trained here.
    """

    path: Path
    name: str
    fingerprint: str
    preprocess: Preprocess
    calibration: Calibration
    onnx: Path | None
    safetensors: Path | None
    source: Source | None = None


def shipped_models() -> dict[str, Path]:
    """Folders of the models inside the package, by the name users give."""
    # Not importlib.resources, which takes longer to import than the weights to read.
    assets = Path(__file__).parents[1] / "assets"
    return {name: assets / folder for name, folder in SHIPPED.items() if (assets / folder).is_dir()}


def find_folder(model: str | Path) -> Path:
    """Where a model lies, there or not: one that ships, one that is installed, a path."""
    name = str(model)
    return shipped_models().get(name) or installed_models().get(name) or Path(model)


def open_folder(model: str | Path) -> ModelFolder:
    """Find a model by name or path and check it against its hashes.

    Args:
        model: The name of a model that ships or is installed, or the path of a model folder.

    Raises:
        ModelError: The folder or one of its parts is missing, a hash does not match, or a setting
            is not one this version knows.
    """
    path = find_folder(model)
    if not path.is_dir():
        if str(model) in PUBLISHED:
            raise ModelError(
                f"{model} is not installed; download it with: aligngemini models pull {model}"
            )
        names = ", ".join({**shipped_models(), **installed_models()})
        raise ModelError(f"no model named or at {model}; give one of: {names}, or a model folder")
    hashes = read_json(path / HASHES)
    parts = _parts(path)
    for part in [*parts, *([SOURCE] if SOURCE in hashes else [])]:
        if hashes.get(part) != sha256_file(path / part):
            raise ModelError(
                f"{path / part} does not match {HASHES}: the folder is damaged or edited"
            )
    return ModelFolder(
        path=path,
        name=path.name,
        fingerprint=fingerprint(hashes),
        preprocess=parse_settings(preprocess_from, path / PREPROCESS),
        calibration=parse_settings(partial(from_mapping, Calibration), path / CALIBRATION),
        onnx=path / ONNX if ONNX in parts else None,
        safetensors=path / SAFETENSORS if SAFETENSORS in parts else None,
        source=parse_settings(partial(from_mapping, Source), path / SOURCE)
        if SOURCE in hashes
        else None,
    )


def is_large(model: str | Path) -> bool:
    """Whether several copies in memory are too many: all but folders of small weights."""
    path = find_folder(model)
    return not path.is_dir() or sum(f.stat().st_size for f in path.glob("model.*")) > LARGE


def write_settings(path: Path, preprocess: Preprocess, calibration: Calibration) -> None:
    """Write the settings of a model folder."""
    for name, values in (
        (PREPROCESS, preprocess_to(preprocess)),
        (CALIBRATION, asdict(calibration)),
    ):
        (path / name).write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def write_source(path: Path, source: Source) -> None:
    """Note where the weights came from, before the folder is sealed."""
    (path / SOURCE).write_text(json.dumps(asdict(source), indent=2) + "\n", encoding="utf-8")


def seal_folder(path: Path, *, exported_from: str | None = None) -> str:
    """Write the hashes of a finished model folder; returns its fingerprint.

    Args:
        path: The folder, its other parts complete.
        exported_from: SHA-256 of the weights whose numbers its ONNX file gives, where those stay
            behind: the fingerprint goes along.

    Raises:
        ModelError: A part is missing.
    """
    source = [SOURCE] if (path / SOURCE).is_file() else []
    hashes = {part: sha256_file(path / part) for part in [*_parts(path), *source]}
    if exported_from is not None:
        hashes[EXPORTED_FROM] = exported_from
    _write_hashes(path, hashes)
    return fingerprint(hashes)


def add_export(path: Path, onnx: Path) -> str:
    """Move an ONNX file that gives the numbers of a sealed folder's weights into that folder.

    Args:
        path: The folder, checked before.
        onnx: The file, on the same disk. It is hashed where it is, so that the folder does not
            match its hashes for no longer than two renames take.

    Returns:
        The folder's fingerprint, which stays.
    """
    hashes = {**read_json(path / HASHES), ONNX: sha256_file(onnx)}
    onnx.replace(path / ONNX)
    _write_hashes(path, hashes)
    return fingerprint(hashes)


def fingerprint(hashes: dict[str, str]) -> str:
    """Twelve hex digits that change whenever weights, preprocessing or thresholds do.

    An export has the fingerprint of the weights it came from: the numbers are the same.
    """
    weights = next(
        hashes[name] for name in (EXPORTED_FROM, SAFETENSORS, ONNX) if hashes.get(name) is not None
    )
    joined = weights + "".join(hashes[name] for name in SETTINGS)
    return hashlib.sha256(joined.encode()).hexdigest()[:12]


def sha256_file(path: Path) -> str:
    """Hex digest of a file.

    Raises:
        ModelError: The file is not there or cannot be read.
    """
    hasher = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                hasher.update(block)
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}") from error
    return hasher.hexdigest()


def _write_hashes(path: Path, hashes: dict[str, str]) -> None:
    unfinished = path / f"{HASHES}.partial"
    unfinished.write_text(json.dumps(hashes, indent=2) + "\n", encoding="utf-8")
    unfinished.replace(path / HASHES)


def _parts(path: Path) -> list[str]:
    """What a folder must hold for the weights it has.

    Raises:
        ModelError: It has no weights.
    """
    weights = [name for name in (ONNX, SAFETENSORS) if (path / name).is_file()]
    if not weights:
        raise ModelError(f"cannot read {path / ONNX} or {SAFETENSORS}: {path} holds no weights")
    config = [CONFIG] if SAFETENSORS in weights else []
    return [*weights, *config, *SETTINGS]


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        ModelError: It cannot be read, or holds something else.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise ModelError(f"{path} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ModelError(f"{path} must hold a JSON object")
    return value


def parse_settings(reader: Callable[[dict[str, Any]], T], path: Path) -> T:
    """The settings in a JSON file.

    Args:
        reader: Makes them of the object in it.
        path: The file.

    Raises:
        ModelError: It cannot be read, or does not fit.
    """
    try:
        return reader(read_json(path))
    except SettingsError as error:
        raise ModelError(f"{path} does not fit this version: {error}") from error
