"""Zip archives: the same as `zipfile` reads, member by member, and nothing that only bombs need."""

import io
import pickle
import struct
import zipfile

import pytest
from fixtures.archives import pictures, tar, zip_of
from fixtures.scanned import outcome, scanned_in
from hypothesis import given, settings
from hypothesis import strategies as st

from aligngemini.images.sources import Skipped
from aligngemini.scan.sources import bombs, open_sources
from aligngemini.scan.sources.zip_directory import read_directory, read_member

NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@settings(max_examples=60, deadline=None)
@given(
    files=st.lists(st.tuples(NAMES, st.binary(min_size=1, max_size=300))),
    method=st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]),
    comment=st.binary(max_size=40),
    front=st.binary(max_size=40),
)
def test_the_directory_is_read_as_zipfile_reads_it(files, method, comment, front):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.comment = comment
        for name, data in files:
            with archive.open(zipfile.ZipInfo(name), "w", force_zip64=len(data) % 2) as out:
                out.write(data)
    whole = front + file.getvalue()
    stream = io.BytesIO(whole)
    members = list(read_directory(stream, len(whole)))
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        expected = archive.infolist()
        assert [member.name for member in members] == [info.orig_filename for info in expected]
        assert [member.size for member in members] == [info.file_size for info in expected]
        for member, info in zip(members, expected, strict=True):
            if not info.is_dir():
                assert read_member(stream, member) == archive.read(info)


def test_an_archive_of_many_members_has_a_larger_directory(tmp_path, monkeypatch):
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 2)  # beyond it: zip64
    images = pictures(4)
    path = tmp_path / "many.zip"
    for front in (b"", b"a program that unpacks itself"):
        path.write_bytes(front + zip_of(images))
        assert b"PK\x06\x06" in path.read_bytes()
        assert scanned_in(path) == {f"!{name}": data for name, data in images.items()}


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_workers_unpack(tmp_path, method):
    images = pictures(4)
    path = tmp_path / "a.zip"
    path.write_bytes(zip_of(images, method=method))
    assert scanned_in(path) == {f"!{name}": data for name, data in images.items()}
    assert all(len(pickle.dumps(item)) < 1000 for item in open_sources([str(path)]))


def test_what_is_no_image_is_counted_and_what_might_hold_some_is_named(tmp_path):
    (image,) = pictures(1, side=80).values()
    path = tmp_path / "a.zip"
    path.write_bytes(
        zip_of(
            {
                "noname": image,
                "folder/": b"",
                "notes.txt": b"words",
                "__MACOSX/._a.png": image,
                "inner.tar": tar({"deep.png": image}),
            }
        )
    )
    skipped = Skipped()
    assert scanned_in(path, skipped=skipped) == {"!noname": image, "!inner.tar": "unsupported"}
    assert skipped.count == 2


def test_equal_names_stay_apart(tmp_path):
    a, b = pictures(2).values()
    path = tmp_path / "a.zip"
    with pytest.warns(UserWarning, match="Duplicate"):
        path.write_bytes(zip_of([("x.png", a), ("../x.png", b), ("x.png", b)]))
    assert scanned_in(path) == {"!x.png": a, "!../x.png": b, "!x.png#2": b}


def test_an_encrypted_member_says_so(tmp_path):
    data = bytearray(zip_of(pictures(2)))
    entry = data.index(b"PK\x01\x02")
    data[entry + 8] |= 1
    path = tmp_path / "a.zip"
    path.write_bytes(data)
    first, second = open_sources([str(path)])
    assert first.problem.code == "unsupported"
    assert "encrypted" in first.problem.message
    assert second.problem is None


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_method_that_is_not_read_says_so(tmp_path, method):
    path = tmp_path / "a.zip"
    path.write_bytes(zip_of(pictures(1), method=method))
    (item,) = open_sources([str(path)])
    assert item.problem.code == "unsupported"


def test_sizes_that_lie_are_found_out(tmp_path):
    images = pictures(1)
    (image,) = images.values()
    for wrong in (len(image) - 1, len(image) + 1, len(image) * 100):
        data = bytearray(zip_of(images))
        entry = data.index(b"PK\x01\x02")
        data[entry + 24 : entry + 28] = struct.pack("<L", wrong)
        path = tmp_path / "a.zip"
        path.write_bytes(data)
        assert scanned_in(path) == {"!0.png": "corrupt"}
    data[entry + 24 : entry + 28] = struct.pack("<L", 1 << 30)
    path.write_bytes(data)
    assert scanned_in(path) == {"!0.png": "too-large"}


def test_a_small_lie_unpacks_no_more_than_it_says(tmp_path):
    """A member that says 5 KB and unpacks to 50 MB costs 5 KB."""
    import tracemalloc

    zeros = bytes(50 << 20)
    data = bytearray(zip_of({"a.png": zeros}))
    entry = data.index(b"PK\x01\x02")
    data[entry + 24 : entry + 28] = struct.pack("<L", 5000)
    del zeros
    path = tmp_path / "a.zip"
    path.write_bytes(data)
    (item,) = open_sources([str(path)])
    tracemalloc.start()
    assert outcome(item) == "corrupt"
    assert tracemalloc.get_traced_memory()[1] < 2 << 20
    tracemalloc.stop()


def test_damaged_bytes_are_found_out(tmp_path):
    data = bytearray(zip_of(pictures(1), method=zipfile.ZIP_STORED))
    data[200] ^= 1
    path = tmp_path / "a.zip"
    path.write_bytes(data)
    assert scanned_in(path) == {"!0.png": "corrupt"}


def test_an_archive_that_says_it_is_a_bomb_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr(bombs, "FREE", 1 << 20)
    (image,) = pictures(1).values()
    path = tmp_path / "a.zip"
    path.write_bytes(zip_of({"a.png": image, "b.png": bytes(64 << 20), "c.png": image}))
    assert scanned_in(path) == {"!a.png": image, "": "too-large"}


def test_a_cut_archive_has_no_directory(tmp_path):
    path = tmp_path / "a.zip"
    whole = zip_of(pictures(3))
    for data in (whole[: len(whole) // 2], b"PK\x03\x04", b"", b"nothing of a zip"):
        path.write_bytes(data)
        assert scanned_in(path) == {"": "truncated"}


def test_a_damaged_directory_gives_what_came_before(tmp_path):
    data = bytearray(zip_of(pictures(3)))
    second = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 1)
    data[second] = 0
    path = tmp_path / "a.zip"
    path.write_bytes(data)
    items = list(open_sources([str(path)]))
    assert [item.address for item in items] == [f"{path}!0.png", str(path)]
    assert items[-1].problem.code == "corrupt"


def test_memory_does_not_grow_with_the_archive(tmp_path):
    import tracemalloc

    (image,) = pictures(1).values()
    peaks = []
    for count in (300, 3000):
        path = tmp_path / f"{count}.zip"
        path.write_bytes(zip_of((f"{k}.png", image) for k in range(count)))
        tracemalloc.start()
        assert sum(1 for _ in open_sources([str(path)])) == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 100_000
