"""The semantic set: reals and surreal fakes whose pixels say nothing (AlignGemini, section 3).

Both classes are matched in size and shape, then degraded by one chain with the same draws within a
pair, so that only what an image shows is left to tell them apart. A folder with `images/real/` and
`images/fake/`, lossless; `manifest.parquet` says the rest. `journal/` lets a stopped run go on.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from aligngemini.datasets.candidates import Candidate, shuffled
from aligngemini.datasets.journal import Journal
from aligngemini.datasets.matching import Gatherer, Match, Pixels, Seen, fit, match
from aligngemini.datasets.photos import Failure, map_ahead
from aligngemini.datasets.pixel_set_files import PixelSetError, claim
from aligngemini.datasets.semantic_set_files import (
    LABELS,
    PAIRS,
    SEEN,
    Record,
    finish,
    origin,
    prepare,
    recorded_pairs,
    recorded_seen,
    save_png,
    seen_record,
)
from aligngemini.images.degrade import Degradation, SemanticChain, semantic_chain
from aligngemini.images.item import ImageError

Progress = Callable[..., AbstractContextManager[Callable[[], None]]]
"""Called with how many steps come and `text`, what is being done; gives a function for each."""


class SemanticSetError(Exception):
    """A set that cannot be built; the message says what to do."""


@dataclass(frozen=True)
class SemanticSetConfig:
    """What a set is made of, beside images.

    Attributes:
        count: Images of each class; None takes as many as the smaller class has.
        max_side: Longest side in the set, pixels.
        min_side: Fewest pixels a side of an image that is used.
        val_share: Share of the pairs whose `split` is `val`, 0 to 1.
        seed: Of every draw, 0 or more.
        chain: The degradation.
    """

    count: int | None = None
    max_side: int = 512
    min_side: int = 128
    val_share: float = 0.05
    seed: int = 0
    chain: SemanticChain = field(default_factory=SemanticChain)


@dataclass(frozen=True)
class SemanticSummary:
    """What a set holds.

    Attributes:
        pairs: Fakes, and as many reals.
        failed: Images that could not be used.
        duplicates: Images left out because an equal file is there.
    """

    pairs: int
    failed: int
    duplicates: int


@contextmanager
def no_progress(total: int | None, *, text: str = "") -> Iterator[Callable[[], None]]:
    """Shows nothing."""
    yield lambda: None


def build_semantic_set(
    candidates: Sequence[Candidate],
    out: Path,
    config: SemanticSetConfig,
    *,
    threads: int = 1,
    progress: Progress = no_progress,
) -> SemanticSummary:
    """Choose, match and degrade images of both classes, and write the manifest.

    What comes out depends on the images, their names and the seed alone, not on the threads. A run
    that was stopped goes on where it was when called again.

    Args:
        candidates: Of both labels; those that cannot be used are listed in `failed.csv`.
        out: Folder of the set, empty, new, or of the same settings.
        config: Settings.
        threads: For decoding, degrading and saving.
        progress: Shows how far the work is.

    Raises:
        SemanticSetError: The folder is another set's, or cannot be written, or a class has no image
            that can be used.
    """
    try:
        claim(out, _settings(config), what="semantic set")
        prepare(out)
        return _Builder(out, config, threads, progress).run(candidates)
    except PixelSetError as error:
        raise SemanticSetError(str(error)) from error
    except OSError as error:
        raise SemanticSetError(
            f"{out} cannot be written: {error.strerror or error}; what is in it is kept, and the "
            "same command goes on from there"
        ) from error


class _Builder:
    """One run of the work."""

    def __init__(
        self, out: Path, config: SemanticSetConfig, threads: int, progress: Progress
    ) -> None:
        self.out, self.config, self.progress = out, config, progress
        self.ahead = 2 * threads
        self.executor = ThreadPoolExecutor(threads)
        self.gatherer = Gatherer(
            out / "unpacked", self.executor, ahead=self.ahead, min_side=config.min_side
        )

    def run(self, candidates: Sequence[Candidate]) -> SemanticSummary:
        with self.executor:
            matches = self._match(candidates)
            records, failures = self._degrade(matches)
        failures += self.gatherer.failures
        finish(self.out, records, failures, self.config.val_share)
        if not records:
            raise SemanticSetError(
                f"no pair could be made; {self.out / 'failed.csv'} says which images cannot be used"
            )
        failed = [failure for failure in failures if failure.code != "duplicate"]
        return SemanticSummary(len(records), len(failed), len(failures) - len(failed))

    def _match(self, candidates: Sequence[Candidate]) -> list[Match]:
        """Find out which images can be used, and pair them."""
        given = {
            label: shuffled([c for c in candidates if c.label == label], self.config.seed)
            for label in LABELS
        }
        known = recorded_seen(self.out, candidates)
        self.gatherer.known = known
        count = min(len(group) for group in given.values())
        if self.config.count is not None:
            count = min(count, self.config.count)
        usable: dict[str, list[Seen]] = {}
        with (
            Journal(self.out / "journal" / SEEN) as journal,
            self.progress(2 * count, text="Looking at images") as step,
        ):

            def found(seen: Seen) -> None:
                if seen.candidate.key not in known:
                    journal.append(seen_record(seen))
                step()

            for label in LABELS:
                usable[label] = self.gatherer.gather(given[label], count, found)
                count = len(usable[label])
        return match(usable["fake"], usable["real"], self.config.max_side)

    def _degrade(self, matches: Sequence[Match]) -> tuple[list[Record], list[Failure]]:
        """Make the images of all pairs that are not there yet."""
        done = recorded_pairs(self.out, matches)
        left = [pair for pair in matches if pair.key not in done]
        # Those known from a run before may have been cleared away since.
        self.gatherer.unpack(seen.candidate for pair in left for seen in (pair.fake, pair.real))
        failures = []
        with (
            Journal(self.out / "journal" / PAIRS) as journal,
            self.progress(len(left), text="Degrading pairs") as step,
        ):
            for made in map_ahead(self.executor, self._make_pair, left, self.ahead):
                if isinstance(made, Failure):
                    failures.append(made)
                else:
                    journal.append(made)
                    done[made["key"]] = made
                step()
        return [done[pair.key] for pair in matches if pair.key in done], failures

    def _make_pair(self, pair: Match) -> Record | Failure:
        record: Record = {
            "key": pair.key,
            "width": pair.width,
            "height": pair.height,
            "kept": round(pair.kept, 4),
        }
        both: dict[str, Pixels] = {}
        for label, seen in (("fake", pair.fake), ("real", pair.real)):
            try:
                both[label] = self.gatherer.pixels(seen)
            except ImageError as error:
                return Failure(-1, seen.candidate.name, error.code, error.message)
            record[label] = origin(seen)
        images, degradation, record["fit_filter"] = degrade_alike(
            pair, both, self.config.chain, self.config.seed
        )
        record["degradation"] = asdict(degradation)
        for label, pixels in images.items():
            save_png(self.out / record[label]["path"], pixels)
        return record


def degrade_alike(
    pair: Match, both: Mapping[str, Pixels], chain: SemanticChain, seed: int
) -> tuple[dict[str, Pixels], Degradation, str]:
    """Bring both images of a pair to one size, and both through one chain with the same draws.

    Args:
        pair: Its size, and the hashes that decide the draws.
        both: (H, W, 3) uint8 RGB by label.
        chain: The degradation.
        seed: Of the set.

    Returns:
        The degraded images by label, what was done to them, and the filter they were fitted by.
    """
    seeds = [seed, *(int(seen.sha256[:16], 16) for seen in (pair.fake, pair.real))]
    filter_name = str(np.random.default_rng(seeds).choice(chain.filters))
    images = {}
    for label, pixels in both.items():
        fitted = fit(pixels, pair.width, pair.height, filter_name)
        # Of one seed for both: the same draws, and the same noise.
        rng = np.random.default_rng([*seeds, 1])
        images[label], degradation = semantic_chain(fitted, rng, chain)
    return images, degradation, filter_name


def _settings(config: SemanticSetConfig) -> dict[str, Any]:
    """As JSON gives them back."""
    values: dict[str, Any] = json.loads(json.dumps({"set": "semantic", **asdict(config)}))
    return values
