"""The reports as files: what is in them, what may not be, and that they come again alike."""

import csv
import io
import json
import re
from html import unescape

import numpy as np
import pytest
from fixtures.drawn import texture
from fixtures.evaluations import drawn_scores, score_row
from PIL import Image as PILImage

from aligngemini.evaluation.reports import headline, write_reports
from aligngemini.evaluation.reports.worst import most_wrong
from aligngemini.evaluation.tables import FIGURES, make_table

NAMES = ["report.html", "report.md", "report.csv", "report.tex", "report.json"]
HOSTILE = "$<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def rows():
    return drawn_scores(protocols=("as-is", "all-alike", "jpeg:95", "jpeg:75"))


@pytest.fixture(scope="module")
def table(rows):
    return make_table(rows, benchmark="genimage", holes={"adm": 3})


@pytest.fixture(scope="module")
def written(rows, table, tmp_path_factory):
    out = tmp_path_factory.mktemp("reports")
    paths = write_reports(table, rows, out)
    assert [path.name for path in paths] == NAMES
    assert sorted(path.name for path in out.iterdir()) == sorted(NAMES)
    return {path.suffix: path.read_text(encoding="utf-8") for path in paths}


def test_csv_has_every_figure_of_every_line(written, table):
    records = list(csv.DictReader(io.StringIO(written[".csv"])))
    lines = [record for record in records if record["row"] == "subset"]
    assert len(lines) == len(table.lines)
    for record, line in zip(lines, table.lines, strict=True):
        assert (record["protocol"], record["subset"]) == (line.protocol, line.subset)
        assert [int(record[name]) for name in ("real", "fake", "unjudged", "holes")] == [
            line.real,
            line.fake,
            line.unjudged,
            line.holes,
        ]
        for name in FIGURES:
            figure = line.figures[name]
            cells = [record[f"{name}{end}"] for end in ("", "_low", "_high")]
            if figure is None:
                assert cells == ["", "", ""]
            else:
                assert [float(cell) for cell in cells] == [figure.value, figure.low, figure.high]
    means = [record for record in records if record["row"] == "mean"]
    assert [float(record["auc"]) for record in means] == [
        one.mean["auc"] for one in table.summaries
    ]


def test_json_is_the_table_with_its_meaning_and_the_published_numbers(written, table):
    record = json.loads(written[".json"])
    assert record["headline"] == headline(table)
    assert record["meaning"] == FIGURES
    assert len(record["lines"]) == len(table.lines)
    figure = table.lines[0].figures["auc"]
    assert record["lines"][0]["figures"]["auc"]["low"] == figure.low
    assert {number["benchmark"] for number in record["published"]} == {"genimage"}


def test_markdown_latex_and_page_have_the_same_tables(written, table):
    line = table.lines[0]
    cell = f"{100 * line.figures['balanced_accuracy'].value:.1f} ("
    for kind in (".md", ".tex", ".html"):
        assert cell in written[kind]
        assert "PROTOCOLS DIFFER" in written[kind]
        assert "recall at 1" in written[kind]
    assert headline(table) in written[".html"]
    models = 1  # which LaTeX leaves out
    assert written[".tex"].count(r"\begin{tabular}") + models == written[".html"].count("<table>")


def test_the_page_asks_nobody_for_anything(written):
    page = written[".html"]
    assert not re.search(r"https?://", page)
    assert "default-src 'none'" in unescape(page)
    assert "<script" not in page
    assert page.count("<style>") == 1
    assert not re.search(r"<[^>]+ style=", page)
    assert page.count("<svg ") == 7  # bars, ROC and reliability of two protocols, and the curves


def test_the_same_evaluation_gives_the_same_bytes(written, rows, table, tmp_path):
    for path in write_reports(table, rows, tmp_path):
        assert path.read_text(encoding="utf-8") == written[path.suffix]


def test_names_from_outside_stay_text(tmp_path):
    rows = [
        score_row(f"{HOSTILE}{label}{k}.png", label, score, subset=HOSTILE)
        for label in ("real", "fake")
        for k, score in enumerate((0.2, 0.8))
    ]
    table = make_table(rows, benchmark=HOSTILE, notes=[HOSTILE])
    for path in write_reports(table, rows, tmp_path):
        if path.suffix in (".html", ".md"):
            assert not re.search(r"(?<!\\)<img", path.read_text(encoding="utf-8"))


def test_fakes_alone_and_nothing_at_all_are_reported(tmp_path):
    one = {"protocols": ("as-is",), "count": 4}
    for rows in (drawn_scores(labels=("fake",), **one), drawn_scores(failed=4, **one), []):
        table = make_table(rows, benchmark="folder")
        for path in write_reports(table, rows, tmp_path):
            assert path.stat().st_size > 0


def test_a_report_that_cannot_be_written_leaves_the_old_one(tmp_path):
    table, rows = make_table([], benchmark="folder"), []
    (tmp_path / "report.md").mkdir()
    (tmp_path / "report.csv").write_text("old")
    with pytest.raises(OSError, match="not a regular file"):
        write_reports(table, rows, tmp_path)
    assert (tmp_path / "report.csv").read_text() == "old"


@pytest.fixture
def pictures(tmp_path):
    """Ten photos and ten fakes with scores, the last of each gone from the disk."""
    rows = []
    for label in ("real", "fake"):
        for number in range(10):
            path = tmp_path / f"{label}{number}.png"
            if number < 9:
                PILImage.fromarray(texture(40, 60, seed=number)).save(path)
            rows.append(score_row(str(path), label, (number + 0.5) / 10))
            rows.append(score_row(str(path), label, 0.5, protocol="all-alike"))
    return rows


def test_the_most_wrong_images_come_first(pictures):
    photos, fakes = most_wrong(pictures, "as-is", "fused", most=3)
    assert [one.name.rpartition("/")[2] for one in photos.pictures] == [
        "real9.png",
        "real8.png",
        "real7.png",
    ]
    assert [one.name.rpartition("/")[2] for one in fakes.pictures] == [
        "fake0.png",
        "fake1.png",
        "fake2.png",
    ]
    assert fakes.pictures[0].caption.startswith("0.05")


def test_an_image_that_is_gone_keeps_its_place_and_says_why(pictures):
    (gone, there, *_), _ = (one.pictures for one in most_wrong(pictures, "as-is", "fused"))
    assert gone.source is None
    assert "no such file" in gone.caption
    assert there.source.startswith("data:image/jpeg;base64,")


def test_an_image_without_a_score_is_not_wrong():
    rows = [score_row("a.png", "real", None), score_row("b.png", "real", 0.2)]
    (photos,) = most_wrong(rows, "as-is", "fused")
    assert [one.name for one in photos.pictures] == ["b.png"]


def test_pictures_may_be_left_out(pictures, tmp_path):
    pictures = [row for row in pictures if row.protocol == "as-is"]
    table = make_table(pictures, benchmark="folder")
    out = tmp_path / "out"
    out.mkdir()
    with_pictures = write_reports(table, pictures, out)[0].read_text(encoding="utf-8")
    without = write_reports(table, pictures, out, pictures=False)[0].read_text(encoding="utf-8")
    assert with_pictures.count("<img ") == 18
    assert "<img " not in without
    assert "real8.png" not in without


def test_thumbnails_are_small(tmp_path):
    path = tmp_path / "large.png"
    noise = np.random.default_rng(0).integers(0, 255, (900, 1200, 3), dtype=np.uint8)
    PILImage.fromarray(noise).save(path)
    (gallery,) = most_wrong([score_row(str(path), "real", 0.9)], "as-is", "fused")
    assert len(gallery.pictures[0].source) < 100_000
