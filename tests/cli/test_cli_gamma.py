"""`detect --gamma`, from files to records, overlays, page and words."""

import csv
import json

import numpy as np
import pytest
from fixtures.backbones import expert_folder
from fixtures.drawn import png, texture
from fixtures.gammas import colour_folder
from PIL import Image as PILImage

from aligngemini.cli import main
from aligngemini.report import words


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(colour_folder(tmp_path_factory.mktemp("models") / "colours"))


@pytest.fixture
def images(tmp_path):
    """A photo nobody touched, one with a red and a green part, one that is red all over."""
    folder = tmp_path / "images"
    folder.mkdir()
    plain = texture(200, 240) // 4
    edited, red = plain.copy(), plain.copy()
    edited[40:100, 60:140, 0] = 250
    edited[120:160, 20:60, 1] = 250
    red[..., 0] = 250
    for name, pixels in (("plain", plain), ("edited", edited), ("red", red)):
        (folder / f"{name}.png").write_bytes(png(pixels))
    return folder


@pytest.fixture
def detect(capsys, model):
    def detect(*arguments, gamma=model):
        capsys.readouterr()
        options = ("--pixel", "off", "--gamma", gamma, "--workers", "1")
        try:
            code = main(["detect", *map(str, arguments), *map(str, options)])
        except SystemExit as end:
            code = end.code
        return code, *capsys.readouterr()

    return detect


def test_records_say_where(detect, images):
    code, out, _ = detect(images, "--format", "jsonl")
    edited, plain, red = (json.loads(line)["branches"]["gamma"] for line in out.splitlines())
    assert code == 0
    assert (edited["verdict"], edited["detail"]) == ("fake", "edited")
    assert edited["areas"] == {
        "generated": {"share": 0.1, "boxes": [[60, 40, 140, 100]]},
        "moved": {"share": 0.0333, "boxes": [[20, 120, 60, 160]]},
    }
    assert (plain["verdict"], "detail" in plain) == ("real", False)
    assert (red["verdict"], "detail" in red) == ("fake", False)


def test_columns_of_gamma_come_after_the_others_and_only_with_it(detect, images, tmp_path):
    out = tmp_path / "out.csv"
    detect(images, "--out", out)
    with out.open(encoding="utf-8", newline="") as file:
        edited, plain, _ = csv.DictReader(file)
    assert list(edited)[-9:-2] == [
        *("gamma_score", "gamma_verdict", "gamma_model", "gamma_remark", "gamma_detail"),
        *("gamma_generated_share", "gamma_moved_share"),
    ]
    assert (edited["gamma_verdict"], edited["gamma_detail"]) == ("fake", "edited")
    assert float(edited["gamma_generated_share"]) == pytest.approx(0.1)
    assert (plain["gamma_detail"], plain["gamma_moved_share"]) == ("", "0.0")
    detect(images, "--out", out, gamma="off")
    assert "gamma" not in out.read_text().splitlines()[0]


def test_overlays_one_a_map(detect, images, tmp_path):
    maps = tmp_path / "maps"
    code, _, _ = detect(images / "edited.png", "--heatmaps", maps)
    assert code == 0
    names = sorted(path.name for path in maps.iterdir())
    stem = names[0].removesuffix(".generated.png")
    assert names == [f"{stem}.generated.png", f"{stem}.moved.png", f"{stem}.png"]

    def coloured(name):
        with PILImage.open(maps / name) as overlay:
            assert overlay.size == (240, 200)
            return np.ptp(np.asarray(overlay, np.int16), axis=2) > 20

    generated, moved, both = (
        coloured(name) for name in (names[0], f"{stem}.moved.png", f"{stem}.png")
    )
    assert generated[50:90, 70:130].all()
    assert not generated[110:].any()
    assert moved[130:150, 30:50].all()
    assert not moved[:110].any()
    assert (both == (generated | moved)).mean() > 0.99
    with PILImage.open(maps / f"{stem}.moved.png") as overlay:
        red, green, _ = overlay.getpixel((40, 140))
    assert green > red + 20  # a colour of its own


def test_a_card_says_where_in_careful_words(detect, images):
    _, out, _ = detect(images / "edited.png")
    assert "signs that a part was changed" in out
    assert "signs of AI generation" not in out
    assert "part of the picture looks generated (10 % of it: from pixel 60, 40 to 140, 100)" in out
    assert "part of the picture looks moved or foreign (3.3 % of it:" in out
    _, out, _ = detect(images / "red.png")
    assert "signs of AI generation" in out
    assert "almost all of the picture looks generated (100 %)" in out
    _, out, _ = detect(images / "plain.png")
    assert "no sign of AI generation found" in out
    assert "part of the picture" not in out


def test_a_table_tells_changed_from_generated(detect, images):
    _, out, _ = detect(images)
    rows = {line.split()[0].rpartition("/")[2]: line for line in out.splitlines() if ".png" in line}
    assert words.EDITED_WORDS in rows["edited.png"]
    assert "signs of AI generation" in rows["red.png"]
    assert "Of those with signs, 1 showed signs that a part was changed, and no more." in out
    assert "no sign of AI generation found" in rows["plain.png"]


def test_the_page_has_both_maps(detect, images, tmp_path):
    page = tmp_path / "page.html"
    code, _, _ = detect(images, "--report", page)
    text = page.read_text()
    assert code == 0
    assert text.count('data-layer="generated"') >= 6
    assert text.count('data-layer="heatmap" src') == 0
    assert (
        "Part of the picture looks generated (10 % of it: from pixel 60, 40 to 140, 100)." in text
    )
    assert "The two maps" in text


@pytest.mark.parametrize(
    ("gamma", "message"),
    [
        ("nonesuch", "no model named or at nonesuch"),
        ("compact", "is no GAMMA model but a pixel expert: use it with --pixel"),
    ],
)
def test_a_wrong_model_is_one_sentence(detect, images, gamma, message):
    code, out, err = detect(images, gamma=gamma)
    assert (code, out) == (2, "")
    assert message in err
    assert "Traceback" not in err


def test_maps_need_somebody_who_draws_them(detect, images, tmp_path):
    code, _, err = detect(images, "--heatmaps", tmp_path / "maps", gamma="off")
    assert code == 2
    assert "only a pixel expert or a GAMMA model draws them" in err


def test_weights_of_pytorch_alone_are_no_gamma_either(detect, images, tmp_path):
    folder = expert_folder(tmp_path / "expert")
    code, _, err = detect(images, gamma=folder)
    assert (code, err.count("\n")) == (2, 1)
    assert "use it with --pixel" in err
