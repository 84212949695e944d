"""What a source gives and an engine judges: an address, and how to read what lies there."""

from dataclasses import dataclass, field
from typing import Protocol

from aligngemini.evidence import Problem
from aligngemini.images.decode import read_bytes


class Reader(Protocol):
    """Reads one image's bytes. Small and picklable: it is called in a worker, maybe elsewhere."""

    def __call__(self) -> bytes:
        """The file's bytes, as they are.

        Raises:
            ImageError: They cannot be had; the code and the sentence go into the record.
        """
        ...


@dataclass(frozen=True)
class FileReader:
    """Reads a local file."""

    path: str

    def __call__(self) -> bytes:
        """See `Reader`."""
        return read_bytes(self.path)


@dataclass(frozen=True)
class ScanItem:
    """One input of a scan.

    Attributes:
        address: What names it, once in a store: a path, `archive.tar!member`, `file.parquet#row`,
            a URL.
        read: How its bytes are had; None where `problem` says why there are none.
        stamp: What changes when the bytes at the address do (size and time, an ETag); empty where
            nothing tells.
        problem: Why it is known already that it cannot be judged.
    """

    address: str
    read: Reader | None = None
    stamp: str = ""
    problem: Problem | None = field(default=None)
