import json

import pytest
from PIL import Image as PILImage

from aligngemini.cli import main


@pytest.fixture
def audit(capsys):
    """Runs `aligngemini audit`: exit code, standard output, standard error."""

    def audit(*arguments):
        capsys.readouterr()
        try:
            code = main(["audit", *map(str, arguments)])
        except SystemExit as end:
            code = end.code
        return code, *capsys.readouterr()

    return audit


@pytest.fixture
def draw(tmp_path):
    """Writes twelve images into a folder and gives it."""

    def draw(name, size, suffix=".png"):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        for number in range(12):
            PILImage.new("RGB", size, (9 * number,) * 3).save(folder / f"{number}{suffix}")
        return folder

    return draw


def test_two_folders_that_differ_in_size(audit, draw):
    real, fake = draw("a", (64, 48)), draw("b", (64, 64))
    code, out, err = audit("--real", real, "--fake", fake)
    assert code == 0
    assert "SOLVED WITHOUT LOOKING AT A PIXEL" in out
    assert "| height" in out
    assert err == ""
    assert audit("--real", real, "--fake", fake, "--strict")[0] == 1


def test_a_folder_whose_subfolders_name_the_classes(audit, draw, tmp_path):
    draw("set/0_real", (64, 64))
    draw("set/1_fake", (64, 64))
    code, out, _ = audit(tmp_path / "set", "--strict")
    assert code == 0
    assert "do not tell photos from fakes" in out


def test_a_manifest_and_every_kind_of_output(audit, draw, tmp_path):
    real, fake = draw("a", (64, 48)), draw("b", (64, 64))
    rows = [
        f"{path},{label}" for label, of in (("real", real), ("fake", fake)) for path in of.iterdir()
    ]
    manifest = tmp_path / "images.csv"
    manifest.write_text("\n".join(["path,label", *rows, "gone.png,fake"]))
    for suffix, begins in ((".json", "{"), (".html", "<!doctype"), (".md", "# Audit")):
        out = tmp_path / f"audit{suffix}"
        code, said, err = audit(manifest, "--out", out, "--sample", "all")
        assert code == 1  # one file is gone
        assert said.startswith("This set can be SOLVED")
        assert "1 file could not be read" in err
        assert out.read_text(encoding="utf-8").lstrip().startswith(begins)
    record = json.loads((tmp_path / "audit.json").read_text())
    assert (record["state"], record["photos"], record["fakes_listed"]) == ("solved", 12, 13)
    assert record["unreadable"][0]["code"] == "not-found"


def test_other_files_in_a_folder_are_counted(audit, draw):
    real, fake = draw("a", (64, 64)), draw("b", (64, 64))
    (real / "notes.txt").write_text("no image")
    code, _, err = audit("--real", real, "--fake", fake)
    assert code == 0
    assert "Left out, no images: 1 files" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--real", "x"], "either SET, or both --real and --fake"),
        (["set.csv", "--real", "x", "--fake", "y"], "either SET, or both"),
        (["set.csv", "--real", "x"], "either SET, or both"),
        (["--real", "x", "--fake", "y", "--benchmark", "genimage"], "how to read SET"),
        (["nowhere.csv"], "no manifest at nowhere.csv"),
        (["nowhere.csv", "--benchmark", "nothing"], "no benchmark 'nothing'"),
        (["set.csv", "--out", "audit.pdf"], "none of .json, .html, .md"),
        (["set.csv", "--out", "no/such/audit.json"], "--out: no such folder"),
        (["set.csv", "--sample", "0"], "--sample"),
    ],
)
def test_wrong_usage_is_one_clear_sentence(audit, arguments, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = audit(*arguments)
    assert code == 2
    assert said in err
    assert "Traceback" not in err
    assert out == ""


def test_an_empty_folder_is_no_set(audit, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    code, _, err = audit("--real", tmp_path / "a", "--fake", tmp_path / "b")
    assert (code, "found no image" in err) == (2, True)


def test_an_output_never_replaces_an_input(audit, tmp_path):
    manifest = tmp_path / "images.csv"
    manifest.write_text("path,label\n")
    link = tmp_path / "audit.json"
    link.symlink_to(manifest)
    code, _, err = audit(manifest, "--out", link)
    assert code == 2
    assert "one of the inputs" in err
