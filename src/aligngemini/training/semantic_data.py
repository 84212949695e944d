"""Preference pairs as training reads them, out of what `build semantic-set` wrote or alike."""

import hashlib
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from datasets import (
    Dataset,
    DatasetDict,
    Features,
    Image,
    List,
    concatenate_datasets,
    load_from_disk,
)
from PIL import Image as PILImage

from aligngemini.datasets.leakage import leakage_warning
from aligngemini.images.decode import decode
from aligngemini.images.item import ImageError
from aligngemini.prompts import Prompt
from aligngemini.runtimes.folder import sha256_file
from aligngemini.settings import SettingsError, from_mapping

COLUMNS = ("images", "prompt", "chosen", "rejected")
ENCODED = List(Image(decode=False))
HELD_OUT = ("val", "validation")
OTHER = {"fake": "real", "real": "fake"}


class PreferenceError(ValueError):
    """Preference data that cannot be trained on; the message says what is wrong."""


@dataclass(frozen=True)
class Preferences:
    """Preference pairs, images as decoded Pillow images.

    Attributes:
        train: Columns `COLUMNS` and `label`.
        held_out: Likewise; may be empty.
        prompt: The wording of question and verdicts in them.
        sha256: Of the files they came from.
        name: Of their folder.
        split: In words, how the held-out pairs were chosen.
        leakage: What `leakage_warning` says of the set, or None.
    """

    train: Dataset
    held_out: Dataset
    prompt: Prompt
    sha256: str
    name: str
    split: str
    leakage: str | None = None

    def counts(self, held_out: bool = False) -> Counter[str]:
        """Pairs by the label of their image."""
        return Counter(labels_of(self.held_out if held_out else self.train))


def labels_of(pairs: Dataset) -> list[str]:
    """`fake` or `real` of each pair's image, without decoding the images."""
    return list(pairs.select_columns("label")[:]["label"])


def open_preferences(data: Path, cache: Path, *, held_out: float, seed: int) -> Preferences:
    """Open a preference set.

    Args:
        data: Folder that `aligngemini build semantic-set` wrote; or one of Parquet files, or of
            `datasets.save_to_disk`, with the same columns and `prompt.json` beside them.
        cache: Folder for a copy that can be read at random.
        held_out: Share of the pairs to hold out where no row's `split` is `val`.
        seed: Of that choice.

    Raises:
        PreferenceError: Nothing is there, a column is missing, answers do not begin with a verdict,
            or there are pairs of one label only.
    """
    folder = data / "preferences" if (data / "preferences").is_dir() else data
    files = sorted(file for file in folder.rglob("*") if file.suffix in (".parquet", ".arrow"))
    if not files:
        raise PreferenceError(
            f"{data} holds no preference pairs; `aligngemini build semantic-set --out {data}` "
            "makes them"
        )
    cache.mkdir(parents=True, exist_ok=True)
    prompt = _read_prompt(data)
    pairs = _read(folder, files, cache)
    if missing := [name for name in COLUMNS if name not in pairs.column_names]:
        raise PreferenceError(f"{folder}: the column {missing[0]} is missing")
    if len(pairs) == 0:
        raise PreferenceError(f"{folder}: there is no pair in it")
    pairs = _labelled(pairs, prompt, folder)
    train, held, split = _split(pairs, held_out, seed)
    preferences = Preferences(
        train=train.with_transform(_decode_batch),
        held_out=held.with_transform(_decode_batch),
        prompt=prompt,
        sha256=_digest(files),
        name=data.resolve().name,
        split=split,
        leakage=leakage_warning(data / "leakage.json"),
    )
    for label in OTHER:
        if preferences.counts()[label] == 0:
            raise PreferenceError(f"{folder}: there is no {label} image to train on")
        if len(held) and preferences.counts(held_out=True)[label] == 0:
            raise PreferenceError(f"{folder}: there is no {label} image among those held out")
    return preferences


def _read_prompt(data: Path) -> Prompt:
    path = data / "prompt.json"
    if not path.is_file():
        return Prompt()
    try:
        return from_mapping(Prompt, json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, SettingsError) as error:
        raise PreferenceError(f"{path}: {error}") from error


def _read(folder: Path, files: list[Path], cache: Path) -> Dataset:
    try:
        if files[0].suffix == ".arrow":
            found = load_from_disk(str(folder))
            parts = found.values() if isinstance(found, DatasetDict) else [found]
        else:
            parts = [_read_parquet(file, cache) for file in files if file.suffix == ".parquet"]
        return concatenate_datasets([_encoded(part) for part in parts])
    except (ValueError, TypeError, OSError, RuntimeError) as error:  # Arrow's and `datasets`' own
        raise PreferenceError(f"{folder} cannot be read: {error}") from error


def _read_parquet(file: Path, cache: Path) -> Dataset:
    features = Features.from_arrow_schema(pq.read_schema(file))
    if "images" in features:
        features["images"] = ENCODED
    return Dataset.from_parquet(str(file), features=features, cache_dir=str(cache))


def _encoded(pairs: Dataset) -> Dataset:
    """With images left as files, for the project's own decoder."""
    if pairs.features.get("images") in (None, ENCODED):
        return pairs
    return pairs.cast_column("images", ENCODED)


def _labelled(pairs: Dataset, prompt: Prompt, folder: Path) -> Dataset:
    """With `label` as the chosen answers have it, every row's wording checked."""
    labels = []
    texts = pairs.select_columns(list(COLUMNS[1:]))  # the images stay encoded
    for number, row in enumerate(texts):
        label = next(
            (la for la in OTHER if _text(row["chosen"]).startswith(prompt.verdict(la))), None
        )
        if (
            label is None
            or not _text(row["rejected"]).startswith(prompt.verdict(OTHER[label]))
            or _text(row["prompt"]) != prompt.question
        ):
            raise PreferenceError(
                f"{folder}, pair {number + 1}: question or verdicts are not those of prompt.json; "
                f"one answer must begin with {prompt.fake!r}, the other with {prompt.real!r}"
            )
        labels.append(label)
    if "label" in pairs.column_names:
        pairs = pairs.remove_columns("label")
    return pairs.add_column("label", labels)


def _text(messages: list[dict[str, Any]]) -> str:
    """What a message list of one says."""
    content = messages[0]["content"]
    if isinstance(content, str):
        return content
    return "".join(part.get("text") or "" for part in content)


def _split(pairs: Dataset, share: float, seed: int) -> tuple[Dataset, Dataset, str]:
    if "split" in pairs.column_names:
        held = [split in HELD_OUT for split in pairs["split"]]
        if any(held):
            chosen = [k for k, out in enumerate(held) if out]
            rest = [k for k, out in enumerate(held) if not out]
            return pairs.select(rest), pairs.select(chosen), "the set's split val"
    rng = np.random.default_rng(seed)
    labels = np.asarray(labels_of(pairs))
    order = [rng.permutation(np.flatnonzero(labels == label)) for label in OTHER]
    chosen = [int(k) for part in order for k in part[: round(share * len(part))]]
    rest = sorted(set(range(len(pairs))) - set(chosen))
    split = f"{share:.0%} of either label, drawn by the seed" if chosen else "none"
    return pairs.select(rest), pairs.select(chosen), split


def _decode_batch(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
    if "images" in batch:
        batch["images"] = [[_open(image) for image in images] for images in batch["images"]]
    return batch


def _open(image: dict[str, Any]) -> PILImage.Image:
    data, name = image["bytes"], image["path"] or "an image"
    try:
        data = data if data is not None else Path(name).read_bytes()
        return PILImage.fromarray(decode(data, path=name).pixels)
    except (ImageError, OSError) as error:
        raise PreferenceError(
            f"{name} of the preference pairs cannot be decoded: {error}; take it out of the set"
        ) from error


def _digest(files: list[Path]) -> str:
    return hashlib.sha256("".join(sha256_file(file) for file in files).encode()).hexdigest()
