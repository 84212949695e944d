import csv
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aligngemini.datasets.manifest import Row
from aligngemini.evaluation.foreign import Foreign, join_foreign, read_foreign
from aligngemini.evaluation.scores import ScoresError


def write(path, records):
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(records), path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    else:
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, records[0])
            writer.writeheader()
            writer.writerows(records)
    return path


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_scores_are_read_from_each_kind_of_file(tmp_path, suffix):
    records = [
        {"path": "a.png", "score": 0.25, "mine": 1, "verdict": "real"},
        {"path": "b.png", "score": 1, "mine": 2, "verdict": None},
        {"path": "c.png", "score": None, "mine": 3, "verdict": "fake"},
    ]
    assert read_foreign(write(tmp_path / f"scores{suffix}", records)) == [
        Foreign("a.png", 0.25, "real"),
        Foreign("b.png", 1.0, None),
        Foreign("c.png", None, "fake"),
    ]


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([{"file": "a", "score": 1}], "record 1: there is no path"),
        ([{"path": "a", "logit": 1}], "record 1: there is no column 'score'"),
        ([{"path": "a", "score": "high"}], "record 1: the score 'high' is no number"),
        ([{"path": "a", "score": 3.5}], "record 1: the score 3.5 is no probability of fake"),
        ([{"path": "a", "score": "nan"}], "the score nan is no probability"),
        ([{"path": "a", "score": 1, "verdict": "ai"}], "verdict is 'ai', expected fake, real"),
        ([{"path": "a", "score": 1}, {"path": "a", "score": 0}], "a is there twice"),
    ],
)
def test_what_is_no_score_is_said(tmp_path, records, message):
    with pytest.raises(ScoresError, match=message):
        read_foreign(write(tmp_path / "scores.csv", records))


@pytest.mark.parametrize(
    ("name", "text"),
    [("s.txt", "a,b"), ("s.jsonl", "{"), ("s.jsonl", "7"), ("s.parquet", "x"), ("s.csv", None)],
)
def test_what_is_no_file_of_scores_is_said(tmp_path, name, text):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(ScoresError, match=name):
        read_foreign(tmp_path / name)


def test_scores_find_their_images_by_absolute_and_relative_paths(tmp_path, monkeypatch):
    root = tmp_path / "bench"
    monkeypatch.chdir(tmp_path)
    rows = [
        Row(str(root / "x" / name), label, extra={"subset": "s"})
        for name, label in [("a", "real"), ("b", "fake"), ("c", "fake"), ("d", "real")]
    ]
    scores = [
        Foreign(str(root / "x" / "a"), 0.1),
        Foreign("./x/b", 0.9),
        Foreign(str(Path("bench") / "x" / "c"), 0.8),
        Foreign("x/other", 0.5),
    ]
    found, left = join_foreign(rows, scores, name="t.csv", root=root, protocol="as-is")
    assert [row.score for row in found] == [0.1, 0.9, 0.8, None]
    assert [row.error for row in found] == ["", "", "", "no-score"]
    assert {(row.branch, row.subset, row.protocol) for row in found} == {
        ("file:t.csv", "s", "as-is")
    }
    assert left == 1


def test_a_file_of_other_images_is_an_error(tmp_path):
    with pytest.raises(ScoresError, match=r"none of the 1 paths in t\.csv is an image"):
        join_foreign(
            [Row("/a", "real")], [Foreign("b", 0.1)], name="t.csv", root=tmp_path, protocol="as-is"
        )
