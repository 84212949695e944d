"""`aligngemini calibrate` and `detect --calibration` as a user runs them."""

import json

import killed
import pytest
from fixtures.drawn import png, texture

from aligngemini import Detector
from aligngemini.calibration import CalibrationError, read_calibration
from aligngemini.cli import main
from aligngemini.evaluation.scores import read_scores
from aligngemini.evaluation.table_file import read_table

EASY = ("--max-false-alarms", "0.1", "--confidence", "0.8")  # 16 photos are enough


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for k in range(24):
        (folder / f"{k}.png").write_bytes(png(texture(176, 180, seed=k, spread=5 + 3 * k)))
    return folder


@pytest.fixture(scope="module")
def records(photos, tmp_path_factory):
    path = tmp_path_factory.mktemp("records") / "records.jsonl"
    code = main(["detect", str(photos), "--format", "jsonl", "--out", str(path), "--workers", "1"])
    assert code == 0
    return path


@pytest.fixture
def calibrate(capsys):
    def calibrate(*arguments):
        capsys.readouterr()
        try:
            code = main(["calibrate", *map(str, arguments)])
        except SystemExit as end:
            code = end.code
        return (code, *capsys.readouterr())

    return calibrate


def test_thresholds_are_set_and_detection_reads_them(calibrate, photos, records, tmp_path, capsys):
    out = tmp_path / "ours.json"
    given = ("--real", photos, "--scores", records, "--out", out, *EASY)
    code, said, _ = calibrate(*given)
    assert code == 0
    assert "at most 10 % of photos like these are called fake, with 80 % confidence" in said
    file = read_calibration(out)
    assert (file.photos, file.fakes) == (24, 0)
    detector = Detector.load(calibration=out, device="cpu", threads=1)
    verdicts = detector.judge_batch(sorted(photos.iterdir()))
    assert sum(one.verdict == "fake" for one in verdicts) == file.alarms
    pixel = verdicts[0].branches["pixel"]
    assert pixel.threshold == file.branches["pixel"].threshold
    own = json.loads(records.read_text().splitlines()[0])["branches"]["pixel"]["threshold"]
    assert pixel.threshold != own
    record = json.loads(verdicts[0].to_json())
    assert record["calibration"]["max_false_alarms"] == 0.1
    assert record["calibration"]["name"] == f"calibration@{file.fingerprint}"
    assert main(["detect", str(photos / "0.png"), "--calibration", str(out), "--workers", "1"]) == 0
    assert "with 80 % confidence at most 10 % of photos" in capsys.readouterr().out


def test_the_calibration_of_another_detector_is_refused(
    calibrate, photos, records, tmp_path, capsys
):
    out = tmp_path / "ours.json"
    calibrate("--real", photos, "--scores", records, "--out", out, *EASY)
    with pytest.raises(CalibrationError, match="--fusion or"):
        Detector.load(calibration=out, fusion="vote")
    values = json.loads(out.read_text())
    values["models"]["pixel"] = "compact-v1@000000000000"
    out.write_text(json.dumps(values))
    assert main(["detect", str(photos / "0.png"), "--calibration", str(out)]) == 2
    assert "made with the pixel model compact-v1@000000000000" in capsys.readouterr().err


def test_groups_and_too_few_photos(calibrate, photos, records, tmp_path):
    out = tmp_path / "ours.json"
    given = ("--real", photos, "--scores", records, "--out", out)
    code, said, _ = calibrate(*given, *EASY, "--group-by", "format,size")
    assert code == 0
    assert "format PNG: " in said
    assert "size under 0.5 MP: " in said
    code, _, heard = calibrate(*given)
    assert code == 2
    assert "24 photos are too few" in heard
    assert "299" in heard
    code, _, heard = calibrate(*given, *EASY, "--group-by", "camera")
    assert code == 2
    assert "no such column" in heard


def test_images_that_cannot_be_judged_are_counted_and_left_out(calibrate, photos, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(png(texture(60, 60))[:300])
    out = tmp_path / "ours.json"
    code, _, heard = calibrate("--real", photos, broken, "--out", out, *EASY, "--workers", 1)
    assert code == 1
    assert "Left out: images without a verdict: 1." in heard
    assert read_calibration(out).photos == 24
    assert out.with_suffix(".scores.jsonl").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--out", "a.json"), "either --real"),
        (("--manifest", "a.csv", "--fake", "b", "--out", "a.json"), "--fake goes with --real"),
        (("--real", "nowhere", "--out", "a.json", "--confidence", "1"), "between 0 and 1"),
        (("--real", "x", "--out", "no/such/a.json"), "no such folder"),
        (("--real", "x", "--out", "a.json", "--fusion", "sum"), "unknown rule"),
    ],
)
def test_wrong_use_is_one_clear_sentence(calibrate, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    code, _, heard = calibrate(*arguments)
    assert code == 2
    assert message in heard


def test_a_file_that_is_no_calibration_is_refused(photos, tmp_path, capsys):
    (tmp_path / "c.json").write_text("{}")
    with pytest.raises(SystemExit):
        main(["detect", str(photos / "0.png"), "--calibration", str(tmp_path / "c.json")])
    assert "no calibration of this version" in capsys.readouterr().err


@pytest.fixture
def evaluate(tmp_path, monkeypatch, capsys):
    """Runs `aligngemini evaluate` on two photos and two fakes into one folder."""
    for k, label in enumerate(("0_real", "0_real", "1_fake", "1_fake")):
        (tmp_path / "bench" / label).mkdir(parents=True, exist_ok=True)
        pixels = texture(176, 180, seed=100 + k)
        (tmp_path / "bench" / label / f"{k}.png").write_bytes(png(pixels))
    killed.leave_out_slow_parts(monkeypatch.setattr)
    where = ("--benchmark", "folder", "--root", tmp_path / "bench", "--protocol", "as-is")

    def evaluate(*more):
        out = tmp_path / "out"
        assert main(["evaluate", *map(str, (*where, "--out", out, "--workers", 1, *more))]) == 0
        rows = read_scores(out / "scores.parquet")
        return rows, read_table(out / "table.json"), capsys.readouterr().out

    return evaluate


def test_an_evaluation_under_a_calibration_says_so(calibrate, evaluate, photos, records, tmp_path):
    ours = tmp_path / "ours.json"
    assert calibrate("--real", photos, "--scores", records, "--out", ours, *EASY)[0] == 0
    file = read_calibration(ours)
    name = file.guarantee.name
    rows, table, said = evaluate("--calibration", ours)
    assert f"Thresholds of {name}: with 80 % confidence at most 10 %" in said
    assert {row.threshold for row in rows} == {file.branches["pixel"].threshold}
    assert all(row.model.endswith(name) for row in rows if row.branch == "fused")
    assert any(name in note for note in table.notes)
    plain, _, _ = evaluate()  # in the same folder: nothing of the other is taken
    assert {row.threshold for row in plain} != {row.threshold for row in rows}
