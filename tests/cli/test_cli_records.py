import csv
import io
import json

import pytest

from aligngemini.cli.records import Csv, JsonArray, JsonLines
from aligngemini.cli.summary import Summary
from aligngemini.evidence import Evidence, Problem, Signal
from aligngemini.verdict import Scope, Verdict

HOSTILE = 'new\nline,"quote" [red]\udcff\u202e\x1b[2J.jpg'

FULL = Verdict(
    path="a.jpg",
    sha256="0" * 64,
    width=4,
    height=3,
    format="JPEG",
    verdict="fake",
    score=0.75,
    branches={
        "pixel": Evidence(
            verdict="fake", score=0.75, threshold=0.7, threshold_real=0.3, model="m@f", ms=2.0
        ),
        "semantic": Evidence(skipped="no model"),
        "provenance": Evidence(signals=(Signal("exif", "hint", "ai", "Software: x; y"),), ms=0.1),
    },
    notes=("first of 2 frames",),
    scope=Scope(("flat", "text"), {"flat": 0.9}, rules=1),
)
HEADER = [
    *("path", "sha256", "width", "height", "format", "verdict", "score"),
    *("pixel_score", "pixel_verdict", "pixel_model", "pixel_remark"),
    *("provenance_verdict", "signals", "error_code", "error_message", "disagreement"),
    *("semantic_score", "semantic_verdict", "semantic_model", "semantic_remark"),
    *("scope", "id"),
]
FAILED = Verdict(path=HOSTILE, error=Problem("truncated", "the file ends too early"))


def written(kind, *verdicts):
    file = io.BytesIO()
    records = kind(file)
    for verdict in verdicts:
        records.add(verdict)
    records.close(Summary(), 0)
    return file.getvalue()


class Writes(io.BytesIO):
    """Remembers what each flush had brought."""

    def __init__(self):
        super().__init__()
        self.flushed = []

    def flush(self):
        self.flushed.append(self.getvalue())


def test_json_lines_hold_one_record_a_line():
    lines = written(JsonLines, FULL, FAILED).splitlines()
    assert [json.loads(line) for line in lines] == [FULL.to_dict(), FAILED.to_dict()]


@pytest.mark.parametrize("kind", [JsonLines, Csv])
def test_every_flush_ends_a_record(kind):
    file = Writes()
    records = kind(file)
    for verdict in (FULL, FAILED, FULL):
        records.add(verdict)
    assert len(file.flushed) >= 3
    assert all(content.endswith(b"\n") for content in file.flushed)


@pytest.mark.parametrize("verdicts", [(), (FULL,), (FULL, FAILED, FULL)])
def test_a_json_array_is_whole_once_closed(verdicts):
    array = json.loads(written(JsonArray, *verdicts))
    assert array == [verdict.to_dict() for verdict in verdicts]


def test_csv_reads_back_flat():
    text = written(Csv, FULL, FAILED).decode("utf-8")
    full, failed = csv.DictReader(io.StringIO(text, newline=""))
    assert list(full) == HEADER
    assert full == {
        "path": "a.jpg",
        "sha256": "0" * 64,
        "width": "4",
        "height": "3",
        "format": "JPEG",
        "verdict": "fake",
        "score": "0.75",
        "pixel_score": "0.75",
        "pixel_verdict": "fake",
        "pixel_model": "m@f",
        "pixel_remark": "",
        "provenance_verdict": "",
        "signals": "exif hint ai: Software: x; y",
        "error_code": "",
        "error_message": "",
        "disagreement": "false",
        "semantic_score": "",
        "semantic_verdict": "",
        "semantic_model": "",
        "semantic_remark": "",
        "scope": "flat text",
        "id": FULL.id,
    }
    assert failed["path"] == HOSTILE.replace("\udcff", "\\udcff")
    assert (failed["verdict"], failed["error_code"]) == ("", "truncated")


def test_csv_without_records_has_its_header():
    assert written(Csv).decode() == ",".join(HEADER) + "\r\n"


@pytest.mark.parametrize("start", list("=+-@\t\r\n"))
def test_no_csv_cell_begins_a_formula_and_paths_stay_paths(start):
    name = f"{start}cmd.jpg"
    verdict = Verdict(path=name, error=Problem("internal", f"{start}1+1"))
    text = written(Csv, verdict).decode()
    (row,) = csv.DictReader(io.StringIO(text, newline=""))
    assert row["path"] == f"./{name}"
    assert row["error_message"] == f"'{start}1+1"


def test_csv_has_columns_for_every_expert():
    second = Evidence(verdict="undecided", score=0.5, model="=n@e", remark="too small")
    content = Evidence(model="vlm@1", error=Problem("unavailable", "no answer"))
    branches = {"pixel": Evidence(score=0.25), "pixel-2": second, "semantic": content}
    verdict = Verdict("a.jpg", branches=branches)
    file = io.BytesIO()
    Csv(file, experts=2).add(verdict)
    (row,) = csv.DictReader(io.StringIO(file.getvalue().decode(), newline=""))
    assert row["pixel_score"] == "0.25"
    cells = [row[f"pixel_2_{name}"] for name in ("score", "verdict", "model", "remark")]
    assert cells == ["0.5", "undecided", "'=n@e", "too small"]
    assert (row["semantic_model"], row["semantic_remark"]) == ("vlm@1", "no answer")
