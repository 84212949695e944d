"""One run of a scan on its store: what is left to do, and what came of it."""

import json
import os
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Literal

from aligngemini.calibration.drift import ScoreHistogram, counted_scores
from aligngemini.scan.claims import Claims, born
from aligngemini.scan.histograms import add_scores
from aligngemini.scan.items import ScanItem
from aligngemini.scan.judge import Answer, Identity
from aligngemini.scan.near import NearIndex
from aligngemini.scan.store import Store, host, to_column

PASSING = ("timeout", "crashed", "unavailable", "internal", "unreadable", "not-found")
"""Codes of errors that another try may not meet."""

State = Literal["done", "failed", "taken", "open"]

_FIND = """
SELECT i.stamp, i.sha256, i.error, i.run, j.id, j.error, j.branch_error, j.run
FROM inputs i LEFT JOIN judgments j ON j.sha256 = i.sha256 AND j.detector = ?
WHERE i.address = ?
"""
_PUT_INPUT = """
INSERT INTO inputs (address, stamp, sha256, size, error, message, run)
VALUES (:address, :stamp, :sha256, :size, :error, :message, :run)
ON CONFLICT (address) DO UPDATE SET stamp = excluded.stamp, sha256 = excluded.sha256,
    size = excluded.size, error = excluded.error, message = excluded.message, run = excluded.run
"""
# What is there stays, unless something failed and this is another try.
_PUT_JUDGMENT = """
INSERT INTO judgments (sha256, detector, verdict, score, error, branch_error, record, run)
VALUES (:sha256, :detector, :verdict, :score, :error, :branch_error, :record, :run)
ON CONFLICT (sha256, detector) DO UPDATE SET verdict = excluded.verdict, score = excluded.score,
    error = excluded.error, branch_error = excluded.branch_error, record = excluded.record,
    run = excluded.run
WHERE (judgments.error IS NOT NULL OR judgments.branch_error IS NOT NULL)
    AND judgments.run <> excluded.run
"""


@dataclass(frozen=True)
class Stored:
    """What a store has of one input, or of one content.

    Attributes:
        state: `done`, or in this run's hands already; `failed`, done without a verdict; `taken`, in
            the hands of another run; or `open`, left to do.
        error: Code of what failed.
    """

    state: State
    error: str | None = None


class Run:
    """A run at work. Several may share a store; each input is in the hands of one.

    Attributes:
        id: In the store.
        detector: Its number in the store.
    """

    def __init__(
        self,
        store: Store,
        identity: Identity,
        *,
        command: Mapping[str, Any] | None = None,
        retry: Collection[str] = (),
        lease: float = 120.0,
        near: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Enter a run into the store.

        Args:
            store: Open.
            identity: Of the detector that judges.
            command: What was asked for, as `scan retry` needs it; JSON.
            retry: Codes of errors that are no result, where an earlier run left them.
            lease: Seconds after which what it holds is free again, should it be heard of no more;
                more than one input takes. A run that was killed on this machine is told at once.
            near: Whether to group near-duplicates.
            clock: Gives seconds since 1970.

        Raises:
            StoreError: It cannot be written.
        """
        self._store = store
        self._db = store.connection
        self._retry = frozenset(retry)
        self._lease = lease
        self._clock = clock
        with store.transaction():
            self.detector = store.add_detector(identity.fingerprint, identity.about)
            now = clock()
            cursor = self._db.execute(
                "INSERT INTO runs (detector, command, host, pid, born, started, alive_until) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    *(self.detector, json.dumps(dict(command or {}))),
                    *(host(), os.getpid(), born(os.getpid()), now, now + lease),
                ),
            )
            self.id = int(cursor.lastrowid or 0)
            self._alive_until = now + lease
            self._claims = Claims(self._db, self.id, clock)
            self._claims.drop_dead()
            self._near = NearIndex(self._db) if near else None

    def take(self, item: ScanItem) -> Stored:
        """Take an input into this run's hands, unless it is done or a run has it.

        Raises:
            StoreError: The store cannot be written.
        """
        address = to_column(item.address)
        with self._store.explained():
            found = self._find(address, item)
            if found.state != "open":
                return found
            self._stay_alive()
            holder = self._claims.take(address)
            if holder is not None:
                return Stored("done" if holder == self.id else "taken")
            # Whoever had it until now may have finished it between the two.
            found = self._find(address, item)
            if found.state != "open":
                self._claims.release(address)
            return found

    def content(self, sha256: str) -> Stored:
        """What the store has of a content; `open` where it is to be judged.

        Raises:
            StoreError: The store cannot be read.
        """
        with self._store.explained():
            row = self._db.execute(
                "SELECT error, branch_error, run FROM judgments WHERE sha256 = ? AND detector = ?",
                (sha256, self.detector),
            ).fetchone()
        return Stored("open") if row is None else self._judged(*row)

    def alike(self, question: tuple[str, int]) -> str | None:
        """The record of the first of an image's near-duplicates, if that has a verdict.

        Args:
            question: SHA-256 of the image, and its perceptual hash.

        Raises:
            StoreError: The store cannot be read.
        """
        sha256, value = question
        if self._near is None:
            return None
        with self._store.explained():
            leader = self._near.leader_of(value)
            if leader is None or leader == sha256:
                return None
            row = self._db.execute(
                "SELECT record FROM judgments WHERE sha256 = ? AND detector = ? "
                "AND error IS NULL AND branch_error IS NULL",
                (leader, self.detector),
            ).fetchone()
        return None if row is None else str(row[0])

    def commit(self, answers: Iterable[Answer]) -> None:
        """Write answers, all or none of them, and let go of their inputs.

        Args:
            answers: Of this run's detector.

        Raises:
            StoreError: They cannot be written; none of them was.
        """
        scores: dict[str, ScoreHistogram] = {}
        with self._store.transaction():
            for answer in answers:
                self._put(answer, scores)
            day = datetime.fromtimestamp(self._clock(), timezone.utc).date().isoformat()
            add_scores(self._db, day, self.detector, scores)
            self._stay_alive()

    def others(self) -> bool:
        """Whether other runs have inputs in their hands.

        Raises:
            StoreError: The store cannot be read.
        """
        with self._store.explained():
            return self._claims.others()

    def end(self, *, whole: bool, summary: Mapping[str, Any] | None = None) -> None:
        """Let go of what it still holds.

        Args:
            whole: Whether it came to its end.
            summary: What it did; JSON.

        Raises:
            StoreError: The store cannot be written.
        """
        ended = self._clock() if whole else None
        with self._store.transaction():
            self._claims.release_all()
            self._db.execute(
                "UPDATE runs SET ended = ?, summary = ? WHERE id = ?",
                (ended, json.dumps(dict(summary or {})), self.id),
            )

    def _stay_alive(self) -> None:
        """Begin the lease anew, once half of it is over."""
        now = self._clock()
        if now > self._alive_until - self._lease / 2:
            self._alive_until = now + self._lease
            self._db.execute(
                "UPDATE runs SET alive_until = ? WHERE id = ?", (self._alive_until, self.id)
            )

    def _find(self, address: str | bytes, item: ScanItem) -> Stored:
        row = self._db.execute(_FIND, (self.detector, address)).fetchone()
        if row is None:
            return Stored("open")
        stamp, sha256, error, run, judged, *judgment = row
        if stamp != item.stamp:
            return Stored("open")
        if item.problem is not None and item.problem.code == error:
            return Stored("failed", error)
        if not stamp:
            return Stored("open")
        if sha256 is None:
            return Stored("open") if self._try_again(error, run) else Stored("failed", error)
        return Stored("open") if judged is None else self._judged(*judgment)

    def _judged(self, error: str | None, branch_error: str | None, run: int) -> Stored:
        if self._try_again(error or branch_error, run):
            return Stored("open")
        return Stored("done") if error is None else Stored("failed", error)

    def _try_again(self, error: str | None, run: int) -> bool:
        return error in self._retry and run != self.id

    def _put(self, answer: Answer, scores: dict[str, ScoreHistogram]) -> None:
        address = to_column(answer.address)
        problem = answer.problem
        self._db.execute(
            _PUT_INPUT,
            {
                "address": address,
                "stamp": answer.stamp,
                "sha256": answer.sha256,
                "size": None if answer.sha256 is None else answer.size,
                "error": problem and problem.code,
                "message": problem and problem.message,
                "run": self.id,
            },
        )
        if answer.sha256 is not None:
            if answer.record is not None:
                self._put_record(answer, answer.record, scores)
            if answer.near is not None and self._near is not None:
                self._near.add(answer.sha256, answer.near)
        self._claims.release(address)

    def _put_record(self, answer: Answer, text: str, scores: dict[str, ScoreHistogram]) -> None:
        record = json.loads(text)
        written = self._db.execute(
            _PUT_JUDGMENT,
            {
                "sha256": answer.sha256,
                "detector": self.detector,
                "verdict": record["verdict"],
                "score": record["score"],
                "error": record["error"] and record["error"]["code"],
                "branch_error": _branch_error(record),
                "record": text,
                "run": self.id,
            },
        )
        if written.rowcount == 1 and not answer.borrowed:
            for branch, score in counted_scores(record).items():
                scores.setdefault(branch, ScoreHistogram()).add(score)


def _branch_error(record: Mapping[str, Any]) -> str | None:
    """Code of the first branch that failed, in a record with a verdict all the same."""
    if record["error"] is not None:
        return None
    errors = (branch.get("error") for branch in record["branches"].values())
    return next((error["code"] for error in errors if error), None)
