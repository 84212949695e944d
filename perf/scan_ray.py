"""The Ray engine against the local one on the same images: what it costs to start, and its rate.

    python perf/scan_ray.py FOLDER [--images 1000] [--workers 2]

Both judge with the default detector. The CPU time is that of all processes from the time that the
engine is ready to the last answer; other programs on the machine change it least. Two numbers of
images tell what is fixed and what is not. Records are compared, times aside.
"""

import argparse
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

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
    before, spent = cpu_seconds(), 0.0
    for answer in engine.answers(items):
        times.append(time.perf_counter() - start)
        if len(times) == len(items):
            spent = cpu_seconds() - before  # while the workers are still there
        records[answer.address] = comparable(answer)
    return Course(name, ready, times[0], times[-1], spent, records)


def cpu_seconds() -> float:
    """CPU time so far of this process and all below it, those that have ended included."""
    parents, ticks = {}, {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it has ended meanwhile
            pid = int(entry.name)
            parents[pid], ticks[pid] = int(fields[1]), sum(map(int, fields[11:15]))
    ours, more = set(), {os.getpid()}
    while more:
        ours |= more
        more = {pid for pid, parent in parents.items() if parent in more}
    return sum(ticks[pid] for pid in ours) / os.sysconf("SC_CLK_TCK")


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
