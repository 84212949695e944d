"""Webdataset shards: tar files of images, unpacked once into a work folder."""

import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath

from aligngemini.benchmarks.base import BenchmarkError
from aligngemini.datasets.archives import Member, list_members, read_members

SUFFIX = ".tar"
_LARGEST_GROWTH = 10  # images do not compress; a shard that grows more is no honest one
_END = 1024  # bytes of zeros that close a tar file
_MARK = ".unpacked.json"
_PART_NUMBER = re.compile(r"^(?P<name>.*?)[-_.]?(?P<part>\d{3,})$")


def unpack_shards(
    root: Path, shards: Iterable[str], work: Path, *, step: Callable[[], None] = lambda: None
) -> Iterator[str]:
    """Unpack shards that were not unpacked before.

    `a/b-00012.tar` goes to `work/a/b/00012/`. Only images are written, under the names they have in
    the shard without `..`, roots and hidden parts; a folder appears when it is whole.

    Args:
        root: Folder of the shards.
        shards: Their paths below it.
        work: Where to unpack.
        step: Called after each image.

    Yields:
        Sentences on shards or images that could not be read.

    Raises:
        BenchmarkError: The work folder cannot be written.
    """
    for name in shards:
        shard, target = root / name, work / _place(Path(name))
        try:
            status = shard.stat()
            state = {"bytes": status.st_size, "modified": status.st_mtime_ns}
            problems = _read_mark(target / _MARK, state)
            if problems is None:
                problems = _unpack(shard, target, state, step)
        except OSError as error:
            raise BenchmarkError(
                f"{name} cannot be unpacked into {work}: {error.strerror}"
            ) from error
        yield from (f"{name}: {problem}" for problem in problems)


def _unpack(
    shard: Path, target: Path, state: dict[str, int], step: Callable[[], None]
) -> list[str]:
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    members, damage = list_members(shard)
    problems = [damage] if damage is not None else []
    if damage is None and not _is_finished(shard):
        problems.append("has no end: it was cut off")
    names = {str(member.number): _inside(member) for member in members}
    room = _LARGEST_GROWTH * state["bytes"]
    for key, data in read_members(shard, {int(key): key for key in names}):
        step()
        if isinstance(data, str):
            problems.append(f"{names[key]}: {data}")
            continue
        room -= len(data)
        if room < 0:
            problems.append("unpacks to far more than its size and was left there")
            break
        path = partial / names[key]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    mark = json.dumps(state | {"problems": problems})
    (partial / _MARK).write_text(mark, encoding="utf-8")
    shutil.rmtree(target, ignore_errors=True)
    partial.replace(target)
    return problems


def _is_finished(shard: Path) -> bool:
    """Whether a tar file ends as it must; `tarfile` takes one cut off between files for whole."""
    with shard.open("rb") as file:
        if file.read(2) == b"\x1f\x8b":
            return True  # gzip has a checksum, whose absence is a damage
        file.seek(-min(_END, shard.stat().st_size), os.SEEK_END)
        return file.read() == bytes(_END)


def _place(shard: Path) -> Path:
    """A shard's folder, its running number one below: what stands before may have a meaning."""
    stem = shard.with_suffix("")
    numbered = _PART_NUMBER.match(stem.name)
    if numbered is None or not numbered["name"]:
        return stem
    return stem.with_name(numbered["name"]) / numbered["part"]


def _inside(member: Member) -> str:
    """A member's path without what could lead out of the folder or clash with another's."""
    parts = [part.lstrip(".") for part in PurePosixPath(member.name).parts if part != "/"]
    *folders, name = [re.sub(r'[\\:*?"<>|\x00-\x1f]', "_", part)[-120:] for part in parts if part]
    stem, dot, suffix = name.rpartition(".")
    return "/".join([*folders, f"{stem}-{member.number}{dot}{suffix}"])


def _read_mark(path: Path, state: dict[str, int]) -> list[str] | None:
    """What was wrong when this very shard was unpacked; None where it was not."""
    try:
        mark = json.loads(path.read_text(encoding="utf-8"))
        if {name: mark[name] for name in state} == state:
            return [str(problem) for problem in mark["problems"]]
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None
