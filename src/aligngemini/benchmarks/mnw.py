"""MNW, the Microsoft-Northwestern-WITNESS benchmark: its generated images."""

from dataclasses import dataclass

from aligngemini.benchmarks.base import Benchmark, Expected, Listing, Places
from aligngemini.benchmarks.layout import find_photos, make_rows, plain
from aligngemini.benchmarks.walk import Remains, walk

IMAGES = "AI_Images"
OTHER_PARTS = frozenset(
    map(plain, ("AI_Video", "Deepfake_Video", "Deepfake_Audio", "AI_media_in_the_wild", "docs"))
)


@dataclass(frozen=True)
class _Place:
    """Where a walk is: outside the images, among the generators' folders, or in one of them."""

    inside: bool = False
    generator: str = ""


def find(places: Places) -> Listing:
    """List the generated images, a subset for each generator's folder.

    Raises:
        BenchmarkError: The root is no folder.
    """
    remains = Remains()
    listing = Listing(
        [], notes=["what was met in the wild is left out: its labels are opinions of experts"]
    )
    start = _Place(inside=plain(places.root.name) == plain(IMAGES))
    for contents in walk(
        places.root, start, _enter, remains, step=places.step, without=(places.real_root,)
    ):
        generator = contents.state.generator
        if generator:
            listing.rows.extend(
                make_rows(contents.folder, contents.images, generator, "fake", "mnw")
            )
        else:
            where = contents.inside or "the folder itself"
            listing.extra.append(f"not understood: {where} ({len(contents.images):,} images)")
    listing.extra.extend(remains.sentences())
    listing.rows.extend(find_photos(places, "mnw"))
    return listing


def _enter(place: _Place, name: str) -> _Place | None:
    if place.generator:
        return place
    if place.inside:
        return _Place(inside=True, generator=name)
    if plain(name) in OTHER_PARTS:
        return None
    return _Place(inside=plain(name) == plain(IMAGES))


BENCHMARK = Benchmark(
    name="mnw",
    title="MNW",
    paper="Roca et al., IEEE Intelligent Systems 41(2), 2026",
    licence="evaluation only, no training, no commercial use",
    how_to_get="github.com/microsoft/MNW, with Git LFS",
    layout=f"{IMAGES}/GENERATOR/*",
    protocol="detection rate of each generator; the set is renewed twice a year: name its date",
    expected={IMAGES: Expected(0, None)},
    find=find,
    fake_only=True,
    folders=("MNW",),
)
