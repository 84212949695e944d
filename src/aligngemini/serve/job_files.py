"""What jobs are: their images on disk and the list of them, until they are judged.

The results are not here but in the store of a scan beside it, so a job knows of itself only what
was asked for; what is done, that store knows.
"""

import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

LIST, FILES, INCOMING = "jobs.sqlite", "files", "incoming"

SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,      -- name of the API key; empty where none was asked for
    made REAL NOT NULL,       -- seconds since 1970
    finished REAL             -- NULL while something is left to judge
);
CREATE TABLE IF NOT EXISTS images (
    job TEXT NOT NULL REFERENCES jobs ON DELETE CASCADE,
    position INTEGER NOT NULL,
    name TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    PRIMARY KEY (job, position)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS images_by_content ON images (sha256);
"""


@dataclass(frozen=True)
class JobImage:
    """One image of a job.

    Attributes:
        job: Of which.
        position: In it, from 0.
        name: Clean.
        sha256: Of its bytes.
    """

    job: str
    position: int
    name: str
    sha256: str

    @property
    def address(self) -> str:
        """What the store of results calls it."""
        return f"{self.job}/{self.position:08}"


@dataclass(frozen=True)
class Job:
    """What was asked for.

    Attributes:
        id: Long and random: who knows it may see the results.
        owner: Name of the API key.
        made: Seconds since 1970.
        finished: Likewise; None while something is left to judge.
        images: How many.
    """

    id: str
    owner: str
    made: float
    finished: float | None
    images: int


class Incoming:
    """Takes the bytes of one file, on disk."""

    def __init__(self, folder: Path, name: str, most: int) -> None:
        """Begin a file.

        Args:
            folder: Where it lies until it is whole.
            name: For the list.
            most: Bytes it may have.

        Raises:
            OSError: It cannot be written.
        """
        self.name = name
        self.path = folder / secrets.token_hex(16)
        self.size = 0
        self._most = most
        self._digest = sha256()
        self._file = self.path.open("xb")

    @property
    def too_large(self) -> bool:
        """Whether there was more than it may have."""
        return self.size > self._most

    def write(self, piece: memoryview) -> None:
        """Take the next bytes; of too many, none are written."""
        self.size += len(piece)
        if not self.too_large:
            self._file.write(piece)
            self._digest.update(piece)

    def close(self) -> str:
        """End the file; gives its SHA-256."""
        self._file.close()
        return self._digest.hexdigest()


class JobFiles:
    """The folder of jobs. Every method may be called from any thread."""

    def __init__(self, folder: Path) -> None:
        """Open the folder, or make it.

        Raises:
            OSError: It cannot be written.
            sqlite3.Error: The list in it cannot be used.
        """
        self.folder = folder
        self._lock = threading.Lock()  # a content that one job is done with may be another's
        for name in (FILES, INCOMING):
            (folder / name).mkdir(parents=True, exist_ok=True)
        for left in (folder / INCOMING).iterdir():  # of uploads that were cut off by a kill
            left.unlink(missing_ok=True)
        with self._list() as db:
            db.execute("PRAGMA journal_mode = WAL")
            db.executescript(SCHEMA)

    def incoming(self, name: str, most: int) -> Incoming:
        """Begin a file; see `Incoming`."""
        return Incoming(self.folder / INCOMING, name, most)

    def discard(self, files: Sequence[Incoming]) -> None:
        """Take files away that have become no job."""
        for file in files:
            file.close()
            file.path.unlink(missing_ok=True)

    def make(self, files: Sequence[Incoming], owner: str) -> Job:
        """Make a job of files that are whole. Once this returns, the job outlives this process.

        Raises:
            OSError, sqlite3.Error: It cannot be written; then there is no job.
        """
        job = Job(secrets.token_hex(16), owner, time.time(), None, len(files))
        with self._lock, self._list() as db:
            db.execute(
                "INSERT INTO jobs (id, owner, made) VALUES (?, ?, ?)", (job.id, owner, job.made)
            )
            for position, file in enumerate(files):
                digest = file.close()
                file.path.replace(self.file(digest))
                row = (job.id, position, file.name, digest)
                db.execute("INSERT INTO images VALUES (?, ?, ?, ?)", row)
        return job

    def file(self, digest: str) -> Path:
        """Where a content lies."""
        return self.folder / FILES / digest

    def find(self, job: str, owner: str) -> Job | None:
        """A job, if there is one of that id and owner."""
        with self._list() as db:
            row = db.execute(
                "SELECT id, owner, made, finished, (SELECT COUNT(*) FROM images WHERE job = id) "
                "FROM jobs WHERE id = ? AND owner = ?",
                (job, owner),
            ).fetchone()
        return None if row is None else Job(*row)

    def unfinished(self) -> list[str]:
        """Ids of jobs with something left to judge, the oldest first."""
        with self._list() as db:
            rows = db.execute("SELECT id FROM jobs WHERE finished IS NULL ORDER BY made").fetchall()
        return [job for (job,) in rows]

    def images(self, job: str, *, first: int = 0, count: int = -1) -> list[JobImage]:
        """Images of a job, in order.

        Args:
            job: Its id.
            first: Position to begin at.
            count: The most to give; all where negative.
        """
        with self._list() as db:
            rows = db.execute(
                "SELECT job, position, name, sha256 FROM images WHERE job = ? AND position >= ? "
                "ORDER BY position LIMIT ?",
                (job, first, count),
            ).fetchall()
        return [JobImage(*row) for row in rows]

    def finish(self, job: str) -> None:
        """Note that all is judged, and take its images away."""
        with self._list() as db:
            db.execute("UPDATE jobs SET finished = ? WHERE id = ?", (time.time(), job))
            digests = _digests(db, job)
        self._unlink(digests)

    def remove(self, job: str) -> None:
        """Forget a job and take its images away."""
        with self._list() as db:
            digests = _digests(db, job)
            db.execute("DELETE FROM jobs WHERE id = ?", (job,))
        self._unlink(digests)

    def _unlink(self, digests: Sequence[str]) -> None:
        with self._lock, self._list() as db:
            for digest in digests:
                needed = db.execute(
                    "SELECT 1 FROM images JOIN jobs ON jobs.id = images.job "
                    "WHERE sha256 = ? AND finished IS NULL LIMIT 1",
                    (digest,),
                ).fetchone()
                if needed is None:
                    self.file(digest).unlink(missing_ok=True)

    @contextmanager
    def _list(self) -> Iterator[sqlite3.Connection]:
        """The list, in one transaction."""
        with closing(sqlite3.connect(self.folder / LIST, timeout=30.0)) as db:
            db.execute("PRAGMA foreign_keys = ON")
            with db:
                yield db


def _digests(db: sqlite3.Connection, job: str) -> list[str]:
    rows = db.execute("SELECT DISTINCT sha256 FROM images WHERE job = ?", (job,)).fetchall()
    return [digest for (digest,) in rows]
