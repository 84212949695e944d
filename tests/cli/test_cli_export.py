"""`aligngemini export`, from the command line to folders that `detect` takes."""

import re

import pytest
from fixtures.backbones import expert_folder, tiny_expert
from fixtures.drawn import png, texture
from fixtures.models import brightness_folder

from aligngemini.branches.pixel import PixelBranch
from aligngemini.cli import main
from aligngemini.runtimes.folder import open_folder


@pytest.fixture
def export(capsys):
    """Runs the command; gives exit code, output and errors."""

    def export(*arguments):
        capsys.readouterr()
        try:
            code = main(["export", *map(str, arguments)])
        except SystemExit as end:
            code = end.code
        return code, *capsys.readouterr()

    return export


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    # Of a fixed size: quicker to export.
    return expert_folder(
        tmp_path_factory.mktemp("models") / "tiny", tiny_expert("dinov2_with_registers")
    )


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for k in range(3):
        (folder / f"{k}.png").write_bytes(png(texture(60, 50, seed=k)))
    (folder / "broken.png").write_bytes(b"nothing")
    return folder


def test_from_weights_to_onnx_to_int8(export, model, photos, tmp_path):
    # One after the other, for an export takes seconds.
    code, out, err = export(model, "--images", photos)
    fingerprint = open_folder(model).fingerprint
    assert code == 0
    assert re.fullmatch(
        rf"{model}: {fingerprint}; on 7 images, scores are at most \S+e-\d+ from PyTorch's\n", out
    )
    assert re.search(rf"^not used: {photos}/broken\.png: .+$", err, re.MULTILINE)
    assert "Loading" not in err  # transformers' own bars
    assert open_folder(model).onnx is not None

    manifest = tmp_path / "images.csv"
    manifest.write_text(
        "path,label\nphotos/0.png,real\nphotos/1.png,fake\nphotos/broken.png,fake\n"
    )
    small = tmp_path / "int8"
    options = ("--int8", "--manifest", manifest, "--max-flips", "1")
    code, out, err = export(model, "--out", small, *options)
    assert code == 0
    assert "on 2 images, scores move by" in out
    assert re.search(r"\d verdicts change \(\d", out)
    assert out.splitlines()[-1].startswith(f"{small}: {open_folder(small).fingerprint}; ")
    assert "not used" in err
    assert PixelBranch.load(small, device="cpu").fingerprint != fingerprint

    code, out, err = export(small, "--out", tmp_path / "again", *options)
    assert (code, out) == (2, "")
    assert "is int8 already" in err
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--int8"], "--int8 needs --out DIR"),
        (["--int8", "--out", "x"], "give it images with --images or --manifest"),
        (["--max-flips", "2"], "must lie between 0 and 1"),
        (["--images", "nowhere"], "nowhere: there is no such file or folder"),
        (["--images", "{empty}"], "no image in"),
        (["--manifest", "nowhere.csv"], "no manifest at nowhere.csv"),
        (["--out", "{full}"], "is there already"),
        (["--out", "{full}/mine.txt/below"], "cannot write"),
        (["--bits", "4"], "unrecognized arguments"),
    ],
)
def test_wrong_use_is_one_sentence(export, model, tmp_path, arguments, message):
    for name in ("full", "empty"):
        (tmp_path / name).mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    places = {name: tmp_path / name for name in ("full", "empty")}
    code, out, err = export(model, *(argument.format(**places) for argument in arguments))
    assert (code, out) == (2, "")
    assert message in err
    assert "Traceback" not in err
    assert len(err.strip().splitlines()) <= 2


def test_models_that_cannot_be_exported(export, tmp_path):
    code, _, err = export(brightness_folder(tmp_path / "compact"))
    assert (code, err.count("\n")) == (2, 1)
    assert "no backbone expert" in err
    code, _, err = export(tmp_path / "nowhere")
    assert (code, err.count("\n")) == (2, 1)
    assert "no model named or at" in err


def test_help_teaches(export):
    assert export()[0] == 2
    code, out, _ = export("--help")
    assert code == 0
    assert "aligngemini export my-expert" in out
    assert "--max-flips SHARE" in out
