"""How the branches of a detector are spread over pools of workers.

A pool loads a part of the branches and takes as much of a GPU as they need. The pools work one
after the other on each image, and the last one fuses what all of them found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aligngemini.runner import DetectorOptions

KINDS = ("pixel", "gamma", "semantic")
"""Branches that may have a pool of their own, in the order of the pools; the cheapest first."""
SERVER_CPUS = 0.25  # of a worker whose model is elsewhere: it decodes, and waits


class PoolError(ValueError):
    """Pools that make no sense; the message says what to do."""


@dataclass(frozen=True)
class Pool:
    """Workers that run the same branches.

    Attributes:
        kinds: Kinds of branches it runs, of `KINDS`; and `provenance`, in the first pool.
        workers: At most so many; None takes as many as the cluster has room for.
        gpus: Share of a GPU that each of them takes, or several.
        cpus: Likewise.
    """

    kinds: tuple[str, ...]
    workers: int | None = None
    gpus: float = 0.0
    cpus: float = 1.0


def parse_pool(text: str) -> Pool:
    """A pool of one kind, as the command line takes it: `KIND=WORKERS[:GPUS]`.

    Raises:
        PoolError: It is written otherwise.
    """
    kind, _, rest = text.partition("=")
    workers, _, gpus = rest.partition(":")
    try:
        pool = Pool((kind,), int(workers), float(gpus or 0))
    except ValueError:
        raise PoolError(f"{text!r} is no pool: write KIND=WORKERS or KIND=WORKERS:GPUS") from None
    if kind not in KINDS:
        raise PoolError(f"unknown branch {kind!r}; a pool is for one of: {', '.join(KINDS)}")
    if pool.workers is None or pool.workers < 1 or not 0 <= pool.gpus <= 64:
        raise PoolError(f"{text!r}: a pool has one worker or more, and each 0 to 64 GPUs")
    return pool


def plan_pools(given: Sequence[Pool], options: DetectorOptions) -> tuple[Pool, ...]:
    """The pools of a scan, in the order in which they see an image.

    Args:
        given: Pools of one kind each. Branches of kinds that none names go to the first pool.
        options: The detector.

    Raises:
        PoolError: A kind is named twice, or none of its branches is there.
    """
    used = [kind for kind in KINDS if _is_used(kind, options)]
    named = [pool.kinds[0] for pool in given]
    for kind in named:
        if named.count(kind) > 1:
            raise PoolError(f"two pools for {kind}: name one")
        if kind not in used:
            raise PoolError(f"a pool for {kind}, and no such branch is in use: leave it out")
    pools = sorted(given, key=lambda pool: KINDS.index(pool.kinds[0])) or [Pool(())]
    rest = tuple(kind for kind in used if kind not in named)
    first = replace(pools[0], kinds=(*pools[0].kinds, *rest, "provenance"))
    return tuple(_light(pool, options) for pool in (first, *pools[1:]))


def part_of(options: DetectorOptions, pool: Pool) -> DetectorOptions:
    """What to load in a pool: its branches alone, with nothing that joins them."""
    return replace(
        options,
        pixel=options.pixel if "pixel" in pool.kinds else ("off",),
        gamma=options.gamma if "gamma" in pool.kinds else "off",
        semantic=options.semantic if "semantic" in pool.kinds else "off",
        fusion="or",
        calibration=None,
    )


def _is_used(kind: str, options: DetectorOptions) -> bool:
    models = {"pixel": options.pixel[0], "gamma": options.gamma, "semantic": options.semantic}
    return models[kind] != "off"


def _light(pool: Pool, options: DetectorOptions) -> Pool:
    """A pool that only asks a server needs little of a CPU."""
    asks_only = pool.kinds == ("semantic",) and "://" in options.semantic
    return replace(pool, cpus=SERVER_CPUS) if asks_only else pool
