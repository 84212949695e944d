"""Which run has an input in its hands, so that processes that share a store share the work."""

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

from aligngemini.scan.store import host


class Claims:
    """The inputs of one run.

    A claim holds while its run is alive: until it ends, until its process is gone from this
    machine, or until it has not been heard of for the length of its lease.
    """

    def __init__(self, db: sqlite3.Connection, run: int, clock: Callable[[], float]) -> None:
        """Make claims for a run.

        Args:
            db: Of the store.
            run: Its number there.
            clock: Gives seconds since 1970.
        """
        self._db = db
        self._run = run
        self._clock = clock

    def take(self, address: str | bytes) -> int | None:
        """Claim an input; gives the run that has it already, this one or another that is alive."""
        while True:
            made = self._db.execute(
                "INSERT OR IGNORE INTO claims (address, run) VALUES (?, ?)", (address, self._run)
            )
            if made.rowcount:
                return None
            row = self._db.execute(
                "SELECT run FROM claims WHERE address = ?", (address,)
            ).fetchone()
            if row is not None and (row[0] == self._run or self._is_alive(row[0])):
                return int(row[0])
            if row is not None:
                self._release(row[0], address)

    def release(self, address: str | bytes) -> None:
        """Let go of an input."""
        self._release(self._run, address)

    def release_all(self) -> None:
        """Let go of all of them."""
        self._db.execute("DELETE FROM claims WHERE run = ?", (self._run,))

    def drop_dead(self) -> None:
        """Take away the claims of runs that are no longer alive."""
        for run in self._runs():
            if not self._is_alive(run):
                self._db.execute("DELETE FROM claims WHERE run = ?", (run,))

    def others(self) -> bool:
        """Whether other runs that are alive have any."""
        return any(run != self._run and self._is_alive(run) for run in self._runs())

    def _runs(self) -> list[int]:
        return [run for (run,) in self._db.execute("SELECT DISTINCT run FROM claims").fetchall()]

    def _release(self, run: int, address: str | bytes) -> None:
        self._db.execute("DELETE FROM claims WHERE address = ? AND run = ?", (address, run))

    def _is_alive(self, run: int) -> bool:
        row = self._db.execute(
            "SELECT host, pid, born, alive_until, ended FROM runs WHERE id = ?", (run,)
        ).fetchone()
        if row is None:
            return False
        where, pid, began, alive_until, ended = row
        if ended is not None or alive_until < self._clock():
            return False
        return where != host() or (_is_process(pid) and born(pid) == began)


def born(pid: int) -> int:
    """When a process of this machine started, in clock ticks since boot; 0 where nothing tells.

    Ids are used again: in a container that starts anew, the first process is 1 as before.
    """
    try:
        return int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[19])
    except (OSError, IndexError):
        return 0


def _is_process(pid: int) -> bool:
    """Whether a process of this machine runs; elsewhere than on POSIX, the lease has to tell."""
    if os.name != "posix":
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
