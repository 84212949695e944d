"""The engine that a scan runs on."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aligngemini.runner import DetectorOptions
from aligngemini.scan.judge import Identity
from aligngemini.scan.local import LocalEngine
from aligngemini.scan.loop import Answers

if TYPE_CHECKING:
    from aligngemini.cli.scan_run import Running

RAY_PATIENCE = 3600.0  # seconds: inputs wait in shards for their turn


class EngineError(Exception):
    """An engine that cannot be used; the message says what to do."""


@dataclass(frozen=True)
class Engine:
    """An engine at work.

    Attributes:
        identity: Of its detector.
        answers: See `scan.loop.Answers`.
        workers: Processes that judge.
        timeout: Seconds after which an input that was handed out is answered.
    """

    identity: Identity
    answers: Answers
    workers: int
    timeout: float


@contextmanager
def open_engine(options: DetectorOptions, running: "Running", *, near: bool) -> Iterator[Engine]:
    """The engine that was asked for, for as long as the block runs.

    Args:
        options: Of the detector.
        running: Which engine, and how.
        near: Whether to look for near-duplicates.

    Raises:
        EngineError: It is not there, or it failed in the block.
        WorkerStartError: The detector cannot be loaded.
    """
    if running.engine == "local":
        local = LocalEngine(options, workers=running.workers, timeout=running.timeout, near=near)
        yield Engine(local.identity, local.answers, local.workers, local.timeout)
        return
    with _ray(options, running) as engine:
        yield engine


@contextmanager
def _ray(options: DetectorOptions, running: "Running") -> Iterator[Engine]:
    try:
        from aligngemini.scan import ray_cluster, ray_engine
    except ImportError as error:
        raise EngineError("Ray is not installed: pip install 'aligngemini[cluster]'") from error
    from aligngemini.scan.pools import PoolError, parse_pool, plan_pools

    try:
        pools = plan_pools([parse_pool(text) for text in running.pools], options)
        with ray_cluster.cluster(running.address):
            ray = ray_engine.RayEngine(options, pools, timeout=running.timeout)
            workers = sum(pool.workers or ray_cluster.room(pool) for pool in pools)
            yield Engine(ray.identity, ray.answers, workers, RAY_PATIENCE)
    except (ray_cluster.ClusterError, PoolError) as error:
        raise EngineError(str(error)) from error
