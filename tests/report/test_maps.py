"""The two maps in pictures, words and on the page."""

from base64 import b64decode
from io import BytesIO

import numpy as np
import pytest
from PIL import Image as PILImage

from aligngemini.evidence import Area, Evidence, Signal
from aligngemini.images.item import Image
from aligngemini.report import words
from aligngemini.report.html import HtmlReport
from aligngemini.report.overlay import LONGEST_MAP, map_png, preview_jpeg, save_overlay
from aligngemini.verdict import Verdict

PREVIEW = preview_jpeg(Image(np.full((30, 40, 3), 120, np.uint8)))
BOX = (100, 50, 420, 250)


def gamma(verdict="fake", *, generated=0.12, moved=0.0, detail=None, **fields):
    areas = {
        name: Area(share, (BOX,) if share else ())
        for name, share in (("generated", generated), ("moved", moved))
    }
    return Evidence(verdict, 0.97, 0.9, 0.6, "g@1", detail=detail, areas=areas, **fields)


def judged(evidence, **others):
    return Verdict("a.jpg", verdict="fake", score=0.97, branches={"gamma": evidence, **others})


@pytest.mark.parametrize(
    ("evidence", "said"),
    [
        (
            gamma(),
            ["part of the picture looks generated (12 % of it: from pixel 100, 50 to 420, 250)"],
        ),
        (
            gamma(generated=0, moved=0.004),
            [
                "part of the picture looks moved or foreign "
                "(0.4 % of it: from pixel 100, 50 to 420, 250)"
            ],
        ),
        (gamma(generated=1.0), ["almost all of the picture looks generated (100 %)"]),
        (gamma(generated=0), ["no part of the picture stands out on the maps"]),
        (gamma(verdict="real"), []),
        (gamma(verdict="undecided"), []),
        (gamma(verdict="undecided", remark="a drawing"), []),
        (
            gamma(generated=0, coverage=0.394),
            [
                "no part of the picture stands out on the maps",
                "only 39 % of the picture was looked at",
            ],
        ),
        (Evidence("fake", 0.9), []),
    ],
)
def test_areas_in_words(evidence, said):
    assert words.area_words(evidence) == said


def test_several_places_in_words():
    for others, end in ((1, "in 1 more place)"), (2, "in 2 more places)")):
        areas = {"moved": Area(0.3, (BOX,) * (others + 1))}
        (line,) = words.area_words(Evidence("fake", areas=areas))
        assert line.endswith(f"from pixel 100, 50 to 420, 250, the largest, and {end}")


def test_a_changed_photo_is_not_called_generated():
    edited = gamma(detail="edited", generated=0, moved=0.2)
    assert words.verdict_words(judged(edited)) == "signs that a part was changed"
    assert words.evidence_words(edited) == "a part looks changed, 0.97"
    other = Evidence("fake", 0.95, 0.9)
    assert words.verdict_words(judged(edited, pixel=other)) == "signs of AI generation"
    assert words.verdict_words(judged(edited, pixel=Evidence("real", 0.1))).startswith("signs that")
    signed = Evidence("fake", signals=(Signal("c2pa", "signed-trusted", "ai", ""),))
    assert words.verdict_words(judged(edited, provenance=signed)) == "signs of AI generation"
    assert words.verdict_words(judged(gamma())) == "signs of AI generation"


@pytest.mark.parametrize(("rate", "said"), [(1, "100 %"), (0.996, "100 %"), (0.0123, "1.2 %")])
def test_shares_are_written_out(rate, said):
    assert words.share(rate) == said


def test_maps_have_colours_of_their_own(tmp_path):
    values = np.zeros((40, 60), np.float32)
    values[10:20, 30:45] = 1
    tints = {}
    for name in ("generated", "moved"):
        picture = np.asarray(PILImage.open(BytesIO(map_png(values, name))).convert("RGBA"))
        assert picture.shape == (40, 60, 4)
        assert (picture[..., 3] > 100).sum() == 150
        save_overlay(
            Image(np.full((80, 120, 3), 90, np.uint8)), values * 0.7, tmp_path / "o.png", of=name
        )
        red, green, _ = np.asarray(PILImage.open(tmp_path / "o.png"))[30, 70].astype(int)
        tints[name] = red - green
    assert tints["generated"] > 40
    assert tints["moved"] < -40
    large = PILImage.open(BytesIO(map_png(np.zeros((900, 1200), np.float32), "moved")))
    assert large.size == (LONGEST_MAP, LONGEST_MAP * 3 // 4)


def page_of(tmp_path, *entries):
    path = tmp_path / "page.html"
    with HtmlReport(path) as report:
        for entry in entries:
            report.add(*entry)
    return path.read_text(encoding="utf-8")


def test_page_shows_both_maps_with_a_legend(tmp_path):
    values = np.ones((4, 6), np.float32)
    maps = {name: map_png(values, name) for name in ("generated", "moved")}
    page = page_of(tmp_path, (judged(gamma()), PREVIEW, values, maps))
    for name, title in (("generated", "Generated"), ("moved", "Moved or foreign")):
        assert f'<label for="{name}-1">{title}</label>' in page
        source = page.partition(f'class="heat" data-layer="{name}" src="data:image/png;base64,')[2]
        assert b64decode(source.partition('"')[0]) == maps[name]
    assert "The two maps" in page
    assert 'class="legend moved"' in page
    assert 'data-layer="heatmap" src' not in page  # no more than the two together
    assert "Part of the picture looks generated" in page
    assert "12 % of the picture marked" in page


def test_heatmap_of_another_branch_stands_beside_the_maps(tmp_path):
    values = np.ones((4, 6), np.float32)
    maps = {"generated": map_png(values, "generated")}
    branches = {"pixel": Evidence("fake", 0.99, 0.9), "gamma": gamma("real", generated=0)}
    verdict = Verdict("a.jpg", verdict="fake", score=0.99, branches=branches)
    page = page_of(tmp_path, (verdict, PREVIEW, values, maps), (verdict, None, values, maps))
    assert page.count('data-layer="heatmap" src') == 1
    assert page.count('data-layer="generated" src') == 1


def test_page_without_maps_does_not_speak_of_them(tmp_path):
    page = page_of(tmp_path, (judged(Evidence("fake", 0.97, 0.9)), PREVIEW, np.ones((2, 2))))
    assert "The two maps" not in page
    assert '"legend moved"' not in page
