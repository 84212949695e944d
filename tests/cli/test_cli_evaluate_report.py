import shutil

import pytest
from fixtures.evaluations import drawn_scores

from aligngemini.cli import main
from aligngemini.evaluation.reports import write_reports
from aligngemini.evaluation.scores import write_scores
from aligngemini.evaluation.table_file import write_table
from aligngemini.evaluation.tables import make_table


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    """What an evaluation leaves behind."""
    out = tmp_path_factory.mktemp("result")
    rows = drawn_scores(count=10, protocols=("as-is",))
    table = make_table(rows, benchmark="genimage", holes={"adm": 3}, notes=["Listed by hand."])
    write_scores(rows, out / "scores.parquet")
    write_table(table, out / "table.json")
    write_reports(table, rows, out)
    return out


def test_the_reports_come_again_as_they_were(evaluated, tmp_path, capsys):
    folder = tmp_path / "copy"
    shutil.copytree(evaluated, folder)
    for path in folder.glob("report.*"):
        path.unlink()
    assert main(["evaluate", "report", str(folder)]) == 0
    written = capsys.readouterr().out.splitlines()
    assert written == [
        str(folder / f"report.{end}") for end in ("html", "md", "csv", "tex", "json")
    ]
    for path in evaluated.glob("report.*"):
        assert (folder / path.name).read_bytes() == path.read_bytes()
    assert "Listed by hand." in (folder / "report.md").read_text(encoding="utf-8")


def test_another_folder_and_no_pictures(evaluated, tmp_path):
    to = tmp_path / "public"
    assert main(["evaluate", "report", str(evaluated), "--to", str(to), "--no-pictures"]) == 0
    assert "Photos that scored highest" in (evaluated / "report.html").read_text(encoding="utf-8")
    assert "Photos that scored" not in (to / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("missing", ["table.json", "scores.parquet"])
def test_what_is_no_result_is_said(evaluated, tmp_path, capsys, missing):
    folder = tmp_path / "copy"
    shutil.copytree(evaluated, folder)
    (folder / missing).unlink()
    assert main(["evaluate", "report", str(folder)]) == 2
    err = capsys.readouterr().err
    assert missing in err
    assert "Traceback" not in err


def test_a_folder_that_cannot_be_made_is_said(evaluated, tmp_path, capsys):
    with pytest.raises(SystemExit) as end:
        main(["evaluate", "report", str(evaluated), "--to", str(tmp_path / "no" / "such")])
    assert end.value.code == 2
    assert "--to: no such folder" in capsys.readouterr().err
