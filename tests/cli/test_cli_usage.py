import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import aligngemini
from aligngemini.cli import main


@pytest.fixture
def say(capsys):
    def say(*arguments):
        try:
            code = main(arguments)
        except SystemExit as end:
            code = end.code
        return (code, *capsys.readouterr())

    return say


def test_the_installed_command_answers():
    command = Path(sys.executable).with_name("aligngemini")
    run = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    assert run.stdout == f"aligngemini {aligngemini.__version__}\n"


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], []])
def test_help_names_the_commands(say, arguments):
    code, out, _ = say(*arguments)
    assert re.search(r"^  detect +\w", out, re.MULTILINE)
    assert code == (2 if not arguments else 0)


def test_a_reader_that_has_seen_enough_is_no_error():
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "aligngemini", "models", "list"],
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(write)
    assert done.returncode == 141
    assert done.stderr == ""


@pytest.mark.parametrize("arguments", [["detect", "--help"], ["detect", "-h"], ["detect"]])
def test_help_of_detect_says_enough_to_use_it(say, arguments):
    code, out, _ = say(*arguments)
    assert code == (0 if arguments[1:] else 2)
    options = set(re.findall(r"--[a-z]+(?:-[a-z]+)*", out))
    assert options == {
        *("--help", "--format", "--out", "--report", "--heatmaps"),
        *("--pixel", "--semantic", "--explain", "--max-pixels", "--four-bit", "--gamma"),
        *("--fusion", "--cascade", "--calibration", "--trust", "--device", "--stability"),
        *("--workers", "--timeout"),
    }
    for word in ("standard input", "undecided", "Nobody can prove a photo real", "exit codes"):
        assert word in out
    assert out.count("\n  aligngemini detect ") >= 4  # examples
    assert max(map(len, out.splitlines())) <= 82


def test_help_loads_nothing_heavy():
    script = (
        "import sys\n"
        "from aligngemini.cli import main\n"
        "try: main(['detect', '--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'PIL', 'rich', 'onnxruntime', 'c2pa', 'jinja2', 'torch', 'typer'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["dtect", "a.jpg"], "no command 'dtect'"),
        (["--detect"], "no command '--detect'"),
        (["detect", "--format", "xml", "a.jpg"], "xml"),
        (["detect", "--wrokers", "2", "a.jpg"], "--wrokers"),
        (["detect", "--workers", "0", "a.jpg"], "1 or more"),
        (["detect", "--workers", "two", "a.jpg"], "--workers"),
        (["detect", "--timeout", "0", "a.jpg"], "--timeout"),
        (["detect", "--timeout", "nan", "a.jpg"], "--timeout"),
        (["detect", "--timeout", "inf", "a.jpg"], "--timeout"),
        (["detect", "--device", "tpu", "a.jpg"], "tpu"),
        (["detect", "--fusion", "xor", "a.jpg"], "unknown rule 'xor'; known: or"),
        (["detect", "--format", "json"], "INPUT"),
        (["detect", "--format", "json", "--"], "INPUT"),
        (["detect", "a.jpg", "--pixel", "off", "--heatmaps", "."], "only a pixel expert"),
        (["detect", "a.jpg", "--explain"], "say which model too"),
        (["detect", "a.jpg", "--pixel", "off", "--pixel", "compact"], "leave one of them out"),
        (["detect", "a.jpg", "--pixel", "compact", "--pixel", "compact"], "given twice"),
    ],
)
def test_wrong_use_is_exit_code_2_and_said(say, arguments, said):
    code, out, err = say(*arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert "--help" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--out", "{tmp}/missing/x.json"], "no such folder"),
        (["--out", "{tmp}/results.txt"], "say --format"),
        (["--out", "{tmp}/page.html"], "--report"),
        (["--out", "{tmp}", "--format", "json"], "is a folder"),
        (["--out", "{tmp}/a.png", "--format", "json"], "is one of the inputs"),
        (["--report", "{tmp}/a.png"], "is one of the inputs"),
        (["--report", "{tmp}/missing/x.html"], "no such folder"),
        (["--report", "{tmp}/x.json", "--out", "{tmp}/x.json"], "is --out already"),
        (["--heatmaps", "{tmp}/missing/maps"], "no such folder"),
        (["--heatmaps", "{tmp}/a.png"], "a.png"),
    ],
)
def test_outputs_are_checked_before_any_work(detect, draw, tmp_path, arguments, said):
    image = Path(draw("a.png"))
    before = image.read_bytes()
    run = detect(image, *(argument.format(tmp=tmp_path) for argument in arguments))
    assert (run.code, run.out) == (2, "")
    assert said in run.err
    assert image.read_bytes() == before


@pytest.mark.parametrize("option", ["--pixel", "--trust"])
def test_what_cannot_be_loaded_is_one_error_and_leaves_old_results(
    detect, draw, tmp_path, monkeypatch, option
):
    monkeypatch.undo()  # the real detector
    out = tmp_path / "results.jsonl"
    out.write_text("of an earlier run")
    settings = {"--pixel": "off", option: str(tmp_path / "missing")}
    flat = [part for pair in settings.items() for part in pair]
    run = detect(draw("a.png"), draw("b.png"), "--out", out, *flat)
    assert run.code == 2
    assert "Traceback" not in run.err
    assert len(run.err.splitlines()) == 1
    assert out.read_text() == "of an earlier run"


def test_nothing_to_judge_is_said_and_counted(detect, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "notes.txt").write_text("no image")
    run = detect(folder)
    assert run.code == 2
    assert "found no image" in run.err
    assert "1 file" in run.err
    assert detect("-").code == 2
