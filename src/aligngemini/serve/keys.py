"""API keys, and how often each may be used."""

import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from math import ceil
from pathlib import Path

from aligngemini.serve.problems import Refusal

SHORTEST_KEY = 16  # characters
HASHED = "sha256:"


class KeyFileError(ValueError):
    """A file of keys that cannot be used; the message names the line."""


@dataclass(frozen=True)
class Key:
    """One line of the file.

    Attributes:
        name: For the log and the metrics.
        digest: SHA-256 of the key.
        rate: Images a minute, or None for no limit.
    """

    name: str
    digest: bytes
    rate: float | None = None


class Bucket:
    """Fills with images over time, up to a minute's worth; may be overdrawn once."""

    def __init__(self, rate: float, clock: Callable[[], float]) -> None:
        self.rate = rate
        self._clock = clock
        self._level = rate
        self._filled = clock()

    def take(self, images: int) -> None:
        """Take images out, even more than are in it: those that follow wait the longer."""
        self._fill()
        self._level -= images

    @property
    def wait(self) -> int:
        """Seconds until there is an image in it; 0 where there is."""
        self._fill()
        return 0 if self._level >= 1 else ceil((1 - self._level) * 60 / self.rate)

    def _fill(self) -> None:
        now = self._clock()
        grown = (now - self._filled) * self.rate / 60
        self._level, self._filled = min(self.rate, self._level + grown), now


class KeyRing:
    """The keys that are taken."""

    def __init__(self, keys: list[Key], *, clock: Callable[[], float] = time.monotonic) -> None:
        """Take these keys.

        Args:
            keys: At least one.
            clock: Seconds; for tests.
        """
        self.keys = keys
        self._buckets = {key.name: Bucket(key.rate, clock) for key in keys if key.rate is not None}

    @classmethod
    def read(cls, path: Path) -> "KeyRing":
        """Read a file of keys: a line `NAME KEY [IMAGES-A-MINUTE]` each, `#` begins a comment.

        In place of KEY may stand `sha256:` and its SHA-256, in hex.

        Raises:
            KeyFileError: It cannot be read, a line is not like that, or there is none.
        """
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise KeyFileError(f"{path} cannot be read: {error}") from error
        keys = []
        for number, line in enumerate(lines, start=1):
            words = line.partition("#")[0].split()
            if words:
                keys.append(_key(words, f"{path}:{number}"))
        if not keys:
            raise KeyFileError(f"{path} has no key: write a line NAME KEY [IMAGES-A-MINUTE]")
        if len({key.name for key in keys}) < len(keys):
            raise KeyFileError(f"{path} gives two keys one name")
        return cls(keys)

    def check(self, authorization: str) -> Key:
        """The key that a request came with.

        Args:
            authorization: The header of that name, `Bearer KEY`.

        Raises:
            Refusal: There is none, it is unknown, or it has been used too often.
        """
        kind, _, given = authorization.partition(" ")
        digest = sha256(given.strip().encode("utf-8", "surrogateescape")).digest()
        # All are compared, so that the time taken says nothing about which one came near.
        found = [key for key in self.keys if hmac.compare_digest(key.digest, digest)]
        if kind.lower() != "bearer" or not found:
            raise Refusal(401, "unauthorized", "send an API key: Authorization: Bearer KEY")
        bucket = self._buckets.get(found[0].name)
        if bucket is not None and bucket.wait:
            raise Refusal(
                429,
                "rate-limited",
                f"this API key has used its {bucket.rate:g} images a minute",
                retry_after=bucket.wait,
            )
        return found[0]

    def use(self, key: Key, images: int) -> None:
        """Count images against a key."""
        bucket = self._buckets.get(key.name)
        if bucket is not None:
            bucket.take(images)


def _key(words: list[str], where: str) -> Key:
    if len(words) not in (2, 3):
        raise KeyFileError(f"{where}: a line is NAME KEY [IMAGES-A-MINUTE]")
    name, secret = words[:2]
    try:
        if secret.startswith(HASHED):
            digest = bytes.fromhex(secret.removeprefix(HASHED))
        else:
            digest = sha256(secret.encode()).digest()
        rate = float(words[2]) if len(words) == 3 else None
    except ValueError as error:
        raise KeyFileError(f"{where}: {error}") from error
    if len(digest) != sha256().digest_size:
        raise KeyFileError(f"{where}: a SHA-256 has 64 hexadecimal digits")
    if not secret.startswith(HASHED) and len(secret) < SHORTEST_KEY:
        raise KeyFileError(f"{where}: a key needs {SHORTEST_KEY} characters or more")
    if rate is not None and not 0 < rate < float("inf"):
        raise KeyFileError(f"{where}: images a minute must be more than 0")
    return Key(name, digest, rate)
