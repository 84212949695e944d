"""`aligngemini experiment`, as it is typed."""

import subprocess
import sys

import pytest

from aligngemini.cli import main
from aligngemini.experiments.registry import STUDIES


def test_help_teaches_and_loads_nothing_heavy():
    code = (
        "import sys; from aligngemini.cli import main\n"
        "try: main(['experiment', '--help'])\n"
        "except SystemExit: pass\n"
        "assert not {'torch', 'transformers', 'sklearn', 'matplotlib'} & set(sys.modules)"
    )
    command = [sys.executable, "-c", code]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    assert "aligngemini experiment alignment" in found.stdout


def test_a_study_runs_from_the_command_line(tmp_path, capsys):
    out = tmp_path / "out"
    code = main(["experiment", "subtle", "--scale", "smoke", "--seeds", "2", "--out", str(out)])
    assert code == 0
    shown = capsys.readouterr()
    assert shown.out.startswith("# subtle: ")
    assert "aligngemini experiment subtle --scale smoke --seeds 2" in shown.out
    assert "subtle: gross, seed 0" in shown.err
    for name in ("conclusion.md", "table.md", "results.json", "figure.png", "figure.svg"):
        assert (out / name).stat().st_size > 100


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nonsense"], "there is no study 'nonsense'; there are "),
        (["subtle", "--data", "."], "the study subtle takes no --data"),
        (["alignment", "--scale", "smoke", "--data", "nowhere"], "--data nowhere is no folder"),
    ],
)
def test_wrong_use_is_one_sentence(tmp_path, monkeypatch, capsys, arguments, says):
    monkeypatch.chdir(tmp_path)
    assert main(["experiment", *arguments]) == 2
    shown = capsys.readouterr()
    assert says in shown.err
    assert shown.err.count("\n") == 1
    assert not shown.out


def test_one_seed_is_refused(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["experiment", "subtle", "--seeds", "1"])
    assert stopped.value.code == 2
    assert "must be 2 or more" in capsys.readouterr().err


def test_list_says_what_each_asks(capsys):
    assert main(["experiment", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(STUDIES)
    assert all(line.endswith("?") for line in lines)
