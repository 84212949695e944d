"""What a file is taken for by its name: an image, an archive, a table, a list, or none of these."""

from pathlib import PurePosixPath

from aligngemini.images.formats import sniff
from aligngemini.images.item import ImageError
from aligngemini.images.sources import SUFFIXES

TAR = (
    *(".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tbz"),
    *(".tar.xz", ".txz", ".tar.zst", ".tzst"),
)
ZIP = (".zip",)
PARQUET = (".parquet",)
LISTS = (".csv", ".jsonl", ".ndjson")

CONTAINERS = (*TAR, *ZIP, *PARQUET)
"""Opened wherever they are found; lists only where the user names them."""

HEAD = 4096
"""Bytes by which a file of an unknown name is told to be an image."""

_NESTED = (*CONTAINERS, ".7z", ".rar")
_FOREIGN_FOLDER = "__MACOSX"


def ends_in(name: str, suffixes: tuple[str, ...]) -> bool:
    """Whether a name has one of these suffixes, in any case."""
    return name.lower().endswith(suffixes)


def is_image(name: str) -> bool:
    """Whether a name is an image's."""
    return PurePosixPath(name).suffix.lower() in SUFFIXES


def is_nested(name: str) -> bool:
    """Whether a member of an archive is an archive or a table itself."""
    return ends_in(name, _NESTED)


def is_hidden(name: str) -> bool:
    """Whether an archive's member lies in a hidden folder, or is hidden as macOS's doubles are."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    return any(part == _FOREIGN_FOLDER or (part[0] == "." and part != "..") for part in parts)


def looks_like_image(head: bytes) -> bool:
    """Whether a file that begins so is an image."""
    try:
        sniff(head[:HEAD])
    except ImageError:
        return False
    return True
