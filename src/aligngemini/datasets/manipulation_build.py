"""Building a manipulation set: photos in; edited copies, masks and a manifest out."""

import io
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from aligngemini.datasets.contact_sheet import choose_rows, draw_contact_sheet
from aligngemini.datasets.journal import Journal
from aligngemini.datasets.manifest import Row, read_manifest
from aligngemini.datasets.manipulation_files import (
    DONE,
    IMAGES,
    MASKS,
    Record,
    masks_of,
    photo_name,
    recorded,
    save_image,
    save_masks,
    write_set_manifest,
)
from aligngemini.datasets.manipulation_jobs import Made, job_rng, manipulate, plan
from aligngemini.datasets.manipulation_photos import CutPhoto, load_photo
from aligngemini.datasets.manipulation_set import (
    FULL,
    MOVED_KINDS,
    UNTOUCHED,
    ManipulationSetError,
    read_manipulation_set,
)
from aligngemini.datasets.manipulation_settings import ManipulationSetConfig, Tools
from aligngemini.datasets.manipulations import ManipulationError, perturb
from aligngemini.datasets.manipulations.base import generated
from aligngemini.datasets.photos import Failure, clean_text, map_ahead
from aligngemini.datasets.pixel_set_files import (
    PixelSetError,
    claim,
    duplicate,
    write_failures,
    write_whole,
)
from aligngemini.images.sources import Item

SHEET = "contact-sheet.png"


@dataclass(frozen=True)
class ManipulationSummary:
    """What a set holds.

    Attributes:
        photos: Untouched photos.
        edited: Edited copies.
        fakes: Whole AI images.
        failed: Images that could not be used, or not for every manipulation.
        duplicates: Images left out because an equal file is there.
    """

    photos: int
    edited: int
    fakes: int
    failed: int
    duplicates: int


def build_manipulation_set(
    photos: Sequence[Item],
    fakes: Sequence[Item],
    tools: Tools,
    out: Path,
    config: ManipulationSetConfig,
    *,
    threads: int = 1,
    step: Callable[[], None] = lambda: None,
) -> ManipulationSummary:
    """Edit photos, and write the manifest.

    What an image becomes follows from the photo, the settings and, for a splice, the list of
    photos, not from the number of threads. A run that was stopped goes on where it was when called
    again; images that failed are tried again.

    Args:
        photos: To keep and to edit; those that cannot be used are listed in `failed.csv`.
        fakes: Whole AI images to add; the folder of each names its generator.
        tools: Models, masks and donors.
        out: Folder of the set, empty, new, or of the same settings.
        config: Settings.
        threads: For decoding, editing and saving; models serve one at a time.
        step: Called once an image.

    Raises:
        ManipulationSetError: The folder is another set's, or cannot be written; or no image can be
            used.
    """
    try:
        claim(out, _settings(tools, config), what="manipulation set")
        for name in (IMAGES, MASKS):
            (out / name).mkdir(exist_ok=True)
        builder = _Builder(tools, out, config, threads)
        records = builder.run([*_sources(photos, fakes)], step)
        return _finish(out, records, builder.failures, config)
    except PixelSetError as error:
        raise ManipulationSetError(str(error)) from error
    except OSError as error:
        raise ManipulationSetError(
            f"{out} cannot be written: {error.strerror or error}; what is in it is kept, and the "
            "same command goes on from there"
        ) from error


class _Source(NamedTuple):
    """An image of the input; `generator` is None for photos."""

    number: int
    item: Item
    generator: str | None


class _Builder:
    """One run of the work."""

    def __init__(
        self, tools: Tools, out: Path, config: ManipulationSetConfig, threads: int
    ) -> None:
        self.tools, self.out, self.config, self.threads = tools, out, config, threads
        self.failures: list[Failure] = []
        self.records = recorded(out)

    def run(self, sources: Sequence[_Source], step: Callable[[], None]) -> list[Record]:
        left = []
        for source in sources:
            if self.records.get(source.item.path, {}).get("whole"):
                step()
            else:
                left.append(source)
        with (
            Journal(self.out / "journal" / DONE) as journal,
            ThreadPoolExecutor(self.threads) as executor,
        ):
            loaded = map_ahead(executor, self._load, left, 2 * self.threads)
            usable = self._usable(loaded, step)
            for record, failures in map_ahead(executor, self._make, usable, 2 * self.threads):
                self.failures += failures
                journal.append(record)
                self.records[record["original"]] = record
                step()
        return sorted(self.records.values(), key=lambda each: (each["number"], each["original"]))

    def _load(self, source: _Source) -> tuple[_Source, CutPhoto | Failure]:
        return source, load_photo(source.number, source.item, self.config.max_side)

    def _usable(
        self, loaded: Iterator[tuple[_Source, CutPhoto | Failure]], step: Callable[[], None]
    ) -> Iterator[tuple[_Source, CutPhoto]]:
        """What can be decoded and is not there yet."""
        first = {record["original_sha256"]: path for path, record in self.records.items()}
        for source, found in loaded:
            path = source.item.path
            if isinstance(found, Failure):
                self.failures.append(found)
            elif (original := first.setdefault(found.photo.sha256, path)) != path:
                self.failures.append(duplicate(source.number, path, original))
            else:
                yield source, found
                continue
            step()

    def _make(self, given: tuple[_Source, CutPhoto]) -> tuple[Record, list[Failure]]:
        """Make and save everything that comes of one image."""
        source, cut = given
        photo, name = cut.photo, photo_name(cut.photo)
        failures: list[Failure] = []
        shape = photo.pixels.shape[:2]
        if source.generator is not None:
            made = Made(generated(photo.pixels, np.ones(shape, np.bool_)), source.generator)
            rows = [self._save(name, made, FULL, "")]
        else:
            pair = save_image(self.out, name, photo.pixels)
            untouched = Made(generated(photo.pixels, np.zeros(shape, np.bool_)))
            rows = [self._save(name, untouched, UNTOUCHED, pair)]
            for kind, number in plan(photo.sha256, self.config):
                try:
                    made = manipulate(cut, kind, number, self.config, self.tools)
                except ManipulationError as error:
                    reason = f"{kind}: {error}"
                    failures.append(Failure(photo.number, photo.path, error.code, reason))
                    continue
                rows.append(self._save(f"{name}-{kind}-{number}", made, kind, pair))
        record = {
            "number": photo.number,
            "original": photo.path,
            "original_sha256": photo.sha256,
            "quality": photo.jpeg and photo.jpeg.quality,
            "subsampling": photo.jpeg and photo.jpeg.subsampling,
            "whole": not failures,
            "rows": rows,
        }
        return record, failures

    def _save(self, name: str, made: Made, kind: str, pair: str) -> Record:
        """Save an image and its masks, perturbed if the draw says so; gives its row."""
        pixels, masks, spec = made.image.pixels, masks_of(made.image), ""
        rng = job_rng(self.config.seed, name, "perturb")
        if rng.random() < self.config.perturb:
            perturbed = perturb(pixels, masks, rng)
            pixels, masks, spec = perturbed.pixels, perturbed.masks, perturbed.spec
            name += "-perturbed"
        label = "fake"
        if kind == UNTOUCHED:
            label = "real"
        elif kind in MOVED_KINDS:
            label = self.config.moved_label
        there = kind == UNTOUCHED and not spec
        return {
            "path": pair if there else save_image(self.out, name, pixels),
            "label": label,
            "generator": made.generator,
            "manipulation": kind,
            "perturbation": spec,
            "pair": "" if there else pair,
            "masks": {} if kind == FULL else save_masks(self.out, name, masks),
            "width": pixels.shape[1],
            "height": pixels.shape[0],
            "drawn": made.drawn,
        }


def _sources(photos: Sequence[Item], fakes: Sequence[Item]) -> Iterator[_Source]:
    for number, item in enumerate(photos):
        yield _Source(number, item, None)
    for number, fake in enumerate(fakes, start=len(photos)):
        yield _Source(number, fake, clean_text(Path(fake.path).parent.name))


def _finish(
    out: Path, records: Sequence[Record], failures: Sequence[Failure], config: ManipulationSetConfig
) -> ManipulationSummary:
    write_failures(out, sorted(failures))
    if not records:
        raise ManipulationSetError(f"no image could be used; {out / 'failed.csv'} says why")
    write_set_manifest(out, records, config.val_share)
    rows = read_manifest(out / "manifest.parquet")
    _save_contact_sheet(out, rows)
    kinds = [str(row.extra["manipulation"]) for row in rows]
    whole = sum(kind == FULL and not row.pair for kind, row in zip(kinds, rows, strict=True))
    untouched = kinds.count(UNTOUCHED)
    failed = {failure.path for failure in failures if failure.code != "duplicate"}
    return ManipulationSummary(
        photos=untouched,
        edited=len(rows) - untouched - whole,
        fakes=whole,
        failed=len(failed),
        duplicates=len({failure.path for failure in failures} - failed),
    )


def _save_contact_sheet(out: Path, rows: Sequence[Row]) -> None:
    chosen = choose_rows(rows)
    samples = {s.path: s for s in read_manipulation_set(out / "manifest.parquet")}
    shown = [samples[row.path] for row in chosen]
    sheet = draw_contact_sheet(shown, [row.pair for row in chosen])
    file = io.BytesIO()
    sheet.save(file, "PNG")
    write_whole(out / SHEET, file.getvalue())


def _settings(tools: Tools, config: ManipulationSetConfig) -> dict[str, Any]:
    """As JSON gives them back."""
    used = [{"name": vae.name, "revision": vae.revision} for vae in tools.vaes]
    if tools.painter is not None:
        used.append({"name": tools.painter.name, "revision": tools.painter.revision})
    values: dict[str, Any] = json.loads(
        json.dumps({"set": "manipulation", "models": used, **asdict(config)})
    )
    return values
