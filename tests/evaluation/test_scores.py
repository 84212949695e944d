from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fixtures.scores import score_row, score_rows
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aligngemini.evaluation.scores import ScoreRow, ScoresError, read_scores, write_scores

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
SHARE = st.none() | st.floats(0, 1)
ROWS = st.builds(
    ScoreRow,
    *[TEXT] * 2,
    st.sampled_from(["real", "fake"]),
    *[TEXT] * 6,
    SHARE,
    st.sampled_from([None, "fake", "real", "undecided"]),
    *[SHARE] * 2,
    st.sampled_from(["", "truncated"]),
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(ROWS, max_size=12))
def test_what_is_written_comes_back(tmp_path, rows):
    path = tmp_path / "scores.parquet"
    write_scores(rows, path)
    assert read_scores(path) == rows
    first = path.read_bytes()
    write_scores(rows, path)
    assert path.read_bytes() == first
    assert [one.name for one in tmp_path.iterdir()] == ["scores.parquet"]


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "scores.parquet"
    write_scores(score_rows(3), path)
    before = path.read_bytes()
    with pytest.raises((TypeError, ValueError)):
        write_scores([score_row(score="no number")], path)
    assert path.read_bytes() == before
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        write_scores(score_rows(3), tmp_path / "folder")
    assert {one.name for one in tmp_path.iterdir()} == {"folder", "scores.parquet"}


def without(table, name):
    return table.drop_columns([name])


def with_values(name, values):
    def change(table):
        place = table.column_names.index(name)
        return table.set_column(place, name, pa.array(values))

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: without(table, "branch"), "no column 'branch'"),
        (with_values("score", ["a", "b"]), "cannot be read as scores"),
        (with_values("score", [0.5, 1.5]), "row 2: the score 1.5 is no probability"),
        (with_values("score", [float("nan"), 0.5]), "row 1: the score nan is no probability"),
        (with_values("threshold", [0.5, float("nan")]), "row 2: a threshold is not a number"),
        (with_values("label", ["real", "photo"]), "row 2: label is 'photo', expected real or fake"),
        (with_values("subset", ["a", None]), "the column 'subset' has empty cells"),
    ],
)
def test_what_contradicts_itself_is_said(tmp_path, change, message):
    path = tmp_path / "scores.parquet"
    write_scores(score_rows(1), path)
    pq.write_table(change(pq.read_table(path)), path)
    with pytest.raises(ScoresError, match=message):
        read_scores(path)


@pytest.mark.parametrize("data", [None, b"", b"PAR1 nothing more"])
def test_what_is_no_file_of_scores_is_said(tmp_path, data):
    path = tmp_path / "scores.parquet"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(ScoresError, match=r"scores\.parquet"):
        read_scores(path)


def test_columns_of_others_are_passed_over(tmp_path):
    path = tmp_path / "scores.parquet"
    rows = [replace(row, score=None) for row in score_rows(2)]
    write_scores(rows, path)
    pq.write_table(pq.read_table(path).append_column("mine", pa.array([1, 2, 3, 4])), path)
    assert read_scores(path) == rows
