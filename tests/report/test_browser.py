"""The page in a real browser; skipped where there is none."""

import numpy as np
import pytest

from aligngemini.evidence import Area, Evidence, Problem
from aligngemini.images.item import Image
from aligngemini.report.html import HtmlReport
from aligngemini.report.overlay import map_png, preview_jpeg
from aligngemini.verdict import Verdict

HOSTILE = (
    "</script><script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">"
)


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "page.html"
    image = Image(np.full((300, 401, 3), 120, np.uint8))
    heatmap = np.ones((3, 4), np.float32)
    scores = {"low/one.jpg": 0.1, "high/two.jpg": 0.95, "mid/three.jpg": 0.7, "mid/four.jpg": 0.65}
    with HtmlReport(path, title=HOSTILE) as opened:
        for name, score in scores.items():
            label = "fake" if score > 0.9 else "undecided" if score > 0.6 else "real"
            branches = {"pixel": Evidence(label, score, 0.9, 0.6)}
            verdict = Verdict(name, verdict=label, score=score, branches=branches)
            opened.add(verdict, preview_jpeg(image), heatmap)
        opened.add(Verdict(HOSTILE, error=Problem("empty", HOSTILE)))
    return path


@pytest.fixture
def page(browser, report):
    opened = browser.new_page(viewport={"width": 1000, "height": 900})
    opened.complaints = []
    opened.on("console", lambda message: opened.complaints.append(message.text))
    opened.on("pageerror", lambda error: opened.complaints.append(str(error)))
    opened.goto(report.as_uri())
    yield opened
    opened.close()


def names(page):
    return [name.strip() for name in page.locator(".card:visible .name").all_text_contents()]


def test_nothing_of_a_hostile_file_runs_and_nothing_of_ours_is_blocked(page):
    assert page.title() == HOSTILE
    assert page.complaints == []
    assert page.evaluate("document.documentElement.className") == "scripted"
    assert page.evaluate("getComputedStyle(document.querySelector('.cards')).display") == "grid"


def test_policy_stops_a_script_that_slipped_in(page):
    page.evaluate(
        """() => {
            const script = document.createElement("script");
            script.textContent = "document.title = 'taken'";
            document.body.append(script);
            const image = document.createElement("div");
            image.innerHTML = "<img src=x onerror=\\"document.title='taken'\\">";
            document.body.append(image);
        }"""
    )
    page.wait_for_function("document.querySelector('img[src=x]').complete")
    assert page.title() == HOSTILE
    assert any("Content Security Policy" in complaint for complaint in page.complaints)


def test_filter_search_and_sort(page):
    page.locator(".tile.undecided").click()
    assert names(page) == ["three.jpg", "four.jpg"]
    assert page.locator("#shown").inner_text() == "2 of 5 shown"
    page.locator("#find").fill("FOUR")
    assert names(page) == ["four.jpg"]
    page.locator("#find").fill("nowhere")
    assert page.locator("#no-match").is_visible()
    page.locator("#find").fill("")
    page.locator(".tile").first.click()
    page.locator("#sort").select_option("high")
    assert names(page)[:4] == ["two.jpg", "three.jpg", "four.jpg", "one.jpg"]
    page.locator("#sort").select_option("low")
    assert names(page)[:4] == ["one.jpg", "four.jpg", "three.jpg", "two.jpg"]
    page.locator("#sort").select_option("input")
    assert names(page)[:4] == ["one.jpg", "two.jpg", "three.jpg", "four.jpg"]


def test_heatmaps_switch_one_by_one_all_at_once_and_by_keyboard(page):
    shown = page.locator(".heat:visible")
    assert shown.count() == 0
    page.locator(".switch").first.focus()
    page.keyboard.press("Space")
    assert shown.count() == 1
    assert page.locator("#all-heatmaps").evaluate("box => box.indeterminate")
    page.locator("#all-heatmaps").check()
    assert shown.count() == 4
    page.locator("#all-heatmaps").uncheck()
    assert shown.count() == 0


def test_heatmap_covers_its_image_exactly(browser, report):
    for width in (360, 1000):
        page = browser.new_page(viewport={"width": width, "height": 900})
        page.goto(report.as_uri() + "#heatmaps")
        photo = page.locator(".photo").first.bounding_box()
        heat = page.locator(".heat").first.bounding_box()
        assert photo == pytest.approx(heat, abs=0.5)
        assert photo["width"] / photo["height"] == pytest.approx(401 / 300, rel=0.02)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.close()


def test_heatmap_switches_without_script(browser, report):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(report.as_uri())
    page.locator(".switch").first.check()
    assert page.locator(".heat").first.is_visible()
    assert page.locator(".card").count() == 5
    assert not page.locator(".tools").is_visible()
    context.close()


def test_maps_switch_each_for_itself_and_lie_on_their_image(browser, tmp_path):
    image = Image(np.full((300, 401, 3), 120, np.uint8))
    values = np.ones((3, 4), np.float32)
    maps = {name: map_png(values, name) for name in ("generated", "moved")}
    areas = dict.fromkeys(maps, Area(1.0, ((0, 0, 401, 300),)))
    branches = {
        "pixel": Evidence("fake", 0.99, 0.9),
        "gamma": Evidence("fake", 0.95, 0.94, areas=areas),
    }
    verdict = Verdict("a.jpg", verdict="fake", score=0.99, branches=branches)
    with HtmlReport(tmp_path / "page.html") as opened:
        opened.add(verdict, preview_jpeg(image), values, maps)
        opened.add(verdict, preview_jpeg(image), values, maps)
    page = browser.new_page(viewport={"width": 1000, "height": 900})
    page.goto((tmp_path / "page.html").as_uri())

    def shown():
        return [one.get_attribute("data-layer") for one in page.locator(".heat:visible").all()]

    assert shown() == []
    for layer in ("generated", "moved", "heatmap"):
        switch = page.locator(f".switch[data-layer={layer}]").first
        switch.check()
        assert shown() == [layer]
        overlay = page.locator(f".heat[data-layer={layer}]").first.bounding_box()
        assert overlay == pytest.approx(page.locator(".photo").first.bounding_box(), abs=0.5)
        switch.uncheck()
    rows = [
        page.locator(f".switch[data-layer={layer}]").first.bounding_box()["y"] for layer in maps
    ]
    assert rows[1] - rows[0] > 20  # below each other
    page.locator("#all-heatmaps").check()
    assert shown() == ["generated", "moved"] * 2
    page.close()
