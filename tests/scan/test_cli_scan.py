"""`aligngemini scan` and the commands on its store."""

import csv
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from datetime import datetime, timedelta, timezone

import pyarrow.parquet as pq
import pytest
from fixtures.models import brightness_folder
from fixtures.scan_inputs import drawn_files, without_times

from aligngemini.calibration.drift import ScoreHistogram
from aligngemini.cli import main
from aligngemini.scan.store import Store


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(brightness_folder(tmp_path_factory.mktemp("models") / "m"))


@pytest.fixture
def say(capsys):
    def say(*arguments):
        capsys.readouterr()
        try:
            code = main(list(map(str, arguments)))
        except SystemExit as end:
            code = end.code
        return (code, *capsys.readouterr())

    return say


@pytest.fixture
def scan(say, model, tmp_path):
    def scan(*arguments, store=tmp_path / "s.sqlite"):
        return say("scan", *arguments, "--store", store, "--pixel", model, "--workers", "1")

    return scan


@pytest.fixture
def photos(tmp_path):
    """Eight files: one is cut in half, and one is no image."""
    drawn_files(tmp_path / "photos", 8)
    return tmp_path / "photos"


def exported(say, tmp_path, kind):
    out = tmp_path / f"out.{kind}"
    assert say("scan", "export", kind, "--store", tmp_path / "s.sqlite", "--out", out)[0] == 0
    return out


@pytest.mark.parametrize("action", [[], ["status"], ["retry"], ["export"]])
def test_help_teaches(say, action):
    code, out, _ = say("scan", *action, "--help")
    assert code == 0
    assert f"aligngemini scan {' '.join(action)}".strip() in out
    assert "example" in out


def test_a_scan_says_what_came_of_it_and_the_next_one_has_nothing_to_do(scan, photos):
    code, out, err = scan(photos)
    assert (code, out) == (1, "")
    assert err.startswith("8 inputs: 8 judged.\n")
    assert "truncated 1" in err
    code, _, err = scan(photos)
    assert code == 1
    assert err.startswith("8 inputs: 8 in the store before.\n")


def test_all_judged_is_exit_code_0(scan, photos):
    (photos / "0003.jpg").unlink()
    (photos / "0007.jpg").unlink(missing_ok=True)
    assert scan(photos)[0] == 0


def test_nothing_to_scan_is_wrong_use(scan, tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("no image")
    code, _, err = scan(tmp_path / "notes")
    assert code == 2
    assert "found no image to judge; 1 files there are no images" in err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--store", "no/such/s.sqlite", "."], "--store: no such folder: no/such"),
        (["--store", ".", "."], "is a folder: name a file"),
        (["--store", "s", "-", "--watch"], "--watch: names on standard input"),
        (["--store", "s", ".", "--engine", "ray", "--watch"], "only the local engine watches"),
        (["--store", "s", ".", "--address", "auto"], "they are for --engine ray"),
        (["--store", "s"], "say what to scan"),
        (["--store", "s", ".", "--pixel", "nonsense"], "no model named or at nonsense"),
        (["--store", "s", ".", "--metrics", "no/such/m.prom"], "cannot write metrics to"),
        (["--store", "s", "ftp5://x/y.jpg"], "ftp5"),
    ],
)
def test_wrong_use_is_one_sentence_and_leaves_no_store(say, tmp_path, monkeypatch, arguments, says):
    monkeypatch.chdir(tmp_path)
    code, out, err = say("scan", *arguments)
    assert (code, out) == (2, "")
    assert says in err
    assert not (tmp_path / "s").exists()


def test_addresses_are_whole_paths_wherever_they_are_named(scan, photos, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    scan("photos")
    monkeypatch.chdir(photos)
    assert scan(".")[2].startswith("8 inputs: 8 in the store before.\n")


def test_metrics_are_prometheus_text(scan, photos, tmp_path):
    prometheus = pytest.importorskip("prometheus_client.parser")
    scan(photos, "--metrics", tmp_path / "m.prom")
    families = prometheus.text_string_to_metric_families((tmp_path / "m.prom").read_text())
    values = {
        (sample.name, *sample.labels.values()): sample.value
        for family in families
        for sample in family.samples
    }
    assert values["aligngemini_scan_inputs_total", "judged"] == 8
    assert values["aligngemini_scan_errors_total", "truncated"] == 1
    assert values["aligngemini_scan_stage_seconds_total", "decode"] > 0
    assert 0 < values["aligngemini_scan_branch_load", "pixel"] <= 1
    sizes = sum(path.stat().st_size for path in photos.iterdir())
    assert values["aligngemini_scan_read_bytes_total",] == sizes


def test_a_source_that_vanished_is_an_error_and_its_verdicts_stay(scan, say, photos, tmp_path):
    scan(photos)
    photos.rename(tmp_path / "gone")
    code, _, err = scan(photos)
    assert code == 1
    assert "not-found 1" in err
    status = json.loads(say("scan", "status", "--store", tmp_path / "s.sqlite", "--json")[1])
    assert status["inputs"] == 9
    assert sum(status["verdicts"].values()) - status["verdicts"]["none"] == 6


def test_status_counts(scan, say, photos, tmp_path):
    scan(photos)
    code, out, _ = say("scan", "status", "--store", tmp_path / "s.sqlite")
    assert code == 1
    assert out.startswith("8 inputs, 8 different ones judged.\n")
    assert re.search(r"^ +1  truncated$", out, re.MULTILINE)
    assert "is real" not in out


def test_status_of_another_detector(scan, say, photos, tmp_path):
    scan(photos)
    scan(photos, "--cascade")
    status = json.loads(say("scan", "status", "--store", tmp_path / "s.sqlite", "--json")[1])
    (first,) = status["others"]
    assert status["detector"]["cascade"] is True
    asked = say("scan", "status", "--store", tmp_path / "s.sqlite", "--detector", first, "--json")
    assert json.loads(asked[1])["detector"]["cascade"] is False
    code, _, err = say("scan", "status", "--store", tmp_path / "s.sqlite", "--detector", "none")
    assert (code, "no detector none" in err) == (2, True)


def test_status_warns_of_drift_but_not_of_today(scan, say, photos, tmp_path):
    scan(photos)
    today = datetime.now(timezone.utc).date()
    days = {today - timedelta(3): 0.2, today - timedelta(2): 0.2, today - timedelta(1): 0.9}
    with Store(tmp_path / "s.sqlite") as store, store.transaction():
        for day, score in {**days, today: 0.5}.items():
            counts = json.dumps(ScoreHistogram.of([score] * 500).to_dict())
            store.connection.execute(
                "INSERT OR REPLACE INTO histograms VALUES (?, 1, 'pixel', ?)",
                (day.isoformat(), counts),
            )
    out = say("scan", "status", "--store", tmp_path / "s.sqlite")[1]
    warnings = [line for line in out.splitlines() if line.startswith("Drift")]
    assert len(warnings) == 1
    assert warnings[0].startswith(f"Drift, pixel, {(today - timedelta(1)).isoformat()}: scores are")


@pytest.mark.parametrize("command", ["status", "export jsonl --out o", "retry --errors"])
def test_commands_on_a_store_need_one(say, tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    code, _, err = say("scan", *command.split(), "--store", "none.sqlite")
    assert code == 2
    assert "there is no store at none.sqlite" in err
    assert list(tmp_path.iterdir()) == []


def test_jsonl_is_what_detect_writes(scan, say, photos, tmp_path, model):
    scan(photos)
    ours = exported(say, tmp_path, "jsonl").read_text().splitlines()
    theirs = say("detect", photos, "--pixel", model, "--format", "jsonl")[1].splitlines()
    assert sorted_records(ours) == sorted_records(theirs)


def sorted_records(lines):
    return sorted(map(without_times, lines), key=lambda record: record["path"])


def test_csv_is_what_detect_writes(scan, say, photos, tmp_path, model):
    scan(photos)
    ours = csv.reader(exported(say, tmp_path, "csv").open())
    theirs = csv.reader(say("detect", photos, "--pixel", model, "--format", "csv")[1].splitlines())
    assert next(ours) == next(theirs)
    assert sorted(ours) == sorted(theirs)


def test_parquet_has_columns_and_the_record(scan, say, photos, tmp_path):
    scan(photos, tmp_path / "missing.jpg")
    table = pq.read_table(exported(say, tmp_path, "parquet")).to_pylist()
    assert len(table) == 9
    for row in table:
        record = json.loads(row["record"])
        assert row["verdict"] == record["verdict"]
        assert row["pixel_score"] == record["branches"].get("pixel", {}).get("score")
        assert row["error_code"] == (record["error"] and record["error"]["code"])
    assert {row["error_code"] for row in table} == {
        *(None, "truncated", "unsupported", "not-found"),
    }


def test_the_page_shows_the_highest_scores_and_counts_the_rest(scan, say, photos, tmp_path):
    scan(photos)
    (photos / "copy.png").write_bytes((photos / "0000.png").read_bytes())
    scan(photos)
    records = [json.loads(line) for line in exported(say, tmp_path, "jsonl").open()]
    scores = sorted((r["score"] for r in records if r["verdict"]), reverse=True)
    out = tmp_path / "page.html"
    store = tmp_path / "s.sqlite"
    say("scan", "export", "html", "--store", store, "--out", out, "--most", 3)
    page = out.read_text()
    shown = [r for r in records if r["path"] in page]
    assert len({r["sha256"] for r in shown}) == 3
    assert min(r["score"] for r in shown) >= scores[3]
    assert page.count("data:image/jpeg") == 3
    assert "9 inputs" in page


def test_an_export_replaces_nothing_until_it_is_whole(scan, say, photos, tmp_path):
    scan(photos)
    out = tmp_path / "out.jsonl"
    out.write_text("precious")
    store = tmp_path / "s.sqlite"
    with sqlite3.connect(store) as connection:
        connection.execute("UPDATE judgments SET record = 'not JSON' WHERE id = 5")
    connection.close()
    code, _, err = say("scan", "export", "jsonl", "--store", store, "--out", out)
    assert code == 2
    assert "is damaged" in err
    assert out.read_text() == "precious"
    assert sorted(tmp_path.glob("*out*")) == [out]


def test_retry_tries_again_what_failed_with_the_same_detector(scan, say, photos, tmp_path):
    store = tmp_path / "s.sqlite"
    scan(photos, tmp_path / "late.png")
    (tmp_path / "late.png").write_bytes((photos / "0000.png").read_bytes())
    code, _, err = say("scan", "retry", "--errors", "--store", store, "--workers", 1)
    assert code == 1  # the broken ones are left
    assert err.startswith("9 inputs: 1 copies of images judged already, 8 in the store before.\n")
    assert say("scan", "retry", "--errors", "--store", store)[2] == "nothing to try again\n"
    err = say("scan", "retry", "--errors", "truncated", "--store", store, "--workers", 1)[2]
    assert err.startswith("9 inputs: 1 judged, 8 in the store before.\n")
    status = json.loads(say("scan", "status", "--store", store, "--json")[1])
    assert status["others"] == []


def test_retry_does_not_judge_everything_anew_with_another_model(say, photos, tmp_path):
    store, model = tmp_path / "s.sqlite", tmp_path / "m"
    brightness_folder(model)
    say("scan", photos, "--store", store, "--pixel", model, "--workers", 1)
    shutil.rmtree(model)
    brightness_folder(model, threshold=0.6)
    code, _, err = say("scan", "retry", "--errors", "truncated", "--store", store)
    assert code == 2
    assert "no longer those that left the errors" in err
    assert json.loads(say("scan", "status", "--store", store, "--json")[1])["others"] == []


def test_a_lock_held_by_another_program_is_named(scan, photos, tmp_path, monkeypatch):
    monkeypatch.setitem(Store.__init__.__kwdefaults__, "patience", 0.2)
    scan(photos)
    other = sqlite3.connect(tmp_path / "s.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    code, _, err = scan(photos)
    other.close()
    assert code == 2
    assert "another program keeps the store" in err
    assert scan(photos)[0] == 1


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
from aligngemini.cli import main
from aligngemini.scan import loop
loop.BATCH = 4
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="relies on RLIMIT_FSIZE")
def test_a_full_disk_is_named_and_what_was_done_is_safe(scan, say, model, tmp_path):
    drawn_files(tmp_path / "photos", 60)
    store = tmp_path / "s.sqlite"
    command = ["scan", tmp_path / "photos", "--store", store, "--pixel", model, "--workers", "1"]
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, "120000", *map(str, command)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 2, done.stderr
    assert "cannot be written" in done.stderr
    assert "what was done so far is safe" in done.stderr
    assert "Traceback" not in done.stderr
    with sqlite3.connect(store) as connection:
        (kept,) = connection.execute("SELECT count(*) FROM inputs").fetchone()
    connection.close()
    assert 0 < kept < 60
    assert f"{kept} in the store before" in scan(tmp_path / "photos")[2]


@pytest.mark.shared
def test_every_hostile_file_is_recorded(say, shared_data, tmp_path, model):
    store = tmp_path / "s.sqlite"
    hostile = shared_data / "hostile"
    code, _, _ = say("scan", hostile, "--store", store, "--pixel", model)
    assert code == 1
    records = map(json.loads, exported(say, tmp_path, "jsonl").open())
    codes = {record["path"]: record["error"] and record["error"]["code"] for record in records}
    theirs = say("detect", hostile, "--pixel", model, "--format", "jsonl")[1].splitlines()
    expected = {r["path"]: r["error"] and r["error"]["code"] for r in map(json.loads, theirs)}
    assert codes == expected
    assert "internal" not in codes.values()
