"""What the user names: files, folders, patterns, braces and archives; and what vanishes."""

import io
import os
import random
import shutil
import time
import weakref
from contextlib import closing

import pytest
from fixtures.archives import pictures, table_of, tar, zip_of
from fixtures.scanned import outcome
from hypothesis import given
from hypothesis import strategies as st

from aligngemini.images.sources import Skipped
from aligngemini.isolation import map_isolated, quick_context
from aligngemini.scan.items import FileReader
from aligngemini.scan.sources import open_sources, parquet
from aligngemini.scan.sources.braces import expand_braces
from aligngemini.scan.sources.names import Names

A, B, C = pictures(3).values()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "a.png").write_bytes(A)
    (tmp_path / "noname").write_bytes(B)
    (tmp_path / "notes.txt").write_bytes(b"words")
    (tmp_path / "list.csv").write_bytes(b"path\na.png\n")
    (tmp_path / "deep" / "B.TAR").write_bytes(tar({"b.png": B}))
    (tmp_path / "deep" / "c.zip").write_bytes(zip_of({"c.png": C}))
    return tmp_path


def addresses(*specs, **options):
    return [item.address for item in open_sources([str(spec) for spec in specs], **options)]


def test_a_folder_with_archives_in_it(folder):
    skipped = Skipped()
    names = ["a.png", "deep/B.TAR!b.png", "deep/c.zip!c.png", "noname"]
    assert addresses(folder, skipped=skipped) == [str(folder / name) for name in names]
    assert skipped.count == 2  # a list is opened where it is named


def test_files_are_read_where_they_are(folder):
    (item,) = open_sources([f"file://{folder}/a.png"])
    assert item.read == FileReader(str(folder / "a.png"))
    assert item.read() == A


def test_a_stamp_changes_with_the_file(folder):
    path = folder / "a.png"
    (before,) = open_sources([str(path)])
    path.write_bytes(B)
    os.utime(path, ns=(1, 1))
    (after,) = open_sources([str(path)])
    assert before.stamp
    assert before.stamp != after.stamp


def test_patterns_braces_and_names_with_braces(folder):
    odd = folder / "x{1,2}.png"
    odd.write_bytes(C)
    assert addresses(odd) == [str(odd)]
    assert addresses(folder / "{a,nothing}.png") == [
        str(folder / name) for name in ("a.png", "nothing.png")
    ]
    assert addresses(folder / "deep" / "*.zip") == [str(folder / "deep" / "c.zip!c.png")]
    (item,) = open_sources([str(folder / "*.gif")])
    assert item.problem.code == "not-found"


def test_names_on_standard_input(folder):
    lines = io.StringIO(f"{folder}/a.png\n{folder}/deep/c.zip\nnonsense://x\n")
    *names, odd = open_sources(["-"], stdin=lines)
    assert [item.address for item in names] == [f"{folder}/a.png", f"{folder}/deep/c.zip!c.png"]
    assert (odd.address, odd.problem.code) == ("nonsense://x", "unreadable")


def test_a_pipe_is_not_waited_for(tmp_path):
    for name in ("a.tar", "b.zip", "c.parquet", "d.csv", "e.png"):
        os.mkfifo(tmp_path / name)
        (item,) = open_sources([str(tmp_path / name)])
        assert outcome(item) == "unreadable"


def test_a_source_that_vanishes_is_an_item_and_the_rest_goes_on(folder):
    (folder / "z.png").write_bytes(C)
    items = open_sources([str(folder), str(folder / "deep"), str(folder / "z.png")])
    first = next(items)
    shutil.rmtree(folder / "deep")
    rest = list(items)
    assert first.address == str(folder / "a.png")
    assert {item.address: item.problem.code for item in rest if item.problem} == {
        str(folder / "deep"): "not-found"
    }
    assert rest[-1].read() == C


def test_an_archive_that_vanishes_between_listing_and_reading(folder):
    archive = folder / "deep" / "c.zip"
    (item,) = open_sources([str(archive)])
    archive.unlink()
    assert outcome(item) == "not-found"


def test_items_that_are_done_wait_without_their_bytes():
    """One slow image holds up the answers of many; their bytes must not pile up meanwhile."""
    alive = []
    most = 0

    def items():
        nonlocal most
        for number in range(12):
            item = _Carrying(number)
            alive.append(weakref.ref(item))
            yield item
            most = max(most, sum(ref() is not None for ref in alive))

    with closing(map_isolated(_Slow, items(), workers=2, timeout=20)) as answers:
        assert list(answers) == list(range(12))
    assert most <= 3


class _Carrying:
    def __init__(self, number):
        self.number = number


class _Slow:
    def __call__(self, item):
        time.sleep(0 if item.number else 0.7)
        return item.number


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".zip", ".parquet", ".csv", ".jsonl"])
def test_noise_raises_nothing(tmp_path, suffix, monkeypatch):
    """Whatever the bytes, a problem comes out and not an exception, and no unforeseen one."""
    monkeypatch.setattr(parquet, "clean_context", quick_context)  # sooner there
    rng = random.Random(0)
    sound = {
        ".tar": tar({"a.png": A}),
        ".zip": zip_of({"a.png": A, "b": B}),
        ".parquet": table_of([A, B]),
    }
    for number in range(60):
        data = bytearray(sound.get(suffix, b"") or rng.randbytes(2000))
        for _ in range(rng.randrange(30)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        path = tmp_path / f"{number}{suffix}"
        path.write_bytes(data[: rng.randrange(len(data))] if number % 2 else data)
        for item in open_sources([str(path)]):
            assert outcome(item) != "internal"


@pytest.mark.shared
@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".zip"])
def test_hostile_files_are_the_same_in_every_archive(shared_data, tmp_path, suffix):
    folder = shared_data / "hostile"
    files = {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*"))}
    members = {name: path.read_bytes() for name, path in files.items() if path.is_file()}
    path = tmp_path / f"a{suffix}"
    if suffix == ".zip":
        path.write_bytes(zip_of(members))
    else:
        path.write_bytes(tar(members, mode="w:gz" if suffix == ".tar.gz" else "w"))
    packed, plain = Skipped(), Skipped()
    found = {item.address: outcome(item) for item in open_sources([str(path)], skipped=packed)}
    expected = {
        item.address.replace(f"{folder}/", f"{path}!"): outcome(item)
        for item in open_sources([str(folder)], skipped=plain)
    }
    assert len(found) > 300
    assert found == expected
    assert packed.count == plain.count


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", ["plain"]),
        ("{000..002}.tar", ["000.tar", "001.tar", "002.tar"]),
        ("{9..11}", ["9", "10", "11"]),
        ("{2..0}", ["2", "1", "0"]),
        ("{a,b}{1..2}", ["a1", "a2", "b1", "b2"]),
        ("{a,}x", ["ax", "x"]),
        ("{}{x}", ["{}{x}"]),
    ],
)
def test_braces(text, expected):
    assert list(expand_braces(text)) == expected


def test_braces_without_end_cost_nothing():
    expanded = expand_braces("{000000000..999999999}-{1..999999999}")
    assert [next(expanded), next(expanded)] == ["000000000-1", "000000000-2"]


@given(st.lists(st.sampled_from(["a", "a#2", "a#2#2", "a#3", "b", "\udcff"])))
def test_names_are_given_once(names):
    with Names() as given:
        unique = [given.unique(name) for name in names]
    assert len(set(unique)) == len(names)
    assert all(new.startswith(old) for new, old in zip(unique, names, strict=True))
    first = {name: unique[names.index(name)] for name in names}
    assert first.get("a", "a") == "a"


def test_many_equal_names_cost_no_more_than_others():
    with Names() as given:
        unique = [given.unique("a") for _ in range(3000)]
    assert unique[:3] == ["a", "a#2", "a#3"]
    assert unique[-1] == "a#3000"
