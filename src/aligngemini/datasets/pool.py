"""A pool of views drawn once: every image sent down several random journeys, views kept on disk.

Decoding and re-encoding cost more than a training step of a small network. Drawing the journeys
beforehand lets every run, and every fold of a leave-one-out study, share them.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from aligngemini.cores import usable_cores
from aligngemini.datasets.manifest import Row
from aligngemini.images.decode import decode, read_bytes
from aligngemini.images.degrade import deliver, reencode
from aligngemini.images.item import ImageError
from aligngemini.images.views import pad_to, texture, whole

Pixels = npt.NDArray[np.uint8]
Views = tuple[Pixels, Pixels]
LOSSLESS = ("PNG", "BMP", "TIFF", "GIF")


@dataclass(frozen=True)
class PoolConfig:
    """What a pool holds.

    Attributes:
        journeys: Random journeys an image, by the row's kind: `real`, `fake` (an AI image) or
            `pair` (the reconstruction of a photo).
        crops: Native crops kept of each journey.
        crop_size: Their side, pixels.
        whole_size: Side of the whole view, pixels.
        seed: Of every draw.
    """

    journeys: dict[str, int]
    crops: int = 3
    crop_size: int = 160
    whole_size: int = 256
    seed: int = 0


@dataclass(frozen=True)
class Pool:
    """Views on disk, and where each came from.

    Attributes:
        crops: (N, crops, crop_size, crop_size, 3) uint8.
        whole: (N, whole_size, whole_size, 3) uint8.
        rows: The manifest row of each of the N.
        failed: Path and reason of every image that gave no views.
    """

    crops: Pixels
    whole: Pixels
    rows: list[Row]
    failed: dict[str, str]


def kind_of(row: Row) -> str:
    """Which number of journeys applies: `real`, `fake` or `pair`."""
    return "pair" if row.label == "fake" and row.pair else row.label


def build_pool(
    rows: Sequence[Row], config: PoolConfig, cache: Path, *, workers: int | None = None
) -> Pool:
    """Open the pool of these rows, drawing it first if the cache does not hold it.

    Args:
        rows: Images to draw from; one that cannot be read is listed in `Pool.failed`.
        config: What to draw.
        cache: Folder of all pools; one subfolder each, named after rows and settings.
        workers: Processes; None takes one a core.
    """
    folder = cache / _key(rows, config)
    if not (folder / "index.json").is_file():
        _draw_pool(rows, config, folder, workers)
    index = json.loads((folder / "index.json").read_text())
    return Pool(
        # Images that failed left the end of both arrays empty.
        crops=np.load(folder / "crops.npy", mmap_mode="r")[: len(index["rows"])],
        whole=np.load(folder / "whole.npy", mmap_mode="r")[: len(index["rows"])],
        rows=[rows[k] for k in index["rows"]],
        failed=index["failed"],
    )


def draw_views(pixels: Pixels, config: PoolConfig, rng: np.random.Generator) -> Views:
    """Random views of one image: crops that lean towards texture, and a random large square."""
    size = config.crop_size
    padded = pad_to(pixels, size)
    crops = np.stack([_better_crop(padded, size, rng) for _ in range(config.crops)])
    side = int(min(pixels.shape[:2]) * rng.uniform(0.75, 1.0))
    return crops, whole(_random_square(pixels, side, rng), config.whole_size)


def _better_crop(pixels: Pixels, size: int, rng: np.random.Generator) -> Pixels:
    candidates = np.stack([_random_square(pixels, size, rng) for _ in range(2)])
    best: Pixels = candidates[int(np.argmax(texture(candidates)))]
    return best


def _random_square(pixels: Pixels, side: int, rng: np.random.Generator) -> Pixels:
    top, left = (int(rng.integers(0, length - side + 1)) for length in pixels.shape[:2])
    return pixels[top : top + side, left : left + side]


def _draw_row(config: PoolConfig, task: tuple[int, Row]) -> list[Views] | str:
    """All journeys of one image, or why there are none."""
    number, row = task
    try:
        image = decode(read_bytes(row.path), path=row.path)
    except ImageError as error:
        return error.message
    views = []
    for journey in range(config.journeys[kind_of(row)]):
        rng = np.random.default_rng([config.seed, number, journey])
        pixels = image.pixels
        if image.format in LOSSLESS and rng.random() < 0.8:
            # Photos come as JPEG files; without this, a first generation of JPEG would mean real.
            chroma = "4:2:0" if rng.random() < 0.6 else "4:4:4"
            pixels = reencode(pixels, int(rng.integers(75, 98)), subsampling=chroma)
        views.append(draw_views(deliver(pixels, rng), config, rng))
    return views


def _draw_pool(rows: Sequence[Row], config: PoolConfig, folder: Path, workers: int | None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    total = sum(config.journeys[kind_of(row)] for row in rows)
    crop_shape = (total, config.crops, config.crop_size, config.crop_size, 3)
    whole_shape = (total, config.whole_size, config.whole_size, 3)
    open_array = partial(np.lib.format.open_memmap, mode="w+", dtype=np.uint8)
    crops = open_array(folder / "crops.npy", shape=crop_shape)
    whole = open_array(folder / "whole.npy", shape=whole_shape)
    index: list[int] = []
    failed: dict[str, str] = {}
    for number, result in enumerate(_progress(_drawn(rows, config, workers), len(rows))):
        if isinstance(result, str):
            failed[rows[number].path] = result
            continue
        for views in result:
            crops[len(index)], whole[len(index)] = views
            index.append(number)
    crops.flush()
    whole.flush()
    # Written last: a pool without an index is not taken for whole.
    (folder / "index.json").write_text(json.dumps({"rows": index, "failed": failed}))


def _drawn(
    rows: Sequence[Row], config: PoolConfig, workers: int | None
) -> Iterator[list[Views] | str]:
    with ProcessPoolExecutor(workers or usable_cores()) as executor:
        yield from executor.map(partial(_draw_row, config), enumerate(rows), chunksize=4)


def _progress(results: Iterator[list[Views] | str], total: int) -> Iterator[list[Views] | str]:
    from rich.progress import track  # noqa: PLC0415 - keeps the module light to import

    yield from track(results, "Drawing views", total=total)


def _key(rows: Sequence[Row], config: PoolConfig) -> str:
    text = json.dumps([asdict(config), [asdict(row) for row in rows]])
    return hashlib.sha256(text.encode()).hexdigest()[:16]
