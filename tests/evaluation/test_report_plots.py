"""Curves against scikit-learn, and SVG that a strict policy lets through."""

import re

import numpy as np
import pytest
from fixtures.evaluations import drawn_scores, score_row
from matplotlib.figure import Figure
from sklearn.calibration import calibration_curve
from sklearn.metrics import auc, roc_auc_score, roc_curve

from aligngemini.evaluation.reports import plots
from aligngemini.evaluation.reports.curves import Scores, reliability, roc, scores_by, sweeps
from aligngemini.evaluation.reports.svg import INK, inline_svg, settings
from aligngemini.evaluation.tables import make_table


def overlapping(real, fake, *, decimals=None):
    rng = np.random.default_rng(0)
    scores = rng.beta(2, 3, real), rng.beta(3, 2, fake)
    if decimals is not None:
        scores = np.round(scores[0], decimals), np.round(scores[1], decimals)
    return Scores(*scores)


@pytest.mark.parametrize("decimals", [None, 1])
@pytest.mark.parametrize("size", [(7, 5), (400, 300), (30_000, 20_000)])
def test_every_point_of_a_roc_curve_is_exact_and_its_area_that_of_all(size, decimals):
    scores = overlapping(*size, decimals=decimals)
    truth = np.r_[np.zeros(size[0]), np.ones(size[1])]
    values = np.r_[scores.real, scores.fake]
    alarms, recall = roc(scores)
    exact = set(zip(*roc_curve(truth, values, drop_intermediate=False)[:2], strict=True))
    assert set(zip(alarms, recall, strict=True)) <= exact
    assert (alarms[0], recall[0], alarms[-1], recall[-1]) == (0, 0, 1, 1)
    assert auc(alarms, recall) == pytest.approx(roc_auc_score(truth, values), abs=2e-3)
    assert len(alarms) <= 1300


def test_a_thinned_curve_keeps_its_rare_false_alarms():
    scores = overlapping(60_000, 60_000)
    truth = np.r_[np.zeros(60_000), np.ones(60_000)]
    exact = roc_curve(truth, np.r_[scores.real, scores.fake])
    thinned = roc(scores)
    for rate in (0.0005, 0.001, 0.01, 0.1):
        found, wanted = (np.interp(rate, *curve[:2]) for curve in (thinned, exact))
        assert found == pytest.approx(wanted, rel=0.02)


def test_reliability_is_scikit_learns():
    scores = overlapping(500, 400)
    truth = np.r_[np.zeros(500), np.ones(400)]
    values = np.r_[scores.real, scores.fake]
    found = reliability(scores)
    share, mean = calibration_curve(truth, values, n_bins=15)
    assert found.fakes == pytest.approx(share)
    assert found.scores == pytest.approx(mean)
    assert found.counts.sum() == 900


def test_a_score_of_1_is_in_the_last_bin():
    found = reliability(Scores(np.array([0.0, 0.98]), np.array([1.0])))
    assert found.scores.tolist() == [0, 0.99]
    assert found.fakes.tolist() == [0, 0.5]
    assert found.counts.tolist() == [1, 2]


def test_scores_are_grouped_and_rows_without_one_left_out():
    rows = drawn_scores(count=5, failed=2)
    found = scores_by(rows)
    assert list(found) == [
        ("as-is", "fused"),
        ("as-is", "pixel"),
        ("all-alike", "fused"),
        ("all-alike", "pixel"),
    ]
    assert {(len(one.real), len(one.fake)) for one in found.values()} == {(6, 6)}


def test_sweeps_are_deliveries_of_several_strengths():
    protocols = ("as-is", "jpeg:95", "jpeg:55", "jpeg:75", "blur:1", "screenshot", "all-alike")
    table = make_table(drawn_scores(protocols=protocols), benchmark="folder")
    found = sweeps(table)
    assert list(found) == ["jpeg"]  # one strength of blur is no curve
    fused = found["jpeg"][0]
    assert fused.branch == "fused"
    assert fused.strengths.tolist() == [55, 75, 95]
    means = {one.protocol: one.mean["auc"] for one in table.summaries if one.branch == "fused"}
    assert fused.figure("auc").tolist() == [means["jpeg:55"], means["jpeg:75"], means["jpeg:95"]]
    assert fused.as_is["auc"] == means["as-is"]
    assert np.isnan(fused.figure("detection_rate")).all()


@pytest.fixture(scope="module")
def draw():
    rows = drawn_scores(protocols=("as-is", "jpeg:95", "jpeg:75", "blur:1", "blur:2"))
    table = make_table(rows, benchmark="folder", holes={"biggan": 4})
    scores = {
        branch: of for (protocol, branch), of in scores_by(rows).items() if protocol == "as-is"
    }
    lines = {
        branch: [one for one in table.lines if (one.protocol, one.branch) == ("as-is", branch)]
        for branch in ("fused", "pixel")
    }
    return {
        "roc": lambda: plots.roc_and_det(scores, "ROC"),
        "reliability": lambda: plots.reliability_diagram(scores, "calibration"),
        "bars": lambda: plots.accuracy_bars(lines, "bars"),
        "curves": lambda: plots.robustness_curves(sweeps(table), "curves"),
    }


@pytest.fixture(scope="module")
def drawings(draw):
    return {name: str(function()) for name, function in draw.items()}


@pytest.mark.parametrize("name", ["roc", "reliability", "bars", "curves"])
def test_drawings_carry_no_style_no_link_and_no_black(drawings, name):
    svg = drawings[name]
    assert svg.startswith("<svg ")
    assert not re.search(r"\bstyle=|<style|<script|<metadata|https?:|xmlns|<image", svg)
    assert not re.search(r'(fill|stroke)="(#000000|black)"', svg)
    assert "currentColor" in svg
    for reference in re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', svg):
        assert f'id="{"".join(reference)}"' in svg


def test_drawings_are_the_same_every_time(draw, drawings):
    assert drawings["roc"] == str(draw["roc"]())
    assert drawings["bars"] == str(draw["bars"]())


def test_drawings_say_what_they_show(drawings):
    for name in ("fused", "pixel", "photos called fake"):
        assert f">{name}<" in drawings["roc"]
    bars = drawings["bars"]
    for name in ("adm", "midjourney", "biggan", "photos right", "fakes right"):
        assert f">{name}<" in bars
    assert ">fused: photos right<" in drawings["curves"]


def test_names_from_outside_stay_text():
    scores = scores_by([score_row("a", "real", 0.1), score_row("b", "fake", 0.9)])
    (of,) = scores.values()
    svg = str(plots.roc_and_det({"<script>&$\\frac$": of}, '"><script>'))
    assert "<script" not in svg
    assert "&lt;script&gt;" in svg


def test_fonts_keep_size_and_weight_and_leave_the_face_to_the_page():
    with settings():
        figure = Figure()
        figure.text(0.5, 0.5, "here", fontsize=17, fontweight="bold", color=INK)
    svg = str(inline_svg(figure, "a word"))
    (text,) = re.findall(r"<text[^>]*>", svg)
    assert 'font-size="17px"' in text
    assert "bold" in text or "700" in text
    assert "DejaVu" not in svg
