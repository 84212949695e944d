"""A benchmark of one's own, in two parts, as AIGI-Now is built (AlignGemini, section 4).

From any reals and fakes, a group a generator: the *pixel* part has both classes at native
resolution, cut to one size and in one format, so that only how the pixels were made tells them
apart; the *semantic* part shows the same pairs degraded by one chain until no trace is left, so
that only what they show does. The layout is AIGI-Now's:
`GROUP/{pixel,semantic}/{0_real,1_fake}/`.

No source gives AIGI-Now's sizes, qualities or degradation: the numbers here are this project's own.
"""

import io
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
from PIL import Image as PILImage

from aligngemini.datasets.benchmark_set_files import (
    PAIRS,
    Record,
    finish,
    group_name,
    image_path,
    recorded_pairs,
)
from aligngemini.datasets.candidates import Candidate, shuffled
from aligngemini.datasets.journal import Journal
from aligngemini.datasets.manifest import Row
from aligngemini.datasets.matching import Gatherer, Match, Pixels, Seen, match
from aligngemini.datasets.photos import Failure, map_ahead
from aligngemini.datasets.pixel_set_files import PixelSetError, claim, write_whole
from aligngemini.datasets.semantic_set import Progress, degrade_alike
from aligngemini.datasets.semantic_set_files import SEEN, recorded_seen, seen_record
from aligngemini.images.degrade import SemanticChain
from aligngemini.images.item import ImageError

BLOCK = 16  # JPEG's blocks with 4:2:0: crops begin on one, so that an old grid is not shifted
SUBSAMPLING = "4:2:0"


class BenchmarkSetError(Exception):
    """A benchmark that cannot be built; the message says what to do."""


@dataclass(frozen=True)
class BenchmarkSetConfig:
    """What a benchmark is made of, beside images.

    Attributes:
        count: Images of each class in a group; None takes as many as there are.
        max_side: Longest side of the pixel part, pixels; never reached by enlarging.
        semantic_side: Longest side of the semantic part, pixels.
        min_side: Fewest pixels a side of an image that is used.
        quality: JPEG quality of every file, on Pillow's scale.
        seed: Of every draw, 0 or more.
        chain: The degradation of the semantic part.
    """

    count: int | None = None
    max_side: int = 1024
    semantic_side: int = 512
    min_side: int = 256
    quality: int = 96
    seed: int = 0
    chain: SemanticChain = field(default_factory=SemanticChain)


@dataclass(frozen=True)
class BenchmarkSummary:
    """What a benchmark holds.

    Attributes:
        groups: Pairs of a fake and a real, by group; each is there twice, once a part.
        failed: Images that could not be used.
        duplicates: Images left out because an equal file is there.
        rows: As the manifest has them, paths joined to the folder.
    """

    groups: dict[str, int]
    failed: int
    duplicates: int
    rows: list[Row]


def build_benchmark_set(
    candidates: Sequence[Candidate],
    out: Path,
    config: BenchmarkSetConfig,
    *,
    progress: Progress,
    threads: int = 1,
) -> BenchmarkSummary:
    """Choose, match, align and degrade, and write the manifest.

    What comes out depends on the images, their names and the settings alone. A run that was stopped
    goes on where it was when called again. The groups share the reals: each takes what it needs
    from one drawn order of them.

    Args:
        candidates: Of both labels; the fakes' `generator` names their group.
        out: Folder of the benchmark, empty, new, or of the same settings.
        config: Settings.
        progress: Shows how far the work is.
        threads: For decoding, degrading and saving.

    Raises:
        BenchmarkSetError: The folder is another set's, or cannot be written, or no pair can be
            made.
    """
    try:
        settings = json.loads(json.dumps({"set": "benchmark", **asdict(config)}))
        claim(out, settings, what="benchmark")
        return _Builder(out, config, threads, progress).run(candidates)
    except PixelSetError as error:
        raise BenchmarkSetError(str(error)) from error
    except OSError as error:
        raise BenchmarkSetError(
            f"{out} cannot be written: {error.strerror or error}; what is in it is kept, and the "
            "same command goes on from there"
        ) from error


class _Builder:
    """One run of the work."""

    def __init__(
        self, out: Path, config: BenchmarkSetConfig, threads: int, progress: Progress
    ) -> None:
        self.out, self.config, self.progress = out, config, progress
        self.ahead = 2 * threads
        self.executor = ThreadPoolExecutor(threads)
        (out / "unpacked").mkdir(exist_ok=True)
        self.gatherer = Gatherer(
            out / "unpacked", self.executor, ahead=self.ahead, min_side=config.min_side
        )

    def run(self, candidates: Sequence[Candidate]) -> BenchmarkSummary:
        with self.executor:
            pairs = self._match(candidates)
            records, failures = self._make(pairs)
        failures += self.gatherer.failures
        rows = finish(self.out, records, failures)
        if not records:
            raise BenchmarkSetError(
                f"no pair could be made; {self.out / 'failed.csv'} says which images cannot be used"
            )
        groups: dict[str, int] = {}
        for record in records:
            groups[record["group"]] = groups.get(record["group"], 0) + 1
        failed = [failure for failure in failures if failure.code != "duplicate"]
        rows = [replace(row, path=str(self.out / row.path)) for row in rows]
        return BenchmarkSummary(groups, len(failed), len(failures) - len(failed), rows)

    def _match(self, candidates: Sequence[Candidate]) -> list[tuple[str, Match]]:
        """Find out which images can be used, and pair them group by group."""
        reals = shuffled([c for c in candidates if c.label == "real"], self.config.seed)
        fakes: dict[str, list[Candidate]] = {}
        for candidate in shuffled([c for c in candidates if c.label == "fake"], self.config.seed):
            fakes.setdefault(group_name(candidate.generator), []).append(candidate)
        known = self.gatherer.known = recorded_seen(self.out, candidates)
        most = min(len(reals), self.config.count or len(reals))
        total = most + sum(min(most, len(group)) for group in fakes.values())
        with (
            Journal(self.out / "journal" / SEEN) as journal,
            self.progress(total, text="Looking at images") as step,
        ):

            def found(seen: Seen) -> None:
                if seen.candidate.key not in known:
                    journal.append(seen_record(seen))
                step()

            most = min(most, max(len(group) for group in fakes.values()))
            usable = self.gatherer.gather(reals, most, found)
            pairs: list[tuple[str, Match]] = []
            for group in sorted(fakes):
                chosen = self.gatherer.gather(fakes[group], len(usable), found)
                side = self.config.semantic_side
                pairs += [(group, one) for one in match(chosen, usable[: len(chosen)], side)]
        return pairs

    def _make(self, pairs: Sequence[tuple[str, Match]]) -> tuple[list[Record], list[Failure]]:
        """Make the images of all pairs that are not there yet."""
        done = recorded_pairs(self.out)
        left = [(group, pair) for group, pair in pairs if pair.key not in done]
        self.gatherer.unpack(seen.candidate for _, p in left for seen in (p.fake, p.real))
        failures = []
        with (
            Journal(self.out / "journal" / PAIRS) as journal,
            self.progress(len(left), text="Making pairs") as step,
        ):
            for made in map_ahead(self.executor, self._make_pair, left, self.ahead):
                if isinstance(made, Failure):
                    failures.append(made)
                else:
                    journal.append(made)
                    done[made["key"]] = made
                step()
        return [done[pair.key] for _, pair in pairs if pair.key in done], failures

    def _make_pair(self, given: tuple[str, Match]) -> Record | Failure:
        group, pair = given
        both: dict[str, Pixels] = {}
        record: Record = {"key": pair.key, "group": group}
        for label, seen in (("fake", pair.fake), ("real", pair.real)):
            try:
                both[label] = self.gatherer.pixels(seen)
            except ImageError as error:
                return Failure(-1, seen.candidate.name, error.code, error.message)
            record[label] = {
                "name": f"{seen.sha256[:16]}.jpg",
                "generator": seen.candidate.generator,
                "source": seen.candidate.source,
                "original": seen.candidate.name,
                "original_sha256": seen.sha256,
            }
        record["pixel"], aligned = self._aligned(both)
        record["semantic"], degraded = self._degraded(pair, both)
        for part, images in (("pixel", aligned), ("semantic", degraded)):
            for label, pixels in images.items():
                path = self.out / image_path(record, part, label)
                path.parent.mkdir(parents=True, exist_ok=True)
                write_whole(path, self._jpeg(pixels))
        return record

    def _aligned(self, both: dict[str, Pixels]) -> tuple[Record, dict[str, Pixels]]:
        """Both cut to the size that fits into both; no pixel is resampled."""
        sizes = [pixels.shape[:2] for pixels in both.values()]
        height, width = (
            min(self.config.max_side, *(size[axis] for size in sizes)) for axis in (0, 1)
        )
        settings = {"width": width, "height": height}
        return settings, {name: _center(pixels, height, width) for name, pixels in both.items()}

    def _degraded(self, pair: Match, both: dict[str, Pixels]) -> tuple[Record, dict[str, Pixels]]:
        """Both at one size, through one chain with the same draws."""
        images, degradation, filter_name = degrade_alike(
            pair, both, self.config.chain, self.config.seed
        )
        settings: Record = {"width": pair.width, "height": pair.height, "fit_filter": filter_name}
        settings |= {k: v for k, v in asdict(degradation).items() if v is not None}
        return settings, images

    def _jpeg(self, pixels: Pixels) -> bytes:
        file = io.BytesIO()
        PILImage.fromarray(pixels).save(
            file, "JPEG", quality=self.config.quality, subsampling=SUBSAMPLING
        )
        return file.getvalue()


def _center(pixels: Pixels, height: int, width: int) -> Pixels:
    top, left = (
        (whole - part) // 2 // BLOCK * BLOCK
        for whole, part in zip(pixels.shape, (height, width), strict=False)
    )
    return np.ascontiguousarray(pixels[top : top + height, left : left + width])
