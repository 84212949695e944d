"""The pixel set: photos and their reconstructions, pair by pair (DDA, arXiv 2505.14359, sec. 3).

A folder with `real/` and one folder a VAE, equal names in all of them, lossless; `manifest.parquet`
says the rest. `journal/` lets a run that was stopped go on.
"""

import hashlib
import io
import math
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from PIL import Image as PILImage

from aligngemini.datasets.journal import Journal
from aligngemini.datasets.photos import Failure, Photo, Pixels, by_size, load_photo, map_ahead
from aligngemini.datasets.pixel_set_files import (
    REAL,
    PixelSetError,
    Summary,
    claim,
    duplicate,
    finish,
    pair_paths,
    recorded_pairs,
    write_whole,
)
from aligngemini.images.sources import Item

Record = dict[str, Any]

SAVES_AHEAD = 4  # batches that may wait for the disk


class NoReconstruction(Protocol):
    """Why an image has none."""

    @property
    def code(self) -> str:
        """A short name that stays."""

    @property
    def reason(self) -> str:
        """A sentence for people."""


class Reconstructor(Protocol):
    """What sends images through an autoencoder; `models.reconstruction.Vae` is one."""

    name: str
    revision: str
    dtype: str
    factor: int
    has_posterior: bool

    def reconstruct(
        self, images: Pixels, *, seeds: Sequence[int] | None = None
    ) -> Sequence[Pixels | NoReconstruction]:
        """Reconstruct (N, H, W, 3) uint8 by posterior noise of these seeds, or by the mean."""


@dataclass(frozen=True)
class PixelSetConfig:
    """What a set is made of, beside photos and VAEs.

    Attributes:
        posterior: Whether latents are drawn from the posterior, as published, or its mean.
        max_side: Longest side kept of a photo, pixels, around its centre; None keeps all.
        val_share: Share of the photos whose `split` is `val`, 0 to 1.
        seed: Of the posterior's noise.
    """

    posterior: Literal["sample", "mean"] = "sample"
    max_side: int | None = None
    val_share: float = 0.05
    seed: int = 0


@dataclass(frozen=True)
class Share:
    """Which part of the photos this process takes.

    Attributes:
        index: Its number, from 0; process 0 writes the tables.
        count: How many processes there are.
        wait: Returns when all of them have called it.
    """

    index: int = 0
    count: int = 1
    wait: Callable[[], None] = lambda: None


def build_pixel_set(
    items: Sequence[Item],
    vaes: Sequence[Reconstructor],
    out: Path,
    config: PixelSetConfig,
    *,
    batch_size: int = 1,
    threads: int = 1,
    share: Share = Share(),
    step: Callable[[], None] = lambda: None,
) -> Summary | None:
    """Reconstruct photos by every VAE, and write the manifest.

    A run that was stopped, by whatever, goes on where it was when called again. What an image
    becomes depends on the photo, the VAE and the seed alone; batches and processes change it by no
    more than a rounding.

    Args:
        items: Photos; those that cannot be used are listed in `failed.csv`.
        vaes: At least one; their names must differ.
        out: Folder of the set, empty, new, or of the same settings.
        config: Settings.
        batch_size: Photos of equal size that are reconstructed together.
        threads: Of this process, for decoding and saving.
        share: The part this process does.
        step: Called once a photo of this share.

    Returns:
        What the set holds; None in processes other than the first.

    Raises:
        PixelSetError: The folder is another set's, or cannot be written; or no photo can be used.
    """
    names = Counter(vae.name for vae in vaes)
    taken = [name for name, count in names.items() if count > 1 or name in (REAL, "journal")]
    if taken:
        raise PixelSetError(f"two folders of the set would be called {taken[0]!r}; rename that VAE")
    try:
        if share.index == 0:
            claim(out, _settings(vaes, config))
        share.wait()
        builder = _Builder(vaes, out, config, number=share.index, threads=threads)
        builder.run(list(enumerate(items))[share.index :: share.count], batch_size, step)
        share.wait()
        return finish(out, config.val_share) if share.index == 0 else None
    except OSError as error:
        raise PixelSetError(
            f"{out} cannot be written: {error.strerror or error}; what is in it is kept, and the "
            "same command goes on from there"
        ) from error


class _Builder:
    """One process's part of the work."""

    def __init__(
        self,
        vaes: Sequence[Reconstructor],
        out: Path,
        config: PixelSetConfig,
        *,
        number: int,
        threads: int,
    ) -> None:
        self.vaes, self.out, self.config, self.threads = vaes, out, config, threads
        self.factor = math.lcm(*(vae.factor for vae in vaes))
        pairs = recorded_pairs(out)
        self.done = {(pair["original"], pair["vae"]) for pair in pairs}
        self.originals = {pair["original_sha256"]: pair["original"] for pair in reversed(pairs)}
        self.pairs = Journal(out / "journal" / f"pairs-{number}.jsonl")
        self.failures = Journal(out / "journal" / f"failures-{number}.jsonl")
        for name in (REAL, *(vae.name for vae in vaes)):
            (out / name).mkdir(exist_ok=True)

    def run(
        self, items: Sequence[tuple[int, Item]], batch_size: int, step: Callable[[], None]
    ) -> None:
        with self.pairs, self.failures, ThreadPoolExecutor(self.threads) as executor:
            saving: deque[tuple[list[Record], list[Future[None]]]] = deque()
            for batch in by_size(self._photos(executor, items, step), batch_size):
                for vae in self.vaes:
                    saving.append(self._reconstruct(vae, batch, executor))
                while len(saving) > SAVES_AHEAD * len(self.vaes):
                    self._record(*saving.popleft())
                for _ in batch:
                    step()
            while saving:
                self._record(*saving.popleft())

    def _photos(
        self, executor: Executor, items: Sequence[tuple[int, Item]], step: Callable[[], None]
    ) -> Iterator[Photo]:
        """Photos that still have to be reconstructed."""
        open_items = []
        for number, item in items:
            if all((item.path, vae.name) in self.done for vae in self.vaes):
                step()
            else:
                open_items.append((number, item))

        def load(numbered: tuple[int, Item]) -> Photo | Failure:
            return load_photo(*numbered, factor=self.factor, max_side=self.config.max_side)

        for loaded in map_ahead(executor, load, open_items, ahead=2 * self.threads):
            if isinstance(loaded, Photo):
                original = self.originals.setdefault(loaded.sha256, loaded.path)
                if original == loaded.path:
                    yield loaded
                    continue
                failure = duplicate(loaded.number, loaded.path, original)
            else:
                failure = loaded
            self.failures.append(failure._asdict())
            step()

    def _reconstruct(
        self, vae: Reconstructor, batch: Sequence[Photo], executor: Executor
    ) -> tuple[list[Record], list[Future[None]]]:
        """Reconstruct a batch and begin to save it; gives the records and what to wait for."""
        batch = [photo for photo in batch if (photo.path, vae.name) not in self.done]
        records: list[Record] = []
        saves: list[Future[None]] = []
        if not batch:
            return records, saves
        sample = vae.has_posterior and self.config.posterior == "sample"
        seeds = [noise_seed(self.config.seed, photo.sha256, vae.name) for photo in batch]
        images = vae.reconstruct(
            np.stack([photo.pixels for photo in batch]), seeds=seeds if sample else None
        )
        for photo, image in zip(batch, images, strict=True):
            if not isinstance(image, np.ndarray):
                failure = Failure(photo.number, photo.path, image.code, image.reason)
                self.failures.append(failure._asdict())
                continue
            record = _record(photo, vae, image, self.config.posterior)
            real, fake = (self.out / path for path in pair_paths(record))
            saves.append(executor.submit(_save_pair, real, photo.pixels, fake, image))
            records.append(record)
        return records, saves

    def _record(self, records: Sequence[Record], saves: Sequence[Future[None]]) -> None:
        for record, save in zip(records, saves, strict=True):
            save.result()
            self.pairs.append(record)


def noise_seed(seed: int, sha256: str, vae: str) -> int:
    """Seed of the posterior's noise for one photo and one VAE, below 2**63."""
    digest = hashlib.sha256(f"{seed} {sha256} {vae}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def psnr(photo: Pixels, image: Pixels) -> float:
    """Peak signal-to-noise ratio of two uint8 images, dB; infinite for equal ones."""
    error = np.mean((photo.astype(np.float64) - image) ** 2)
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


def _settings(vaes: Sequence[Reconstructor], config: PixelSetConfig) -> dict[str, Any]:
    used = [{"name": vae.name, "revision": vae.revision, "dtype": vae.dtype} for vae in vaes]
    return {"vaes": used, **asdict(config)}


def _record(photo: Photo, vae: Reconstructor, image: Pixels, posterior: str) -> Record:
    return {
        "number": photo.number,
        "original": photo.path,
        "original_sha256": photo.sha256,
        "name": photo.name,
        "width": photo.pixels.shape[1],
        "height": photo.pixels.shape[0],
        "quality": photo.jpeg and photo.jpeg.quality,
        "subsampling": photo.jpeg and photo.jpeg.subsampling,
        "vae": vae.name,
        "vae_revision": vae.revision,
        "dtype": vae.dtype,
        "posterior": posterior if vae.has_posterior else "none",
        "psnr": round(psnr(photo.pixels, image), 3),
    }


def _save_pair(real: Path, photo: Pixels, fake: Path, image: Pixels) -> None:
    if not real.is_file():  # another VAE's turn has saved it
        _save_png(real, photo)
    _save_png(fake, image)


def _save_png(path: Path, pixels: Pixels) -> None:
    file = io.BytesIO()
    PILImage.fromarray(pixels).save(file, "PNG", compress_level=1)
    write_whole(path, file.getvalue())
