import csv
import hashlib
import io
import json
import os
from pathlib import Path

import pytest
import standin
from PIL import Image as PILImage

from aligngemini.record_id import record_id

FIELDS = (
    "path",
    "sha256",
    "width",
    "height",
    "format",
    "verdict",
    "score",
    "fusion",
    "disagreement",
    "branches",
    "notes",
    "error",
    "version",
    "id",
)


def test_a_record_field_by_field(detect, draw):
    path = draw("a.jpg", 255, size=(80, 60))
    run = detect(path, "--format", "jsonl")
    (record,) = run.records
    assert tuple(record) == (*FIELDS[:9], "scope", *FIELDS[9:])
    assert record["path"] == path
    assert record["scope"]["reasons"] == ["constant", "flat", "few-colours"]
    assert record["id"] == record_id(record)
    assert record["sha256"] == hashlib.sha256(Path(path).read_bytes()).hexdigest()
    assert (record["width"], record["height"], record["format"]) == (80, 60, "JPEG")
    assert (record["verdict"], record["score"], record["fusion"]) == ("fake", 1.0, "or")
    assert list(record["branches"]) == ["pixel", "semantic", "provenance"]
    pixel = record["branches"]["pixel"]
    assert pixel.pop("ms") >= 0
    assert pixel == {
        "score": 1.0,
        "verdict": "fake",
        "threshold": standin.THRESHOLD,
        "threshold_real": standin.THRESHOLD_REAL,
        "model": "brightness@f00d",
    }
    assert record["branches"]["semantic"] == {"skipped": "no vision-language model configured"}
    provenance = record["branches"]["provenance"]
    assert (provenance["verdict"], provenance["signals"]) == (None, [])
    assert record["notes"] == []
    assert record["error"] is None
    assert run.code == 0


def test_the_record_of_a_broken_file(detect, tmp_path):
    path = tmp_path / "broken.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    run = detect(path, "--format", "jsonl")
    (record,) = run.records
    assert tuple(record) == FIELDS
    assert record["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (record["verdict"], record["score"], record["branches"]) == (None, None, {})
    assert set(record["error"]) == {"code", "message"}
    assert record["error"]["code"] in {"corrupt", "truncated"}
    assert run.code == 1


@pytest.mark.parametrize(("grey", "label"), [(10, "real"), (128, "undecided"), (250, "fake")])
def test_all_judged_is_exit_code_0_whatever_the_verdict(detect, draw, grey, label):
    run = detect(draw("a.png", grey), "--format", "jsonl")
    assert [record["verdict"] for record in run.records] == [label]
    assert run.code == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_order_is_the_inputs_and_nothing_is_missing(detect, draw, tmp_path, workers):
    (tmp_path / "folder" / "below").mkdir(parents=True)
    (tmp_path / "folder" / "notes.txt").write_text("not an image")
    inputs = [
        draw("z.png"),
        draw("dies.png", standin.DIES),
        str(tmp_path / "missing.jpg"),
        draw("raises.png", standin.RAISES),
        draw("a.png"),
    ]
    inside = [draw("folder/1.png"), draw("folder/2.webp"), draw("folder/below/3.png")]
    run = detect(*inputs, tmp_path / "folder", inputs[0], "--format", "jsonl", "--workers", workers)
    assert [record["path"] for record in run.records] == [*inputs, *inside, inputs[0]]
    codes = [record["error"] and record["error"]["code"] for record in run.records]
    assert codes == [None, "crashed", "not-found", "internal", *[None] * 5]
    assert run.code == 1


def test_an_image_that_hangs_is_a_record_too(detect, draw):
    paths = [draw("a.png"), draw("hangs.png", standin.HANGS), draw("b.png")]
    run = detect(*paths, "--format", "jsonl", "--timeout", "0.5", "--workers", "1")
    codes = [record["error"] and record["error"]["code"] for record in run.records]
    assert codes == [None, "timeout", None]
    assert run.code == 1


def test_paths_come_from_standard_input_and_patterns(detect, draw, tmp_path):
    first, second = draw("one.png"), draw("two.png")
    run = detect("-", f"{tmp_path}/*.png", "--format", "jsonl", stdin=f"{second}\n{first}".encode())
    assert [record["path"] for record in run.records] == [second, first, first, second]


@pytest.mark.parametrize(
    "name",
    [
        "new\nline.png",
        "[red]x[bold].png",
        os.fsdecode(b"b\xfftes.png"),
        "-dash.png",
        "sp ace'\".png",
    ],
)
def test_hostile_names_come_back_as_they_are(detect, draw, monkeypatch, tmp_path, name):
    draw(name)
    draw("other.png")
    monkeypatch.chdir(tmp_path)
    run = detect("--format", "jsonl", "other.png", "--", name)
    assert [record["path"] for record in run.records] == ["other.png", name]
    assert run.code == 0
    table = detect("other.png", "--", name)
    assert table.code == 0
    shown = name.replace("\n", "\\n").replace("\udcff", "\\udcff")
    assert shown in table.out
    assert shown in detect("--", name).out  # the card of a single image


@pytest.mark.parametrize("suffix", ["json", "jsonl", "csv"])
def test_the_format_follows_the_name_of_the_file(detect, draw, tmp_path, suffix):
    out = tmp_path / f"results.{suffix}"
    out.write_text("what an earlier run left, longer than what comes now" * 100)
    paths = [draw("a.png"), str(tmp_path / "missing.png")]
    run = detect(*paths, "--out", out)
    assert run.out == ""
    assert str(out) in run.err
    assert "2 inputs" in run.err
    text = out.read_text()
    match suffix:
        case "json":
            records = json.loads(text)
        case "jsonl":
            records = [json.loads(line) for line in text.splitlines()]
        case "csv":
            records = list(csv.DictReader(io.StringIO(text)))
    assert [record["path"] for record in records] == paths


def test_a_table_can_go_to_a_file(detect, draw, tmp_path):
    out = tmp_path / "table.txt"
    assert detect(draw("a.png"), draw("b.png"), "--format", "table", "--out", out).code == 0
    assert "b.png" in out.read_text()


def test_json_on_standard_output_is_one_array(detect, draw):
    assert [r["verdict"] for r in json.loads(detect(draw("a.png"), "--format", "json").out)] == [
        "real"
    ]


def test_heatmaps_and_report_are_written_beside_the_records(detect, draw, tmp_path):
    maps, report = tmp_path / "maps", tmp_path / "report.html"
    paths = [draw("a.png", 200), draw("b.png", 10), str(tmp_path / "missing.png")]
    run = detect(*paths, "--format", "jsonl", "--heatmaps", maps, "--report", report)
    digests = [record["sha256"] for record in run.records[:2]]
    assert {path.name for path in maps.iterdir()} == {
        f"a.{digests[0][:8]}.png",
        f"b.{digests[1][:8]}.png",
    }
    for path in maps.iterdir():
        with PILImage.open(path) as overlay:
            overlay.load()
    page = report.read_text()
    assert all(name in page for name in ("a.png", "b.png", "missing.png"))
    assert page.count("data:image/jpeg;base64,") >= 2
    assert run.code == 1


def test_a_run_of_metadata_alone_says_that_nothing_was_judged(detect, draw, monkeypatch):
    monkeypatch.undo()  # the real detector, without its pixel expert
    run = detect(draw("a.png"), "--pixel", "off", "--format", "jsonl")
    (record,) = run.records
    assert record["branches"]["pixel"] == {"skipped": "switched off"}
    assert (record["verdict"], record["error"]) == (None, None)
    assert run.code == 1
