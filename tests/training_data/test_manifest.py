"""Manifests: what was written reads back, and what cannot be used is said."""

import csv
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aligngemini.datasets.manifest import COLUMNS, ManifestError, Row, read_manifest, write_manifest

ROWS = [
    Row("photos/a.jpg", "real", source="phones"),
    Row("ai/b, c.png", "fake", generator="gen é 1", split="test", mask="m.png"),
    Row("pairs/ü.png", "fake", generator="taef2", source="phones", pair="photos/a.jpg"),
]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_round_trip(tmp_path, suffix):
    path = tmp_path / f"manifest{suffix}"
    write_manifest(ROWS, path)
    rows = read_manifest(path)
    for name in COLUMNS:
        values = [getattr(row, name) for row in ROWS]
        if name in ("path", "mask", "pair"):
            values = [value and str(tmp_path / value) for value in values]
        assert [getattr(row, name) for row in rows] == values


def test_pair_is_spelled_as_its_photos_path(tmp_path):
    write_manifest(ROWS, tmp_path / "manifest.csv")
    photo, _, fake = read_manifest(tmp_path / "manifest.csv")
    assert fake.pair == photo.path


def test_other_columns_come_back_with_their_types(tmp_path):
    path = tmp_path / "manifest.parquet"
    extras = [{"quality": 96, "psnr": 31.5}, {"vae": "sd21"}, {}]
    rows = [replace(row, extra=extra) for row, extra in zip(ROWS, extras, strict=True)]
    write_manifest(rows, path)
    assert [dict(row.extra) for row in read_manifest(path)] == extras


def test_other_columns_of_csv_are_texts(tmp_path):
    path = tmp_path / "manifest.csv"
    write_manifest([replace(ROWS[0], extra={"quality": 96}), ROWS[1]], path)
    assert [dict(row.extra) for row in read_manifest(path)] == [{"quality": "96"}, {}]


def test_other_columns_do_not_make_a_row_another(tmp_path):
    assert replace(ROWS[0], extra={"quality": 96}) == ROWS[0]
    assert len({replace(ROWS[0], extra={"quality": 96}), ROWS[0]}) == 1


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("extra", [{"label": "real"}, {"quality": "high"}])
def test_what_cannot_be_written_leaves_the_old_file(tmp_path, suffix, extra):
    path = tmp_path / f"manifest{suffix}"
    write_manifest(ROWS, path)
    before = path.read_bytes()
    if suffix == ".csv" and "quality" in extra:
        pytest.skip("CSV mixes texts and numbers")
    rows = [replace(ROWS[0], extra={"quality": 96}), replace(ROWS[1], extra=extra)]
    with pytest.raises(ManifestError, match=r"manifest\."):
        write_manifest(rows, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_columns_are_the_promised_ones(tmp_path):
    write_manifest(ROWS, tmp_path / "manifest.csv")
    with (tmp_path / "manifest.csv").open(newline="", encoding="utf-8") as file:
        header = next(csv.reader(file))
    assert header == ["path", "label", "generator", "source", "split", "mask", "pair"]


def test_absolute_paths_stay(tmp_path):
    elsewhere = str(tmp_path / "elsewhere" / "a.jpg")
    write_manifest([Row(elsewhere, "real")], tmp_path / "manifest.csv")
    assert read_manifest(tmp_path / "manifest.csv")[0].path == elsewhere


def test_two_columns_are_enough_in_any_order_and_others_are_let_be(tmp_path):
    path = tmp_path / "manifest.csv"
    path.write_text("note,label,path\nx,real,a.jpg\ny,fake,b.jpg\n")
    rows = read_manifest(path)
    assert rows[1] == Row(str(tmp_path / "b.jpg"), "fake")


def test_mark_of_a_spreadsheet_is_passed_over(tmp_path):
    path = tmp_path / "manifest.csv"
    path.write_text("path,label\na.jpg,real\n", encoding="utf-8-sig")
    assert len(read_manifest(path)) == 1


def test_empty_cells_of_parquet_are_empty_texts(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "manifest.parquet"
    pq.write_table(pa.table({"path": ["a"], "label": ["fake"], "pair": [None]}), path)
    assert read_manifest(path)[0].pair == ""


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), min_size=1))
def test_any_name_survives_csv(tmp_path_factory, name):
    path = tmp_path_factory.mktemp("manifest") / "manifest.csv"
    write_manifest([Row("/" + name, "fake", generator=name)], path)
    assert read_manifest(path)[0].generator == name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,label\na.jpg,real\nb.jpg,ai\n", "row 2: label is 'ai', expected real or fake"),
        ("path,label\na.jpg,\n", "row 1: label is ''"),
        ("path,label\na.jpg\n", "row 1: label is None"),
        ("path\na.jpg\n", "row 1: label is None"),
        ("label\nreal\n", "row 1: the column 'path' is missing or empty"),
        ("path,label\n,real\n", "row 1: the column 'path' is missing or empty"),
    ],
)
def test_row_that_cannot_be_used_is_named(tmp_path, text, message):
    path = tmp_path / "manifest.csv"
    path.write_text(text)
    with pytest.raises(ManifestError, match=message):
        read_manifest(path)


def test_missing_manifest_is_said(tmp_path):
    with pytest.raises(ManifestError, match=r"no manifest at .*gone\.csv"):
        read_manifest(tmp_path / "gone.csv")
    with pytest.raises(ManifestError, match="no manifest at"):
        read_manifest(tmp_path)


def test_other_kinds_of_files_are_refused(tmp_path):
    path = tmp_path / "manifest.xlsx"
    path.write_bytes(b"PK")
    with pytest.raises(ManifestError, match=r"a \.csv or a \.parquet"):
        read_manifest(path)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_damaged_file_is_said(tmp_path, suffix):
    path = tmp_path / f"manifest{suffix}"
    path.write_bytes(b"\xff\xfe\x00\x01 not a table \x80")
    with pytest.raises(ManifestError, match="cannot be read"):
        read_manifest(path)
