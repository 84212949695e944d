"""The folder of a semantic model: an adapter, the wording it was trained on, and its calibration.

A base model alone, in a folder or out of the Hub's cache, is opened as one that has no adapter.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from aligngemini.models.qwen_facts import MAX_PIXELS, MIN_PIXELS, MODELS
from aligngemini.prompts import Prompt
from aligngemini.runtimes.folder import (
    CALIBRATION,
    CONFIG,
    HASHES,
    Calibration,
    ModelError,
    parse_settings,
    read_json,
    sha256_file,
)
from aligngemini.settings import SettingsError, from_mapping

SEMANTIC = "semantic.json"
ADAPTER = ("adapter_config.json", "adapter_model.safetensors")

UNMEASURED = Calibration(
    scale=1.0, bias=0.0, threshold=0.5, threshold_real=0.5, fitted_on="nothing: a base model"
)
"""How a model is read that nobody calibrated: the likelier verdict wins."""

_WEIGHTS = ".safetensors"
_READ_WITH = (".json", ".jinja", ".txt")  # configuration, tokenizer and chat template


@dataclass(frozen=True)
class SemanticSettings:
    """What `semantic.json` holds.

    Attributes:
        base: Base model: a short name, a repository of the Hub, or a folder; a relative folder is
            one beside `semantic.json`.
        base_revision: Commit, tag or branch of the repository.
        min_pixels: Smaller images are enlarged to this many pixels.
        max_pixels: Larger ones are shrunk to this many.
        prompt: The wording the adapter was trained on.
    """

    base: str
    base_revision: str = "main"
    min_pixels: int = MIN_PIXELS
    max_pixels: int = MAX_PIXELS
    prompt: Prompt = field(default_factory=Prompt)

    def __post_init__(self) -> None:
        if not 0 < self.min_pixels <= self.max_pixels:
            raise SettingsError(
                f"min_pixels {self.min_pixels} and max_pixels {self.max_pixels}: the first must be "
                "above 0 and not above the second"
            )


@dataclass(frozen=True)
class SemanticFolder:
    """A semantic model whose files are there and match their hashes.

    Attributes:
        name: The folder's or repository's own.
        fingerprint: Twelve hex digits that change whenever a score could.
        base: Folder of the base model.
        adapter: Folder of the PEFT adapter, or None.
        settings: The wording, and how large an image is seen.
        calibration: How a difference of log-likelihoods becomes a label.
    """

    name: str
    fingerprint: str
    base: Path
    adapter: Path | None
    settings: SemanticSettings
    calibration: Calibration


def open_semantic_folder(spec: str | Path, *, max_pixels: int | None = None) -> SemanticFolder:
    """Find a semantic model and check it against its hashes. Never fetches anything.

    Args:
        spec: A folder that `aligngemini train semantic` wrote; or a base model alone: its folder,
            short name, or repository of the Hub.
        max_pixels: Instead of the model's own.

    Raises:
        ModelError: It is not there, damaged, or holds a setting that this version does not know.
    """
    path = Path(spec)
    if not (path / SEMANTIC).is_file():
        settings, calibration, adapter = SemanticSettings(base=str(spec)), UNMEASURED, None
        name, parts = MODELS.get(str(spec), path.resolve().name).split("/")[-1], {}
        base, identity = _find_base(settings, Path())
    else:
        parts = _checked_parts(path)
        settings, calibration = open_semantic_settings(path)
        adapter = path if ADAPTER[0] in parts else None
        name = path.resolve().name
        base, identity = _find_base(settings, path)
    if max_pixels is not None:
        try:
            settings = SemanticSettings(**{**vars(settings), "max_pixels": max_pixels})
        except SettingsError as error:
            raise ModelError(f"{spec}: {error}") from error
    # The wording of a base model alone is this version's own, and the limits may be the user's.
    read_as = json.dumps(asdict(settings) | {"base": "", "base_revision": ""}, sort_keys=True)
    return SemanticFolder(
        name=name,
        fingerprint=_digest([identity, read_as, *sorted(parts.values())])[:12],
        base=base,
        adapter=adapter,
        settings=settings,
        calibration=calibration,
    )


def open_semantic_settings(path: Path) -> tuple[SemanticSettings, Calibration]:
    """What a semantic model's folder says beside its weights, for a server that holds those.

    Args:
        path: A folder that `aligngemini train semantic` wrote, or a copy without its weights.

    Raises:
        ModelError: It is none, is damaged, or holds a setting that this version does not know.
    """
    if not (path / SEMANTIC).is_file():
        raise ModelError(
            f"{path} holds no {SEMANTIC}: give a folder that `aligngemini train semantic` wrote"
        )
    hashes = read_json(path / HASHES)
    for name in (SEMANTIC, CALIBRATION):
        _check(path, name, hashes, sha256_file(path / name))
    return (
        parse_settings(partial(from_mapping, SemanticSettings), path / SEMANTIC),
        parse_settings(partial(from_mapping, Calibration), path / CALIBRATION),
    )


def seal_semantic_folder(
    path: Path, settings: SemanticSettings, calibration: Calibration = UNMEASURED
) -> None:
    """Make a model of a folder: write its settings, and last the hashes of all its parts.

    Args:
        path: Holds what PEFT's `save_pretrained` wrote, or nothing for a base model with settings
            of its own. Of the adapter's tokenizer files none are read.
        settings: For `semantic.json`.
        calibration: For `calibration.json`.

    Raises:
        ModelError: One part of an adapter is there and the other is not.
    """
    for name, values in ((SEMANTIC, settings), (CALIBRATION, calibration)):
        (path / name).write_text(json.dumps(asdict(values), indent=2) + "\n", encoding="utf-8")
    hashes = {name: sha256_file(path / name) for name in _parts(path)}
    partial_file = path / f"{HASHES}.part"
    partial_file.write_text(json.dumps(hashes, indent=2) + "\n", encoding="utf-8")
    partial_file.replace(path / HASHES)


def _parts(path: Path) -> list[str]:
    there = [name for name in ADAPTER if (path / name).is_file()]
    if len(there) == 1:
        raise ModelError(f"{path} holds {there[0]} alone; an adapter is {' and '.join(ADAPTER)}")
    return [*there, SEMANTIC, CALIBRATION]


def _checked_parts(path: Path) -> dict[str, str]:
    """Hashes of a folder's parts by name, as they are and as they should be."""
    hashes = read_json(path / HASHES)
    parts = {name: sha256_file(path / name) for name in _parts(path)}
    for name in sorted(parts.keys() | (hashes.keys() & set(ADAPTER))):
        _check(path, name, hashes, parts.get(name))
    return parts


def _check(path: Path, name: str, hashes: dict[str, Any], found: str | None) -> None:
    if hashes.get(name) != found:
        raise ModelError(f"{path / name} does not match {HASHES}: the folder is damaged or edited")


def _find_base(settings: SemanticSettings, beside: Path) -> tuple[Path, str]:
    """The base model's folder, and what tells its weights from others.

    Args:
        settings: Name the base.
        beside: What a relative folder is relative to.
    """
    folder = beside / settings.base
    if folder.is_dir():
        return folder, _identity(folder)
    repository = MODELS.get(settings.base, settings.base)
    if repository.count("/") != 1 or repository.startswith((".", "/", "~")):
        names = ", ".join(MODELS)
        raise ModelError(
            f"no semantic model named or at {folder}; give a folder, one of {names}, or a "
            "repository of the Hub as OWNER/NAME"
        )
    config = _cached(repository, settings.base_revision)
    if config is None:
        raise ModelError(
            f"{repository} is not on this machine: fetch it with {_fetch(settings.base)}, or "
            "copy its files into a folder and give that"
        )
    return config.parent, f"{repository}@{config.parent.name}"


def _fetch(base: str) -> str:
    return f"`aligngemini models pull {base}`" if base in MODELS else f"`hf download {base}`"


def _cached(repository: str, revision: str) -> Path | None:
    """The configuration file of a repository in the Hub's cache, in the folder of its commit."""
    if find_spec("huggingface_hub") is None:
        raise ModelError('huggingface_hub is not installed: pip install "aligngemini[vlm]"')
    from huggingface_hub import try_to_load_from_cache  # noqa: PLC0415 - only for its cache
    from huggingface_hub.errors import HFValidationError  # noqa: PLC0415

    try:
        found = try_to_load_from_cache(repository, CONFIG, revision=revision)
    except HFValidationError as error:
        raise ModelError(f"{repository!r} is no repository of the Hub: {error}") from error
    return Path(found) if isinstance(found, str) else None


def _identity(folder: Path) -> str:
    """Digest of all that a base model is loaded from.

    Raises:
        ModelError: The folder holds no model.
    """
    files = sorted(file for file in folder.iterdir() if file.suffix in (_WEIGHTS, *_READ_WITH))
    kind = read_json(folder / CONFIG).get("model_type")
    if kind != "qwen2_5_vl":
        raise ModelError(f"{folder} holds a model of type {kind!r}; the branch reads qwen2_5_vl")
    if not any(file.suffix == _WEIGHTS for file in files):
        raise ModelError(f"{folder} holds no weights in safetensors files")
    # Beside a base that carries its own settings lie files which are hashed as parts already.
    own = (SEMANTIC, CALIBRATION, HASHES, *ADAPTER)
    return _digest(f"{file.name} {sha256_file(file)}" for file in files if file.name not in own)


def _digest(texts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()
