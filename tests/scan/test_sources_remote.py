"""Sources elsewhere: fsspec's memory as a bucket, and a web server on this machine."""

import zipfile
from contextlib import closing

import fsspec
import pytest
from fixtures.archives import pictures, table_of, tar, zip_of
from fixtures.scanned import content, scanned
from fixtures.web_server import Web, serving

from aligngemini.images.limits import Limits
from aligngemini.images.sources import Skipped
from aligngemini.isolation import map_isolated, quick_context
from aligngemini.scan.sources import SourceError, open_sources, readers, remote
from aligngemini.scan.sources import parquet as parquet_source

IMAGES = pictures(4)
A, B, C, D = IMAGES.values()


@pytest.fixture
def bucket():
    """A bucket in memory: `memory://bucket/`."""
    system = fsspec.filesystem("memory")
    files = {
        "a.png": A,
        "more/b.png": B,
        "more/notes.txt": b"words",
        "more/.hidden.png": D,
        "shard-000.tar": tar({"x.png": A}),
        "shard-001.tar": tar({"x.png": B}),
        "shard-002.tar": tar({"x.png": C}),
        "a.zip": zip_of({"y.png": B}),
        "t/a.parquet": table_of([C, D]),
    }
    for name, data in files.items():
        system.pipe_file(f"/bucket/{name}", data)
    yield system
    system.rm("/bucket", recursive=True)


@pytest.fixture
def web():
    pytest.importorskip("aiohttp", reason="http:// needs aiohttp, of the scan extra")
    with serving(Web()) as server:
        yield server


def test_a_folder_of_a_bucket(bucket, monkeypatch):
    # Its files are in the memory of this process, which only a fork of it has.
    monkeypatch.setattr(parquet_source, "clean_context", quick_context)
    skipped = Skipped()
    root = "memory:///bucket"
    assert scanned("memory://bucket/", skipped=skipped) == {
        f"{root}/a.png": A,
        f"{root}/a.zip!y.png": B,
        f"{root}/shard-000.tar!x.png": A,
        f"{root}/shard-001.tar!x.png": B,
        f"{root}/shard-002.tar!x.png": C,
        f"{root}/more/b.png": B,
        f"{root}/t/a.parquet#0": C,
        f"{root}/t/a.parquet#1": D,
    }
    assert skipped.names == [f"{root}/more/notes.txt"]


def test_patterns_and_braces_in_a_bucket(bucket):
    shards = scanned("memory://bucket/shard-{000..001}.tar")
    assert list(shards.values()) == [A, B]
    assert list(scanned("memory://bucket/shard-*.tar").values()) == [A, B, C]
    assert scanned("memory://bucket/*.gif") == {"memory://bucket/*.gif": "not-found"}
    bucket.pipe_file("/bucket/odd[1].png", D)
    assert scanned("memory://bucket/odd[1].png") == {"memory://bucket/odd[1].png": D}


def test_a_name_that_is_not_there_is_an_item(bucket):
    names = [f"memory://bucket/gone{suffix}" for suffix in (".png", ".tar", ".zip", ".csv")]
    assert scanned(*names) == dict.fromkeys(names, "not-found")


def test_a_list_in_a_bucket_names_its_neighbours_and_no_file_of_ours(bucket):
    lines = "path\na.png\nmemory://bucket/more/b.png\n/etc/hostname\nfile:///etc/hostname\n"
    bucket.pipe_file("/bucket/list.csv", lines.encode())
    assert scanned("memory://bucket/list.csv") == {
        "memory://bucket/a.png": A,
        "memory://bucket/more/b.png": B,
        "memory://bucket/list.csv#2": "unsupported",
        "memory://bucket/list.csv#3": "unsupported",
    }


def test_a_stamp_changes_with_the_object(bucket):
    (before,) = open_sources(["memory://bucket/a.png"])
    assert before.stamp
    listed = {item.address: item.stamp for item in open_sources(["memory://bucket/"])}
    assert listed["memory:///bucket/a.png"] == before.stamp
    bucket.pipe_file("/bucket/a.png", B)
    (after,) = open_sources(["memory://bucket/a.png"])
    assert after.stamp != before.stamp


def test_what_cannot_be_opened_here_is_said_at_once(monkeypatch):
    for spec, words in (
        ("nonsense://bucket/a.png", "nonsense"),
        ("zip://a.png::http://host/a.zip", "chained"),
        ("s3://bucket/a.png", "pip install s3fs"),
    ):
        if spec.startswith("s3"):
            monkeypatch.setattr(fsspec, "get_filesystem_class", _missing)
        with pytest.raises(SourceError, match=words):
            open_sources(["photos/", spec])


def _missing(protocol):
    raise ImportError(f"Install something for {protocol}")


def test_a_list_with_a_protocol_that_lacks_its_package_is_no_end(tmp_path, monkeypatch):
    path = tmp_path / "a.csv"
    (tmp_path / "a.png").write_bytes(A)
    path.write_text("path\ns3://bucket/a.png\na.png\n")
    monkeypatch.setattr(fsspec, "get_filesystem_class", _missing)
    assert scanned(str(path)) == {f"{path}#0": "unreadable", str(tmp_path / "a.png"): A}


def test_images_from_the_web(web):
    web.files = {"/a.png": A, "/secret.png": B}
    web.moved = {"/old.png": "/a.png"}
    web.forbidden = {"/secret.png"}
    names = {"a.png": A, "a.png?size=3": A, "old.png": A, "gone.png": "not-found"}
    names["secret.png"] = "unreadable"
    expected = {f"{web.url}/{name}": result for name, result in names.items()}
    assert scanned(*expected) == expected


def test_workers_fetch_after_their_parent_did(web, bucket):
    """Connections and their threads do not outlive a fork: each process opens its own."""
    web.files = {"/a.png": A, "/b.zip": zip_of({"b.png": B})}
    items = open_sources([f"{web.url}/a.png", f"{web.url}/b.zip", "memory://bucket/a.png"])
    found = [(item.address, item.read) for item in items]
    assert content(found[0][1]) == A
    with closing(map_isolated(_Reading, found, workers=2, timeout=20)) as answers:
        assert dict(answers) == {
            f"{web.url}/a.png": A,
            f"{web.url}/b.zip!b.png": B,
            "memory://bucket/a.png": A,
        }


class _Reading:
    def __call__(self, found):
        return found[0], content(found[1])


def test_an_image_is_fetched_by_one_request(web):
    web.files = {"/a.png": A}
    (item,) = open_sources([f"{web.url}/a.png"])
    assert item.stamp
    web.requests.clear()
    assert item.read() == A
    assert web.requests == [("GET", "/a.png", "")]


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.zip", "a.parquet"])
def test_archives_from_the_web(web, name):
    import gzip

    images = {"0": A, "1": B}
    data = {
        "a.tar": tar(images),
        "a.tar.gz": gzip.compress(tar(images)),
        "a.zip": zip_of(images),
        "a.parquet": table_of(images.values()),
    }
    web.files = {f"/{name}": data[name]}
    assert list(scanned(f"{web.url}/{name}?token=x").values()) == [A, B]


def test_of_a_zip_archive_only_the_member_is_fetched(web):
    archive = zip_of({"large.bin": bytes(8 << 20), "a.png": A}, method=zipfile.ZIP_STORED)
    web.files = {"/a.zip": archive}
    (item,) = open_sources([f"{web.url}/a.zip"])
    web.sent = 0
    assert item.read() == A
    assert web.sent < len(A) + (1 << 17)


@pytest.mark.parametrize("name", ["a.zip", "a.parquet"])
def test_a_server_without_ranges_is_no_place_for_what_takes_seeking(web, name):
    web.ranges = False
    web.files = {
        "/a.zip": zip_of({"0.png": A}),
        "/a.parquet": table_of([A]),
        "/a.tar": tar({"0": A}),
    }
    assert scanned(f"{web.url}/{name}") == {f"{web.url}/{name}": "unsupported"}
    assert list(scanned(f"{web.url}/a.tar").values()) == [A]


def test_no_more_is_read_than_the_limit(web, monkeypatch):
    class Small(Limits):
        def __init__(self):
            super().__init__(max_bytes=1 << 20)

    monkeypatch.setattr(readers, "Limits", Small)
    web.endless = {"/for-ever.png"}
    web.files = {"/large.png": bytes(1 << 22)}
    for name in ("for-ever", "large"):
        assert content(readers.WholeReader(remote.RemoteFile(f"{web.url}/{name}.png"))) == (
            "too-large"
        )
    assert web.sent < 20 << 20


def test_a_silent_server_is_given_up(web, monkeypatch):
    monkeypatch.setattr(remote, "_SILENCE", 0.2)
    web.silent = {"/a.png"}
    reader = readers.WholeReader(remote.RemoteFile(f"{web.url}/a.png"))
    assert content(reader) == "unreadable"


def test_what_breaks_off_is_no_image_and_no_end(web):
    shard = tar(pictures(100, side=100))
    web.files = {"/a.png": A, "/a.tar": shard, "/b.png": B}
    web.cut = {"/a.png": 100, "/a.tar": len(shard) // 2}
    found = scanned(*(f"{web.url}/{name}" for name in ("a.png", "a.tar", "b.png")))
    assert found.pop(f"{web.url}/a.png") == "unreadable"
    assert found.pop(f"{web.url}/a.tar") in ("unreadable", "truncated")
    assert found.pop(f"{web.url}/b.png") == B
    assert 5 < len(found) < 100


def test_a_server_that_is_gone_is_an_item():
    pytest.importorskip("aiohttp", reason="http:// needs aiohttp, of the scan extra")
    with serving(Web()) as web:
        url = web.url
    assert scanned(f"{url}/a.tar") == {f"{url}/a.tar": "unreadable"}
