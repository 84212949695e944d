"""The service under load from another process: throughput, latency, overload, memory.

    python perf/serve.py PHOTOS [--workers N] [--seconds 30] [--memory-requests 10000]

PHOTOS is a folder. The service runs in processes of its own on the loopback; this one makes the
load, so on a machine with few cores it takes some of what it measures. Needs the serve extra,
aiohttp and psutil.
"""

import argparse
import asyncio
import os
import random
import re
import subprocess
import sys
import time
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path
from statistics import median

import aiohttp
import numpy as np
import psutil

from aligngemini.images.sources import Item
from aligngemini.runner import DetectorOptions, judge_paths

EDGE = "an-edge-that-no-image-has"
SMALL = 200  # pixels a side of the images that memory is watched with


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("--images", type=int, default=60)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--memory-requests", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--part", choices=("load", "memory", "all"), default="all")
    given = parser.parse_args()
    random.seed(given.seed)
    found = sorted(path for path in given.photos.rglob("*") if path.suffix.lower() == ".jpg")
    photos = random.sample(found, min(given.images, len(found)))
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    print(f"{given.workers} workers, {len(photos)} photos, load average before: {load}")
    with serving(given.workers) as (process, url):
        if given.part != "memory":
            asyncio.run(measure(url, photos, given))
        if given.part != "load":
            asyncio.run(memory(url, process, given.memory_requests, given.workers))


async def measure(url, photos, given):
    bodies = [body_of(path.name, path.read_bytes()) for path in photos]
    async with client_of(url) as client:
        await closed(client, bodies, 2 * given.workers)  # once, to warm up
        rates = []
        for _ in range(given.rounds):  # in turns, so that other work on the machine troubles both
            batch = batch_rate(photos, given.workers)
            times, seconds = await closed(client, bodies * 2, 2 * given.workers)
            rates.append((batch, len(times) / seconds))
        batch, rate = (median(column) for column in zip(*rates, strict=True))
        print(f"batch API (judge_paths): {batch:.2f} images/s, median of {given.rounds}")
        share = median(service / alone for alone, service in rates)
        print(f"service, {2 * given.workers} callers: {rate:.2f} images/s ({share:.0%} of batch)")
        lone, _ = await closed(client, bodies, 1)
        alone = [seconds for seconds, _ in lone]
        say("a lone request", alone)
        for share, name in ((0.5, "half load"), (5.0, "five times what it can do")):
            answers = await opened(client, bodies, share * rate, given.seconds)
            taken = [one for one, status in answers if status == 200]
            refused = [one for one, status in answers if status in (429, 503)]
            others = len(answers) - len(taken) - len(refused)
            say(f"{name}, accepted", taken)
            print(
                f"    p99 is {np.quantile(taken, 0.99) / median(alone):.1f} times a lone request's "
                f"median; {len(taken) / given.seconds:.2f} accepted a second"
            )
            print(f"    {len(answers)} asked, {len(refused)} refused, {others} anything else")
            if refused:
                say(f"{name}, refused", refused)


async def memory(url, process, requests, workers):
    """Resident and unshared memory of all processes, over many requests."""
    rng = np.random.default_rng(0)
    bodies = [body_of("a.png", noise(rng)) for _ in range(20)]
    async with client_of(url) as client:
        print(f"{'requests':>10} {'private MB':>11} {'processes':>10}")
        for done in range(0, requests + 1, max(1, requests // 10)):
            private, count = private_memory(process)
            print(f"{done:10} {private / 1e6:11.1f} {count:10}", flush=True)
            if done < requests:
                part = list(islice(cycle(bodies), max(1, requests // 10)))
                answers, _ = await closed(client, part, 2 * workers)
                assert all(status == 200 for _, status in answers)


def noise(rng):
    import io

    from PIL import Image

    file = io.BytesIO()
    pixels = rng.integers(0, 256, (SMALL, SMALL, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file, "JPEG")
    return file.getvalue()


def private_memory(process):
    """Bytes that would be free if the service ended, and how many processes it has."""
    root = psutil.Process(process.pid)
    family = [root, *root.children(recursive=True)]
    return sum(one.memory_full_info().uss for one in family), len(family)


def batch_rate(photos, workers):
    """Images a second of `judge_paths`, its start not counted."""
    items = [Item(str(path)) for path in photos]
    judged = judge_paths(items[: 2 * workers] + items * 2, DetectorOptions(), workers=workers)
    for _ in range(2 * workers):
        next(judged)
    start = time.perf_counter()
    count = sum(1 for _ in judged)
    return count / (time.perf_counter() - start)


def body_of(name, data):
    """A form with one file: its bytes, and the header that says how to read them."""
    head = f'--{EDGE}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
    body = head.encode() + data + f"\r\n--{EDGE}--\r\n".encode()
    return body, {"Content-Type": f"multipart/form-data; boundary={EDGE}"}


def client_of(url):
    # Of the clients there are, the one that takes least of the cores that it measures.
    connector = aiohttp.TCPConnector(limit=0)
    limit = aiohttp.ClientTimeout(total=120)
    return aiohttp.ClientSession(url, connector=connector, timeout=limit)


async def one(client, body):
    """Seconds and status of a request; -1 where there was no answer."""
    content, headers = body
    start = time.perf_counter()
    try:
        async with client.post("/v1/detect", data=content, headers=headers) as answer:
            await answer.read()
            status = answer.status
    except (aiohttp.ClientError, TimeoutError):
        status = -1
    return time.perf_counter() - start, status


async def closed(client, bodies, callers):
    """Requests of callers who each wait for their answer; what each took, and all together."""
    waiting, answers = iter(bodies), []

    async def caller():
        for body in waiting:
            answers.append(await one(client, body))  # noqa: PERF401 - the others take from it too

    start = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(callers)))
    return answers, time.perf_counter() - start


async def opened(client, bodies, rate, seconds):
    """Requests that come when they come, so many a second."""
    tasks = []
    source = cycle(bodies)
    due = end = time.perf_counter()
    end += seconds
    while due < end:
        tasks.append(asyncio.create_task(one(client, next(source))))
        due += random.expovariate(rate)
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
    return await asyncio.gather(*tasks)


def say(name, times):
    p50, p90, p99 = (1000 * np.quantile(times, q) for q in (0.5, 0.9, 0.99))
    print(f"{name:40} p50 {p50:7.0f} ms   p90 {p90:7.0f} ms   p99 {p99:7.0f} ms   n {len(times)}")


@contextmanager
def serving(workers):
    command = [sys.executable, "-m", "aligngemini", "serve", "--port", "0"]
    command += ["--workers", str(workers)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            for line in process.stderr:
                if found := re.search(r"listening on (http://\S+)/", line):
                    break
            drain = subprocess.Popen(["cat"], stdin=process.stderr, stdout=subprocess.DEVNULL)
            yield process, found[1]
        finally:
            process.terminate()
            process.wait()
            drain.wait()


if __name__ == "__main__":
    main()
