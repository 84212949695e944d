"""What became of jobs, read from the store of a scan."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aligngemini.evidence import Problem
from aligngemini.scan.store import Store
from aligngemini.serve.job_files import JobImage
from aligngemini.verdict import Verdict

_FIND = """
SELECT i.error, i.message, j.record
FROM inputs i JOIN runs r ON r.id = i.run
LEFT JOIN judgments j ON j.sha256 = i.sha256 AND j.detector = r.detector
WHERE i.address = ?
"""
_FORGET = "DELETE FROM inputs WHERE address > ? AND address < ?"
_UNNEEDED = (
    "DELETE FROM judgments WHERE sha256 NOT IN (SELECT sha256 FROM inputs WHERE sha256 NOT NULL)"
)


class JobResults:
    """Reads the store; every method opens it anew, for it may be called from any thread."""

    def __init__(self, store: Path, fusion: str) -> None:
        """Say where it lies.

        Args:
            store: The file.
            fusion: Name of the rule, for records of what could not be read.
        """
        self.store = store
        self.fusion = fusion

    def done(self, job: str) -> int:
        """Images of a job that are judged.

        Raises:
            StoreError: The store cannot be read.
        """
        with Store(self.store) as store, store.explained():
            row = store.connection.execute(
                "SELECT COUNT(*) FROM inputs WHERE address > ? AND address < ?", _span(job)
            ).fetchone()
        return int(row[0])

    def records(self, images: Sequence[JobImage]) -> list[dict[str, Any]]:
        """Records of images, in order, up to the first that is not judged yet.

        Raises:
            StoreError: The store cannot be read.
        """
        found = []
        with Store(self.store) as store, store.explained():
            for image in images:
                row = store.connection.execute(_FIND, (image.address,)).fetchone()
                if row is None:
                    break
                found.append(self._record(image, *row))
        return found

    def forget(self, job: str) -> None:
        """Remove a job's results, and records that no other input has.

        Raises:
            StoreError: The store cannot be written.
        """
        with Store(self.store) as store, store.transaction():
            store.connection.execute(_FORGET, _span(job))
            store.connection.execute(_UNNEEDED)

    def _record(
        self, image: JobImage, error: Any, message: str | None, record: str | None
    ) -> dict[str, Any]:
        if record is not None:
            return {"path": image.name, **json.loads(record)}
        problem = Problem(error or "internal", message or "there is no record of it")
        return Verdict(path=image.name, fusion=self.fusion, error=problem).to_dict()


def _span(job: str) -> tuple[str, str]:
    """Addresses of a job's images lie between these."""
    return f"{job}/", f"{job}0"  # "0" comes next after "/"
