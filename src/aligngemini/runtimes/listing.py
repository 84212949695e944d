"""What there is to say of models: the lists and facts that people read."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from aligngemini.runtimes.folder import (
    CARD,
    HASHES,
    ModelError,
    fingerprint,
    open_folder,
    read_json,
    shipped_models,
)
from aligngemini.runtimes.preprocess import preprocess_to
from aligngemini.runtimes.published import PUBLISHED
from aligngemini.runtimes.store import installed_models

State = Literal["ships", "installed", "damaged", "to pull"]


@dataclass(frozen=True)
class ListedModel:
    """One line of the list.

    Attributes:
        name: What `--pixel` or, of GAMMA models, `--gamma` takes.
        state: `damaged` models cannot be used; `to pull` ones are not on this machine.
        about: The card's title, or what is wrong.
        fingerprint: Not checked against the files; None where there is none.
        bytes: Of all its files; None for what is not here.
        path: The folder, or None.
    """

    name: str
    state: State
    about: str
    fingerprint: str | None = None
    bytes: int | None = None
    path: str | None = None


def list_models() -> list[ListedModel]:
    """Models that ship, that are installed, and that can be pulled by name."""
    installed = installed_models()
    return [
        *(_listed(name, path, "ships") for name, path in shipped_models().items()),
        *(_listed(name, path, "installed") for name, path in installed.items()),
        *(
            ListedModel(name, "to pull", published.about)
            for name, published in PUBLISHED.items()
            if name not in installed
        ),
    ]


def model_facts(model: str | Path) -> dict[str, Any]:
    """Everything a model's folder says, after its files were checked against their hashes.

    Raises:
        ModelError: It is not there, or cannot be used.
    """
    folder = open_folder(model)
    card = folder.path / CARD
    engines = {"onnxruntime": folder.onnx, "pytorch": folder.safetensors}
    return {
        "name": folder.name,
        "title": _title(folder.path),
        "fingerprint": folder.fingerprint,
        "path": str(folder.path),
        "bytes": _size(folder.path),
        "engines": [name for name, weights in engines.items() if weights is not None],
        "preprocess": preprocess_to(folder.preprocess),
        "calibration": asdict(folder.calibration),
        "source": asdict(folder.source) if folder.source else None,
        "card": str(card) if card.is_file() else None,
    }


def _listed(name: str, path: Path, state: State) -> ListedModel:
    try:
        mark = fingerprint(read_json(path / HASHES))
    except (ModelError, KeyError, StopIteration) as error:
        return ListedModel(name, "damaged", str(error) or f"{HASHES} is empty", path=str(path))
    return ListedModel(name, state, _title(path), mark, _size(path), str(path))


def _title(path: Path) -> str:
    """The card's first heading."""
    try:
        first = (path / CARD).read_text(encoding="utf-8").partition("\n")[0]
    except (OSError, UnicodeDecodeError):
        return ""
    return first.lstrip("# ").strip()


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
