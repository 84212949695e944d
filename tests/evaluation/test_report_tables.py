"""Tables of a report: what the figures are, and what may not be left out."""

import pytest
from fixtures.evaluations import drawn_scores, score_row

from aligngemini.benchmarks.published import Published
from aligngemini.evaluation.blocks import Fold, Grid, Points, latex, markdown
from aligngemini.evaluation.reports import headline
from aligngemini.evaluation.reports.beside import beside_published
from aligngemini.evaluation.reports.grids import (
    HEADS,
    details,
    overview,
    percent,
    robustness,
)
from aligngemini.evaluation.tables import FIGURES, make_table


@pytest.fixture(scope="module")
def table():
    rows = drawn_scores(protocols=("as-is", "all-alike", "jpeg:75"))
    return make_table(rows, benchmark="genimage", holes={"adm": 3})


def column(grid, head):
    place = grid.header.index(head)
    return {row[0]: row[place] for row in grid.rows}


def published(**values):
    settings = {
        "method": "theirs",
        "benchmark": "genimage",
        "subset": "mean",
        "metric": "balanced_accuracy",
        "value": 0.917,
        "spread": 0.078,
        "source": "a paper",
        "trust": "P",
        "protocol": "as-is",
        "remark": "their own run",
    }
    return Published(**{**settings, **values})


def test_every_figure_that_is_shown_exists():
    assert set(HEADS) <= set(FIGURES)
    assert set(FIGURES) - set(HEADS) == {"accuracy"}  # of unbalanced classes; in CSV and JSON


def test_single_branches_stand_beside_the_fusion(table):
    grid = overview(table, "as-is")
    assert grid.header == ("subset", "photos", "fakes", "not judged", "missing", "fused", "pixel")
    for branch in ("fused", "pixel"):
        line = next(
            one
            for one in table.lines
            if (one.protocol, one.branch, one.subset) == ("as-is", branch, "adm")
        )
        figure = line.figures["balanced_accuracy"]
        assert column(grid, branch)["adm"].startswith(f"{100 * figure.value:.1f} (")
    summary = table.summaries[0]
    assert column(grid, "fused")["minimum"] == percent(summary.minimum["balanced_accuracy"])
    mean, sd = summary.mean["balanced_accuracy"], summary.sd["balanced_accuracy"]
    assert column(grid, "fused")["mean \u00b1 sd"] == f"{100 * mean:.1f} \u00b1 {100 * sd:.1f}"


def test_what_was_not_judged_and_what_is_missing_is_in_every_table(table):
    grids = [
        overview(table, "as-is"),
        *details(table, "as-is", "pixel"),
        *details(table, "all-alike", "fused"),
    ]
    assert len(grids) == 7
    for grid in grids:
        assert column(grid, "not judged")["adm"] == "2"
        assert column(grid, "missing")["adm"] == "3"
        assert column(grid, "missing")["midjourney"] == "0"
    swept = robustness(table)
    assert {row[2:4] for row in swept.rows} == {("4", "3")}


def test_the_undecided_share_is_shown(table):
    (shipped,) = (one for one in details(table, "as-is", "fused") if "shipped" in one.title)
    line = table.lines[0]
    shown = column(shipped, "photos undecided")[line.subset]
    assert shown.startswith(percent(line.figures["undecided_real"].value))
    assert shown != "0.0"


def test_oracles_are_called_oracles(table):
    (ranking,) = (one for one in details(table, "as-is", "fused") if "ranking" in one.title)
    assert [head for head in ranking.header if "recall" in head] == [
        "recall at 1 % (oracle)",
        "recall at 5 % (oracle)",
    ]
    assert "ceiling" in ranking.note


def test_losses_are_no_percentages_and_have_no_minimum(table):
    (ranking,) = (one for one in details(table, "as-is", "fused") if "ranking" in one.title)
    figure = table.lines[0].figures["brier"]
    assert column(ranking, "Brier")["adm"].startswith(f"{figure.value:.3f} (")
    assert column(ranking, "Brier")["minimum"] == "\u2013"


def test_fakes_alone_give_a_detection_rate_and_say_so():
    table = make_table(drawn_scores(labels=("fake",)), benchmark="evalgen")
    grid = overview(table, "as-is")
    assert all(cell.endswith("*") for cell in column(grid, "fused").values())
    (at_half, *_) = details(table, "as-is", "fused")
    assert at_half.header[-1] == "detection rate"
    assert "photos right" not in at_half.header
    assert "fakes alone" in headline(table)


def test_a_subset_of_which_nothing_is_there_keeps_its_line():
    table = make_table(drawn_scores(), benchmark="genimage", holes={"biggan": 500})
    grid = overview(table, "as-is")
    assert column(grid, "missing")["biggan"] == "500"
    assert column(grid, "fused")["biggan"] == "\u2013"
    assert "500 images missing" in headline(table)
    assert "mean over 2 subsets" in headline(table)


def test_means_are_left_out_where_there_is_one_subset():
    table = make_table(drawn_scores(subsets=("*",)), benchmark="folder")
    assert [row[0] for row in overview(table, "as-is").rows] == ["all"]
    assert "subsets" not in headline(table)


def test_an_evaluation_of_nothing_has_a_headline():
    assert headline(make_table([], benchmark="folder")) == "No image has a score."
    table = make_table([score_row("a.png", "fake", None)], benchmark="folder")
    assert "no figure" in headline(table)


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0.0"), (1, "100.0"), (0.5, "50.0"), (0.99996, "99.996"), (0.0004, "0.04")],
)
def test_a_percentage_is_never_rounded_to_all_or_nothing(value, shown):
    assert percent(value) == shown


def test_published_numbers_stand_beside_ours(table):
    numbers = [published(), published(subset="adm", value=0.8, spread=None)]
    fold = beside_published(table, numbers)
    (grid,) = fold.grids
    assert grid.rows[0][:3] == ("mean", "theirs", "91.7 \u00b1 7.8")
    assert grid.rows[0][3] == percent(table.summaries[0].mean["balanced_accuracy"])
    assert grid.rows[1][:3] == ("adm", "theirs", "80.0")
    assert grid.rows[1][3] == percent(table.lines[0].figures["balanced_accuracy"].value)
    assert "their own run" in grid.note
    assert "DIFFER" not in grid.note
    assert "4 images not judged, 3 missing" in grid.note


def test_a_mean_over_some_subsets_is_ours_over_the_same(table):
    (grid,) = beside_published(table, [published(subset="adm+midjourney")]).grids
    both = [one.figures["balanced_accuracy"].value for one in table.lines[:2]]
    assert grid.rows[0][3] == percent(sum(both) / 2)
    (grid,) = beside_published(table, [published(subset="adm+glide")]).grids
    assert grid.rows[0][3] == "\u2013"


def test_a_protocol_that_differs_is_flagged(table):
    numbers = [published(protocol="fakes-jpeg96"), published(protocol="all-alike")]
    differs, alike = beside_published(table, numbers).grids
    assert "PROTOCOLS DIFFER: theirs fakes-jpeg96, ours as-is" in differs.note
    assert "DIFFER" not in alike.note
    (summary,) = (
        one for one in table.summaries if (one.protocol, one.branch) == ("all-alike", "fused")
    )
    assert alike.rows[0][3] == percent(summary.mean["balanced_accuracy"])


def test_subsets_that_ours_lacks_are_named():
    table = make_table(drawn_scores(), benchmark="genimage", holes={"biggan": 500})
    (grid,) = beside_published(table, [published()]).grids
    assert "ours lacks biggan" in grid.note


def test_nothing_published_gives_no_table(table):
    assert beside_published(table, []) is None


HOSTILE = "a|b_*<script>`$x\\y&%#\u202e\n{~^}"


def test_markdown_cannot_be_broken_out_of():
    grid = Grid(HOSTILE, ("x", HOSTILE), (("1", HOSTILE),), HOSTILE, left=2)
    text = markdown(HOSTILE, HOSTILE, [grid, Points("list", (HOSTILE,)), Fold("fold", (grid,))])
    assert "<script>" not in text
    assert "\u202e" not in text
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.replace("\\|", "").count("|") for line in tables} == {3}
    assert len({len(line) for line in tables}) == 1  # padded alike


def test_latex_escapes_what_would_not_compile():
    text = latex(Grid(HOSTILE, ("x", HOSTILE), (("1", HOSTILE),), left=1), "part-1")
    body = text.split(r"\toprule")[1].split(r"\bottomrule")[0]
    first = body.splitlines()[1].split(" & ", 1)[1].removesuffix(r" \\")
    assert first == (
        r"a|b\_*\textless{}script\textgreater{}`\$x\textbackslash{}y\&\%\#"
        r"\textbackslash{}u202e\textbackslash{}n\{\textasciitilde{}\textasciicircum{}\}"
    )
    assert r"\begin{tabular}{lr}" in text
    assert text.count(r"\midrule") == 1
