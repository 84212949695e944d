"""Parquet files, manifests and JSON lines: a row is an item, and none is lost."""

import json
import os
import signal
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fixtures.archives import pictures
from fixtures.scanned import outcome, scanned_in

from aligngemini.datasets.manifest import Row, write_manifest
from aligngemini.images.item import ImageError
from aligngemini.isolation import quick_context
from aligngemini.scan.sources import bombs, open_sources, parquet, parquet_rows
from aligngemini.scan.sources.locations import LocalFile

IMAGES = pictures(5)


def items_of(path, **options):
    return list(open_sources([str(path)], **options))


@pytest.fixture
def forked(monkeypatch):
    """Processes that unpack have what a test changed."""
    monkeypatch.setattr(parquet, "clean_context", quick_context)


def write(path, columns, **options):
    pq.write_table(pa.table(columns), path, **options)
    return path


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, data in IMAGES.items():
        (folder / name).write_bytes(data)
    return folder


@pytest.mark.parametrize("compression", ["none", "snappy", "zstd"])
def test_images_as_hugging_face_writes_them(tmp_path, compression):
    cells = [{"bytes": data, "path": name} for name, data in IMAGES.items()]
    columns = {"label": [0] * 5, "image": cells}
    path = write(tmp_path / "a.parquet", columns, row_group_size=2, compression=compression)
    assert scanned_in(path) == {f"#{k}": data for k, data in enumerate(IMAGES.values())}


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary()])
def test_plain_bytes(tmp_path, kind):
    column = pa.array([*IMAGES.values(), None, b""], kind)
    path = write(tmp_path / "a.parquet", {"jpg": column})
    expected = {f"#{k}": data for k, data in enumerate(IMAGES.values())}
    assert scanned_in(path) == {**expected, "#5": "empty", "#6": "empty"}


def test_the_column_can_be_named(tmp_path):
    (a, b, *_) = IMAGES.values()
    path = write(tmp_path / "a.parquet", {"image": [a], "thumbnail": [b]})
    assert scanned_in(path) == {"#0": a}
    assert scanned_in(path, column="thumbnail") == {"#0": b}


def test_a_table_without_images_says_what_it_has(tmp_path):
    path = write(tmp_path / "a.parquet", {"label": [1], "words": ["x"]})
    for column, words in ((None, "--column"), ("label", "bytes or text"), ("nope", "not there")):
        (item,) = items_of(path, column=column)
        assert item.address == str(path)
        assert item.problem.code == "unsupported"
        assert words in item.problem.message
        assert "'words'" in item.problem.message


def test_paths_in_a_table_are_files_beside_it(photos):
    table = write(photos / "list.parquet", {"path": ["0.png", str(photos / "1.png"), "gone.png"]})
    a, b, *_ = IMAGES.values()
    found = {item.address: outcome(item) for item in items_of(table)}
    names = [str(photos / name) for name in ("0.png", "1.png", "gone.png")]
    assert found == dict(zip(names, (a, b, "not-found"), strict=True))


def test_a_file_in_a_table_is_the_same_input_as_in_its_folder(photos):
    table = write(photos.parent / "list.parquet", {"path": ["photos/0.png"]})
    (listed,) = items_of(table)
    (walked, *_) = items_of(photos)
    assert (listed.address, listed.stamp, listed.read) == (
        walked.address,
        walked.stamp,
        walked.read,
    )


def test_a_cell_without_bytes_leads_to_its_path(photos):
    cells = [{"bytes": None, "path": "2.png"}, {"bytes": None, "path": None}, None]
    table = write(photos / "a.parquet", {"image": cells})
    second, third = (f"{table}#{row}" for row in (1, 2))
    found = {item.address: item.problem and item.problem.code for item in items_of(table)}
    assert found == {str(photos / "2.png"): None, second: "empty", third: "empty"}


def test_a_damaged_table_gives_what_came_before(tmp_path):
    cells = [data for data in IMAGES.values() for _ in range(40)]
    path = write(tmp_path / "a.parquet", {"image": cells}, row_group_size=50, use_dictionary=False)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 40_000] = bytes(40_000)
    path.write_bytes(data)
    found = scanned_in(path)
    assert found.pop("") in ("corrupt", "truncated", "too-large")
    assert found
    path.write_bytes(data[:middle])
    assert set(scanned_in(path)) == {""}


def test_a_table_that_says_it_is_a_bomb_is_not_unpacked(tmp_path, monkeypatch, forked):
    monkeypatch.setattr(bombs, "FREE", 1 << 20)
    cells = [bytes(1 << 20)] * 8
    path = tmp_path / "a.parquet"
    write(path, {"image": cells}, compression="zstd", use_dictionary=False)
    assert scanned_in(path) == {"": "too-large"}


def test_an_image_over_the_limit_is_one_problem(tmp_path, monkeypatch, forked):
    class Small(parquet_rows.Limits):
        def __init__(self):
            super().__init__(max_bytes=1000)

    monkeypatch.setattr(parquet_rows, "Limits", Small)
    path = write(tmp_path / "a.parquet", {"image": [b"x" * 1001, b"y" * 999]})
    assert scanned_in(path) == {"#0": "too-large", "#1": b"y" * 999}


def test_a_table_that_takes_memory_without_end_is_a_problem(tmp_path, monkeypatch, photos):
    monkeypatch.setattr(parquet, "MEMORY", 64 << 20)
    cells = [bytes(1 << 20)] * 200  # all on one page
    write(tmp_path / "a.parquet", {"image": cells}, compression="zstd", use_dictionary=False)
    (problem, *others) = items_of(tmp_path)
    assert problem.address == str(tmp_path / "a.parquet")
    assert problem.problem.code in ("too-large", "crashed")
    assert [item.read() for item in others] == list(IMAGES.values())


class Deadly(LocalFile):
    def open(self, **options):
        os.kill(os.getpid(), signal.SIGSEGV)


@pytest.mark.skipif(sys.platform == "win32", reason="relies on signals")
def test_a_table_that_kills_who_reads_it_is_a_problem(tmp_path):
    with pytest.raises(ImageError, match="SIGSEGV") as problem:
        list(parquet.parquet_items(Deadly(str(tmp_path)), None, None))
    assert problem.value.problem.code == "crashed"


def test_stamps_change_with_the_table(tmp_path):
    path = write(tmp_path / "a.parquet", {"image": list(IMAGES.values())})
    before = [item.stamp for item in items_of(path)]
    assert before == [item.stamp for item in items_of(path)]
    write(path, {"image": [*IMAGES.values(), b"x"]})
    assert not set(before) & {item.stamp for item in items_of(path)}


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_our_own_manifests(photos, suffix):
    manifest = photos.parent / f"set{suffix}"
    rows = [Row(f"photos/{name}", "real", split="test") for name in IMAGES]
    write_manifest(rows, manifest)
    found = {item.address: outcome(item) for item in items_of(manifest)}
    assert found == {str(photos / name): data for name, data in IMAGES.items()}


def test_lists_as_people_write_them(photos):
    csv = photos / "list.csv"
    csv.write_bytes('\ufefflabel;x,url\r\nreal,0.png\r\n\r\nfake\r\n"a,b",1.png\n'.encode())
    names = [item.address for item in items_of(csv)]
    assert names == [str(photos / "0.png"), f"{csv}#1", str(photos / "1.png")]
    lines = photos / "list.jsonl"
    records = ['{"path": "0.png"}', '"1.png"', "{broken", "[" * 100_000, "", '{"other": 1}']
    lines.write_text("\n".join([*records, json.dumps({"file_name": "2.png"})]))
    found = {item.address: item.problem and item.problem.code for item in items_of(lines)}
    assert found == {
        str(photos / "0.png"): None,
        str(photos / "1.png"): None,
        f"{lines}#2": "corrupt",
        f"{lines}#3": "corrupt",
        f"{lines}#4": "empty",
        str(photos / "2.png"): None,
    }


def test_a_list_without_a_column_of_names_says_so(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("label,score\nreal,1\n")
    (item,) = items_of(path)
    assert item.problem.code == "unsupported"
    assert "'label', 'score'" in item.problem.message
    (item,) = items_of(path, column="label")
    assert item.address == str(tmp_path / "real")


@pytest.mark.parametrize("start", ["path\n", "", 'path\n"quoted'])
@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_a_line_without_end_is_not_read(tmp_path, start, suffix):
    import tracemalloc

    path = tmp_path / f"a{suffix}"
    with path.open("w") as file:
        file.write(start)
        file.truncate(1 << 40)
    tracemalloc.start()
    items = items_of(path)
    assert tracemalloc.get_traced_memory()[1] < 40 << 20
    tracemalloc.stop()
    assert items[-1].problem.code == "corrupt"


def test_a_list_may_not_name_everything(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("path\nreference://x\ndask://y\nftp://host/z.jpg\n/etc/hostname\n://x\na\0b\n")
    *refused, local, odd, impossible = items_of(path)
    assert [item.problem.code for item in refused] == ["unsupported"] * 3
    assert local.address == "/etc/hostname"
    assert odd.address == f"{tmp_path}/://x"
    assert outcome(impossible) == "not-found"
