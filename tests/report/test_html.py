import re
import tracemalloc
from base64 import b64decode, b64encode
from hashlib import sha256
from html.parser import HTMLParser
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PILImage

from aligngemini.evidence import Evidence, Problem, Signal
from aligngemini.images.item import Image
from aligngemini.report.html import HtmlReport
from aligngemini.report.overlay import preview_jpeg
from aligngemini.verdict import Verdict

HOSTILE = "</script><script>alert(1)</script><img src=x onerror='alert(2)'>\"><b style=x>"
PREVIEW = preview_jpeg(Image(np.full((30, 40, 3), 120, np.uint8)))


class Page(HTMLParser):
    """What a browser would find on a page: elements with attributes, and text."""

    def __init__(self, path):
        super().__init__()
        self.elements, self.texts, self.raw = [], [], ""
        self.feed(path.read_bytes().decode())
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.raw = tag if tag in {"script", "style"} else ""

    def handle_endtag(self, tag):
        self.raw = ""

    def handle_data(self, data):
        self.texts.append((self.raw, data))

    @property
    def text(self):
        return " ".join(" ".join(self.inside("")).split())

    def all(self, **wanted):
        wanted = {name.rstrip("_").replace("_", "-"): value for name, value in wanted.items()}
        return [a for _, a in self.elements if wanted.items() <= a.items()]

    def inside(self, tag):
        return [data for name, data in self.texts if name == tag]


def report(path, *entries, **options):
    with HtmlReport(path, **options) as opened:
        for entry in entries:
            opened.add(*entry if isinstance(entry, tuple) else (entry,))
    return Page(path)


def judged(label="fake", score=0.97, path="a.jpg", **options):
    pixel = Evidence(label, score, 0.9, 0.6, "compact-v1@abc", 21.4)
    return Verdict(path, verdict=label, score=score, branches={"pixel": pixel}, **options)


def spoiled(text):
    """A verdict with the same text in every field that takes any."""
    signals = (Signal(text, "hint", "ai", text), Signal("c2pa", "invalid", None, text))
    branches = {
        "pixel": Evidence("fake", 0.9, 0.8, 0.5, text, 1.0),
        "provenance": Evidence(signals=signals),
        "semantic": Evidence(skipped=text),
        text: Evidence(error=Problem("internal", text)),
    }
    return Verdict(text, text, 9, 9, text, "fake", 0.9, text, branches, (text, text))


@pytest.fixture
def page_of(tmp_path):
    return lambda *entries, **options: report(tmp_path / "page.html", *entries, **options)


def test_hostile_text_stays_text(page_of):
    page = page_of(
        (spoiled(HOSTILE), PREVIEW),
        Verdict(HOSTILE, error=Problem("corrupt", HOSTILE)),
        title=HOSTILE,
        about={HOSTILE: HOSTILE},
    )
    tags = [tag for tag, _ in page.elements]
    assert tags.count("script") == 1
    assert len(page.inside("script")) == 1
    assert "alert" not in page.inside("script")[0]
    assert tags.count("img") == 1
    names = {name for _, attributes in page.elements for name in attributes}
    assert not {name for name in names if name.startswith("on")} | names & {"style", "srcdoc"}
    # in the title, the heading, about (2) and every field of the two verdicts
    assert page.text.count("alert(2)") >= 16


@settings(max_examples=40, deadline=None)
@given(st.text(st.characters(), min_size=1).filter(lambda text: text not in {"pixel", "semantic"}))
def test_no_text_changes_the_structure(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("page") / "page.html"

    def structure(word):
        page = report(path, (spoiled(word), PREVIEW), title=word, about={word: word})
        return [(tag, sorted(attributes)) for tag, attributes in page.elements]

    assert structure(text) == structure("word")


def test_override_in_a_name_is_spelled_out_and_bytes_that_are_no_text_do_no_harm(page_of, tmp_path):
    page_of(spoiled("photo\u202egpj.exe"), Verdict("bad\udcff.jpg", error=Problem("empty", "")))
    text = (tmp_path / "page.html").read_text()
    assert "\u202e" not in text
    assert text.count(r"photo\u202egpj.exe") >= 10
    assert r"bad\udcff.jpg" in text


def test_page_asks_for_nothing_from_anywhere(page_of, tmp_path):
    heatmap = np.ones((3, 3), np.float32)
    page = page_of((judged(), PREVIEW, heatmap), about="folder")
    links = [
        value
        for _, attributes in page.elements
        for name, value in attributes.items()
        if name in {"src", "href", "srcset", "action", "data", "poster", "background"}
    ]
    assert len(links) >= 3
    assert all(link.startswith(("data:image/", "#icon-")) for link in links)
    assert not {"link", "iframe", "object", "embed", "base"} & {tag for tag, _ in page.elements}
    style = "".join(page.inside("style"))
    assert "url(" not in style
    assert "@import" not in style
    assert "://" not in (tmp_path / "page.html").read_text()


def test_policy_lets_only_our_style_and_script_run(page_of):
    page = page_of((judged(), PREVIEW))
    (policy,) = page.all(http_equiv="Content-Security-Policy")
    rules = dict(rule.split(" ", 1) for rule in policy["content"].split("; "))
    for tag, rule in (("style", "style-src"), ("script", "script-src")):
        (text,) = page.inside(tag)
        assert rules[rule] == f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    assert rules["base-uri"] == rules["form-action"] == "'none'"


def test_counts_are_those_of_the_verdicts(page_of, tmp_path):
    labels = ["fake"] * 4 + ["undecided"] * 3 + ["real"] * 2
    page = page_of(
        *[judged(label, path=f"{k}.jpg") for k, label in enumerate(labels)],
        Verdict("b.jpg", error=Problem("empty", "the file has no bytes")),
    )
    text = (tmp_path / "page.html").read_text()
    tiles = re.findall(r'data-filter="(\w+)".*?class="count">(?:<svg.*?</svg>)?(\d+)<', text)
    expected = {"all": 10, "fake": 4, "undecided": 3, "real": 2, "unjudged": 1}
    assert {kind: int(count) for kind, count in tiles} == expected
    assert [card["data-kind"] for card in page.all(class_="card")] == [*labels, "unjudged"]


@pytest.mark.parametrize(
    ("verdict", "kind", "said"),
    [
        (judged("fake", 0.97), "fake", "signs of AI generation 0.97"),
        (judged("undecided", 0.7), "undecided", "undecided 0.70"),
        (judged("real", 0.1), "real", "no sign of AI generation found 0.10"),
        (
            Verdict("a.jpg", error=Problem("truncated", "it ends early")),
            "unjudged",
            "could not be judged: it ends early",
        ),
        (Verdict("a.jpg"), "unjudged", "could not be judged: no branch gave a verdict"),
    ],
)
def test_each_kind_of_verdict_in_words(page_of, verdict, kind, said):
    page = page_of(verdict)
    (card,) = page.all(class_="card")
    assert card["data-kind"] == kind
    assert card["data-score"] == ("" if verdict.score is None else str(verdict.score))
    assert said in page.text


def test_card_shows_all_that_is_known(page_of):
    pixel = Evidence("undecided", 0.7, 0.9, 0.6, "compact-v1@abc", 21.4)
    trusted = Signal("c2pa", "signed-trusted", "ai", "signed by Example")
    verdict = Verdict(
        "in/a.jpg",
        sha256="f" * 64,
        width=4000,
        height=3000,
        format="JPEG",
        verdict="fake",
        score=0.7,
        branches={
            "pixel": pixel,
            "semantic": Evidence(skipped="no model configured"),
            "provenance": Evidence("fake", signals=(trusted,)),
        },
        notes=("first of 12 frames",),
    )
    text = page_of((verdict, PREVIEW)).text
    for part in (
        "in/a.jpg",
        "f" * 64,
        "4000 \u00d7 3000",
        "JPEG",
        "undecided, 0.70, between 0.60 and 0.90",
        "compact-v1@abc",
        "21 ms",
        "not run: no model configured",
        "C2PA: made with AI (signed and trusted)",
        "signed by Example",
        "first of 12 frames",
    ):
        assert part in text


def test_error_keeps_its_code_and_hash(page_of):
    error = Problem("too-large", "over 100 megapixels")
    text = page_of(Verdict("big.png", sha256="e" * 64, error=error)).text
    assert "too-large" in text
    assert "over 100 megapixels" in text
    assert "e" * 64 in text


def test_bar_carries_both_thresholds_and_the_score(page_of):
    page = page_of(judged("undecided", 0.75))
    marks = [float(mark["x"].rstrip("%")) for mark in page.all(class_="mark")]
    assert marks == [pytest.approx(60), pytest.approx(90)]
    scores = [
        attributes["cx"] for tag, attributes in page.elements if "%" in attributes.get("cx", "")
    ]
    assert scores == ["75.0%"]


def test_fused_score_is_read_on_the_scale_of_its_branch(page_of):
    """A branch that did not vote, or has another score, lends its thresholds to nothing."""
    branches = {
        "gamma": Evidence(None, 0.8, 0.3, 0.2),
        "pixel": Evidence("real", 0.1, 0.95, 0.85),
        "semantic": Evidence("fake", 0.8, 0.5, 0.4),
    }
    verdict = Verdict("a", verdict="fake", score=0.8, branches=branches)
    page = page_of(verdict)
    marks = [float(mark["x"].rstrip("%")) for mark in page.all(class_="mark")]
    assert marks[:2] == [pytest.approx(40), pytest.approx(50)]


def test_unsigned_claim_of_ai_stands_out_beside_a_verdict(page_of):
    hint = Evidence(signals=(Signal("stable-diffusion", "hint", "ai", "Steps: 30"),))
    camera = Evidence(signals=(Signal("exif", "hint", "camera", "NIKON"),))
    assert page_of(Verdict("a", verdict="real", branches={"provenance": hint})).all(
        class_="says-ai"
    )
    page = page_of(Verdict("a", verdict="real", branches={"provenance": camera}))
    assert not page.all(class_="says-ai")


def test_heatmap_lies_over_its_preview_and_can_be_switched(page_of):
    heatmap = np.zeros((2, 2), np.float32)
    heatmap[0, 1] = 1
    page = page_of((judged(), PREVIEW, heatmap), (judged(path="b.jpg"), PREVIEW))
    (heat,) = page.all(class_="heat")
    picture = PILImage.open(BytesIO(b64decode(heat["src"].partition(",")[2]))).convert("RGBA")
    assert np.asarray(picture)[10, -10, 3] > 180
    assert np.asarray(picture)[-10, 10, 3] == 0
    assert [photo["loading"] for photo in page.all(class_="photo")] == ["lazy", "lazy"]
    (switch,) = page.all(class_="switch")
    assert page.all(for_=switch["id"])
    assert page.all(id="all-heatmaps")
    assert not page_of((judged(), PREVIEW)).all(id="all-heatmaps")


def test_stopped_report_is_whole_and_says_so(tmp_path):
    path = tmp_path / "page.html"

    def stop():
        with HtmlReport(path) as opened:
            opened.add(judged(), PREVIEW)
            opened.add(judged("real", 0.1))
            opened._cards.write(b'<article class="card">cut off in the mid')
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop()
    page = Page(path)
    assert "Incomplete: stopped after 2 images , by an interruption." in page.text
    assert len(page.all(class_="card")) == 2
    assert "cut off" not in page.text
    assert path.read_text().endswith("</html>\n")
    assert list(tmp_path.iterdir()) == [path]


def test_report_stopped_by_an_error_names_it(tmp_path):
    path = tmp_path / "page.html"
    with pytest.raises(ValueError, match="<odd>"), HtmlReport(path):
        raise ValueError("<odd>")
    assert "stopped after 0 images , by an error: ValueError: <odd>" in Page(path).text


def test_complete_report_does_not_say_stopped(page_of):
    assert "Incomplete" not in page_of(judged()).text


def test_bad_heatmap_costs_no_other_entry(tmp_path):
    path = tmp_path / "page.html"
    with HtmlReport(path) as opened:
        opened.add(judged(), PREVIEW)
        with pytest.raises(ValueError, match="a heatmap is"):
            opened.add(judged(), PREVIEW, np.zeros(3))
        opened.add(judged())
    assert len(Page(path).all(class_="card")) == 2


def test_older_report_stays_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "page.html"
    path.write_text("old")
    with HtmlReport(path) as opened:
        opened.add(judged(), PREVIEW)
        assert path.read_text() == "old"
        assert len(list(tmp_path.iterdir())) == 1
    assert "signs of AI generation" in Page(path).text


def test_bad_path_is_told_before_the_work(tmp_path):
    for path in (tmp_path / "none" / "page.html", tmp_path):
        report = HtmlReport(path)
        with pytest.raises(OSError, match=r"no such folder|not a regular file"):
            report.__enter__()
    assert not list(tmp_path.iterdir())


def test_report_of_nothing_is_a_page(page_of):
    assert "There is no image in this report." in page_of().text


def test_memory_does_not_grow_with_the_images(tmp_path):
    preview = PREVIEW + bytes(60_000)
    path = tmp_path / "page.html"
    tracemalloc.start()
    try:
        with HtmlReport(path) as opened:
            for k in range(200):
                opened.add(judged(path=f"{k}.jpg"), preview)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < path.stat().st_size / 3


def test_page_says_what_it_cannot_know(page_of):
    text = page_of(judged("real", 0.1)).text
    assert "No tool can prove that a photo is real" in text
    assert "How to read this report" in text
