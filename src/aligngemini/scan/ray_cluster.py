"""The connection to a Ray cluster, or one that is started for the purpose."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import ray

if TYPE_CHECKING:
    from aligngemini.scan.pools import Pool

START_TRIES = 3
LOCAL_OBJECTS = 256 << 20  # bytes of shared memory of a cluster of one machine


class ClusterError(Exception):
    """A cluster that cannot be used; the message says what to do."""


@contextmanager
def cluster(address: str | None = None, *, cpus: int | None = None) -> Iterator[None]:
    """Be connected to a Ray cluster while the block runs.

    Args:
        address: `auto` or HOST:PORT of a cluster that this machine is part of; None starts one of
            this machine alone, and ends it with the block.
        cpus: Of a cluster that is started here; None takes all.

    Raises:
        ClusterError: There is none, or it cannot be started.
    """
    if address is not None and "://" in address:
        raise ClusterError(
            f"cannot scan through {address}: run the scan on a machine of the cluster, by "
            "ray job submit for one, with the address auto"
        )
    _hush()
    own = tempfile.mkdtemp(prefix="ray") if address is None else None
    try:
        try:
            _connect(address) if own is None else _start(own, cpus)
        except Exception as error:  # what Ray raises here is of every kind
            what = f"at {address}" if address else "on this machine"
            raise ClusterError(f"no Ray cluster {what}: {reason(error)}") from error
        yield
    finally:
        ray.shutdown()
        if own is not None:
            shutil.rmtree(own, ignore_errors=True)


def _connect(address: str | None) -> None:
    ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False)


def _start(folder: str, cpus: int | None, tries: int = START_TRIES) -> None:
    # Who reaches a cluster and knows its token can run programs on it. Ray would keep one token for
    # all clusters in the home folder.
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    try:
        ray.init(
            num_cpus=cpus,
            include_dashboard=False,
            object_store_memory=LOCAL_OBJECTS,
            _temp_dir=folder,
            logging_level=logging.ERROR,
            log_to_driver=False,
        )
    except Exception:  # on a busy machine: Ray waits 30 seconds for itself, and no longer
        ray.shutdown()
        if tries == 1:
            raise
        _start(folder, cpus, tries - 1)


def room(pool: Pool) -> int:
    """How many workers of a pool the cluster would hold, were they alone."""
    there = ray.cluster_resources()
    needs = {"CPU": pool.cpus, "GPU": pool.gpus}
    return max(1, min(int(there.get(name, 0) / need) for name, need in needs.items() if need))


def reason(error: BaseException | None) -> str:
    """What went wrong, in a line: Ray's errors hold the traceback of another process."""
    first, _, _ = str(error).strip().partition("\n\nThe above exception")
    lines = first.strip().splitlines()
    return lines[-1].strip() if lines else repr(error)


def _hush() -> None:
    """Have Ray tell nobody how it is used, and keep its messages for its own log files."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    for handler in logging.getLogger("ray.data").handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.setLevel(logging.CRITICAL)
    # One source makes all the shards, which Ray takes for a lack of work.
    warnings.filterwarnings("ignore", "The minimum number of concurrent actors", UserWarning)
