import io
import re

import pytest
from rich.cells import cell_len

from aligngemini.cli.people import People, why
from aligngemini.cli.summary import Summary
from aligngemini.cli.table import shorten
from aligngemini.evidence import Evidence, Problem, Signal
from aligngemini.verdict import Scope, Verdict


def verdict(path, label=None, score=None, rate=None, **settings):
    pixel = Evidence(
        verdict=label,
        score=score,
        threshold=0.9,
        threshold_real=0.2,
        false_alarm_rate=rate,
        model="m@f",
    )
    branches = {
        "pixel": pixel,
        "semantic": Evidence(skipped="no vision-language model configured"),
        "provenance": Evidence(signals=settings.pop("signals", ())),
    }
    return Verdict(path, verdict=label, score=score, branches=branches, **settings)


FAILED = Verdict("broken.jpg", error=Problem("truncated", "the file ends too early"))


def shown(*verdicts, not_images=0):
    stream = io.StringIO()
    people, summary = People(stream), Summary()
    for one in verdicts:
        people.add(one)
        summary.add(one)
    people.close(summary, not_images)
    return stream.getvalue()


def test_a_table_uses_careful_words():
    text = shown(
        verdict("a.jpg", "fake", 0.97),
        verdict("b.jpg", "real", 0.1),
        verdict("c.jpg", "undecided", 0.5),
    )
    rows = {line.split()[0]: line for line in text.splitlines() if line.strip()}
    assert "signs of AI generation" in rows["a.jpg"]
    assert "0.97" in rows["a.jpg"]
    assert "no sign of AI generation found" in rows["b.jpg"]
    assert "undecided" in rows["c.jpg"]
    assert "fake" not in text


def test_below_the_table_stands_what_must_be_known_once():
    text = shown(
        verdict("a.jpg", "fake", 0.97, rate=0.01),
        verdict("b.jpg", "undecided", 0.5, rate=0.01),
        verdict("c.jpg", "undecided", 0.6, rate=0.01),
        verdict("d.jpg", "real", 0.1, rate=0.01),
        FAILED,
        not_images=3,
    )
    assert (
        "5 inputs: 1 signs of AI generation, 2 undecided, 1 no sign of AI generation found, "
        "1 could not be judged." in text
    )
    for line in (
        "The semantic branch was not run: no vision-language model configured; "
        "--semantic MODEL adds one.",
        "3 files were left out of the folders: not images.",
        "The pixel threshold was set where 1 % of held-out photos reach it.",
    ):
        assert text.count(line) == 1
    assert "pixel score from 0.20 up to 0.90" in text
    assert "nobody can prove a photo real" in text


def test_a_run_without_doubt_or_photos_does_not_talk_of_them():
    text = shown(verdict("a.jpg", "fake", 0.97), verdict("b.jpg", "fake", 0.98))
    assert "ndecided" not in text
    assert "prove" not in text
    assert "left out" not in text


def test_one_image_is_a_card():
    signal = Signal("stable-diffusion", "hint", "ai", "Steps: 20, Sampler: Euler")
    text = shown(
        verdict(
            "photo.jpg",
            "undecided",
            0.5,
            width=80,
            height=60,
            format="PNG",
            signals=(signal,),
            notes=("first of 12 frames",),
        )
    )
    for part in (
        *("photo.jpg", "undecided", "0.50", "0.20", "0.90", "80 x 60", "first of 12 frames"),
        *("unsigned", "Steps: 20, Sampler: Euler"),
    ):
        assert part in text


@pytest.mark.parametrize("others", [[], [verdict("b.jpg", "real", 0.1)]])
def test_untrusted_text_is_printed_literally(others):
    hostile = "[red]:boom:x\x1b[2J\n\u202e\udcff.jpg"
    signal = Signal("exif", "hint", "ai", "[bold]\x1b]0;title\x07")
    text = shown(
        verdict(hostile, "real", 0.1, signals=(signal,), notes=("[u]:boom:\x07",)), *others
    )
    assert "[red]:boom:x\\x1b[2J\\n\\u202e\\udcff.jpg" in text
    assert "[u]:boom:\\x07" in text
    assert not set("\x1b\x07\u202e\udcff") & set(text)


def test_a_score_is_never_rounded_across_its_threshold():
    assert "0.8996" in shown(verdict("a.jpg", "undecided", 0.8996), FAILED)
    assert "0.8996" in shown(verdict("a.jpg", "undecided", 0.8996))


def test_why_gives_the_reason_for_what_is_missing():
    assert why(FAILED) == "the file ends too early"
    assert "no branch gave a verdict" in why(verdict("a.jpg"))
    broken = Verdict("a.jpg", branches={"pixel": Evidence(error=Problem("internal", "a bug"))})
    assert "pixel gave no answer: a bug" in why(broken)


@pytest.mark.parametrize("width", [20, 21, 40])
@pytest.mark.parametrize(
    "path", ["short.jpg", "a/long/path/" * 9 + "name.jpg", "漢字/" * 30 + "字.jpg"]
)
def test_long_paths_are_cut_in_the_middle(path, width):
    text = shorten(path, width)
    assert cell_len(text) <= width
    if cell_len(path) <= width:
        assert text == path
    else:
        assert text.endswith(path[-8:])
        assert text.startswith(path[:2])
        assert "…" in text


def test_a_long_table_keeps_its_columns_and_every_row():
    verdicts = [verdict(f"folder/{k:05}.jpg", "real", 0.1) for k in range(1200)]
    lines = shown(*verdicts).splitlines()
    rows = [line for line in lines if ".jpg" in line]
    assert [row.split()[0] for row in rows] == [one.path for one in verdicts]
    assert len({row.index("no sign") for row in rows}) == 1
    assert sum("Result" in line for line in lines) == 1


def test_experts_are_told_apart_by_their_models():
    experts = {
        "pixel": Evidence(verdict="real", score=0.3, threshold=0.5, model="sd21@f00d"),
        "pixel-2": Evidence(verdict="fake", score=0.99, threshold=0.98, model="flux@beef"),
    }
    text = shown(Verdict("a.jpg", verdict="fake", score=0.99, branches=experts))
    assert re.search(r"Pixels: sd21 +no sign found, 0.30, below 0.50", text)
    assert re.search(r"Pixels: flux +signs found, 0.99, at or above 0.98", text)


def test_a_threshold_nobody_measured_is_said_to_be_one():
    text = shown(verdict("a.jpg", "real", 0.1))
    assert "Nobody measured yet how many photos reach the pixel threshold." in text


def test_what_is_out_of_scope_is_counted_apart_from_doubt():
    scope = Scope(("flat",), {"flat": 0.9}, rules=1)
    drawing = verdict("drawing.png", "undecided", 0.95, scope=scope)
    text = shown(drawing, verdict("a.jpg", "real", 0.1))
    assert "Out of scope: 1; drawings, charts, screenshots" in text
    assert "both score like this" not in text
    assert "both score like this" in shown(drawing, verdict("b.jpg", "undecided", 0.5))
    signed = verdict("signed.png", "fake", 0.95, scope=scope)
    assert "Out of scope" not in shown(signed, verdict("a.jpg", "real", 0.1))
