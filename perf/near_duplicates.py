"""How well a perceptual hash tells copies of a picture from other pictures, by distance.

    python perf/near_duplicates.py IMAGES... [--limit N] [--pairs 8]
    python perf/near_duplicates.py --index 1000000

Every image is changed as copies on the web are, and hashed; each changed one is compared with its
own original, each original with every other. Images whose files are equal count once. Pairs of
different files that lie near each other are listed, for such sets hold true copies too. With
`--index`, random hashes go into an index on disk, a tenth of them near to an earlier one: the time
of each as they become more.
"""

import argparse
import random
import sqlite3
import time
from itertools import islice
from tempfile import TemporaryDirectory

import numpy as np

from aligngemini.images.decode import decode, read_bytes
from aligngemini.images.degrade import blur, reencode, rescale
from aligngemini.images.item import ImageError
from aligngemini.images.sources import expand
from aligngemini.scan.near import NearIndex, perceptual_hash


def cropped(pixels, share):
    """The middle, so many of the sides."""
    height, width = pixels.shape[:2]
    top, left = round(height * (1 - share) / 2), round(width * (1 - share) / 2)
    return pixels[top : height - top, left : width - left]


CHANGES = {
    "JPEG 90": lambda pixels: reencode(pixels, 90),
    "JPEG 75": lambda pixels: reencode(pixels, 75),
    "JPEG 50": lambda pixels: reencode(pixels, 50),
    "WebP 80": lambda pixels: reencode(pixels, 80, codec="WEBP"),
    "half size": lambda pixels: rescale(pixels, 0.5),
    "quarter size, JPEG 75": lambda pixels: reencode(rescale(pixels, 0.25), 75),
    "blur 2 px": lambda pixels: blur(pixels, 2),
    "crop to 98 %": lambda pixels: cropped(pixels, 0.98),
    "crop to 95 %": lambda pixels: cropped(pixels, 0.95),
    "crop to 90 %": lambda pixels: cropped(pixels, 0.90),
    "mirrored": lambda pixels: pixels[:, ::-1],
}
DISTANCES = (0, 2, 4, 6, 8, 10)


def hashes_of(paths):
    """Path, hash and the hashes after each change; plain and unreadable images left out."""
    seen = set()
    plain = unreadable = 0
    for path in paths:
        try:
            image = decode(read_bytes(path), path=path)
        except ImageError:
            unreadable += 1
            continue
        if image.sha256 in seen:
            continue
        seen.add(image.sha256)
        value = perceptual_hash(image.pixels)
        if value is None:
            plain += 1
            continue
        pixels = np.ascontiguousarray(image.pixels)
        yield (
            path,
            value,
            [perceptual_hash(np.ascontiguousarray(change(pixels))) for change in CHANGES.values()],
        )
    print(f"{plain} too plain, {unreadable} not readable, both left out")


def bits(left, right):
    """Bits in which two hashes differ; 64 where one is None."""
    return 64 if right is None else (left ^ right).bit_count()


def grow(count):
    """CPU time of an addition while the index grows."""
    rng = random.Random(0)
    with TemporaryDirectory() as folder:
        connection = sqlite3.connect(f"{folder}/near.sqlite", isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")
        index = NearIndex(connection)
        hashes, done, groups = [], 0, 0
        while done < count:
            step = max(1000, done)
            start = time.process_time()
            connection.execute("BEGIN")
            for number in range(done, done + step):
                value = rng.getrandbits(64)
                if number % 10 == 0 and hashes:
                    value = rng.choice(hashes) ^ (1 << rng.randrange(64))
                hashes.append(value)
                groups += index.add(f"{number:064x}", value).leader == f"{number:064x}"
            connection.execute("COMMIT")
            done += step
            each = (time.process_time() - start) / step
            print(f"{done:9} images, {groups:9} groups, {1e6 * each:6.0f} us of CPU time each")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", nargs="*")
    parser.add_argument("--index", type=int, help="measure the index alone, up to so many images")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--pairs", type=int, default=8, help="list pairs up to this distance")
    given = parser.parse_args()
    if given.index:
        grow(given.index)
        return

    paths = islice((item.path for item in expand(given.images)), given.limit)
    rows = list(hashes_of(paths))
    names, values, changed = zip(*rows, strict=True)
    print(f"{len(rows)} images, {len(rows) * (len(rows) - 1) // 2} pairs")

    print("\nshare of copies found, up to a distance of " + ", ".join(map(str, DISTANCES)))
    for number, change in enumerate(CHANGES):
        apart = np.array(
            [bits(value, row[number]) for value, row in zip(values, changed, strict=True)]
        )
        found = [f"{100 * np.mean(apart <= limit):5.1f}" for limit in DISTANCES]
        print(f"{change:24}", *found)

    table = np.array(values, np.uint64)
    near = []
    for number, value in enumerate(table):
        apart = np.bitwise_count(table[number + 1 :] ^ value)
        near += [
            (int(apart[k]), names[number], names[number + 1 + k])
            for k in np.flatnonzero(apart <= max(DISTANCES))
        ]
    print("\npairs of different files up to a distance of")
    for limit in DISTANCES:
        print(f"{limit:3} {sum(distance <= limit for distance, *_ in near)}")
    for distance, first, second in sorted(near):
        if distance <= given.pairs:
            print(distance, first, second)


if __name__ == "__main__":
    main()
