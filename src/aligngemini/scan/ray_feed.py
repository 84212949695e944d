"""Shards of inputs on their way from the driver into Ray Data, and back."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import pyarrow as pa
import ray
from ray.data import Datasource
from ray.data.block import BlockMetadata
from ray.data.datasource import ReadTask

from aligngemini.scan.judge import Answer
from aligngemini.scan.ray_cluster import ClusterError
from aligngemini.scan.stages import Work

if TYPE_CHECKING:
    from ray.actor import ActorHandle

    from aligngemini.scan.items import ScanItem

SHARD_ITEMS = 64
SHARD_BYTES = 8 << 20  # of inputs that carry their bytes along

AGAIN = "run the same command again; what was answered stands"

Shard: TypeAlias = bytes
"""Inputs that travel together: a pickled list of pickled `Work`; empty if nobody waits for it."""

SCHEMA = pa.schema(
    {"number": pa.int64(), "shard": pa.large_binary(), "failed": pa.string()}.items()
)


@ray.remote(num_cpus=0)
class Feeder:
    """Holds the shards that were handed out and not yet answered.

    Ray repeats a task whose process died, and reads its input again from the first shard on. So
    each one stays here until its answers are there.
    """

    def __init__(self) -> None:
        self._shards: dict[int, Shard] = {}
        self._count = 0
        self._closed = False
        self._changed = asyncio.Condition()

    async def put(self, shard: Shard) -> None:
        """Add the next shard."""
        async with self._changed:
            self._shards[self._count] = shard
            self._count += 1
            self._changed.notify_all()

    async def close(self) -> None:
        """Say that there will be no more."""
        async with self._changed:
            self._closed = True
            self._changed.notify_all()

    async def drop(self, number: int) -> None:
        """Forget a shard that has been answered."""
        self._shards.pop(number, None)

    async def get(self, number: int) -> Shard | None:
        """A shard by number, once it is there; empty if it was answered, None past the last."""
        async with self._changed:
            await self._changed.wait_for(lambda: number < self._count or self._closed)
        return None if number >= self._count else self._shards.get(number, b"")


class Shards(Datasource):
    """What a feeder holds, as Ray Data reads it: a row, and a block, a shard."""

    def __init__(self, feeder: ActorHandle[Any]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # as Ray has it
        self._feeder = feeder

    def estimate_inmemory_data_size(self) -> int | None:
        """Nobody knows."""
        return None

    def get_read_tasks(self, parallelism: int, *_: Any, **__: Any) -> list[ReadTask]:
        """One task, which goes on for as long as there are shards."""
        feeder = self._feeder
        nothing_known = BlockMetadata(
            num_rows=None, size_bytes=None, input_files=None, exec_stats=None
        )
        return [ReadTask(lambda: _rows(feeder), nothing_known)]


def _rows(feeder: ActorHandle[Any]) -> Iterator[pa.Table]:
    number = 0
    while (shard := ray.get(feeder.get.remote(number))) is not None:
        yield table([{"number": number, "shard": shard, "failed": None}])
        number += 1


class Feed:
    """Keeps a feeder a few shards ahead of the answers."""

    def __init__(
        self, feeder: ActorHandle[Any], items: Iterable[ScanItem | None], ahead: int
    ) -> None:
        self._feeder = feeder
        self._shards = _shards(items)
        self._ahead = ahead
        self._open: dict[int, int] = {}  # inputs by shard
        self._count = 0
        self._ended = False

    def top_up(self) -> None:
        """Hand out what may be handed out; where nothing is out, wait for something."""
        while not self._ended and len(self._open) < self._ahead:
            try:
                shard = next(self._shards)
            except StopIteration:
                self._ended = True
                ray.get(self._feeder.close.remote())
                return
            if shard is not None:
                ray.get(self._feeder.put.remote(pack(shard)))
                self._open[self._count] = len(shard)
                self._count += 1
            elif self._open:
                return

    def taken(self, number: int, shard: Shard) -> list[Answer]:
        """The answers in a shard that came back; none if it came back before.

        Raises:
            ClusterError: Some are missing.
        """
        expected = self._open.pop(number, 0)
        if not expected:
            return []
        answers = [work.answer for work in unpack(shard) if work.answer is not None]
        if len(answers) != expected:
            raise ClusterError(f"{expected - len(answers)} answers are missing: {AGAIN}")
        self._feeder.drop.remote(number)
        return answers

    def finish(self) -> None:
        """Make sure that everything was answered.

        Raises:
            ClusterError: It was not.
        """
        if self._open or not self._ended:
            raise ClusterError(f"Ray ended before all inputs were judged: {AGAIN}")


def _shards(items: Iterable[ScanItem | None]) -> Iterator[list[bytes] | None]:
    """Pickled inputs by shard, and a None where there is nothing just now."""
    works: list[bytes] = []
    size = 0
    for item in items:
        if item is not None:
            works.append(pickle.dumps(Work(item)))
            size += len(works[-1])
        if works and (item is None or len(works) >= SHARD_ITEMS or size >= SHARD_BYTES):
            yield works
            works, size = [], 0
        if item is None:
            yield None
    if works:
        yield works


def table(rows: Sequence[dict[str, Any]]) -> pa.Table:
    """Shards as they travel: `number`, `shard`, and `failed`, why a worker could not be started."""
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def pack(works: Sequence[bytes]) -> Shard:
    """A shard of pickled `Work`, as it travels."""
    return pickle.dumps(works)


def unpack(shard: Shard) -> Iterator[Work]:
    """What is in a shard; nothing in an empty one."""
    works = pickle.loads(shard) if shard else []  # noqa: S301 - our own, within the cluster
    return map(pickle.loads, works)
