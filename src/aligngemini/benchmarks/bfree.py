"""BFree-Online: photos and fakes that went viral, in the versions that the web has of them."""

import csv
from dataclasses import replace
from pathlib import Path

from aligngemini.benchmarks.base import Benchmark, BenchmarkError, Expected, Listing, Places
from aligngemini.benchmarks.layout import Layout

TABLE = "BFree_viral_images.csv"
LAYOUT = Layout("bfree-online")


def find(places: Places) -> Listing:
    """List the images; with the published table beside them, compare by name.

    Raises:
        BenchmarkError: The root is no folder, or the table cannot be read.
    """
    listing = LAYOUT.find(places)
    table = read_table(places.root)
    if table is None:
        listing.notes.append(f"{TABLE} is not there: what is missing can be told by number only")
        return listing
    known = {(label, Path(name).name) for name, (label, _) in table.items()}
    listed = [row for row in listing.rows if (row.label, Path(row.path).name) in known]
    if others := len(listing.rows) - len(listed):
        listing.extra.append(f"images that {TABLE} does not know: {others:,}")
    labels = [label for label, _ in table.values()]
    expected = {"bfree-online": Expected(labels.count("real"), labels.count("fake"))}
    return replace(listing, rows=listed, expected=expected)


def read_table(root: Path) -> dict[str, tuple[str, str]] | None:
    """Label and MD5 by file name, from the published table in a folder or one above or below it.

    Returns:
        None where there is no table.

    Raises:
        BenchmarkError: It cannot be read.
    """
    places = [root / TABLE, root.parent / TABLE, *sorted(root.glob(f"*/{TABLE}"))]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        return None
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            table = {
                row["filename"]: (row["label"].strip().lower(), row["md5"].strip().lower())
                for row in csv.DictReader(file)
            }
    except (OSError, ValueError, KeyError, AttributeError, csv.Error) as error:
        raise BenchmarkError(f"{path} is not the table of BFree-Online: {error}") from error
    if not table:
        raise BenchmarkError(f"{path} is not the table of BFree-Online: it is empty")
    return table


def checksums(root: Path) -> dict[str, str]:
    """MD5 by file name; empty where the table is not there.

    Raises:
        BenchmarkError: It cannot be read.
    """
    return {Path(name).name: md5 for name, (_, md5) in (read_table(root) or {}).items()}


BENCHMARK = Benchmark(
    name="bfree-online",
    title="BFree-Online",
    paper="Guillaro et al. (B-Free), CVPR 2025",
    licence="non-profit use; links only",
    how_to_get=(
        f"viral_images_dataset/{TABLE} and download.ipynb of github.com/grip-unina/B-Free; some "
        "links are dead"
    ),
    layout=f"{{REAL,FAKE}}/SOURCE/imgNNNNN.jpg and {TABLE}",
    protocol="balanced accuracy; the versions of one image are not independent",
    expected={"bfree-online": Expected(361, 750)},
    find=find,
    checksums=checksums,
    folders=("BFree-Online", "B-Free", "viral_images_dataset"),
)
