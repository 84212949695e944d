"""Webdataset shards: unpacked once, whole, and never outside the work folder."""

import gzip
import io
import json
import tarfile
from collections import Counter
from pathlib import Path

import pytest
from fixtures.benchmark_layouts import EACH, LAYOUTS

from aligngemini.benchmarks import BenchmarkError, discover, open_benchmark


def pack(path, names, kind=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name in names:
            data = name.encode()
            member = tarfile.TarInfo(name)
            member.size = len(data)
            if kind is not None:
                member.type, member.size, member.linkname = kind, 0, "/etc/passwd"
            tar.addfile(member, io.BytesIO(data))


def counts(found):
    return Counter((row.extra["subset"], row.label) for row in found.rows)


@pytest.fixture
def shards(tmp_path):
    """All of AIGI-Now in three shards with other files among the images."""
    files = LAYOUTS["aigi-now"]()
    names = [path for paths in files.values() for path in paths]
    for number in range(3):
        members = [*names[number::3], f"{number}.json", f"{number}.txt"]
        pack(tmp_path / f"set/data/train-{number:05}.tar", members)
    return tmp_path / "set"


def listing(shards, work):
    return discover(open_benchmark("aigi-now"), shards, work=work)


def test_shards_are_unpacked_and_found_whole(shards, tmp_path):
    found = listing(shards, tmp_path / "work")
    files = LAYOUTS["aigi-now"]()
    assert counts(found) == dict.fromkeys(files, EACH)
    assert (found.holes, found.extra) == ([], [])
    contents = {Path(row.path).read_text() for row in found.rows}
    assert contents == {path for paths in files.values() for path in paths}
    assert not list((tmp_path / "work").rglob("*.txt"))


def test_without_a_work_folder_they_are_left_packed_and_said(shards):
    found = listing(shards, None)
    assert found.rows == []
    (said,) = found.extra
    assert said.startswith("not unpacked: data/train-00000.tar, ")


def test_shards_are_unpacked_once(shards, tmp_path):
    first = listing(shards, tmp_path / "work")
    written = {row.path: Path(row.path).stat().st_mtime_ns for row in first.rows}
    again = listing(shards, tmp_path / "work")
    assert {row.path: Path(row.path).stat().st_mtime_ns for row in again.rows} == written


def test_a_shard_that_changed_is_unpacked_again(shards, tmp_path):
    listing(shards, tmp_path / "work")
    pack(shards / "data/train-00001.tar", ["FLUX-dev/pixel/1_fake/new.jpg"])
    found = listing(shards, tmp_path / "work")
    new = [row for row in found.rows if "train/00001" in row.path]
    assert [Path(row.path).read_text() for row in new] == ["FLUX-dev/pixel/1_fake/new.jpg"]


def test_what_a_killed_run_left_is_done_again(shards, tmp_path):
    whole = listing(shards, tmp_path / "work")
    folder = tmp_path / "work/data/train"
    # As a run leaves it that was killed while it unpacked the second shard.
    (folder / "00001").rename(folder / ".00001.partial")
    (folder / ".00001.partial/.unpacked.json").unlink()
    again = listing(shards, tmp_path / "work")
    assert counts(again) == counts(whole)
    assert not [path for path in folder.iterdir() if path.name.endswith(".partial")]


def test_a_work_folder_among_the_shards_counts_once(shards):
    listing(shards, shards / "unpacked")
    found = listing(shards, shards / "unpacked")
    assert counts(found) == dict.fromkeys(LAYOUTS["aigi-now"](), EACH)


def test_groups_may_stand_in_the_shards_names(tmp_path):
    members = [f"{folder}/{number}.jpg" for folder in ("0_real", "1_fake") for number in range(4)]
    pack(tmp_path / "set/gpt4o_semantic-000000.tar", members)
    pack(tmp_path / "set/gpt4o_semantic-000001.tar", members)
    found = listing(tmp_path / "set", tmp_path / "work")
    assert counts(found) == {("GPT-4o/semantic", label): 8 for label in ("real", "fake")}


def test_names_in_a_shard_cannot_lead_out_of_the_work_folder(tmp_path):
    evil = [
        "../../out.jpg",
        "/out.jpg",
        "a/../../../out.jpg",
        "x\\..\\..\\out.jpg",
        "x/./../out.jpg",
    ]
    pack(tmp_path / "set/evil.tar", evil)
    before = set(tmp_path.rglob("*"))
    found = listing(tmp_path / "set", tmp_path / "work")
    made = set(tmp_path.rglob("*")) - before
    assert all(path.is_relative_to(tmp_path / "work") for path in made)
    assert sum(path.name.endswith(".jpg") for path in made) == len(evil)
    assert found.rows == []


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_links_and_pipes_in_a_shard_are_not_unpacked(kind, tmp_path):
    pack(tmp_path / "set/links.tar", ["FLUX-dev/pixel/1_fake/x.jpg"], kind)
    listing(tmp_path / "set", tmp_path / "work")
    assert not list((tmp_path / "work").rglob("*.jpg"))


def test_a_shard_that_unpacks_to_far_more_than_its_size_is_left(tmp_path):
    """A sparse member holds nothing in the file and gigabytes on the disk."""
    hole = 4_000_000
    for number in range(3):
        big = tmp_path / f"{number}.jpg"
        with big.open("wb") as file:
            file.truncate(hole)
    path = tmp_path / "set/gpt4o-pixel-0000.tar"
    path.parent.mkdir()
    with gzip.open(path, "wb") as stream, tarfile.open(fileobj=stream, mode="w|") as tar:
        for number in range(3):
            tar.add(tmp_path / f"{number}.jpg", f"1_fake/{number}.jpg")
    found = listing(tmp_path / "set", tmp_path / "work")
    assert sum(file.stat().st_size for file in (tmp_path / "work").rglob("*.jpg")) <= hole
    assert "far more than its size" in " ".join(found.extra)


@pytest.mark.parametrize("left", [40 * 1024, 40 * 1024 + 700], ids=["between", "within"])
def test_a_shard_cut_off_between_or_within_files_is_told_each_time(left, shards, tmp_path):
    path = shards / "data/train-00002.tar"
    path.write_bytes(path.read_bytes()[:left])
    for _ in range(2):
        found = listing(shards, tmp_path / "work")
        assert 0 < len([row for row in found.rows if "train/00002" in row.path]) < 100
        (said,) = found.extra
        assert "data/train-00002.tar" in said
    mark = json.loads((tmp_path / "work/data/train/00002/.unpacked.json").read_text())
    assert mark["problems"]


def test_a_work_folder_that_cannot_be_is_one_sentence(shards, tmp_path):
    (tmp_path / "work").touch()
    with pytest.raises(BenchmarkError, match=r"train-00000.tar cannot be unpacked into .*work"):
        listing(shards, tmp_path / "work")
