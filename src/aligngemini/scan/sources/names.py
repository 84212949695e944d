"""Addresses that stay apart, however many members of an archive have one name."""

import hashlib
import sqlite3
from types import TracebackType


class Names:
    """Names that were given out, on disk: archives have millions of members.

    The second `a.jpg` becomes `a.jpg#2`.
    """

    def __init__(self) -> None:
        """Begin with none; they go to a temporary file once they are many."""
        self._database = sqlite3.connect("")
        self._database.execute(
            "CREATE TABLE names (digest BLOB PRIMARY KEY, times INTEGER) WITHOUT ROWID"
        )

    def __enter__(self) -> "Names":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._database.close()

    def unique(self, name: str) -> str:
        """A name, with a number behind it where it was given out before."""
        while (times := self._count(name)) > 1:
            name = f"{name}#{times}"  # which a member may have for its own name
        return name

    def _count(self, name: str) -> int:
        digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        self._database.execute(
            "INSERT INTO names VALUES (?, 1) ON CONFLICT DO UPDATE SET times = times + 1", (digest,)
        )
        row = self._database.execute("SELECT times FROM names WHERE digest = ?", (digest,))
        return int(row.fetchone()[0])
