"""Images that may go into a set: from files, folders, archives and manifests, of one label.

The surreal fakes of Echo-4o (arXiv 2508.09987) come as a folder `Surrel-Fantasy-Image` with
`images/*.tar.gz` and `conflict.jsonl`, which holds the instruction of each image.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from aligngemini.datasets.archives import is_archive, list_members
from aligngemini.datasets.manifest import read_manifest
from aligngemini.datasets.photos import clean_text
from aligngemini.evidence import Problem
from aligngemini.images.sources import expand

ECHO = "Surrel-Fantasy-Image"  # spelled so
ECHO_RECORDS = "conflict.jsonl"
ECHO_GENERATOR = "gpt-4o"


@dataclass(frozen=True)
class Candidate:
    """An image that may be used.

    Attributes:
        path: The file, or the archive it is in.
        label: `real` or `fake`.
        generator: Of a fake, as far as known.
        instruction: What the generator was asked for, as far as known.
        member: Name in the archive; empty for files.
        number: Number in the archive.
        problem: Why it cannot be read, or None.
    """

    path: str
    label: str
    generator: str = ""
    instruction: str = ""
    member: str = ""
    number: int = -1
    problem: Problem | None = None

    @property
    def name(self) -> str:
        """What it is called in tables, and known by."""
        return clean_text(f"{self.path}:{self.member}" if self.member else self.path)

    @property
    def source(self) -> str:
        """Folder or archive it came from."""
        return clean_text(self.path if self.member else str(Path(self.path).parent))

    @property
    def key(self) -> str:
        """Name of its own that is safe for a file."""
        return hashlib.sha256(f"{self.name} {self.number}".encode()).hexdigest()[:32]


def find_candidates(
    inputs: Sequence[str], label: str, *, step: Callable[[], None] = lambda: None
) -> list[Candidate]:
    """Everything that the user named for one label, in that order.

    Args:
        inputs: Files, folders (with the archives below them), patterns, `.tar` and `.tar.gz`
            archives, Echo-4o's folder, and manifests, of which the rows of this label count whose
            split is `train` or empty.
        label: `real` or `fake`.
        step: Called after each image of an archive.

    Raises:
        ManifestError: A manifest cannot be used.
    """
    found: list[Candidate] = []
    for name in inputs:
        path = Path(name)
        if path.suffix in (".csv", ".parquet"):
            found += _of_manifest(path, label)
        elif is_archive(name) and path.is_file():
            found += _of_archive(path, label, step)
        else:
            found += _of_files(name, label, step)
    return list({candidate.key: candidate for candidate in found}.values())


def shuffled(candidates: Sequence[Candidate], seed: int) -> list[Candidate]:
    """An order that depends on the seed and the names, not on the order given."""

    def place(candidate: Candidate) -> bytes:
        return hashlib.sha256(f"{seed} {candidate.label} {candidate.key}".encode()).digest()

    return sorted(candidates, key=place)


def _of_manifest(path: Path, label: str) -> Iterator[Candidate]:
    for row in read_manifest(path):
        if row.label == label and row.split in ("", "train"):
            yield Candidate(row.path, label, row.generator)


def _of_files(name: str, label: str, step: Callable[[], None]) -> Iterator[Candidate]:
    folder = Path(name)
    if (folder / ECHO).is_dir():
        folder /= ECHO  # the other folders of Echo-4o hold possible scenes
    for item in expand([str(folder)]):
        generator = Path(item.path).parent.name if label == "fake" else ""
        yield Candidate(item.path, label, generator, problem=item.problem)
    if folder.is_dir():
        for archive in sorted(path for path in folder.rglob("*") if is_archive(path)):
            yield from _of_archive(archive, label, step)


def _of_archive(archive: Path, label: str, step: Callable[[], None]) -> Iterator[Candidate]:
    instructions = _echo_instructions(archive)
    generator = ECHO_GENERATOR if instructions else archive.name.split(".")[0]
    members, problem = list_members(archive, step=step)
    for member in members:
        yield Candidate(
            str(archive),
            label,
            generator if label == "fake" else "",
            instructions.get(PurePosixPath(member.name).name, ""),
            member.name,
            member.number,
        )
    if problem is not None:
        yield Candidate(str(archive), label, problem=Problem("truncated", problem))


def _echo_instructions(archive: Path) -> dict[str, str]:
    """Instructions by file name, where there is such a list; broken lines are passed over."""
    file = archive.parent.parent / ECHO_RECORDS
    found: dict[str, str] = {}
    if file.is_file():
        with file.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                try:
                    record = json.loads(line)
                    image, text = record["output_image"], record["instruction"]
                except (ValueError, TypeError, KeyError):
                    continue
                found[PurePosixPath(str(image)).name] = str(text)
    return found
