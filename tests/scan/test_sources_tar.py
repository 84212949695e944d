"""Tar archives and webdataset shards: every image once, whatever the archive does."""

import bz2
import gzip
import io
import lzma
import pickle
import tarfile

import pyarrow as pa
import pytest
from fixtures.archives import pictures, tar, tar_header
from fixtures.scanned import outcome, scanned_in

from aligngemini.images.sources import Skipped
from aligngemini.scan.sources import bombs, open_sources
from aligngemini.scan.sources.readers import SliceReader

pytestmark = pytest.mark.timeout(60)


def member(name, data):
    """One file of an archive that goes on."""
    return tar_header(name, len(data)) + data + bytes(-len(data) % 512)


def zstandard(data):
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(data)
    return sink.getvalue().to_pybytes()


COMPRESSIONS = {
    ".tar": bytes,
    ".tar.gz": gzip.compress,
    ".tar.bz2": bz2.compress,
    ".tar.xz": lzma.compress,
    ".tar.zst": zstandard,
}


@pytest.mark.parametrize("suffix", COMPRESSIONS)
def test_every_image_comes_out_as_it_went_in(tmp_path, suffix):
    images = pictures(6)
    path = tmp_path / f"photos{suffix}"
    path.write_bytes(COMPRESSIONS[suffix](tar(images)))
    assert scanned_in(path) == {f"!{name}": data for name, data in images.items()}


def test_the_compression_is_told_from_the_bytes(tmp_path):
    images = pictures(2)
    path = tmp_path / "misnamed.tar"
    path.write_bytes(gzip.compress(tar(images)))
    assert scanned_in(path) == {f"!{name}": data for name, data in images.items()}


def test_workers_read_a_plain_archive_themselves(tmp_path):
    path = tmp_path / "a.tar"
    path.write_bytes(tar(pictures(3)))
    assert all(isinstance(item.read, SliceReader) for item in open_sources([str(path)]))
    assert all(len(pickle.dumps(item)) < 1000 for item in open_sources([str(path)]))


def test_a_webdataset_shard_gives_its_images(tmp_path):
    a, b = pictures(2).values()
    shard = tmp_path / "shard-000000.tar"
    groups = {"000.jpg": a, "000.json": b"{}", "000.cls": b"1", "001.jpg": b, "001.txt": b"x"}
    shard.write_bytes(tar(groups))
    skipped = Skipped()
    assert scanned_in(shard, skipped=skipped) == {"!000.jpg": a, "!001.jpg": b}
    assert skipped.count == 3
    assert skipped.names[0] == f"{shard}!000.json"


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz"])
def test_an_image_without_a_suffix_is_known_by_its_bytes(tmp_path, suffix):
    (image,) = pictures(1, side=80).values()
    path = tmp_path / f"a{suffix}"
    path.write_bytes(COMPRESSIONS[suffix](tar({"noname": image, "words": b"words" * 9999})))
    assert len(image) > 4096
    assert scanned_in(path) == {"!noname": image}


@pytest.mark.parametrize("suffix", COMPRESSIONS)
def test_of_a_truncated_archive_what_came_before_is_kept(tmp_path, suffix):
    images = pictures(200, side=70)
    whole = COMPRESSIONS[suffix](tar(images))
    path = tmp_path / f"cut{suffix}"
    path.write_bytes(whole[: len(whole) * 2 // 3])
    found = scanned_in(path)
    assert found.pop("") in ("truncated", "corrupt")
    found = {name: data for name, data in found.items() if data != "truncated"}
    assert 10 < len(found) < 200
    assert found.items() <= {f"!{name}": data for name, data in images.items()}.items()


def test_a_cut_between_two_members_is_noticed(tmp_path):
    path = tmp_path / "cut.tar"
    path.write_bytes(tar(pictures(2)).rstrip(b"\0")[:512])  # a header, and no more
    assert scanned_in(path)[""] == "truncated"
    (image,) = pictures(1).values()
    path.write_bytes(member("a.png", image))
    assert scanned_in(path) == {"!a.png": image, "": "truncated"}


def test_archives_joined_by_cat_are_read_to_the_end(tmp_path):
    a, b = pictures(2).values()
    path = tmp_path / "both.tar"
    path.write_bytes(tar({"a.png": a}) + tar({"b.png": b}))
    assert scanned_in(path) == {"!a.png": a, "!b.png": b}


def test_a_damaged_header_does_not_pass_for_the_end(tmp_path):
    images = pictures(3)
    data = bytearray(tar(images))
    second = data.index(b"1.png")
    data[second + 100 : second + 108] = b"\xff" * 8
    path = tmp_path / "damaged.tar"
    path.write_bytes(data)
    items = list(open_sources([str(path)]))
    assert [item.address for item in items] == [f"{path}!0.png", str(path)]
    assert items[-1].problem.code == "corrupt"
    assert "beyond 1 image" in items[-1].problem.message


def test_names_are_addresses_and_lead_nowhere(tmp_path):
    a, b, c = pictures(3).values()
    secret = tmp_path / "secret.png"
    secret.write_bytes(c)
    path = tmp_path / "in" / "tricks.tar"
    path.parent.mkdir()
    path.write_bytes(tar({"../secret.png": a, str(secret): b}))
    assert scanned_in(path) == {"!../secret.png": a, f"!{secret}": b}
    assert sorted(tmp_path.rglob("*.png")) == [secret]


def test_equal_names_stay_apart(tmp_path):
    a, b, c, d = pictures(4).values()
    path = tmp_path / "a.tar"
    path.write_bytes(tar([("x.png", a), ("x.png", b), ("x.png#2", c), ("x.png", d)]))
    assert scanned_in(path) == {"!x.png": a, "!x.png#2": b, "!x.png#2#2": c, "!x.png#3": d}


def test_links_hidden_files_and_nested_archives_are_named(tmp_path):
    (image,) = pictures(1).values()
    inner = tar({"deep.png": image})
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        for name, data in {"a.png": image, "more.tar": inner, "._a.png": b"double"}.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for kind in (tarfile.LNKTYPE, tarfile.SYMTYPE):
            link = tarfile.TarInfo("link.png")
            link.type, link.linkname = kind, "/etc/passwd"
            archive.addfile(link)
    skipped = Skipped()
    assert scanned_in(path, skipped=skipped) == {"!a.png": image, "!more.tar": "unsupported"}
    assert skipped.count == 3


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz"])
def test_sizes_that_lie_are_not_believed(tmp_path, suffix):
    (image,) = pictures(1).values()
    path = tmp_path / f"a{suffix}"
    first = member("first.png", image)
    for size, code in ((1 << 40, "too-large"), (5000, "truncated"), (0, "empty")):
        path.write_bytes(COMPRESSIONS[suffix](first + tar_header("lies.png", size) + b"x" * 100))
        found = scanned_in(path)
        assert found["!first.png"] == image
        assert found.get("!lies.png", code) == code
        assert found[""] in ("truncated", "corrupt")


@pytest.mark.parametrize("how", ["base-256", "pax"])
def test_a_negative_size_does_not_go_round_for_ever(tmp_path, how):
    (image,) = pictures(1).values()
    path = tmp_path / "a.tar"
    if how == "base-256":
        header = bytearray(tar_header("a.png", 0))
        header[124:136] = (-1024).to_bytes(12, "big", signed=True)
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header)
        path.write_bytes(member("first.png", image) + bytes(header) + bytes(1024))
    else:
        info = tarfile.TarInfo("a.png")
        info.pax_headers = {"size": "-1024"}
        path.write_bytes(info.tobuf(tarfile.PAX_FORMAT) + bytes(1024))
    found = scanned_in(path)
    assert found[""] == "corrupt"


def test_a_bomb_is_left_where_it_begins_to_grow(tmp_path, monkeypatch):
    monkeypatch.setattr(bombs, "FREE", 1 << 20)
    (image,) = pictures(1).values()
    zeros = 64 << 20
    bomb = member("a.png", image) + tar_header("zeros.bin", zeros) + bytes(zeros)
    path = tmp_path / "bomb.tar.gz"
    path.write_bytes(gzip.compress(bomb + member("b.png", image) + bytes(1024)))
    assert scanned_in(path) == {"!a.png": image, "": "too-large"}


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE])
def test_a_name_without_end_is_not_read(tmp_path, kind):
    path = tmp_path / "bomb.tar"
    with path.open("wb") as file:
        file.write(tar_header("x", 1 << 40, kind=kind))
        file.truncate(1 << 40)  # holes: nothing on the disk
    assert scanned_in(path) == {"": "too-large"}


def test_an_archive_that_changes_under_the_scan_gives_no_wrong_image(tmp_path):
    path = tmp_path / "a.tar"
    path.write_bytes(tar(pictures(2)))
    items = list(open_sources([str(path)]))
    path.write_bytes(tar(pictures(5, side=50)))
    assert [outcome(item) for item in items] == ["unreadable", "unreadable"]


def test_stamps_change_with_the_archive_alone(tmp_path):
    path = tmp_path / "a.tar"
    path.write_bytes(tar(pictures(3)))
    stamps = [item.stamp for item in open_sources([str(path)])]
    assert len(set(stamps)) == 3
    assert [item.stamp for item in open_sources([str(path)])] == stamps
    path.write_bytes(tar(pictures(4)))
    assert not set(stamps) & {item.stamp for item in open_sources([str(path)])}


def test_what_is_no_archive_says_so(tmp_path):
    for number, data in enumerate([b"", b"no archive at all" * 100, b"\x1f\x8bnot really"]):
        path = tmp_path / f"{number}.tar"
        path.write_bytes(data)
        (code,) = scanned_in(path).values()
        assert code in ("truncated", "corrupt")


def test_memory_does_not_grow_with_the_archive(tmp_path):
    import tracemalloc

    (image,) = pictures(1).values()
    peaks = []
    for count in (300, 3000):
        path = tmp_path / f"{count}.tar"
        path.write_bytes(tar((f"{k}.png", image) for k in range(count)))
        tracemalloc.start()
        assert sum(1 for _ in open_sources([str(path)])) == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 100_000
