"""The page in a real browser; skipped where there is none."""

import pytest
from fixtures.drawn import texture
from fixtures.evaluations import drawn_scores
from PIL import Image as PILImage

from aligngemini.evaluation.reports import write_reports
from aligngemini.evaluation.tables import make_table


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    out = tmp_path_factory.mktemp("report")
    rows = drawn_scores(protocols=("as-is", "jpeg:95", "jpeg:75"), folder=str(out))
    best = max(
        (row for row in rows if row.label == "real" and row.protocol == "as-is"),
        key=lambda row: (row.branch == "fused", row.score or 0),
    )
    path = out / best.path
    path.parent.mkdir(parents=True)
    PILImage.fromarray(texture(90, 120)).save(path)
    return write_reports(make_table(rows, benchmark="genimage"), rows, out)[0]


@pytest.fixture
def page(browser, report):
    opened = browser.new_page(viewport={"width": 1000, "height": 900}, color_scheme="dark")
    opened.complaints, opened.asked = [], []
    opened.on("console", lambda message: opened.complaints.append(message.text))
    opened.on("pageerror", lambda error: opened.complaints.append(str(error)))
    opened.on("request", lambda request: opened.asked.append(request.url.split(":")[0]))
    opened.goto(report.as_uri())
    yield opened
    opened.close()


def test_the_policy_lets_all_of_it_through_and_nothing_else_is_asked(page):
    assert page.complaints == []
    assert set(page.asked) <= {"file", "data"}
    assert page.evaluate("document.querySelector('.gallery img').naturalWidth") == 120


def test_plots_take_the_colours_of_the_page(page):
    ink = page.evaluate("getComputedStyle(document.body).color")
    colours = page.evaluate(
        "[...document.querySelectorAll('svg text')].map(text => getComputedStyle(text).fill)"
    )
    assert set(colours) == {ink}
    width = page.evaluate("document.querySelector('figure svg').getBoundingClientRect().width")
    assert 300 < width <= 1000


def test_tables_fold_out(page):
    table = page.locator("details:not([open]) table").first
    assert not table.is_visible()
    page.locator("details:not([open]) summary").first.click()
    assert page.locator("text=at the shipped threshold").first.is_visible()


@pytest.mark.parametrize("width", [360, 1000])
def test_nothing_is_wider_than_the_screen(browser, report, width):
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.goto(report.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()
