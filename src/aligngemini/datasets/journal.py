"""Append-only records of a long run: one JSON object a line, readable after the run was killed."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any


class Journal:
    """A file that one process appends records to."""

    def __init__(self, path: Path) -> None:
        """Open a journal, new or to go on with."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a+b")
        if self._file.tell():
            self._file.seek(-1, 2)
            if self._file.read(1) != b"\n":  # killed while writing: what follows is a new line
                self._file.write(b"\n")

    def append(self, record: Mapping[str, Any]) -> None:
        """Add a record; once this returns, a kill no longer takes it away.

        Raises:
            OSError: It cannot be written, for instance because the disk is full.
        """
        self._file.write(json.dumps(record).encode() + b"\n")
        self._file.flush()

    def __enter__(self) -> "Journal":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()


def read_journals(folder: Path, pattern: str) -> Iterator[dict[str, Any]]:
    """Records of all journals of a folder whose names match; half-written lines are passed over."""
    for path in sorted(folder.glob(pattern)):
        with path.open("rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    continue
                try:
                    yield json.loads(line)
                except ValueError:
                    continue
