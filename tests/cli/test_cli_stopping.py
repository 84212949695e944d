import csv
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import standin

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends Unix signals")

FORMATS = {
    "jsonl": lambda text: [json.loads(line) for line in text.splitlines()],
    "json": json.loads,
    "csv": lambda text: list(csv.DictReader(io.StringIO(text.decode()))),
}


@pytest.fixture
def five(draw):
    """Five images; judging the fourth never ends."""
    colours = [10, 20, 30, standin.HANGS, 40]
    return [draw(f"{k}.png", colour) for k, colour in enumerate(colours)]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_run_that_is_stopped_leaves_what_it_judged(start, five, form, number, code):
    run = start(*five, "--format", form, "--workers", "1", "--timeout", "600")
    # Three lines: in JSON and CSV the first is the head, in JSON each ends with the next record.
    head = b"".join(run.stdout.readline() for _ in range(3))
    run.send_signal(number)
    rest, err = run.communicate(timeout=60)
    assert run.returncode == code
    paths = [record["path"] for record in FORMATS[form](head + rest)]
    assert paths == five[: len(paths)]
    assert 2 <= len(paths) <= 3
    assert f"stopped after {len(paths)} of 5" in err.decode()
    assert b"Traceback" not in err


def test_ctrl_c_reaches_workers_too_and_they_leave_it_to_the_parent(start, five):
    settings = ("--format", "jsonl", "--workers", "2", "--timeout", "600")
    run = start(*five, *settings, start_new_session=True)
    lines = [run.stdout.readline() for _ in range(3)]
    os.killpg(run.pid, signal.SIGINT)
    rest, err = run.communicate(timeout=60)
    assert [json.loads(line)["path"] for line in lines] == five[:3]
    assert (rest, run.returncode) == (b"", 130)
    assert err.splitlines()[-1] == b"stopped after 3 of 5"
    assert b"Traceback" not in err


def test_the_table_and_the_report_of_a_stopped_run_hold_what_was_judged(start, five, tmp_path):
    report, maps = tmp_path / "report.html", tmp_path / "maps"
    outputs = ("--report", report, "--heatmaps", maps)
    # The third overlay tells that the fourth image is in hand.
    run = start(*five, *outputs, "--workers", "1", "--timeout", "600")
    while not (maps.is_dir() and len(list(maps.glob("*.png"))) == 3):
        assert run.poll() is None
    run.send_signal(signal.SIGINT)
    out, err = run.communicate(timeout=60)
    assert run.returncode == 130
    assert b"stopped after" in err
    assert b"1.png" in out
    assert b"3.png" not in out
    assert "1.png" in report.read_text()
    assert all(path.suffix == ".png" for path in maps.iterdir())


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_after_a_kill_the_file_holds_whole_records(start, draw, tmp_path, number):
    out = tmp_path / "results.jsonl"
    run = start("-", "--out", out, "--workers", "1", stdin=subprocess.PIPE)
    paths = [draw(f"{k}.png", 10 * k) for k in range(4)]
    run.stdin.write("".join(f"{path}\n" for path in paths).encode())
    while not (out.exists() and out.read_bytes().count(b"\n") == 4):
        assert run.poll() is None
    run.send_signal(number)
    # Ends only when the worker has ended too: it holds standard error.
    run.communicate(timeout=60)
    assert [json.loads(line)["path"] for line in out.read_text().splitlines()] == paths
    assert run.returncode == {signal.SIGKILL: -signal.SIGKILL, signal.SIGINT: 130}[number]


@pytest.mark.parametrize("form", ["jsonl", "table"])
def test_a_reader_that_leaves_ends_the_run_quietly(start, draw, form):
    run = start("-", "--format", form, "--workers", "1", stdin=subprocess.PIPE)
    run.stdout.close()
    run.stdin.write("".join(f"{draw(f'{k}.png')}\n" for k in range(3)).encode())
    run.stdin.close()
    assert run.stderr.read() == b""
    assert run.wait(timeout=60) == 141


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("form", ["jsonl", "json", "table"])
@pytest.mark.parametrize("to_file", [True, False])
def test_a_disk_that_takes_no_more_is_said(start, draw, tmp_path, form, to_file):
    report = tmp_path / "report.html"
    with Path("/dev/full").open("wb") as full:
        where = ("--out", "/dev/full") if to_file else ()
        settings = {} if to_file else {"stdout": full}
        run = start(draw("a.png"), "--format", form, *where, "--report", report, **settings)
        _, err = run.communicate(timeout=60)
    assert run.returncode == 2
    assert err.splitlines() == [b"aligngemini detect: [Errno 28] No space left on device"]
    assert "a.png" in report.read_text()


@pytest.fixture
def terminal():
    """The two ends of a terminal: what a program sees, and what is on its screen."""
    screen, inside = os.openpty()
    yield inside, lambda: os.read(screen, 100_000).decode()
    os.close(screen)
    os.close(inside)


def test_a_terminal_shows_progress_and_the_output_stays_clean(start, draw, terminal):
    inside, read = terminal
    run = start(draw("a.png"), draw("b.png"), "--format", "jsonl", stderr=inside)
    out, _ = run.communicate(timeout=60)
    shown = read()
    assert "Judging" in shown
    assert "0/2" in shown
    assert len([json.loads(line) for line in out.splitlines()]) == 2


def test_records_on_the_terminal_are_not_mixed_with_progress(start, draw, terminal):
    inside, read = terminal
    run = start(draw("a.png"), draw("b.png"), "--format", "jsonl", stderr=inside, stdout=inside)
    run.communicate(timeout=60)
    assert "Judging" not in read()
