"""Writing a file so that nobody ever sees half of it."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a file that takes the place of `path` when the block ends well.

    Until then, and for good when the block raises, whatever stood at `path` stays as it was.

    Args:
        path: Its folder must exist. A symbolic link is followed.

    Raises:
        OSError: The folder is missing or cannot be written, or `path` is something other than a
            regular file; a device such as `/dev/null` must not be replaced.
    """
    target = check_target(path)
    # Not `tempfile`: it ignores the umask, and a report only its owner can read is a surprise.
    temporary = target.with_name(f".aligngemini-{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("xb") as file:
            yield file
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def check_target(path: Path) -> Path:
    """The path a write would end at, links followed.

    Raises:
        OSError: There is no such folder, or something other than a regular file stands there.
    """
    target = path.resolve()
    if not target.parent.is_dir():
        raise FileNotFoundError(f"no such folder: {target.parent}")
    if target.exists() and not target.is_file():
        raise OSError(f"not a regular file: {path}")
    return target
