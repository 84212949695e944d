"""Any folder with a folder of photos and one of fakes: `0_real` and `1_fake` and their like."""

from collections import Counter
from dataclasses import dataclass

from aligngemini.benchmarks.base import SHARED, Benchmark, Listing, Places
from aligngemini.benchmarks.layout import FAKE, REAL, find_photos, make_rows, plain
from aligngemini.benchmarks.walk import Remains, walk

ALL = "all"
_LABELS = {plain(name): "real" for name in REAL} | {plain(name): "fake" for name in FAKE}


@dataclass(frozen=True)
class _Place:
    """Where a walk is: the folders above the class's, the class, and the first one below it."""

    above: tuple[str, ...] = ()
    label: str | None = None
    below: str = ""


def find(places: Places) -> Listing:
    """List the images.

    What is above the class's folder names the subset; where nothing is, the folder below the fakes
    does. With a folder of photos given, all else are fakes, a subset for each folder.

    Raises:
        BenchmarkError: The root is no folder.
    """
    listing, remains = Listing([]), Remains()
    strays: Counter[str] = Counter()
    found = walk(
        places.root, _Place(), _enter, remains, step=places.step, without=(places.real_root,)
    )
    for contents in found:
        place = contents.state
        label = place.label or ("fake" if places.real_root is not None else None)
        if label is None:
            strays[contents.inside] += len(contents.images)
            continue
        subset = "/".join(place.above) or (place.below or ALL if label == "fake" else SHARED)
        listing.rows.extend(make_rows(contents.folder, contents.images, subset, label, "folder"))
    listing.extra.extend(
        f"not understood: {inside or 'the folder itself'} ({count:,} images)"
        for inside, count in strays.items()
    )
    listing.extra.extend(remains.sentences())
    listing.rows.extend(find_photos(places, "folder"))
    return listing


def _enter(place: _Place, name: str) -> _Place:
    if place.label is not None:
        return place if place.below else _Place(place.above, place.label, name)
    label = _LABELS.get(plain(name))
    if label is not None:
        return _Place(place.above, label)
    return _Place((*place.above, name))


BENCHMARK = Benchmark(
    name="folder",
    title="A folder of your own",
    paper="",
    licence="",
    how_to_get="yours",
    layout=(
        "[SUBSET/]{0_real,1_fake}, {nature,ai} or {REAL,FAKE}; or fake/SUBSET beside real; or "
        "SUBSET with --real-root"
    ),
    protocol="",
    expected={},
    find=find,
)
