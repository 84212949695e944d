"""Folder layouts, matched whatever case, separators and intermediate folders a copy has."""

import os
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import permutations, product
from pathlib import Path

from aligngemini.benchmarks.base import SHARED, Listing, Places
from aligngemini.benchmarks.shards import SUFFIX, unpack_shards
from aligngemini.benchmarks.walk import Contents, Remains, walk
from aligngemini.datasets.manifest import Row

REAL = ("real", "reals", "0_real", "nature")
FAKE = ("fake", "fakes", "1_fake", "ai")


@dataclass(frozen=True)
class Place:
    """What the folders on the way to an image say of it.

    Attributes:
        subset: One name for each of the layout's axes, None while it is open.
        label: `real`, `fake`, or None while it is open.
        odd: A folder that the layout does not know lies in between.
    """

    subset: tuple[str | None, ...]
    label: str | None = None
    odd: bool = False


@dataclass(frozen=True)
class Layout:
    """A layout of folders: names that stand for a subset and names that stand for a class.

    Attributes:
        source: What `Row.source` says.
        axes: One mapping for each part of a subset's name, from the canonical name to further ones.
            A subset's name is its parts joined by `/`. None for one subset, called `source`.
        real: Folder names of photos besides `REAL`.
        shared_real: Photos outside any subset belong to all of them.
        bare: Images of a subset that lie in no class folder are fakes.
        inner: With `bare`, names that folders inside a subset may have; None for any.
        skip: Folders that are not part of the test.
        skip_top: The same, but only outside the subsets.
        pattern: Regular expression that names of fakes must match, whole and in lower case.
        shards: Images may lie in webdataset shards.
    """

    source: str
    axes: tuple[Mapping[str, tuple[str, ...]], ...] = ()
    real: tuple[str, ...] = ()
    shared_real: bool = False
    bare: bool = False
    inner: tuple[str, ...] | None = None
    skip: tuple[str, ...] = ()
    skip_top: tuple[str, ...] = ()
    pattern: str | None = None
    shards: bool = False

    @property
    def subsets(self) -> list[str]:
        """Canonical names, in the order of the axes."""
        return ["/".join(parts) for parts in product(*self.axes)] if self.axes else [self.source]

    def find(self, places: Places) -> Listing:
        """List the images of a benchmark that has this layout.

        Raises:
            BenchmarkError: A root is no folder, or the work folder cannot be written.
        """
        listing, remains = Listing([]), Remains()
        self._add(listing, places.root, places, remains, without=places.work)
        if self.shards and places.work is not None:
            shards = [name for name in remains.archives if name.endswith(SUFFIX)]
            for problem in unpack_shards(places.root, shards, places.work, step=places.step):
                remains.broken.append(problem)
            remains.archives = [name for name in remains.archives if name not in set(shards)]
            if shards:
                self._add(listing, places.work, places, remains)
        listing.rows.extend(find_photos(places, self.source, self._skip | self._skip_top))
        listing.extra.extend(remains.sentences())
        return listing

    def enter(self, place: Place, name: str) -> Place | None:
        """The place one folder further down; None where nothing of the test can be."""
        key = plain(name)
        inside = None not in place.subset and bool(self.axes)
        if key in self._skip or (key in self._skip_top and not inside):
            return None
        if place.label is None and key in self._labels:
            return Place(place.subset, self._labels[key], place.odd)
        named = self._names.get(key)
        if named is not None and not inside:
            parts = tuple(old or new for old, new in zip(place.subset, named, strict=True))
            return Place(parts, place.label, place.odd)
        strict = self.bare and inside and place.label is None and self.inner is not None
        if strict and key not in self._inner:
            return Place(place.subset, place.label, odd=True)
        return place

    def meaning(self, place: Place) -> tuple[str, str] | None:
        """Subset and label of the images at a place; None where it is not understood."""
        if place.odd:
            return None
        label = place.label or ("fake" if self.bare else None)
        if label is not None and None not in place.subset:
            return "/".join(filter(None, place.subset)) or self.source, label
        if place.label == "real" and self.shared_real:
            return SHARED, "real"
        return None

    def _add(
        self,
        listing: Listing,
        root: Path,
        places: Places,
        remains: Remains,
        without: Path | None = None,
    ) -> None:
        """Add the images below one folder."""
        strays: Counter[str] = Counter()
        understood: set[str] = set()
        left_out = 0
        start = Place(tuple(None for _ in self.axes))
        barred = (places.real_root, without)
        for contents in walk(root, start, self.enter, remains, step=places.step, without=barred):
            meaning = self.meaning(contents.state)
            if meaning is None:
                strays[contents.inside] += len(contents.images)
                continue
            rows = self._rows(contents, *meaning)
            left_out += len(contents.images) - len(rows)
            listing.rows.extend(rows)
            parts = contents.inside.split("/")
            understood.update("/".join(parts[:depth]) for depth in range(1, len(parts) + 1))
        listing.extra.extend(_tops(strays, understood))
        if left_out:
            listing.extra.append(f"images left out by the protocol: {left_out:,}")

    def _rows(self, contents: Contents[Place], subset: str, label: str) -> list[Row]:
        fake = label == "fake"
        names = contents.images
        if fake and self.pattern is not None:
            names = [name for name in names if re.fullmatch(self.pattern, name.lower())]
        return make_rows(contents.folder, names, subset, label, self.source)

    @cached_property
    def _labels(self) -> dict[str, str]:
        labels = {plain(name): "real" for name in (*REAL, *self.real)}
        return labels | {plain(name): "fake" for name in FAKE}

    @cached_property
    def _names(self) -> dict[str, tuple[str | None, ...]]:
        """What a folder's name says of each axis; one folder may speak for all axes at once."""
        names: dict[str, tuple[str | None, ...]] = {}
        spoken = []
        for number, axis in enumerate(self.axes):
            known = {
                plain(name): value for value, others in axis.items() for name in (value, *others)
            }
            spoken.append(known)
            for key, value in known.items():
                names[key] = tuple(
                    value if other == number else None for other in range(len(self.axes))
                )
        if len(self.axes) > 1:
            for keys in product(*spoken):
                values = tuple(known[key] for known, key in zip(spoken, keys, strict=True))
                names |= {"".join(order): values for order in permutations(keys)}
        return names

    @cached_property
    def _skip(self) -> frozenset[str]:
        return frozenset(map(plain, self.skip))

    @cached_property
    def _skip_top(self) -> frozenset[str]:
        return frozenset(map(plain, self.skip_top))

    @cached_property
    def _inner(self) -> frozenset[str]:
        return frozenset(map(plain, self.inner or ()))


def axis(*entries: str | tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Names of subsets, each with what else copies call it: `axis("reddit", ("twitter", "x"))`."""
    tuples = [(entry,) if isinstance(entry, str) else entry for entry in entries]
    return {name: tuple(others) for name, *others in tuples}


def plain(name: str) -> str:
    """A name without case and separators: `Stable_Diffusion-v1.4` is `stablediffusionv14`."""
    return "".join(filter(str.isalnum, name.casefold()))


def find_photos(places: Places, source: str, skip: frozenset[str] = frozenset()) -> list[Row]:
    """All images of the folder of photos that was given, shared by all subsets.

    Args:
        places: Where it is.
        source: What `Row.source` says.
        skip: Plain names of folders to keep out of, such as the training part of the photos' set.

    Raises:
        BenchmarkError: It is no folder.
    """
    if places.real_root is None:
        return []
    found = walk(
        places.real_root,
        True,
        lambda _, name: None if plain(name) in skip else True,
        Remains(),
        step=places.step,
    )
    return [
        row
        for contents in found
        for row in make_rows(contents.folder, contents.images, SHARED, "real", source)
    ]


def make_rows(folder: str, names: list[str], subset: str, label: str, source: str) -> list[Row]:
    """Rows of the images of one folder; what they have in common is shared in memory."""
    generator = subset if label == "fake" else ""
    extra = {"subset": subset}
    prefix = folder if folder.endswith(os.sep) else folder + os.sep
    return [
        Row(prefix + name, label, generator=generator, source=source, split="test", extra=extra)
        for name in names
    ]


def _tops(strays: Counter[str], understood: set[str]) -> list[str]:
    """Folders that were not understood, the topmost of each tree, with their images' number."""
    tops: Counter[str] = Counter()
    for inside, count in strays.items():
        parts = inside.split("/")
        depth = 1
        while depth < len(parts) and "/".join(parts[:depth]) in understood:
            depth += 1
        tops["/".join(parts[:depth])] += count
    return [
        f"not understood: {top or 'the folder itself'} ({n:,} images)" for top, n in tops.items()
    ]
