"""Photos and their reconstructions, as a pixel expert trains on them (DDA, arXiv 2505.14359)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset

from aligngemini.datasets.augment import align, compress_like, draw_flips, draw_scales, draw_steps
from aligngemini.datasets.manifest import ManifestError, Row
from aligngemini.datasets.pair_settings import PairSettings
from aligngemini.datasets.scaled_crop import Pixels, scaled_crop
from aligngemini.images.decode import decode, read_bytes
from aligngemini.images.item import ImageError
from aligngemini.images.jpeg import JpegSettings
from aligngemini.images.views import center_crop

Item: TypeAlias = dict[str, Tensor]

REAL, FAKE = 0.0, 1.0
DRAWS, ORDER = 0, 1  # what a seed is for


@dataclass(frozen=True)
class Pair:
    """A photo and what an autoencoder made of it.

    Attributes:
        real: Path of the photo, or of the part of it that was reconstructed.
        fake: Path of the reconstruction.
        generator: What made it.
        compression: How the photo's own file was compressed; None if it was no JPEG.
    """

    real: str
    fake: str
    generator: str
    compression: JpegSettings | None


def find_pairs(rows: Sequence[Row], split: str) -> list[Pair]:
    """The pairs of one split of a manifest, in its order; fakes without a photo are left out.

    Args:
        rows: As `read_manifest` gives them. The columns `quality` and `subsampling` say how the
            photo was compressed, and are empty for one that was no JPEG.
        split: `train`, to which rows without a split belong, or `val`.

    Raises:
        ManifestError: A fake's photo is not in the manifest or in another split, a compression is
            none, or a file does not exist.
    """
    photos = {row.path: row for row in rows if row.label == "real"}
    fakes = [row for row in rows if row.label == "fake" and row.pair and _split(row) == split]
    pairs = []
    for row in fakes:
        photo = photos.get(row.pair)
        if photo is None:
            raise ManifestError(f"{row.path}: its pair {row.pair} is no real image of the manifest")
        if _split(photo) != split:
            raise ManifestError(
                f"{row.path} is in the split {split}, its photo {photo.path} in {_split(photo)}; "
                "a pair belongs to one split"
            )
        pairs.append(Pair(photo.path, row.path, row.generator, _compression(row)))
    missing = [
        path for pair in pairs for path in (pair.real, pair.fake) if not Path(path).is_file()
    ]
    if missing:
        raise ManifestError(
            f"{len(missing)} files of the manifest do not exist, the first is {missing[0]}; "
            "build the set again, or remove their rows"
        )
    return pairs


class PairDataset(Dataset[Item]):
    """Draw number i of a training run: a pair at up to three sizes, augmented alike.

    What a number gives depends on it and the seed alone, so that a resumed run goes on with what an
    undisturbed one would have seen, whatever the number of loader processes. Every pair comes up
    once before any comes up again.
    """

    def __init__(
        self, pairs: Sequence[Pair], draws: int, crop: int, settings: PairSettings, *, seed: int
    ) -> None:
        """Take the pairs of a run.

        Args:
            pairs: To draw from, one at least.
            draws: Pairs that the whole run takes.
            crop: Side of the crops, pixels.
            settings: Of everything random.
            seed: Of every draw; 0 or more.
        """
        self.pairs = list(pairs)
        self.draws = draws
        self.crop = crop
        self.settings = settings
        self.seed = seed
        self._order: tuple[int, npt.NDArray[np.int64]] | None = None

    def __len__(self) -> int:
        """Draws of the whole run."""
        return self.draws

    def __getitem__(self, number: int) -> Item:
        """`pixels` (2 * sizes, S, S, 3) uint8, photos first, and `labels` (2 * sizes,), fake = 1.

        Raises:
            ManifestError: A file cannot be read, or the two differ in size.
        """
        epoch, place = divmod(number, len(self.pairs))
        pair = self.pairs[self._order_of(epoch)[place]]
        return augmented(pair, self.crop, self.settings, self._rng(DRAWS, number))

    def _order_of(self, epoch: int) -> npt.NDArray[np.int64]:
        if self._order is None or self._order[0] != epoch:
            self._order = epoch, self._rng(ORDER, epoch).permutation(len(self.pairs))
        return self._order[1]

    def _rng(self, purpose: int, number: int) -> np.random.Generator:
        return np.random.default_rng([purpose, self.seed, number])


class HeldOutDataset(Dataset[Item]):
    """Photos and reconstructions of held-out pairs, one at a time, as detection would see them.

    A reconstruction is compressed as its photo was: else the photo's JPEG blocks alone would tell
    the two apart.
    """

    def __init__(self, pairs: Sequence[Pair], crop: int) -> None:
        """Take the pairs, and the side of the centred crop in pixels."""
        self.pairs = list(pairs)
        self.crop = crop

    def __len__(self) -> int:
        """Images, two a pair."""
        return 2 * len(self.pairs)

    def __getitem__(self, number: int) -> Item:
        """`pixels` (1, S, S, 3) uint8 and `labels` (1,), fake = 1.

        Raises:
            ManifestError: The file cannot be read.
        """
        pair = self.pairs[number // 2]
        fake = number % 2 == 1
        pixels = _pixels(pair.fake if fake else pair.real)
        if fake:
            pixels = compress_like(pixels, pair.compression)
        return _item([center_crop(pixels, self.crop)], [FAKE if fake else REAL])


def augmented(pair: Pair, crop: int, settings: PairSettings, rng: np.random.Generator) -> Item:
    """One draw of a pair; see `PairDataset.__getitem__`."""
    real, fake = _pixels(pair.real), _pixels(pair.fake)
    if real.shape != fake.shape:
        sizes = [f"{pixels.shape[1]} x {pixels.shape[0]}" for pixels in (real, fake)]
        raise ManifestError(
            f"{pair.real} has {sizes[0]} pixels and its reconstruction {pair.fake} {sizes[1]}; "
            "both must have one size"
        )
    fake = align(real, fake, pair.compression, settings.alignment, rng)
    scales = draw_scales(settings.rescaling, rng)
    place = float(rng.random()), float(rng.random())
    flips = draw_flips(settings.augmentation, rng)
    steps = draw_steps(settings.augmentation, rng)
    views = [
        scaled_crop(pixels, crop, place, steps, factor=factor, filter_name=name)[flips]
        for pixels in (real, fake)
        for factor, name in scales
    ]
    return _item(views, [REAL] * len(scales) + [FAKE] * len(scales))


def collate(items: Sequence[Item]) -> Item:
    """Pairs to one batch of images: `pixels` (N, S, S, 3), `labels` (N,)."""
    return {name: torch.cat([item[name] for item in items]) for name in items[0]}


def _item(views: list[Pixels], labels: list[float]) -> Item:
    return {"pixels": torch.from_numpy(np.stack(views)), "labels": torch.tensor(labels)}


def _pixels(path: str) -> Pixels:
    try:
        return decode(read_bytes(path), path=path).pixels
    except ImageError as error:
        raise ManifestError(
            f"{path} cannot be trained on: {error.message}; mend it, or remove its rows"
        ) from error


def _split(row: Row) -> str:
    return row.split or "train"


def _compression(row: Row) -> JpegSettings | None:
    quality, subsampling = row.extra.get("quality"), row.extra.get("subsampling")
    if quality is None:
        return None
    try:
        settings = JpegSettings(int(quality), str(subsampling or "4:2:0"))
    except ValueError:
        settings = JpegSettings(0, "")
    if not 1 <= settings.quality <= 100 or settings.subsampling not in ("4:4:4", "4:2:2", "4:2:0"):
        raise ManifestError(
            f"{row.path}: quality {quality!r} and subsampling {subsampling!r} are no JPEG "
            "compression; expected 1 to 100 and 4:4:4, 4:2:2 or 4:2:0"
        )
    return settings
