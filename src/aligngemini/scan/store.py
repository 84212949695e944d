"""The store of a scan: one SQLite file that any number of processes on a machine write at once.

What is said of a content is kept apart from where it was found. `inputs` has one row an address,
`judgments` one row a content and detector: copies and re-runs find their record there. Every write
is one transaction, so a kill at any moment loses what was not committed, and nothing else.
"""

import json
import os
import socket
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

VERSION = 2
APPLICATION = 0x41474D53  # "AGMS", in the file's header: tells our stores from other SQLite files
PATIENCE = 30.0  # seconds to wait for another process's transaction

# `address` has no type: names that are no Unicode are bytes there, and no two names are one.
SCHEMA = """
CREATE TABLE detectors (
    id INTEGER PRIMARY KEY,
    fingerprint TEXT NOT NULL UNIQUE,
    about TEXT NOT NULL              -- JSON of Identity.about
);
CREATE TABLE runs (
    id INTEGER PRIMARY KEY,
    detector INTEGER NOT NULL REFERENCES detectors,
    command TEXT NOT NULL,           -- JSON: what was asked for
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    born INTEGER NOT NULL,           -- when that process started; see claims.born
    started REAL NOT NULL,           -- seconds since 1970
    alive_until REAL NOT NULL,       -- its claims hold no longer than that
    ended REAL,                      -- NULL while it runs, and where it was killed
    summary TEXT                     -- JSON of Tally.to_dict; NULL where it was killed
);
CREATE TABLE inputs (
    id INTEGER PRIMARY KEY,
    address NOT NULL UNIQUE,
    stamp TEXT NOT NULL,             -- changes when the bytes do; empty where nothing tells
    sha256 TEXT,                     -- of the bytes; NULL where they could not be had
    size INTEGER,                    -- bytes
    error TEXT,                      -- code, where the bytes could not be had
    message TEXT,
    run INTEGER NOT NULL REFERENCES runs
);
CREATE INDEX inputs_by_content ON inputs (sha256);
CREATE TABLE judgments (
    id INTEGER PRIMARY KEY,
    sha256 TEXT NOT NULL,
    detector INTEGER NOT NULL REFERENCES detectors,
    verdict TEXT,                    -- fake, real, undecided; NULL where it could not be judged
    score REAL,
    error TEXT,                      -- code, where it could not be judged
    branch_error TEXT,               -- code of the first branch that failed beside a verdict
    record TEXT NOT NULL,            -- JSON as of aligngemini detect, without the path
    run INTEGER NOT NULL REFERENCES runs,
    UNIQUE (sha256, detector)
);
CREATE INDEX judgments_by_score ON judgments (detector, score);
CREATE TABLE claims (                -- inputs in the hands of a run
    address PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES runs
) WITHOUT ROWID;
CREATE TABLE histograms (
    day TEXT NOT NULL,               -- UTC, YYYY-MM-DD
    detector INTEGER NOT NULL REFERENCES detectors,
    branch TEXT NOT NULL,
    counts TEXT NOT NULL,            -- JSON of ScoreHistogram.to_dict
    PRIMARY KEY (day, detector, branch)
) WITHOUT ROWID;
"""


class StoreError(Exception):
    """A store that cannot be used; the message says what to do. What was committed is safe."""


class Store:
    """An open store. Use it in the process and thread that opened it, never across a fork.

    Attributes:
        path: The file.
        connection: To it, in autocommit; writes go into a `transaction`.
    """

    def __init__(self, path: Path, *, create: bool = False, patience: float = PATIENCE) -> None:
        """Open a store.

        Args:
            path: The file.
            create: Whether to make one where there is none.
            patience: Seconds to wait for what other processes are writing.

        Raises:
            StoreError: There is none, it is no store or one of another version, or the file cannot
                be opened.
        """
        self.path = path
        if not create and not path.is_file():
            raise StoreError(f"there is no store at {path}: aligngemini scan makes one")
        with self.explained():
            self.connection = sqlite3.connect(path, timeout=patience, isolation_level=None)
            try:
                self._prepare(patience)
            except BaseException:
                self.connection.close()
                raise

    def _prepare(self, patience: float) -> None:
        version = self._pragma("user_version")
        if version == 0 and self._pragma("schema_version") == 0:
            self._set_wal(patience)
            self._make()
        elif self._pragma("application_id") != APPLICATION:
            raise StoreError(f"{self.path} is an SQLite file of another program: name another")
        elif version != VERSION:
            raise StoreError(
                f"{self.path} has version {version}, and this program reads {VERSION}: take the "
                "program that wrote it, or begin another store"
            )
        # A commit survives a killed process at once, and a power cut when the log is next synced.
        self.connection.execute("PRAGMA synchronous = NORMAL")
        self.connection.execute("PRAGMA foreign_keys = ON")

    def _set_wal(self, patience: float) -> None:
        # Changing the mode does not wait for others by itself.
        until = time.monotonic() + patience
        while time.monotonic() < until:
            with suppress(sqlite3.OperationalError):
                self.connection.execute("PRAGMA journal_mode = WAL")
                return
            time.sleep(0.02)
        self.connection.execute("PRAGMA journal_mode = WAL")

    def _make(self) -> None:
        with self.transaction():
            if self._pragma("user_version") != 0:
                return  # another process was faster
            for statement in SCHEMA.split(";\n"):
                self.connection.execute(statement)
            self.connection.execute(f"PRAGMA application_id = {APPLICATION}")
            self.connection.execute(f"PRAGMA user_version = {VERSION}")

    def _pragma(self, name: str) -> int:
        return int(self.connection.execute(f"PRAGMA {name}").fetchone()[0])

    def knows(self, fingerprint: str) -> bool:
        """Whether a detector has judged for it.

        Raises:
            StoreError: It cannot be read.
        """
        with self.explained():
            found = self.connection.execute(
                "SELECT 1 FROM detectors WHERE fingerprint = ?", (fingerprint,)
            )
            return found.fetchone() is not None

    def add_detector(self, fingerprint: str, about: Mapping[str, Any]) -> int:
        """The number of a detector, entered in the transaction that is open if it is new.

        Args:
            fingerprint: Of its `Identity`.
            about: Likewise.
        """
        self.connection.execute(
            "INSERT OR IGNORE INTO detectors (fingerprint, about) VALUES (?, ?)",
            (fingerprint, json.dumps(dict(about), sort_keys=True)),
        )
        found = self.connection.execute(
            "SELECT id FROM detectors WHERE fingerprint = ?", (fingerprint,)
        )
        return int(found.fetchone()[0])

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what the block writes when it ends, all or nothing.

        Raises:
            StoreError: It could not be written; nothing of it was.
        """
        with self.explained():
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # a full disk has rolled back already
                    self.connection.execute("ROLLBACK")
                raise

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Raise what SQLite raises in the block as a `StoreError`."""
        try:
            yield
        except sqlite3.Error as error:
            raise StoreError(_explain(self.path, error)) from error

    def close(self) -> None:
        """Close the file."""
        self.connection.close()

    def __enter__(self) -> "Store":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def to_column(address: str) -> str | bytes:
    """An address as the store holds it: text, or bytes for a file name that is no Unicode."""
    try:
        address.encode()
    except UnicodeEncodeError:
        return os.fsencode(address)
    return address


def from_column(value: str | bytes) -> str:
    """The address that `to_column` was given."""
    return value if isinstance(value, str) else os.fsdecode(value)


def host() -> str:
    """The name of this machine or container, within which process ids mean something."""
    return socket.gethostname()


def _explain(path: Path, error: sqlite3.Error) -> str:
    """What happened to a store, and what to do."""
    reason = str(error)
    safe = "what was done so far is safe"
    if "locked" in reason or "busy" in reason:
        return f"another program keeps the store {path} locked: end it and try again; {safe}"
    if "disk is full" in reason or "disk I/O error" in reason:
        return (
            f"the store {path} cannot be written ({reason}): make room and run the same command "
            f"again; {safe}"
        )
    if "not a database" in reason or "malformed" in reason:
        return f"{path} is no store, or a damaged one ({reason}): name another file"
    return f"the store {path} cannot be used: {reason}"
