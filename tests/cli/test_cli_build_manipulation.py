"""`aligngemini build manipulation-set` as a user runs it."""

import json

import numpy as np
import pytest
from fixtures import inpainters
from fixtures import vaes as tiny_vaes
from fixtures.drawn import png, texture
from PIL import Image

from aligngemini.cli import main
from aligngemini.datasets.manifest import read_manifest


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for seed in range(3):
        (folder / f"{seed}.png").write_bytes(png(texture(80, 100, seed=seed)))
    return folder


@pytest.fixture
def build(capsys):
    """Runs the command in this process."""

    def build(*arguments):
        capsys.readouterr()
        try:
            code = main(["build", "manipulation-set", *map(str, arguments)])
        except SystemExit as end:
            code = end.code
        return (code, *capsys.readouterr())

    return build


def kinds_of(out):
    rows = read_manifest(out / "manifest.parquet")
    return {str(row.extra["manipulation"]) for row in rows}


def test_without_models_three_kinds_are_made(build, photos, tmp_path):
    out = tmp_path / "set"
    code, said, _ = build(photos, "--out", out)
    assert (code, said) == (0, f"{out}: 9 edited copies of 3 photos\n")
    assert kinds_of(out) == {"none", "inpaint-classical", "copy-move", "splice"}
    assert (out / "contact-sheet.png").is_file()


def test_models_add_their_kinds(build, photos, tmp_path):
    vae = tiny_vaes.tiny(tmp_path / "tiny")
    pipeline = inpainters.inpainter(tmp_path / "pipeline")
    out = tmp_path / "set"
    options = ("--vae", vae, "--inpainter", pipeline, "--steps", 2, "--limit", 1)
    code, _, said = build(photos, "--out", out, "--device", "cpu", *options)
    assert code == 1  # one photo has no donor for a splice
    assert "failed.csv says why" in said
    assert kinds_of(out) == {"none", "inpaint-classical", "copy-move", "vae-region", "inpaint"}
    made = {row.generator for row in read_manifest(out / "manifest.parquet")}
    assert made == {"", "tiny", "pipeline"}


def test_options_reach_the_set(build, photos, tmp_path):
    out = tmp_path / "set"
    fakes = tmp_path / "dalle"
    fakes.mkdir()
    (fakes / "f.png").write_bytes(png(texture(64, 64, seed=9)))
    code, said, _ = build(
        *(photos, "--out", out, "--kind", "copy-move", "--per-photo", 2, "--fakes", fakes),
        *("--moved-label", "real", "--split-val", 1, "--max-side", 64, "--blend", "hard"),
        *("--area", 0.1, 0.2, "--perturb", 0, "--seed", 5, "--limit", 2, "--workers", 2),
    )
    assert code == 0
    assert said == f"{out}: 4 edited copies of 2 photos and 1 whole AI images\n"
    rows = read_manifest(out / "manifest.parquet")
    assert {row.split for row in rows} == {"val"}
    assert {row.generator for row in rows if row.label == "fake"} == {"dalle"}
    assert {(row.extra["width"], row.extra["height"]) for row in rows} == {(64, 64)}
    copies = [row for row in rows if row.extra["manipulation"] == "copy-move"]
    assert {row.label for row in copies} == {"real"}
    assert {row.extra["blend"] for row in copies} == {"hard"}
    assert all(0.1 <= row.extra["area"] <= 0.2 for row in copies)
    settings = json.loads((out / "settings.json").read_text())
    assert settings["seed"] == 5


def test_coco_masks(build, photos, tmp_path):
    image = {"id": 1, "file_name": "0.png", "height": 80, "width": 100}
    box = {"id": 1, "image_id": 1, "segmentation": [[20, 20, 60, 20, 60, 60, 20, 60]]}
    file = tmp_path / "instances.json"
    file.write_text(json.dumps({"images": [image], "annotations": [box]}))
    out = tmp_path / "set"
    options = ("--kind", "inpaint-classical", "--masks", f"coco:{file}", "--limit", 1)
    code, _, _ = build(photos, "--out", out, *options)
    assert code == 0
    (row,) = [row for row in read_manifest(out / "manifest.parquet") if row.pair]
    mask = np.asarray(Image.open(out / str(row.extra["mask_moved"])))
    assert mask[21:59, 21:59].all()
    assert np.count_nonzero(mask) < 43**2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--kind", "vae-region"], "--kind vae-region: say by which model: --vae"),
        (["--kind", "full"], "--kind full: say by which model: --vae"),
        (["--kind", "inpaint"], "--kind inpaint: say by which model: --inpainter"),
        (["--kind", "swirl"], "invalid choice: 'swirl'"),
        (["--inpainter", "nowhere"], "there is no inpainting model 'nowhere'"),
        (["--vae", "nowhere"], "there is no VAE 'nowhere'"),
        (["--masks", "nowhere"], "--masks: there is no folder nowhere"),
        (["--masks", "coco:nowhere.json"], "--masks: there is no file nowhere.json"),
        (["--area", "0.5", "0.1"], "--area: give the lower share first"),
        (["--area", "0", "0.5"], "must lie between 0 and 1"),
        (["--seed", "-1"], "must be 0 or more"),
        (["--perturb", "2"], "must lie between 0 and 1"),
    ],
)
def test_wrong_use_is_one_sentence(build, photos, tmp_path, options, said):
    code, _, error = build(photos, "--out", tmp_path / "set", *options)
    assert code == 2
    assert said in error
    assert "Traceback" not in error
    assert not (tmp_path / "set").exists()


def test_no_photo_is_an_error(build, tmp_path):
    (tmp_path / "notes.txt").write_text("none")
    code, _, error = build(tmp_path, "--out", tmp_path.parent / "elsewhere")
    assert code == 2
    assert "found no photo; 1 files there are no images" in error


def test_the_set_must_not_lie_among_its_photos(build, photos):
    code, _, error = build(photos, "--out", photos / "set")
    assert code == 2
    assert "lies among the images" in error


def test_a_folder_that_holds_something_else_is_left_alone(build, photos, tmp_path):
    (tmp_path / "thesis.txt").write_text("precious")
    code, _, error = build(photos, "--out", tmp_path)
    assert code == 2
    assert "holds no manipulation set" in error
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_help_teaches(build):
    code, said, _ = build("--help")
    assert code == 0
    for word in ("vae-region", "coco:FILE", "contact-sheet.png", "exit codes", "examples:"):
        assert word in said
    assert build()[0] == 2
