"""Preference pairs for DPO, as TRL reads them: the right verdict chosen, the wrong one rejected.

Columns `images` (a list of one), `prompt`, `chosen` and `rejected` (lists of messages), and `path`,
`label`, `split` of the image, which trainers pass over. An answer's first sentence is the verdict;
behind it stand reasons that a model wrote for that verdict, or nothing (AlignGemini, section 3).
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from aligngemini.datasets.journal import Journal, read_journals
from aligngemini.datasets.manifest import Row
from aligngemini.datasets.photos import map_ahead
from aligngemini.datasets.pixel_set_files import write_whole
from aligngemini.datasets.semantic_set import Progress, no_progress
from aligngemini.images.decode import decode, read_bytes
from aligngemini.images.degrade import Pixels
from aligngemini.prompts import Prompt

OTHER = {"fake": "real", "real": "fake"}
FILES = {"train": "train.parquet", "val": "validation.parquet"}
"""By split; the names that `datasets.load_dataset` knows."""

Rationales = Mapping[tuple[str, str], str]
"""Reasons by path of the image and the label they argue for."""

PATIENCE = 8  # failures in a row before a writer is given up
ROWS_AT_ONCE = 64
SENTENCE_END = re.compile(r"[.!?][\"')\]*]*(?=\s|$)")


class Writer(Protocol):
    """Something that argues for a verdict; every backend of the semantic branch does."""

    def explain(self, image: Pixels, label: str) -> str:
        """The reasons that follow when an answer opens with the verdict `label`.

        Args:
            image: (H, W, 3) uint8 RGB.
            label: `fake` or `real`, true of the image or not.
        """
        ...


class WriterError(Exception):
    """A writer that cannot go on; the message says why."""


def write_rationales(
    rows: Sequence[Row],
    writer: Writer,
    journal: Path,
    prompt: Prompt,
    *,
    threads: int = 1,
    progress: Progress = no_progress,
) -> tuple[dict[tuple[str, str], str], dict[str, str]]:
    """Have both verdicts on each image argued for.

    Args:
        rows: Of the semantic set.
        writer: Asked twice an image, but only for what the journal does not hold.
        journal: JSON lines in the set's folder, by which a stopped run goes on.
        prompt: The wording, whose verdict sentences are cut off should the writer repeat them.
        threads: How many reasons to ask for at the same time.
        progress: Shows how far the work is.

    Returns:
        The reasons, and for each image that lacks some, why.

    Raises:
        WriterError: It failed `PATIENCE` times in a row.
    """
    wanted = {(row.path, label): None for row in rows for label in OTHER}
    found = {
        key: str(record["text"])
        for record in read_journals(journal.parent, journal.name)
        if (key := (str(journal.parent / record["image"]), record["label"])) in wanted
    }
    left = [key for key in wanted if key not in found]
    failed: dict[str, str] = {}
    in_a_row = 0
    with (
        Journal(journal) as file,
        ThreadPoolExecutor(threads) as executor,
        progress(len(left), text="Writing rationales") as step,
    ):
        ask = partial(_ask, writer, prompt)
        # `map_ahead` starts no more than it must, so that a dead server ends the run soon.
        for key, text, problem in map_ahead(executor, ask, left, 2 * threads):
            if problem is None:
                name = Path(key[0]).relative_to(journal.parent).as_posix()
                file.append({"image": name, "label": key[1], "text": text})
                found[key] = text
            else:
                failed[key[0]] = problem
            in_a_row = 0 if problem is None else in_a_row + 1
            if in_a_row == PATIENCE:
                raise WriterError(
                    f"the model failed {PATIENCE} times in a row, the last time with: {problem}; "
                    "what it wrote is kept, and the same command goes on from there"
                )
            step()
    return found, failed


def save_preferences(
    rows: Sequence[Row], out: Path, prompt: Prompt, rationales: Rationales | None = None
) -> dict[str, int]:
    """Write `preferences/`, which `datasets.load_dataset` opens, and `prompt.json`.

    Args:
        rows: Of the set's manifest; images without a rationale are left out.
        out: Folder of the set. The images themselves go into the Parquet files.
        prompt: The wording.
        rationales: Reasons for both verdicts on every image; None for the verdicts alone.

    Returns:
        Pairs by split.
    """
    if rationales is not None:
        rows = [row for row in rows if all((row.path, label) in rationales for label in OTHER)]
    folder = out / "preferences"
    folder.mkdir(exist_ok=True)
    write_whole(out / "prompt.json", (json.dumps(asdict(prompt), indent=2) + "\n").encode())
    counts = {}
    for split, name in FILES.items():
        chosen = [row for row in rows if (row.split or "train") == split]
        counts[split] = len(chosen)
        if not chosen:
            (folder / name).unlink(missing_ok=True)
            continue
        partial = folder / f".{name}.partial"
        try:
            _write_parquet((_record(row, out, prompt, rationales) for row in chosen), partial)
            partial.replace(folder / name)
        finally:
            partial.unlink(missing_ok=True)
    return counts


def _write_parquet(records: Iterator[dict[str, Any]], path: Path) -> None:
    """A Parquet file whose schema tells `datasets` that there are images in it."""
    import pyarrow as pa  # noqa: PLC0415 - of the train extra, as the next ones
    import pyarrow.parquet as pq  # noqa: PLC0415
    from datasets import Features, Image, List, Value  # noqa: PLC0415

    messages = List({"role": Value("string"), "content": Value("string")})
    texts = {name: Value("string") for name in ("path", "label", "split")}
    features = Features(
        images=List(Image()), prompt=messages, chosen=messages, rejected=messages, **texts
    )
    with pq.ParquetWriter(path, features.arrow_schema) as writer:
        while batch := list(islice(records, ROWS_AT_ONCE)):
            writer.write_table(pa.Table.from_pylist(batch, features.arrow_schema))


def _record(row: Row, out: Path, prompt: Prompt, rationales: Rationales | None) -> dict[str, Any]:
    def answer(label: str) -> list[dict[str, str]]:
        reasons = "" if rationales is None else f" {rationales[row.path, label]}"
        return [{"role": "assistant", "content": prompt.verdict(label) + reasons}]

    return {
        "images": [{"bytes": read_bytes(row.path), "path": Path(row.path).name}],
        "prompt": [{"role": "user", "content": prompt.question}],
        "chosen": answer(row.label),
        "rejected": answer(OTHER[row.label]),
        "path": Path(row.path).relative_to(out).as_posix(),
        "label": row.label,
        "split": row.split or "train",
    }


def _ask(
    writer: Writer, prompt: Prompt, key: tuple[str, str]
) -> tuple[tuple[str, str], str, str | None]:
    path, label = key
    try:
        image = decode(read_bytes(path), path=path)
        text = writer.explain(image.pixels, label)
    except Exception as error:  # models and servers raise of every kind
        return key, "", str(error) or type(error).__name__
    text = _whole_sentences(text.strip().removeprefix(prompt.verdict(label)).strip())
    return key, text, None if text else "the model wrote nothing"


def _whole_sentences(text: str) -> str:
    """Without the sentence that the limit of length broke off."""
    ends = [found.end() for found in SENTENCE_END.finditer(text)]
    return text[: ends[-1]] if ends else text
