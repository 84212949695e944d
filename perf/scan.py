"""`aligngemini scan`: its rate beside decoding and the model alone, its growth, and kills.

    python perf/scan.py PHOTOS ceilings [--images 600] [--rounds 3]
    python perf/scan.py PHOTOS growth [--sizes 1000 10000 100000]
    python perf/scan.py PHOTOS kills [--images 2000] [--kills 10]

PHOTOS is a folder. Needs psutil. `ceilings` measures the three in turn, in several rounds, on the
same files with one process a core; what counts is the median of their ratios. In `growth` every
25th file is a new content (a re-encoding of a photo), one in a hundred is broken, the others are
hard links to those before; the share is the same at every size. Rates leave out the time that a
scan of one image takes. "again" is the same command once more, with nothing left to do.
"""

import argparse
import io
import json
import os
import random
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice
from pathlib import Path

import numpy as np
from PIL import Image
from throughput import watch_memory

from aligngemini.cores import usable_cores
from aligngemini.images.decode import decode
from aligngemini.isolation import map_isolated
from aligngemini.runner import DetectorOptions

NEW_CONTENT, BROKEN = 25, 100  # one in so many
A_FOLDER = 1000  # files in it
CORES = usable_cores()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("what", choices=("ceilings", "growth", "kills"))
    parser.add_argument("--images", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 10_000, 100_000])
    given = parser.parse_args()
    photos = sorted(path for path in given.photos.rglob("*") if path.suffix.lower() == ".jpg")
    print(f"{CORES} cores, load {os.getloadavg()[0]:.1f}, {len(photos)} photos", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        if given.what == "ceilings":
            ceilings(photos, Path(folder), given.images, given.rounds)
        elif given.what == "growth":
            growth(photos, Path(folder), given.sizes)
        else:
            kills(photos, Path(folder), given.images, given.kills)


def re_encodings(photos: list[Path]) -> Iterator[bytes]:
    """No two alike: photo after photo, each time cut a little more and at another quality."""
    for number, photo in enumerate(cycle(photos)):
        turn = number // len(photos)
        image = Image.open(photo).convert("RGB")
        image = image.crop((turn % 16, turn // 16 % 16, image.width, image.height))
        file = io.BytesIO()
        image.save(file, "JPEG", quality=75 + turn % 20)
        yield file.getvalue()


def make_folder(folder: Path, contents: Iterator[bytes], count: int) -> None:
    """Fill a tree of `count` files: new contents, broken files, and links to those before."""
    links = random.Random(1)
    known: list[Path] = []
    for number in range(count):
        path = folder / f"{number // A_FOLDER:04}" / f"{number:07}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        if number % NEW_CONTENT == 0:
            path.write_bytes(next(contents))
            known.append(path)
        elif number % BROKEN == 1:
            data = known[-1].read_bytes()
            path.write_bytes(data[: len(data) // 2] + number.to_bytes(4, "big"))
        else:
            os.link(links.choice(known), path)


def scan(folder: Path, store: Path) -> list[str]:
    command = (sys.executable, "-m", "aligngemini", "scan", str(folder), "--store", str(store))
    return [*command, "--workers", str(CORES)]


@dataclass(frozen=True)
class Cost:
    """What a command took: wall and processor seconds, highest resident memory of all processes."""

    wall: float
    cpu: float
    memory: int


def timed(command: list[str]) -> Cost:
    """Run a command to its end."""
    before = os.times()
    start = time.perf_counter()
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    peak = watch_memory(process.pid)
    _, said = process.communicate()
    if process.returncode not in (0, 1):
        raise SystemExit(said.decode())
    wall = time.perf_counter() - start
    after = os.times()
    cpu = after.children_user + after.children_system
    cpu -= before.children_user + before.children_system
    return Cost(wall, cpu, peak())


def ceilings(photos: list[Path], folder: Path, count: int, rounds: int) -> None:
    files = []
    for number, data in enumerate(islice(re_encodings(photos), count)):
        files.append(folder / "set" / f"{number:06}.jpg")
        files[-1].parent.mkdir(exist_ok=True)
        files[-1].write_bytes(data)
    single = folder / "one"
    single.mkdir()
    os.link(files[0], single / "one.jpg")
    print(f"{'images/s':>10}{'decode':>10}{'model':>10}{'scan':>10}{'of slower':>11}", flush=True)
    shares = []
    for turn in range(rounds):
        start_up = timed(scan(single, folder / f"one-{turn}.sqlite")).wall
        decoding = count / in_workers(partial(decoding_loop), files)
        model = count / in_workers(partial(model_loop), files)
        whole = timed(scan(folder / "set", folder / f"set-{turn}.sqlite")).wall
        rate = count / (whole - start_up)
        shares.append(rate / min(decoding, model))
        print(f"{'':10}{decoding:10.1f}{model:10.1f}{rate:10.1f}{shares[-1]:11.0%}", flush=True)
    print(f"median share of the slower ceiling: {statistics.median(shares):.0%}")


def in_workers(prepare, files: list[Path]) -> float:
    """Seconds that one process a core takes, each with its part of the files."""
    parts = [files[k::CORES] for k in range(CORES)]
    with closing(map_isolated(prepare, parts, workers=CORES, timeout=3600)) as answers:
        return max(answers)


def decoding_loop():
    def loop(files: list[Path]) -> float:
        start = time.perf_counter()
        for path in files:
            decode(path.read_bytes())
        return time.perf_counter() - start

    return loop


def model_loop():
    detector = DetectorOptions().load(threads=1)

    def loop(files: list[Path]) -> float:
        seconds = 0.0
        for path in files:
            image = decode(path.read_bytes())
            np.asarray(image.pixels).sum()  # in the cache, as behind a decoder
            start = time.perf_counter()
            detector.judge(image)
            seconds += time.perf_counter() - start
        return seconds

    return loop


def growth(photos: list[Path], folder: Path, sizes: list[int]) -> None:
    heads = ("inputs", "seconds", "inputs/s", "CPU ms each", "peak MB", "store MB", "again ms each")
    print("".join(f"{head:>14}" for head in heads), "  once", flush=True)
    for size in sizes:
        files, store = folder / str(size), folder / f"{size}.sqlite"
        make_folder(files, re_encodings(photos), size)
        single = folder / f"one-{size}"
        single.mkdir()
        os.link(files / "0000" / "0000000.jpg", single / "one.jpg")
        start_up = timed(scan(single, folder / f"one-{size}.sqlite"))
        cost = timed(scan(files, store))
        once = [address for address, *_ in rows(store)[0]] == sorted(
            str(path) for path in files.rglob("*.jpg")
        )
        again = timed(scan(files, store))
        store_size = sum(path.stat().st_size for path in folder.glob(f"{size}.sqlite*"))
        figures = (
            f"{size:14,}{cost.wall:14.1f}{size / (cost.wall - start_up.wall):14.1f}",
            f"{1000 * (cost.cpu - start_up.cpu) / size:14.2f}{cost.memory / 2**20:14.0f}",
            f"{store_size / 2**20:14.1f}{1000 * (again.cpu - start_up.cpu) / size:14.3f}",
        )
        print("".join(figures), "  yes" if once else "  NO", flush=True)


def kills(photos: list[Path], folder: Path, count: int, times: int) -> None:
    files = folder / "set"
    make_folder(files, re_encodings(photos), count)
    make_folder(folder / "one", re_encodings(photos), 1)
    start_up = timed(scan(folder / "one", folder / "one.sqlite")).wall
    seconds = timed(scan(files, folder / "undisturbed.sqlite")).wall - start_up
    moments = random.Random(time.time_ns())
    store = folder / "killed.sqlite"
    done = []
    for _ in range(times):
        process = subprocess.Popen(scan(files, store), stderr=subprocess.DEVNULL)
        time.sleep(moments.uniform(0.5, 1) * start_up + moments.uniform(0, 1.2) * seconds / times)
        process.send_signal(signal.SIGKILL)
        process.wait()
        done.append(len(rows(store)[0]) if store.exists() else 0)
    timed(scan(files, store))
    same = rows(store) == rows(folder / "undisturbed.sqlite")
    print(f"{count} inputs, {times} kills after {done} inputs; same rows: {same}")


def rows(store: Path) -> tuple[list, list]:
    """Every input and every judgment, but for ids and times."""
    with closing(sqlite3.connect(store)) as connection:
        try:
            inputs = connection.execute("SELECT address, stamp, sha256, size, error FROM inputs")
            judgments = connection.execute("SELECT sha256, verdict, score, record FROM judgments")
            return sorted(inputs), sorted(map(without_times, judgments))
        except sqlite3.OperationalError:  # killed before the tables were made
            return [], []


def without_times(row: tuple) -> tuple:
    record = json.loads(row[3])
    for branch in record["branches"].values():
        branch.pop("ms", None)
    return (*row[:3], json.dumps(record))


if __name__ == "__main__":
    main()
