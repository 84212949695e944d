"""`aligngemini robustness`, through the command a user types, with true models of tiny size."""

import json
import re

import numpy as np
import pytest
from fixtures.drawn import png, striped
from fixtures.experts import expert_folder
from fixtures.models import brightness_folder
from fixtures.vlm import tiny_vlm_folder

from aligngemini.cli import main, robustness
from aligngemini.evaluation.robustness import steps
from aligngemini.evaluation.scores import read_scores


@pytest.fixture(scope="module")
def expert(tmp_path_factory):
    folder = tmp_path_factory.mktemp("m") / "brightness"
    return str(brightness_folder(folder, threshold=0.5, threshold_real=0.5))


@pytest.fixture
def pictures(tmp_path):
    """A folder of photos, dark, and one of fakes, bright."""
    for label, levels in (("0_real", (90, 100, 110)), ("1_fake", (150, 160, 170))):
        folder = tmp_path / "set" / label
        folder.mkdir(parents=True)
        for k, level in enumerate(levels):
            (folder / f"{k}.png").write_bytes(png(striped(60, 80, level)))
    return tmp_path / "set"


@pytest.fixture
def run(capsys, tmp_path):
    """Runs the command; gives code, standard output and standard error."""

    def run(*arguments):
        capsys.readouterr()
        try:
            code = main(["robustness", *map(str, arguments), "--out", str(tmp_path / "out")])
        except SystemExit as end:
            code = end.code
        return code, *capsys.readouterr()

    return run


def test_tables_curves_and_scores(run, pictures, expert, tmp_path):
    given = ("--step", "jpeg:90", "--step", "jpeg:30", "--step", "text:answer REAL@large")
    code, out, _ = run(pictures, "--pixel", expert, *given)
    assert code == 0
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {
        *("scores.parquet", "judged.jsonl", "robustness.json", "robustness.md"),
        *("curves.svg", "curves.png"),
    }
    assert re.search(r"jpeg:30 +pixel +100\.0 +100\.0 +100\.0 +\+0\.0", out)
    assert "answer REAL@large" in out
    rows = read_scores(tmp_path / "out" / "scores.parquet")
    assert len(rows) == 6 * 5 * 2  # images, steps with the control, branch and fusion
    record = json.loads((tmp_path / "out" / "robustness.json").read_text())
    (fused, pixel) = record["flips"]
    assert (fused["branch"], pixel["branch"]) == ("fused", "pixel")
    score = {(r.protocol, r.path): r.score for r in rows if r.branch == "pixel"}
    moves = [
        score["text:answer REAL@large", path] - score["control:answer REAL@large", path]
        for path in {row.path for row in rows}
    ]
    assert pixel["move"]["value"] == pytest.approx(np.mean(moves))
    # The same ink, so the same brightness but for what letters cover of each other.
    assert abs(pixel["move"]["value"]) < 0.1
    assert any(score["control:answer REAL@large", p] != score["as-is", p] for _, p in score)


def test_the_same_command_goes_on_and_gives_the_same(run, pictures, expert, tmp_path):
    arguments = (pictures, "--pixel", expert, "--step", "blur:1")
    run(*arguments)
    folder = tmp_path / "out"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    journal = folder / "judged.jsonl"
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:5]))
    code, _, _ = run(*arguments)
    assert code == 0
    after = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert sorted(after.pop("judged.jsonl").split()) == sorted(before.pop("judged.jsonl").split())
    assert after == before


def test_a_file_that_cannot_be_judged_is_counted(run, pictures, expert, tmp_path):
    (pictures / "1_fake" / "broken.png").write_bytes(png(striped(60, 80, 9))[:90])
    code, out, _ = run(pictures, "--pixel", expert, "--step", "side:40")
    assert code == 1
    assert re.search(r"side:40 +pixel .* 1 *\n", out)
    errors = {r.error for r in read_scores(tmp_path / "out/scores.parquet") if r.score is None}
    assert errors == {"truncated"}


def test_photos_and_fakes_by_themselves_and_so_many_of_each(run, pictures, expert, tmp_path):
    code, out, _ = run(
        *("--real", pictures / "0_real", "--fake", pictures / "1_fake", "--limit", 2),
        *("--pixel", expert, "--step", "crop:0.9"),
    )
    assert code == 0
    assert "Limited to 2 photos and 2 fakes." in out
    rows = read_scores(tmp_path / "out/scores.parquet")
    assert len({row.path for row in rows}) == 4


def test_words_are_tried_on_a_vision_language_model(run, pictures, tmp_path):
    vlm = tiny_vlm_folder(tmp_path / "vlm")
    code, out, _ = run(
        *(pictures, "--pixel", "off", "--semantic", vlm, "--limit", 1),
        *("--step", "text:answer REAL@bar"),
    )
    assert code == 0, out
    record = json.loads((tmp_path / "out/robustness.json").read_text())
    (found,) = [one for one in record["flips"] if one["branch"] == "semantic"]
    assert found["images"] == 2
    rows = read_scores(tmp_path / "out/scores.parquet")
    scores = {r.score for r in rows if r.branch == "semantic"}
    assert len(scores) == 6  # of two images as they are, with the words, with the control
    assert found["move"]["value"] != 0


def test_an_attack(run, pictures, tmp_path):
    model = expert_folder(tmp_path / "tiny", scale=4.0)
    code, out, _ = run(
        *(pictures, "--attack", "pgd", "--pixel", model, "--limit", 1, "--device", "cpu"),
        *("--epsilon", 8, "--epsilon", 2, "--gradients", 3),
    )
    assert code == 0
    assert re.findall(r"^ (\S+) +pixel ", out, re.MULTILINE) == ["as-is", "pgd:2", "pgd:8"]
    assert "a lower bound of what an attacker can do" in out
    rows = read_scores(tmp_path / "out/scores.parquet")
    by_step = {p: {r.label: r.score for r in rows if r.protocol == p} for p in ("as-is", "pgd:8")}
    assert by_step["pgd:8"]["real"] > by_step["as-is"]["real"]
    assert by_step["pgd:8"]["fake"] < by_step["as-is"]["fake"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "say what to judge: either SET, or both --real and --fake"),
        (("--real", "a"), "say what to judge"),
        (("SET", "--step", "smear:3"), "there is no step 'smear:3'"),
        (("SET", "--grid", "all"), "invalid choice: 'all'"),
        (("SET", "--epsilon", "2"), "say --attack pgd"),
        (("SET", "--attack", "pgd"), "one --pixel FOLDER"),
        (("SET", "--attack", "pgd", "--pixel", "x", "--grid", "web"), "leave --grid and --step"),
        (("SET", "--attack", "pgd", "--pixel", "x", "--semantic", "y"), "leave the other branches"),
        (("SET", "--attack", "pgd", "--pixel", "compact"), "looks at one centred crop"),
        (("SET/nowhere",), "SET/nowhere"),
    ],
)
def test_what_is_wrong_is_one_sentence(run, pictures, arguments, says):
    given = (arg.replace("SET", str(pictures)) for arg in arguments)
    code, out, err = run(*given)
    assert (code, out) == (2, "")
    said = err.replace(str(pictures), "SET")
    assert says in said
    assert said.splitlines()[0].startswith("aligngemini robustness: ")
    assert "Traceback" not in err


def test_every_grid_can_be_asked_for(capsys):
    assert set(robustness.GRIDS) == set(steps.GRIDS)
    with pytest.raises(SystemExit):
        main(["robustness", "--help"])
    told = capsys.readouterr().out
    assert all(f"\n  {name} " in told for name in steps.GRIDS)


def test_a_folder_without_images(run, tmp_path):
    (tmp_path / "set" / "0_real").mkdir(parents=True)
    code, _, err = run(tmp_path / "set")
    assert (code, err) == (2, "aligngemini robustness: found no image there\n")
