"""`aligngemini build semantic-set` as a user runs it."""

import json
import re
import subprocess
import sys

import pyarrow.parquet as pq
import pytest
from fixtures.drawn import png, texture
from fixtures.scenes import write_echo, write_scenes
from fixtures.vlm import tiny_vlm_folder

from aligngemini.cli import main
from aligngemini.datasets.manifest import Row, read_manifest, write_manifest

SMALL = ("--max-side", "64", "--min-side", "40")


@pytest.fixture
def build(capsys):
    """Runs the command in this process."""

    def build(*arguments):
        capsys.readouterr()
        try:
            code = main(["build", "semantic-set", *map(str, arguments)])
        except SystemExit as end:
            code = end.code
        return (code, *capsys.readouterr())

    return build


@pytest.fixture
def scenes(tmp_path):
    return write_scenes(tmp_path / "in", 3, size=(60, 70))


def inputs(folder):
    return ("--real", folder / "real", "--fake", folder / "fake")


def test_photos_and_surreal_images_become_a_set(build, scenes, tmp_path):
    out = tmp_path / "set"
    code, said, heard = build(*inputs(scenes), "--out", out, *SMALL)
    assert (code, said) == (0, f"{out}: 3 pairs of a real and a fake image\n")
    assert (
        heard == "leakage was not measured: 3 pairs are too few to measure leakage; it takes 20\n"
    )
    assert {path.name for path in out.iterdir()} == {
        *("images", "manifest.parquet", "preferences", "prompt.json"),
        *("leakage.json", "failed.csv", "settings.json", "journal"),
    }
    assert json.loads((out / "leakage.json").read_text())["leaks"] is None
    before = (out / "manifest.parquet").read_bytes()
    assert build(*inputs(scenes), "--out", out, *SMALL)[0] == 0
    assert (out / "manifest.parquet").read_bytes() == before


def test_every_option_reaches_the_set(build, scenes, tmp_path):
    out = tmp_path / "set"
    ranges = ("--scale", 0.3, 0.3, "--noise", 1, 1, "--blur", 2, 2, "--quality", 20, 20)
    rest = ("--count", 2, "--seed", 9, "--split-val", 1, "--workers", 2)
    assert build(*inputs(scenes), "--out", out, *SMALL, *ranges, *rest)[0] == 0
    rows = read_manifest(out / "manifest.parquet")
    drawn = [[row.extra[k] for k in ("scale", "noise", "blur", "jpeg_quality")] for row in rows]
    assert drawn == [[0.3, 1, 2, 20]] * 4
    assert {row.split for row in rows} == {"val"}
    assert max(row.extra["width"] for row in rows) == 64
    assert json.loads((out / "settings.json").read_text())["seed"] == 9


def test_echo_4o_and_several_paths_an_option(build, tmp_path):
    write_scenes(tmp_path / "a", 2)
    write_scenes(tmp_path / "b", 2, first=50)
    write_echo(tmp_path / "Echo-4o-Image", 3)
    reals = (tmp_path / "a/real", tmp_path / "b/real")
    out = tmp_path / "set"
    fakes = ("--fake", tmp_path / "Echo-4o-Image", "--fake", tmp_path / "a/fake/*.png")
    code, said, _ = build("--real", *reals, *fakes, "--out", out, *SMALL)
    assert (code, said) == (0, f"{out}: 4 pairs of a real and a fake image\n")


def test_a_manifest_of_both_classes(build, scenes, tmp_path):
    rows = [
        Row(str(path), label, "" if label == "real" else "dreamer")
        for label in ("real", "fake")
        for path in sorted((scenes / label).iterdir())
    ]
    write_manifest(rows, tmp_path / "images.csv")
    code, said, _ = build("--manifest", tmp_path / "images.csv", "--out", tmp_path / "set", *SMALL)
    assert code == 0
    assert "3 pairs" in said


def test_fewer_images_than_asked_for_are_said(build, scenes, tmp_path):
    code, said, heard = build(*inputs(scenes), "--out", tmp_path / "set", *SMALL, "--count", 4)
    assert (code, "3 pairs" in said) == (1, True)
    assert "--count 4: there are not as many usable images" in heard


def test_a_set_that_leaks_is_said_loudly_and_stays(build, tmp_path):
    scenes = write_scenes(tmp_path / "in", 30, trace=True, size=(96, 96))
    out = tmp_path / "set"
    weak = ("--scale", 1, 1, "--noise", 0, 0, "--blur", 0, 0, "--quality", 95, 95)
    code, said, heard = build(*inputs(scenes), "--out", out, *weak, "--min-side", 90)
    assert code == 1
    assert re.search(r"pixels alone: balanced accuracy (0\.[89]\d|1\.00) .+ limit 0\.60", said)
    assert "THIS SET LEAKS" in heard
    assert "leakage.json" in heard
    report = json.loads((out / "leakage.json").read_text())
    assert report["leaks"]
    assert report["limit"] == 0.6
    assert report["balanced_accuracy"]["value"] > 0.8
    assert pq.read_table(out / "preferences/train.parquet").num_rows >= 50
    code, said, heard = build(
        *inputs(scenes), "--out", out, *weak, "--min-side", 90, "--probe-limit", 1
    )
    assert (code, "LEAKS" in heard) == (0, False)


def test_an_image_that_cannot_be_used_is_listed_and_exit_code_1(build, scenes, tmp_path):
    (scenes / "real/broken.png").write_bytes(png(texture(60, 70))[:400])
    out = tmp_path / "set"
    code, _, heard = build(*inputs(scenes), "--out", out, *SMALL)
    if code == 0:  # three others came first
        assert "broken" not in (out / "failed.csv").read_text()
    (scenes / "real/0.png").write_bytes(b"")
    code, said, heard = build(*inputs(scenes), "--out", tmp_path / "again", *SMALL)
    assert code == 1
    assert "2 pairs" in said
    assert "2 images could not be used" in heard
    assert str(tmp_path / "again/failed.csv") in heard


def test_a_model_in_this_process_writes_the_rationales(build, scenes, tmp_path):
    base = tiny_vlm_folder(tmp_path / "base")
    out = tmp_path / "set"
    options = ("--rationales", "model", "--model", base, "--device", "cpu")
    code, _, heard = build(*inputs(scenes), "--out", out, *SMALL, *options, "--count", 1)
    (journal,) = out.glob("rationales-*.jsonl")
    records = [json.loads(line) for line in journal.read_text().splitlines()]
    assert code == 0, heard
    assert sorted((record["image"].split("/")[1], record["label"]) for record in records) == [
        *(("fake", "fake"), ("fake", "real"), ("real", "fake"), ("real", "real")),
    ]
    files = sorted((out / "preferences").iterdir())
    answers = [
        message["content"]
        for file in files
        for side in ("chosen", "rejected")
        for (message,) in pq.read_table(file)[side].to_pylist()
    ]
    texts = {record["text"] for record in records}
    assert all(
        re.fullmatch(r"This image is (fake|real)\. .+", answer, re.DOTALL) for answer in answers
    )
    assert {answer.split(". ", 1)[1] for answer in answers} == texts


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "--real and --fake, or --manifest"),
        (("--real", "{in}/real"), "--real and --fake, or --manifest"),
        (("--real", "{in}/real", "--fake", "{in}/none/*"), "no pair could be made"),
        (("--real", "{in}/real", "--fake", "{in}/empty"), "found no fake image"),
        (("--manifest", "{in}/none.csv"), "no manifest at"),
        (("{both}", "--rationales", "poem"), "--rationales: prefix, model, or the URL"),
        (("{both}", "--rationales", "model", "--model", "{in}/empty"), "empty"),
        (("{both}", "--rationales", "http://127.0.0.1:9/v1"), "127.0.0.1:9"),
        (("{both}", "--rationales", "ftp://server/v1"), "no URL of a server"),
        (("{both}", "--scale", "0.5", "0.2"), "scale must be two numbers"),
        (("{both}", "--quality", "30.5", "70"), "--quality"),
        (("{both}", "--noise", "3"), "--noise"),
        (("{both}", "--seed", "-1"), "must be 0 or more"),
        (("{both}", "--probe-limit", "2"), "must lie between 0 and 1"),
        (("{both}", "--count", "0"), "must be 1 or more"),
        (("{both}", "--out", "{in}/real/set"), "lies among the images"),
        (("{both}", "--out", "{in}"), "holds no semantic set"),
    ],
)
def test_wrong_use_is_exit_code_2_and_one_sentence(build, scenes, tmp_path, arguments, said):
    (scenes / "empty").mkdir()
    given = []
    for argument in arguments:
        if argument == "{both}":
            given += inputs(scenes)
        else:
            given.append(argument.replace("{in}", str(scenes)))
    out = () if "--out" in given else ("--out", tmp_path / "set")
    code, printed, heard = build(*given, *out, *SMALL)
    assert (code, printed) == (2, "")
    assert said in heard
    assert "Traceback" not in heard
    assert len(heard.splitlines()) <= 2
    assert not (tmp_path / "set/manifest.parquet").exists()


def test_help_says_enough_and_loads_nothing_heavy(build):
    script = (
        "import sys\n"
        "from aligngemini.cli import main\n"
        "try: main(['build', 'semantic-set', '--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'PIL', 'rich', 'torch', 'transformers', 'datasets', 'sklearn'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    *lines, heavy = run.stdout.splitlines()
    assert heavy == "[]"
    assert max(map(len, lines)) <= 82
    text = "\n".join(lines)
    assert text.count("\n  aligngemini build semantic-set ") >= 3
    for word in ("Echo-4o", "leakage.json", "exit codes", "prefix", "http://"):
        assert word in text
    assert build()[0] == 2


def test_building_anything_else_names_both_sets(capsys):
    with pytest.raises(SystemExit):
        main(["build", "--help"])
    assert "aligngemini build semantic-set" in capsys.readouterr().out
