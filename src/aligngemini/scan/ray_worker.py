"""What runs on the machines of a Ray cluster: the workers of the pools."""

from __future__ import annotations

import pickle
from collections import deque
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from aligngemini.evidence import Problem
from aligngemini.isolation import WorkerStartError
from aligngemini.isolation_stream import stream_isolated
from aligngemini.scan.judge import lost
from aligngemini.scan.ray_feed import pack, table, unpack
from aligngemini.scan.stages import Stage, Work


@dataclass(frozen=True)
class Limits:
    """What one input may take of a worker.

    Attributes:
        timeout: Seconds.
        memory: Bytes beyond what loading took.
    """

    timeout: float
    memory: int


class PoolWorker:
    """One worker of a pool: an actor of Ray that has its images judged in a process of its own.

    That process may crash, hang or run out of memory without taking the actor along, so that it
    costs one input and not all that are in the actor's hands.
    """

    def __init__(self, stage: Stage, limits: Limits) -> None:
        self._fusion = stage.joining.rule.name
        self._pending: deque[Work] = deque()
        self._sha256: str | None = None
        self._failed: str | None = None
        # With one process, each answer that is asked for takes exactly one input.
        self._answers = stream_isolated(
            stage,
            iter(self._pending.popleft, None),
            workers=1,
            timeout=limits.timeout,
            memory=limits.memory,
            reply=self._reply,
        )

    def __call__(self, rows: pa.Table) -> pa.Table:
        """Take each shard of a batch one stage further."""
        return table([self._advance(row) for row in rows.to_pylist()])

    def _advance(self, row: dict[str, Any]) -> dict[str, Any]:
        failed = row["failed"] or self._failed
        if failed is None:
            try:
                works = [pickle.dumps(self._one(work)) for work in unpack(row["shard"])]
                return {**row, "shard": pack(works)}
            except WorkerStartError as error:  # raised, it would reach the driver as a page of text
                failed = self._failed = str(error)
        return {**row, "failed": failed}

    def _one(self, work: Work) -> Work:
        if work.answer is not None:
            return work
        self._sha256 = None
        self._pending.append(work)
        _, done = next(self._answers)
        if isinstance(done, Problem):
            return work.answered(lost(work.item, self._sha256, done, self._fusion))
        return done

    def _reply(self, _: Work, sha256: str) -> bool:
        """Note what was read, should the process die of it. No content is known here."""
        self._sha256 = sha256
        return False
