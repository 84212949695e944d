import json
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import killed
import pytest
import standin
from PIL import Image as PILImage

from aligngemini.cli import main
from aligngemini.datasets.journal import read_journals
from aligngemini.evaluation.scores import read_scores
from aligngemini.evaluation.store import FILE
from aligngemini.evaluation.table_file import read_table
from aligngemini.runner import DetectorOptions

RESULTS = ("scores.parquet", "table.json")
GREYS = {"0_real": range(20, 120, 20), "1_fake": range(120, 220, 20)}


@dataclass(frozen=True)
class Run:
    code: int
    out: str
    err: str


@pytest.fixture
def bench(tmp_path):
    """Two subsets of five photos and five fakes; the brighter are the fakes."""
    root = tmp_path / "bench"
    for subset, size in (("one", (64, 48)), ("two", (48, 64))):
        for label, greys in GREYS.items():
            (root / subset / label).mkdir(parents=True)
            for grey in greys:
                path = root / subset / label / f"{grey}.png"
                PILImage.new("RGB", size, (grey,) * 3).save(path)
    return root


@pytest.fixture
def evaluate_all(monkeypatch, capsys):
    """Runs `aligngemini evaluate` in this process, its workers in others."""
    monkeypatch.setattr(DetectorOptions, "load", standin.load)

    def evaluate(*arguments):
        capsys.readouterr()
        try:
            code = main(["evaluate", *map(str, arguments)])
        except SystemExit as end:
            code = end.code
        return Run(code, *capsys.readouterr())

    return evaluate


@pytest.fixture
def evaluate(evaluate_all, monkeypatch):
    """The same without audit and reports."""
    killed.leave_out_slow_parts(monkeypatch.setattr)
    return evaluate_all


def what(bench, out, *more):
    return ("--benchmark", "folder", "--root", bench, "--out", out, "--workers", 1, *more)


def test_scores_table_and_reports_are_there_and_people_are_told(evaluate_all, bench, tmp_path):
    out = tmp_path / "out"
    run = evaluate_all(*what(bench, out))
    assert (run.code, run.err) == (0, "")
    assert run.out.startswith("Audit: ")
    assert run.out.index("as-is: ") < run.out.index("all-alike: ")
    table = read_table(out / "table.json")
    assert {line.subset: (line.real, line.fake) for line in table.lines} == {
        "one": (5, 5),
        "two": (5, 5),
    }
    assert {(line.protocol, line.branch) for line in table.lines} == {
        (protocol, branch) for protocol in ("as-is", "all-alike") for branch in ("fused", "pixel")
    }
    assert all(line.figures["auc"].value == 1.0 for line in table.lines)
    scores = read_scores(out / "scores.parquet")
    assert len(scores) == 20 * 2 * 2
    for row in scores:
        assert row.score == pytest.approx(int(Path(row.path).stem) / 255, abs=0.01)
    for name in (*RESULTS, "report.html", "report.md"):
        assert name in run.out
        assert (out / name).is_file()


def test_a_file_that_cannot_be_judged_is_counted_and_the_code_is_1(evaluate, bench, tmp_path):
    (bench / "one" / "1_fake" / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    run = evaluate(*what(bench, tmp_path / "out", "--protocol", "as-is"))
    assert run.code == 1
    table = read_table(tmp_path / "out" / "table.json")
    assert {line.subset: line.unjudged for line in table.lines} == {"one": 1, "two": 0}
    assert "truncated 1" in run.out


def test_limit_takes_so_many_and_says_so(evaluate, bench, tmp_path):
    run = evaluate(*what(bench, tmp_path / "out", "--limit", 2, "--protocol", "as-is"))
    assert run.code == 0
    table = read_table(tmp_path / "out" / "table.json")
    assert {(line.real, line.fake) for line in table.lines} == {(2, 2)}
    assert "Limited to 2 photos and 2 fakes of each subset." in run.out


def test_scores_from_elsewhere_make_the_same_kind_of_table(evaluate, bench, tmp_path):
    scores = tmp_path / "theirs.csv"
    lines = [
        f"{path.relative_to(bench)},{'0.9' if '1_fake' in str(path) else '0.6'}"
        for path in sorted(bench.rglob("*.png"))
    ]
    scores.write_text("\n".join(["path,score", *lines, "not/there.png,0.5"]) + "\n")
    run = evaluate(*what(bench, tmp_path / "out", "--scores", scores))
    assert (run.code, run.err) == (0, "")
    table = read_table(tmp_path / "out" / "table.json")
    assert {(line.protocol, line.branch) for line in table.lines} == {("as-is", "file:theirs.csv")}
    found = {name: one.value for name, one in table.lines[0].figures.items() if one is not None}
    assert (found["real_accuracy"], found["fake_accuracy"], found["auc"]) == (0, 1, 1)
    assert "real_accuracy_shipped" not in found
    assert "belong to no image here: 1." in run.out
    assert not (tmp_path / "out" / FILE).exists()


def judged(out):
    return sorted((one["sha256"], str(one["delivery"])) for one in read_journals(out, FILE))


def kill_and_run(place, count, bench, out):
    """One run as a process of its own; gives its exit code."""
    arguments = ["evaluate", *map(str, what(bench, out))]
    command = [sys.executable, killed.__file__, place, str(count), *arguments]
    return subprocess.run(command, capture_output=True, check=False, timeout=120).returncode


@pytest.mark.skipif(sys.platform == "win32", reason="sends Unix signals")
def test_a_run_killed_anywhere_goes_on_and_gives_the_same_bytes(evaluate, bench, tmp_path):
    # A copy, and a file that never can be judged.
    (bench / "one" / "1_fake" / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    copy = bench / "two" / "0_real" / "20.png"
    (bench / "two" / "1_fake" / "copy.png").write_bytes(copy.read_bytes())
    whole, out = tmp_path / "whole", tmp_path / "out"
    assert evaluate(*what(bench, whole)).code == 1
    expected = judged(whole)
    assert len(expected) == len(set(expected)) == 2 * 21

    done = 0
    for place, count in (("append", 6), ("half a line", 9), ("rename", 2)):
        assert kill_and_run(place, count, bench, out) == -signal.SIGKILL
        assert not (out / "table.json").exists()
        before, done = done, len(list(read_journals(out, FILE)))
        assert done - before == {"append": 5, "half a line": 8, "rename": 29}[place]
    assert kill_and_run("never", 0, bench, out) == 1
    assert judged(out) == expected  # nothing twice, nothing left out
    for name in RESULTS:
        assert (out / name).read_bytes() == (whole / name).read_bytes(), name


def test_a_run_again_judges_nothing_and_another_detector_all(evaluate, bench, tmp_path):
    out = tmp_path / "out"
    evaluate(*what(bench, out, "--protocol", "as-is"))
    first = [(out / name).read_bytes() for name in (*RESULTS, FILE)]
    evaluate(*what(bench, out, "--protocol", "as-is"))
    assert [(out / name).read_bytes() for name in (*RESULTS, FILE)] == first
    evaluate(*what(bench, out, "--protocol", "as-is", "--fusion", "vote"))
    assert len(list(read_journals(out, FILE))) == 2 * 20


def test_retry_judges_what_took_too_long_once_more(evaluate, bench, tmp_path):
    slow = bench / "one" / "1_fake" / "slow.png"
    PILImage.new("RGB", (64, 48), standin.HANGS).save(slow)
    once = what(bench, tmp_path / "out", "--protocol", "as-is", "--timeout", 0.3)
    assert evaluate(*once).code == 1
    assert evaluate(*once).code == 1
    assert len(list(read_journals(tmp_path / "out", FILE))) == 21
    assert evaluate(*once, "--retry").code == 1
    assert len(list(read_journals(tmp_path / "out", FILE))) == 22


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--protocol", "as-it"), "no protocol 'as-it'"),
        (("--benchmark", "nothing"), "no benchmark 'nothing'; known: "),
        (("--fusion", "magic"), "--fusion: unknown rule"),
        (("--pixel", "a", "--pixel", "a"), "--pixel: the same expert is given twice"),
        (("--limit", "0"), "--limit: must be 1 or more"),
        (("--scores", "x.csv", "--pixel", "compact"), "--scores: judged already"),
        (("--scores", "no-such.csv"), "no-such.csv cannot be read"),
        (("--root", "/no/such/folder"), "/no/such/folder"),
    ],
)
def test_wrong_use_is_said_in_a_sentence(evaluate, bench, tmp_path, more, message):
    run = evaluate(*what(bench, tmp_path / "out", *more))
    assert run.code == 2
    assert message in run.err
    assert "Traceback" not in run.err
    assert len(run.err.splitlines()) <= 2


def test_a_folder_without_images_is_no_evaluation(evaluate, tmp_path):
    (tmp_path / "empty").mkdir()
    run = evaluate(*what(tmp_path / "empty", tmp_path / "out"))
    assert run.code == 2
    assert "no image of folder under" in run.err
    assert not (tmp_path / "out" / "table.json").exists()


@pytest.mark.parametrize("action", ["list", "verify", "report"])
def test_actions_have_help_of_their_own(evaluate, action):
    run = evaluate(action, "--help")
    assert run.code == 0
    assert f"aligngemini evaluate {action}" in run.out


def test_the_table_says_what_each_figure_means(evaluate, bench, tmp_path):
    evaluate(*what(bench, tmp_path / "out", "--protocol", "as-is"))
    record = json.loads((tmp_path / "out" / "table.json").read_text())
    assert record["meaning"].keys() == record["lines"][0]["figures"].keys()
    oracle = {name for name, text in record["meaning"].items() if "these very photos" in text}
    assert oracle == {name for name in record["meaning"] if name.endswith("_oracle")}
