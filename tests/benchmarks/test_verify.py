"""Published hashes, the table of BFree-Online, and equal files."""

import hashlib
import random
from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest
from fixtures.benchmark_layouts import LAYOUTS, write

from aligngemini.benchmarks import BenchmarkError, discover, open_benchmark
from aligngemini.benchmarks.bfree import TABLE
from aligngemini.benchmarks.verify import check_hashes, find_duplicates
from aligngemini.datasets.manifest import Row


@pytest.fixture
def viral(tmp_path):
    """BFree-Online with its table."""
    files = LAYOUTS["bfree-online"]()
    write(tmp_path, files)
    lines = ["filename,label,source_id,date,days_since_1st_post,w,h,md5,url"]
    for (_, label), paths in files.items():
        for path in paths:
            md5 = hashlib.md5(path.encode()).hexdigest()
            lines.append(f"{path},{label.upper()},s,2023-01-01,0,10,10,{md5},https://x/{path}")
    (tmp_path / TABLE).write_text("\n".join(lines))
    return tmp_path


def test_the_table_says_which_images_there_should_be(viral):
    (viral / "REAL/source0/img00003.jpg").unlink()
    (viral / "FAKE/source1/img00100.jpg").unlink()
    (viral / "FAKE/source1/unknown.jpg").touch()
    found = discover(open_benchmark("bfree-online"), viral)
    assert [(hole.label, hole.expected, hole.found) for hole in found.holes] == [
        ("real", 10, 9),
        ("fake", 10, 9),
    ]
    assert Counter(row.label for row in found.rows) == {"real": 9, "fake": 9}
    assert f"images that {TABLE} does not know: 1" in found.extra


def test_without_the_table_the_published_numbers_count(viral):
    (viral / TABLE).unlink()
    found = discover(open_benchmark("bfree-online"), viral)
    assert [(hole.expected, hole.found) for hole in found.holes] == [(361, 10), (750, 10)]
    assert TABLE in found.notes[0]


@pytest.mark.parametrize("text", ["nothing,here\n1,2\n", "filename,label,md5\nx.jpg\n", "\0"])
def test_a_table_that_is_none_is_one_sentence(viral, text):
    (viral / TABLE).write_text(text)
    with pytest.raises(BenchmarkError, match="is not the table of BFree-Online"):
        discover(open_benchmark("bfree-online"), viral)


def test_md5_that_differ_are_told(viral):
    benchmark = open_benchmark("bfree-online")
    (viral / "REAL/source1/img00004.jpg").write_bytes(b"saved again")
    (viral / "REAL/source2/img00005.jpg").unlink()
    hashes = check_hashes(benchmark, viral, discover(benchmark, viral).rows)
    assert (hashes.published, hashes.right) == (20, 18)
    (said,) = hashes.wrong
    assert "img00004.jpg differs from the published file" in said


def test_archives_beside_the_images_are_compared_too(tmp_path):
    benchmark = open_benchmark("synthbuster")
    (tmp_path / "synthbuster.zip").write_bytes(b"half a download")
    (tmp_path / "synthbuster").mkdir()
    for root in (tmp_path, tmp_path / "synthbuster"):
        hashes = check_hashes(benchmark, root, [])
        assert (hashes.published, hashes.right, len(hashes.wrong)) == (2, 0, 1)


def test_equal_files_are_those_that_brute_force_finds(tmp_path):
    rng = random.Random(0)
    contents = [rng.randbytes(size) for size in (10, 5000, 5000, 5000, 9000, 9000)]
    contents.append(contents[1][:4096] + bytes(len(contents[1]) - 4096))  # alike at the beginning
    rows = []
    for number in range(60):
        path = tmp_path / f"{number}.jpg"
        path.write_bytes(rng.choice(contents))
        rows.append(Row(str(path), rng.choice(["real", "fake"])))
    duplicates = find_duplicates(rows)
    data = {row.path: Path(row.path).read_bytes() for row in rows}
    label = {row.path: row.label for row in rows}
    pairs = {(a, b) for a, b in combinations(data, 2) if data[a] == data[b]}
    assert pairs == {pair for group in duplicates.groups for pair in combinations(group, 2)}
    crossing = {pair for pair in pairs if label[pair[0]] != label[pair[1]]}
    assert crossing == {
        (a, b)
        for group in duplicates.both_classes
        for a, b in combinations(group, 2)
        if label[a] != label[b]
    }


def test_a_path_in_both_classes_and_one_that_is_gone(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"a")
    path = str(tmp_path / "a.jpg")
    gone = str(tmp_path / "gone.jpg")
    duplicates = find_duplicates([Row(path, "real"), Row(path, "fake"), Row(gone, "fake")])
    assert duplicates.groups == []
    assert duplicates.both_classes == [[path]]
    assert duplicates.unreadable == [gone]
