from dataclasses import replace

import numpy as np
import pytest
from fixtures.scores import score_row, score_rows
from sklearn.metrics import average_precision_score, roc_auc_score

from aligngemini.evaluation.scores import ScoresError
from aligngemini.evaluation.table_file import read_table, write_table
from aligngemini.evaluation.tables import FIGURES, make_table

VERDICTS = ("real_accuracy_shipped", "fake_accuracy_shipped", "balanced_accuracy_shipped")
OF_FAKES = {"detection_rate", "detection_rate_shipped", "undecided_fake"}
OF_PHOTOS = {"real_accuracy", "real_accuracy_shipped", "undecided_real"}


def values(line):
    return {name: one.value for name, one in line.figures.items() if one is not None}


def test_a_line_is_the_figures_of_its_own_images():
    rows = [*score_rows(20, subset="a"), *score_rows(30, seed=1, subset="b")]
    table = make_table(rows, benchmark="drawn")
    assert [line.subset for line in table.lines] == ["a", "b"]
    for line in table.lines:
        part = [row for row in rows if row.subset == line.subset]
        truth, scores = [row.label == "fake" for row in part], [row.score for row in part]
        assert (line.real, line.fake) == (len(part) / 2, len(part) / 2)
        assert line.figures["auc"].value == pytest.approx(roc_auc_score(truth, scores))
        assert line.figures["ap"].value == pytest.approx(average_precision_score(truth, scores))
        assert line.figures.keys() == FIGURES.keys()


def test_photos_that_subsets_share_count_in_each_of_them():
    rows = [
        score_row("p", subset="*", score=0.9),
        score_row("q", subset="*", score=0.1),
        score_row("f", "fake", subset="a", score=0.5),
        score_row("g", "fake", subset="b", score=0.05),
        score_row("r", subset="b", score=0.0),
    ]
    table = make_table(rows, benchmark="drawn")
    found = {line.subset: (line.real, line.fake, values(line)["auc"]) for line in table.lines}
    assert found == {"a": (2, 1, 0.5), "b": (3, 1, pytest.approx(1 / 3))}
    assert any("compared with the same 2 photos (no source named)" in note for note in table.notes)


def test_shared_photos_alone_are_a_line():
    (line,) = make_table([score_row(subset="*")], benchmark="drawn").lines
    assert (line.subset, line.real, set(values(line))) == ("*", 1, OF_PHOTOS)


def test_fakes_alone_have_a_detection_rate_and_nothing_that_needs_photos():
    rows = [row for row in score_rows(20) if row.label == "fake"]
    (line,) = make_table(rows, benchmark="drawn").lines
    found = values(line)
    assert found.keys() == OF_FAKES
    assert found["detection_rate"] == np.mean([row.score >= 0.5 for row in rows])
    assert found["detection_rate_shipped"] == np.mean([row.verdict == "fake" for row in rows])


def test_photos_without_scores_are_photos_all_the_same():
    label_only = score_row("r", score=None, verdict="real", error="")
    (line,) = make_table([label_only, score_row("f", "fake", score=0.9)], benchmark="drawn").lines
    assert "detection_rate" not in values(line)
    assert values(line)["real_accuracy_shipped"] == 1.0


def test_photos_alone_have_what_photos_can_have():
    rows = [row for row in score_rows(20) if row.label == "real"]
    (line,) = make_table(rows, benchmark="drawn").lines
    assert values(line).keys() == OF_PHOTOS


def test_the_shipped_threshold_is_that_of_the_verdicts():
    rows = [
        *(score_row(f"r{k}", score=score) for k, score in enumerate([0.1, 0.4, 0.6, 0.8])),
        *(score_row(f"f{k}", "fake", score=score) for k, score in enumerate([0.2, 0.6, 0.9])),
    ]
    (line,) = make_table(rows, benchmark="drawn").lines
    found = values(line)
    assert [found[name] for name in VERDICTS] == pytest.approx([3 / 4, 1 / 3, (3 / 4 + 1 / 3) / 2])
    assert (found["real_accuracy"], found["fake_accuracy"]) == pytest.approx((1 / 2, 2 / 3))
    assert (found["undecided_real"], found["undecided_fake"]) == pytest.approx((1 / 2, 1 / 3))


def test_intervals_of_verdicts_are_those_of_resampling():
    rng = np.random.default_rng(0)
    rows = score_rows(60)
    (line,) = make_table(rows, benchmark="drawn").lines
    right = {
        "real": np.array([row.verdict != "fake" for row in rows if row.label == "real"]),
        "fake": np.array([row.verdict == "fake" for row in rows if row.label == "fake"]),
    }
    drawn = [
        np.mean([rng.choice(part, len(part)).mean() for part in right.values()])
        for _ in range(3000)
    ]
    found = line.figures["balanced_accuracy_shipped"]
    assert (found.low, found.high) == pytest.approx(np.percentile(drawn, [2.5, 97.5]), abs=0.02)


def test_what_could_not_be_judged_is_counted_and_no_figure_sees_it():
    rows = score_rows(10)
    failed = [
        score_row("x", score=None, error="truncated"),
        score_row("y", "fake", score=None, error="timeout"),
    ]
    (clean,) = make_table(rows, benchmark="drawn").lines
    table = make_table([*rows, *failed], benchmark="drawn")
    (line,) = table.lines
    assert line == replace(clean, unjudged=2)
    assert any("timeout 1, truncated 1" in note for note in table.notes)


def test_a_verdict_without_a_score_counts_at_the_shipped_threshold():
    rows = [score_row("r", score=0.2), score_row("f", "fake", score=0.9)]
    label_only = score_row("g", "fake", score=None, verdict="real", error="")
    table = make_table([*rows, label_only], benchmark="drawn")
    (line,) = table.lines
    assert (line.fake, line.unjudged) == (2, 0)
    assert values(line)["fake_accuracy_shipped"] == 0.5
    assert values(line)["fake_accuracy"] == 1.0
    assert any("a verdict and no score: 1;" in note for note in table.notes)


def test_summaries_count_every_subset_once():
    rows = [
        *score_rows(10, subset="a"),
        *score_rows(40, seed=1, subset="b"),
        *(row for row in score_rows(5, seed=2, subset="c") if row.label == "fake"),
    ]
    table = make_table(rows, benchmark="drawn")
    (summary,) = table.summaries
    both = [values(line)["auc"] for line in table.lines if line.subset != "c"]
    assert summary.mean["auc"] == pytest.approx(sum(both) / 2)
    assert summary.sd["auc"] == pytest.approx(abs(both[0] - both[1]) / 2**0.5)
    assert summary.minimum["auc"] == min(both)
    assert summary.mean["detection_rate"] == values(table.lines[2])["detection_rate"]
    assert summary.sd["detection_rate"] is None


def test_every_protocol_and_branch_has_its_lines():
    rows = [
        replace(row, protocol=protocol, branch=branch, model=f"{branch}@1")
        for protocol in ("as-is", "jpeg:75")
        for row in score_rows(5)
        for branch in ("fused", "pixel")
    ]
    table = make_table(rows, benchmark="drawn")
    expected = [(p, b) for p in ("as-is", "jpeg:75") for b in ("fused", "pixel")]
    assert [(line.protocol, line.branch) for line in table.lines] == expected
    assert [(one.protocol, one.branch) for one in table.summaries] == expected
    assert table.models == {"fused": "fused@1", "pixel": "pixel@1"}


def test_the_scores_of_two_models_make_no_table():
    rows = [score_row("a"), score_row("b", model="n@2")]
    with pytest.raises(ScoresError, match="two models, m@1 and n@2"):
        make_table(rows, benchmark="drawn")


def test_holes_are_counted_where_they_are_and_a_missing_subset_has_a_line():
    table = make_table(score_rows(3), benchmark="drawn", holes={"all": 4, "gone": 7, "*": 2})
    assert [(line.subset, line.holes, line.real) for line in table.lines] == [
        ("all", 4, 3),
        ("gone", 7, 0),
    ]
    assert not values(table.lines[1])
    assert any("all 4, gone 7, shared photos 2" in note for note in table.notes)


def test_copies_and_images_in_both_classes_are_said():
    rows = [
        score_row("a", sha256="1"),
        score_row("b", sha256="1"),
        score_row("c", sha256="1"),
        score_row("d", "fake", sha256="2"),
        score_row("d", sha256="2"),
        score_row("e", sha256=""),
        score_row("f", sha256=""),
    ]
    rows += [replace(row, protocol="all-alike") for row in rows]
    notes = make_table(rows, benchmark="drawn").notes
    assert any("bytes of another: 3;" in note for note in notes)
    assert any("in both classes: 1;" in note for note in notes)


def test_clean_scores_need_no_notes_but_those_given():
    assert make_table(score_rows(3), benchmark="drawn", notes=["x"]).notes == ("x",)


def test_a_table_comes_back_from_its_file(tmp_path):
    path = tmp_path / "table.json"
    rows = [*score_rows(5, subset="a"), score_row("x", "fake", subset="b")]
    table = make_table(rows, benchmark="drawn", holes={"a": 1})
    write_table(table, path)
    assert read_table(path) == table
    assert [one.name for one in tmp_path.iterdir()] == ["table.json"]


@pytest.mark.parametrize("text", ["", "[]", '{"benchmark": "x"}', None])
def test_what_is_no_table_is_said(tmp_path, text):
    path = tmp_path / "table.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ScoresError, match=r"table\.json is no table of aligngemini evaluate"):
        read_table(path)
