"""The Ray engine against the local one on the same images: what it costs to start, and its rate.

    python perf/scan_ray.py FOLDER [--images 1000] [--workers 2]

Both judge with the default detector. The CPU time is that of all processes from the time that the
engine is ready to the last answer; other programs on the machine change it least. Two numbers of
images tell what is fixed and what is not. Records are compared, times aside. Needs psutil.
"""

import argparse
import json
import os
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from aligngemini.runner import DetectorOptions
from aligngemini.scan.items import FileReader, ScanItem
from aligngemini.scan.local import LocalEngine
from aligngemini.scan.pools import Pool, plan_pools

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}


@dataclass
class Course:
    """What one engine did; times in seconds since it was asked to start."""

    name: str
    ready: float
    first: float
    last: float
    cpu: float
    records: dict[str, object]

    def __str__(self) -> str:
        return (
            f"{self.name:6} ready {self.ready:6.1f} s  first answer {self.first:6.1f} s  "
            f"all {self.last:6.1f} s  CPU {self.cpu:6.1f} s"
        )


def measure(name, engine, items, start) -> Course:
    ready, times, records = time.perf_counter() - start, [], {}
    with Cpu() as cpu:
        for answer in engine.answers(items):
            times.append(time.perf_counter() - start)
            records[answer.address] = comparable(answer)
    return Course(name, ready, times[0], times[-1], cpu.seconds, records)


class Cpu:
    """CPU time of this process and all below it, looked at so often that few ends are missed.

    What a process took is lost when it ends and nobody waits for it, as with some of Ray's.
    """

    EVERY = 0.2  # seconds

    def __enter__(self):
        self._before, self._latest, self._done = seconds_by_process(), {}, threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._done.set()
        self._thread.join()
        self.seconds = sum(
            seconds - self._before.get(pid, 0) for pid, seconds in self._latest.items()
        )

    def _watch(self):
        while not self._done.wait(self.EVERY):
            self._latest |= seconds_by_process()


def seconds_by_process():
    """CPU seconds so far of this process and each below it, by process id."""
    found, root = {}, psutil.Process()
    for process in (root, *root.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):  # it has ended meanwhile
            times = process.cpu_times()
            found[process.pid] = times.user + times.system
    return found


def comparable(answer):
    record = json.loads(answer.record) if answer.record else {"branches": {}}
    for branch in record["branches"].values():
        branch.pop("ms", None)
    return record, answer.problem


def local(items, options, workers) -> Course:
    start = time.perf_counter()
    return measure("local", LocalEngine(options, workers=workers), items, start)


def on_ray(items, options, workers) -> Course:
    start = time.perf_counter()
    from aligngemini.scan.ray_cluster import cluster
    from aligngemini.scan.ray_engine import RayEngine

    with cluster(cpus=workers):
        pools = plan_pools([Pool(("pixel",), workers)], options)
        return measure("ray", RayEngine(options, pools), items, start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    paths = [p for p in sorted(given.folder.rglob("*")) if p.suffix.lower() in SUFFIXES]
    items = [ScanItem(str(p), FileReader(str(p))) for p in paths[: given.images]]
    options = DetectorOptions()
    print(f"{len(items)} images, {given.workers} workers, load {os.getloadavg()[0]:.1f} before")
    courses = [run(items, options, given.workers) for run in (local, on_ray)]
    print(*courses, sep="\n")
    same = courses[0].records == courses[1].records
    print(f"records {'are the same' if same else 'DIFFER'}; load {os.getloadavg()[0]:.1f} after")


if __name__ == "__main__":
    main()
