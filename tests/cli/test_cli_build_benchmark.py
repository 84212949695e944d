"""`aligngemini build benchmark` as a user runs it."""

import json

import numpy as np
import pytest
from fixtures.drawn import png, texture

from aligngemini.cli import main

SMALL = ("--min-side", "40", "--max-side", "64", "--semantic-side", "64")


@pytest.fixture
def build(capsys):
    def build(*arguments):
        capsys.readouterr()
        try:
            code = main(["build", "benchmark", *map(str, arguments)])
        except SystemExit as end:
            code = end.code
        return (code, *capsys.readouterr())

    return build


def write(folder, count, *, first, grain=20.0):
    folder.mkdir()
    for k in range(count):
        pixels = texture(64, 72, seed=first + k, spread=grain)
        (folder / f"{k}.png").write_bytes(png(pixels))
    return folder


def test_few_images_become_a_benchmark_and_leakage_is_not_claimed(build, tmp_path):
    photos = write(tmp_path / "photos", 3, first=0)
    flux = write(tmp_path / "flux", 2, first=50)
    code, said, heard = build("--real", photos, "--fake", flux, "--out", tmp_path / "set", *SMALL)
    assert code == 0
    assert said == f"{tmp_path / 'set' / 'flux'}: 2 pairs\n"
    assert "leakage was not measured" in heard
    assert json.loads((tmp_path / "set" / "leakage.json").read_text())["flux"]["leaks"] is None


def test_a_semantic_part_that_leaks_is_shouted_about(build, tmp_path):
    """Smooth photos against mosaics whose tiles survive the degradation."""
    photos = write(tmp_path / "photos", 24, first=0, grain=0)
    flux = tmp_path / "flux"
    flux.mkdir()
    for k in range(24):
        tiles = np.random.default_rng(k).integers(0, 256, (8, 9, 3), np.uint8)
        (flux / f"{k}.png").write_bytes(png(tiles.repeat(8, 0).repeat(8, 1)))
    given = ("--real", photos, "--fake", flux, *SMALL)
    code, said, heard = build(*given, "--out", tmp_path / "set")
    assert code == 1
    assert "THE SEMANTIC PART LEAKS in flux" in heard
    assert "flux/semantic, pixels alone" in said
    report = json.loads((tmp_path / "set" / "leakage.json").read_text())
    assert report["flux"]["leaks"] is True
    assert report["flux"]["pairs"] == 24
    assert build(*given, "--out", tmp_path / "set", "--probe-limit", 1)[0] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--real", "photos", "--out", "set"), "--real and --fake"),
        (("--real", "photos", "--fake", "nowhere", "--out", "photos/set"), "lies among the images"),
        (("--real", "empty", "--fake", "photos", "--out", "set"), "found no real image"),
        (("--real", "photos", "--fake", "photos", "--out", "set", "--quality", "0"), "--quality"),
    ],
)
def test_wrong_use_is_one_clear_sentence(build, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "photos", 1, first=0)
    (tmp_path / "empty").mkdir()
    code, _, heard = build(*arguments)
    assert code == 2
    assert message in heard
