"""The scan on a Ray cluster: shards of inputs through the pools, as one Ray Data pipeline.

The driver lists the inputs and hands them out a few shards ahead of the answers, so that nothing
grows with their number, and writes the answers down: no worker needs the store.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import pyarrow as pa
import ray
from ray.data import ActorPoolStrategy, DataContext, Dataset
from ray.exceptions import RayError, RayTaskError

from aligngemini.fusion import open_rule
from aligngemini.isolation import WorkerStartError
from aligngemini.runner import LARGE_MEMORY, LARGE_TIMEOUT, MEMORY, TIMEOUT, any_large
from aligngemini.scan.judge import Answer, Identity, unknown
from aligngemini.scan.pools import Pool
from aligngemini.scan.ray_cluster import ClusterError, reason, room
from aligngemini.scan.ray_feed import Feed, Feeder, Shards
from aligngemini.scan.ray_worker import Limits, PoolWorker
from aligngemini.scan.stages import Joining, Part, Stage, describe_part

if TYPE_CHECKING:
    from ray.actor import ActorHandle

    from aligngemini.calibration import CalibrationFile
    from aligngemini.runner import DetectorOptions
    from aligngemini.scan.items import ScanItem

Tables: TypeAlias = Generator[pa.Table, None, None]

SHARDS_AHEAD = 4  # a worker: what it judges, what it judges next, and what is on its way


class RayEngine:
    """Judges inputs on the cluster that this process is connected to.

    Attributes:
        identity: Of the detector that the pools are together.
    """

    def __init__(
        self,
        options: DetectorOptions,
        pools: Sequence[Pool],
        *,
        timeout: float | None = None,
        memory: int | None = None,
    ) -> None:
        """Find out what the pools load.

        Args:
            options: What to judge with. Rule and calibration are read here; models must be where
                the workers are.
            pools: As `pools.plan_pools` gives them.
            timeout: Seconds one input may take in each pool; None takes a minute, or ten with a
                large model.
            memory: Bytes a worker may take beyond what loading took; None takes 4 GB, or 16 with a
                large model.

        Raises:
            FusionError: (a ValueError) The rule is unknown, or does not fit the models.
            CalibrationError: (a ValueError) The calibration cannot be read, or is of another
                detector.
            WorkerStartError: A pool's models cannot be loaded; the cause is what
                `Detector.load` raised.
        """
        joining = Joining(options, open_rule(options.fusion), _calibration(options))
        parts = [_described(options, pool) for pool in pools]
        self.identity: Identity = joining.identity(parts)
        self._pools = pools
        self._stages = _stages(joining, pools, parts, self.identity)
        large = any_large(options)
        self._limits = Limits(
            timeout or (LARGE_TIMEOUT if large else TIMEOUT),
            memory or (LARGE_MEMORY if large else MEMORY),
        )

    def answers(
        self, items: Iterable[ScanItem | None], known: Callable[[str], bool] = unknown
    ) -> Generator[Answer, None, None]:
        """An answer for each input, in any order.

        Args:
            items: May be endless; a few shards of them are taken ahead of the answers. A None
                among them says that there is nothing just now.
            known: Not asked: it is answered in this process, and the workers are elsewhere.

        Raises:
            WorkerStartError: A worker could not load its models.
            ClusterError: The cluster failed; what was answered stands.
        """
        feeder = Feeder.remote()  # type: ignore[attr-defined]  # of Ray's making
        feed = Feed(feeder, items, SHARDS_AHEAD * sum(map(_most_workers, self._pools)))
        try:
            feed.top_up()
            with closing(self._advanced(feeder)) as rows:
                for row in rows:
                    if row["failed"] is not None:
                        raise WorkerStartError(row["failed"])
                    yield from feed.taken(row["number"], row["shard"])
                    feed.top_up()
            feed.finish()
        except RayError as error:
            raise ClusterError(f"the Ray cluster failed: {reason(error)}") from error
        finally:
            with suppress(RayError):
                ray.kill(feeder)

    def _advanced(self, feeder: ActorHandle[Any]) -> Generator[dict[str, Any], None, None]:
        """The shards, as `ray_worker.table` has them, when the last pool is done with them."""
        batches = self._pipeline(feeder).iter_batches(
            batch_size=None, batch_format="pyarrow", prefetch_batches=0
        )
        with closing(cast(Tables, iter(batches))) as tables:  # which ends the pools
            for table in tables:
                yield from table.to_pylist()

    def _pipeline(self, feeder: ActorHandle[Any]) -> Dataset:
        context = DataContext.get_current().copy()
        context.target_max_block_size = 1  # one shard a block, none held back to be joined to more
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        with DataContext.current(context):
            data: Dataset = ray.data.read_datasource(
                Shards(feeder), num_cpus=0, override_num_blocks=1
            )
            for stage, pool in zip(self._stages, self._pools, strict=True):
                data = data.map_batches(
                    PoolWorker,
                    fn_constructor_args=(stage, self._limits),
                    batch_size=1,
                    batch_format="pyarrow",
                    num_cpus=pool.cpus,
                    num_gpus=pool.gpus or None,
                    compute=_strategy(pool),
                )
        return data


def _stages(
    joining: Joining, pools: Sequence[Pool], parts: Sequence[Part], identity: Identity
) -> list[Stage]:
    """What each pool does: the last one fuses."""
    stages = [
        Stage(joining, pool, tuple(facts for part in parts[:k] for facts in part.branches))
        for k, pool in enumerate(pools)
    ]
    return [*stages[:-1], replace(stages[-1], fingerprint=identity.fingerprint)]


def _described(options: DetectorOptions, pool: Pool) -> Part:
    """What a pool will load, found out where its workers will be."""
    task = ray.remote(num_cpus=pool.cpus, num_gpus=pool.gpus, max_retries=0)(describe_part)
    try:
        part: Part = ray.get(task.remote(options, pool))
    except RayTaskError as error:
        raise WorkerStartError(reason(error.cause)) from error.cause
    return part


def _calibration(options: DetectorOptions) -> CalibrationFile | None:
    if options.calibration is None:
        return None
    from aligngemini.calibration import read_calibration  # noqa: PLC0415 - when asked for

    return read_calibration(Path(options.calibration))


def _strategy(pool: Pool) -> ActorPoolStrategy:
    """As many workers as there is room for now, and more as a growing cluster gets more."""
    most = _most_workers(pool)
    return ActorPoolStrategy(min_size=min(most, room(pool)), max_size=most)


def _most_workers(pool: Pool) -> int:
    return room(pool) if pool.workers is None else pool.workers
