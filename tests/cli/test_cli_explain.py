"""`aligngemini explain`: files and pipes, several records, edited ones and what is no record."""

import io
import json

import pytest

from aligngemini.cli import explain as command
from aligngemini.cli import main
from aligngemini.evidence import Evidence, Problem
from aligngemini.verdict import Verdict

PIXEL = Evidence(
    verdict="undecided", score=0.5, threshold=0.9, threshold_real=0.3, model="compact@1"
)
FIRST = Verdict("first.jpg", "1" * 64, verdict="undecided", score=0.5, branches={"pixel": PIXEL})
SECOND = Verdict("second.jpg", error=Problem("empty", "the file is empty"))


@pytest.fixture
def explain(tmp_path, capsys):
    """Runs the command on a file of this text; gives exit code, output and errors."""

    def run(text, *options):
        path = tmp_path / "records"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        code = main(["explain", str(path), *options])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.mark.parametrize(
    "text",
    [
        f"{FIRST.to_json()}\n{SECOND.to_json()}\n",
        f"[\n{FIRST.to_json()},\n{SECOND.to_json()}\n]\n",
        json.dumps([FIRST.to_dict(), SECOND.to_dict()], indent=2),
    ],
    ids=["jsonl", "json", "indented"],
)
def test_every_record_of_a_file_is_explained(explain, text):
    code, out, err = explain(text)
    assert (code, err) == (0, "")
    assert out.count("What it means") == 2
    assert out.index("first.jpg") < out.index("second.jpg")
    assert "Pixels with a score from 0.90 up instead of 0.50" in out
    assert out.count("matches") == 2


def test_one_record_over_several_lines(explain):
    code, out, _ = explain(json.dumps(FIRST.to_dict(), indent=4))
    assert (code, out.count("What it means")) == (0, 1)


def test_one_is_found_by_the_beginning_of_its_id(explain):
    text = f"{FIRST.to_json()}\n{SECOND.to_json()}\n"
    code, out, _ = explain(text, "--id", SECOND.id[:10])
    assert code == 0
    assert "second.jpg" in out
    assert "first.jpg" not in out
    code, out, err = explain(text, "--id", "zzz")
    assert (code, out) == (2, "")
    assert "no record" in err


def test_from_standard_input(monkeypatch, capsys):
    stdin = io.TextIOWrapper(io.BytesIO(FIRST.to_json().encode()))
    monkeypatch.setattr("sys.stdin", stdin)
    assert main(["explain", "-"]) == 0
    assert "first.jpg" in capsys.readouterr().out


def test_an_edited_record_is_said_and_is_exit_code_1(explain):
    code, out, _ = explain(FIRST.to_json().replace('"undecided"', '"real"', 1))
    assert code == 1
    assert "CHANGED since it was written" in out


def test_one_bad_line_costs_the_others_nothing(explain):
    bad = '{"path": 1, "verdict": null, "branches": {}, "error": null}'
    code, out, err = explain(f"{FIRST.to_json()}\nno json\n{bad}\n{SECOND.to_json()}\n")
    assert code == 1
    assert out.count("What it means") == 2
    assert "line 2: no JSON" in err
    assert "line 3: path must be a text" in err


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "the input is empty"),
        ("[]", "the list is empty"),
        (b"\xff\xfe\x00", "is no text"),
        (b" " * 4097, "more than 0 MB"),
    ],
    ids=["empty", "empty list", "bytes", "huge"],
)
def test_where_there_is_no_record_the_exit_code_is_2(explain, monkeypatch, text, told):
    monkeypatch.setattr(command, "MOST_BYTES", 4096)
    code, out, err = explain(text)
    assert (code, out) == (2, "")
    assert told in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, '{"a":' * 100_000, '{"path": NaN}', "7", '"text"', "[[[[]]]]"],
)
def test_hostile_json_is_one_clear_line(explain, text):
    code, out, err = explain(text)
    assert code in (1, 2)
    assert out == ""
    assert "Traceback" not in err
    assert err.startswith("aligngemini explain: ")


def test_text_of_a_hostile_record_cannot_steer_the_terminal(explain):
    hostile = Verdict("\x1b[2Jname\u202e.jpg", error=Problem("corrupt", "\x1b[31mred"))
    code, out, _ = explain(hostile.to_json())
    assert code == 0
    assert "\x1b" not in out
    assert "\u202e" not in out


def test_missing_file_and_missing_argument(capsys):
    assert main(["explain", "nowhere.jsonl"]) == 2
    assert "cannot read nowhere.jsonl" in capsys.readouterr().err
    assert main(["explain"]) == 2
    assert "RECORD" in capsys.readouterr().out
