"""`aligngemini detect --stability`: grey images score their brightness, so only edges move them."""

import csv
import io

import numpy as np
import pytest
from PIL import Image as PILImage


@pytest.fixture
def edged(tmp_path):
    """A picture of brightness 0.7 whose edge, cropped away by a mild change, is what made it so."""
    pixels = np.full((200, 200, 3), 178, np.uint8)
    pixels[:4] = pixels[-4:] = 250
    path = tmp_path / "edged.png"
    PILImage.fromarray(pixels).save(path)
    return str(path)


def test_records_tell_how_far_a_score_moves(detect, draw, edged):
    run = detect(draw("grey.png", 60), edged, "--stability", "--format", "jsonl")
    assert run.code == 0
    steady, moving = (record["stability"] for record in run.records)
    assert steady["flips"] == 0
    assert steady["low"] == pytest.approx(60 / 255, abs=0.01)
    assert moving["of"] == 8
    assert moving["flips"] >= 1
    assert moving["low"] < 0.7 <= moving["high"]
    assert [record["verdict"] for record in run.records] == ["real", "fake"]
    plain = detect(edged, "--format", "jsonl").records[0]
    assert "stability" not in plain
    assert run.records[1]["score"] == plain["score"]


def test_people_read_which_verdicts_turn(detect, draw, edged):
    run = detect(draw("grey.png", 60), edged, "--stability")
    assert "mild changes turn" in " ".join(run.out.split())
    assert "Verdicts that one of them turns: 1 of 2." in run.out
    card = detect(draw("grey.png", 60), "--stability").out
    assert "Stability   none of 8 mild changes turns the verdict" in card
    assert "jpeg:95, jpeg:85" in card
    assert "mild" not in detect(edged).out


def test_the_page_tells_it_too(detect, edged, tmp_path):
    page = tmp_path / "page.html"
    detect(edged, "--stability", "--report", page)
    assert "of 8 mild changes turn" in page.read_text()


def test_csv_has_columns_for_it_when_asked(detect, draw, edged, tmp_path):
    missing = str(tmp_path / "missing.png")
    run = detect(edged, missing, "--stability", "--format", "csv")
    assert run.code == 1
    moving, failed = csv.DictReader(io.StringIO(run.out, newline=""))
    assert (moving["stability_of"], failed["stability_of"]) == ("8", "")
    assert float(moving["stability_low"]) < 0.7 <= float(moving["stability_high"])
    assert int(moving["stability_flips"]) >= 1
    assert "stability" not in detect(edged, "--format", "csv").out
