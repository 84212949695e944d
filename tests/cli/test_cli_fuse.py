"""`aligngemini fuse fit` as a user runs it, with the shipped command line around a small model."""

import csv
import json
from pathlib import Path

import pytest
from fixtures.drawn import png, striped
from fixtures.models import brightness_folder

from aligngemini.cli import main
from aligngemini.fusion.fitted import FittedRule

PHOTOS = 40


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return brightness_folder(tmp_path_factory.mktemp("models") / "brightness", gain=1 / 40)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Dark photos and bright fakes that overlap a little, and one file that is no image."""
    folder = tmp_path_factory.mktemp("pictures")
    rows = []
    for k in range(PHOTOS):
        for label, grey, width in (("real", 80 + k, 40), ("fake", 110 + 2 * k, 48)):
            name = f"{label}-{k}.png"
            (folder / name).write_bytes(png(striped(40, width, grey)))
            rows.append((name, label))
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    write_manifest(folder / "images.csv", [*rows, ("broken.png", "fake")])
    return folder


def write_manifest(path, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label"), *rows])


@pytest.fixture
def say(capsys):
    """Runs `aligngemini` in this process."""

    def say(*arguments):
        capsys.readouterr()
        try:
            code = main([*map(str, arguments)])
        except SystemExit as end:
            code = end.code
        return (code, *capsys.readouterr())

    return say


@pytest.fixture(scope="module")
def scores(tmp_path_factory, pictures, model):
    """Records of all pictures."""
    path = tmp_path_factory.mktemp("scores") / "scores.jsonl"
    command = ["detect", str(pictures), "--pixel", str(model), "--out", str(path), "--workers", "1"]
    assert main(command) == 1  # one file is broken
    return path


def test_from_records_to_a_rule_that_detect_takes(say, scores, pictures, model, tmp_path):
    out = tmp_path / "fusion.json"
    code, said, err = say(
        *("fuse", "fit", "--scores", scores, "--manifest", pictures / "images.csv"),
        *("--out", out, "--false-alarm-rate", "0.1"),
    )
    assert (code, err) == (0, "Left out: images without a verdict: 1.\n")
    rule = FittedRule.read(out)
    (one,) = rule.file.combinations
    assert rule.file.fitted_on == f"images.csv, {PHOTOS} photos and {PHOTOS} fakes"
    assert said.startswith(f"{out}: learned, fitted on images.csv")
    assert f"of {one.photos} called fake" in said
    assert one.photos + one.fakes == 27  # a third

    fake = pictures / f"fake-{PHOTOS - 1}.png"
    code, said, _ = say("detect", fake, "--pixel", model, "--fusion", out, "--format", "jsonl")
    record = json.loads(said)
    assert (code, record["verdict"], record["fusion"]) == (0, "fake", "learned")
    assert record["fused"]["model"] == rule.model
    assert record["fused"]["threshold"] == one.threshold
    said = say("detect", fake, "--pixel", model, "--fusion", out)[1]
    assert "Fusion      learned: signs found" in said
    assert "held-out photos" in said.replace("\n", " ")


def test_with_a_manifest_alone_the_images_are_judged_and_the_scores_kept(
    say, scores, pictures, model, tmp_path
):
    manifest = pictures / "images.csv"
    judged, read = tmp_path / "judged.json", tmp_path / "read.json"
    code, _, err = say(
        *("fuse", "fit", "--manifest", manifest, "--pixel", model, "--workers", "1"),
        *("--out", judged),
    )
    assert code == 0
    kept = tmp_path / "judged.scores.jsonl"
    assert str(kept) in err
    assert len(kept.read_text().splitlines()) == 2 * PHOTOS + 1
    for records in (scores, kept):
        say("fuse", "fit", "--manifest", manifest, "--scores", records, "--out", read)
        assert read.read_bytes() == judged.read_bytes()


def test_records_are_found_by_content_and_what_is_left_out_is_counted(
    say, scores, pictures, tmp_path
):
    """The same files elsewhere, some never judged, and records nobody has a label for."""
    rows = []
    for k in range(PHOTOS):
        for label in ("real", "fake"):
            copy = tmp_path / f"{label}{k}-copy.png"
            copy.write_bytes((pictures / f"{label}-{k}.png").read_bytes())
            rows.append((copy.name, label))
    (tmp_path / "new.png").write_bytes(png(striped(40, 40, 250)))
    rows += [("new.png", "fake"), ("gone.png", "fake")]
    write_manifest(tmp_path / "copies.csv", rows[2:])
    out = tmp_path / "fusion.json"
    arguments = ("--scores", scores, "--manifest", tmp_path / "copies.csv", "--out", out)
    code, _, err = say("fuse", "fit", *arguments)
    assert code == 0
    assert "Left out: rows of the manifest without a record: 2." in err
    assert "Left out: records without a row in the manifest: 3." in err
    assert FittedRule.read(out).file.fitted_on.endswith(
        f"{PHOTOS - 1} photos and {PHOTOS - 1} fakes"
    )


def test_other_models_than_fitted_on_are_refused(say, scores, pictures, tmp_path):
    out = tmp_path / "fusion.json"
    manifest = pictures / "images.csv"
    assert say("fuse", "fit", "--scores", scores, "--manifest", manifest, "--out", out)[0] == 0
    other = brightness_folder(tmp_path / "other", gain=1 / 41)
    image = pictures / "real-1.png"
    code, said, err = say("detect", image, "--pixel", other, "--fusion", out)
    assert (code, said) == (2, "")
    assert "take that model, or fit again" in err
    assert "Traceback" not in err


@pytest.fixture
def fit(say, scores, pictures, tmp_path):
    """Runs `aligngemini fuse fit`, beside files of records that are no good."""
    lines = scores.read_text().splitlines(keepends=True)
    (tmp_path / "bad.jsonl").write_text(f"{lines[0]}[]\n")
    (tmp_path / "few.jsonl").write_text("".join(lines[:9]))
    manifest = (pictures / "images.csv").read_bytes()

    def fit(*given):
        arguments = [argument.format(tmp=tmp_path, pictures=pictures) for argument in given]
        if "--manifest" not in given:
            arguments += ["--manifest", pictures / "images.csv"]
        if "--out" not in given:
            arguments += ["--out", tmp_path / "fusion.json"]
        return say("fuse", "fit", *arguments)

    yield fit
    assert (pictures / "images.csv").read_bytes() == manifest


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--rule", "magic"], "magic"),
        (["--false-alarm-rate", "0.5"], "between 0 and 0.5"),
        (["--scores", "{tmp}/none.jsonl"], "cannot read"),
        (["--scores", "{tmp}/bad.jsonl"], "bad.jsonl, line 2: no record"),
        (["--scores", "{tmp}/few.jsonl"], "too few"),
        (["--scores", "{tmp}/few.jsonl", "--pixel", "compact"], "judged already"),
        (["--manifest", "{tmp}/none.csv"], "no manifest"),
        (["--out", "{tmp}/none/fusion.json"], "no such folder"),
        (["--out", "{pictures}/images.csv"], "is one of the inputs"),
        (["--pixel", "off", "--pixel", "compact"], "leave one of them out"),
    ],
)
def test_wrong_use_is_said_in_one_sentence_and_leaves_nothing(fit, tmp_path, given, said):
    before = sorted(tmp_path.iterdir())
    code, out, err = fit(*given)
    assert (code, out) == (2, "")
    assert said in err
    assert "Traceback" not in err
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("arguments", [["--help"], []])
def test_help_teaches(say, arguments):
    code, out, _ = say("fuse", *arguments)
    assert code == (0 if arguments else 2)
    for word in ("--scores", "logistic regression", "held-out", "--false-alarm-rate"):
        assert word in out
    assert out.count("\n  aligngemini ") >= 4
    assert max(map(len, out.splitlines())) <= 82


def test_a_cascade_is_told_in_the_summary(say, pictures, model, tmp_path):
    """Two experts: the first settles what it calls fake."""
    strict = brightness_folder(tmp_path / "strict", threshold=0.9)
    bright, dark = pictures / "fake-39.png", pictures / "real-0.png"
    experts = ("--pixel", model, "--pixel", strict)
    code, said, _ = say("detect", bright, dark, *experts, "--cascade", "--workers", "1")
    assert code == 0
    assert "The pixel-2 branch was not needed for 1 of 2 inputs." in said
    assert "not run: not needed" not in said


def test_disagreement_is_told(say, pictures, model, tmp_path):
    never = brightness_folder(tmp_path / "never", threshold=1.0, threshold_real=1.0)
    experts = ("--pixel", model, "--pixel", never)
    image = pictures / "fake-39.png"
    report = tmp_path / "page.html"
    one = say("detect", image, *experts, "--workers", "1", "--report", report)[1]
    two = say("detect", image, pictures / "real-0.png", *experts, "--workers", "1")[1]
    for said in (one, two):
        assert said.lower().count("the branches disagree") == 1
    page = report.read_text(encoding="utf-8").lower()
    assert page.count("the branches disagree") == 2  # on the card, and where it is explained
    rows = say("detect", image, *experts, "--workers", "1", "--format", "csv")[1]
    (row,) = csv.DictReader(rows.splitlines())
    assert row["disagreement"] == "true"


def test_a_rule_with_its_own_score_keeps_the_heatmap(say, pictures, model, tmp_path):
    maps = tmp_path / "maps"
    image = pictures / "fake-39.png"
    other = brightness_folder(tmp_path / "other", gain=1 / 20)
    experts = ("--pixel", model, "--pixel", other)
    arguments = (*experts, "--fusion", "weighted", "--heatmaps", maps)
    assert say("detect", image, *arguments, "--workers", "1")[0] == 0
    assert [Path(file).suffix for file in maps.iterdir()] == [".png"]
