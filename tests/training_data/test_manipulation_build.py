"""Building a manipulation set: exact masks, nothing lost, and the same however it was built."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fixtures import vaes as tiny_vaes
from fixtures.drawn import png, texture
from PIL import Image

from aligngemini.datasets import manipulation_build as building
from aligngemini.datasets.manifest import read_manifest
from aligngemini.datasets.manipulation_build import build_manipulation_set
from aligngemini.datasets.manipulation_jobs import plan
from aligngemini.datasets.manipulation_set import (
    ManipulationSetError,
    load_masks,
    read_manipulation_set,
)
from aligngemini.datasets.manipulation_settings import ManipulationSetConfig, Tools
from aligngemini.datasets.manipulations.mask_files import open_masks
from aligngemini.datasets.pixel_set_files import in_validation
from aligngemini.images.decode import decode
from aligngemini.images.sources import expand
from aligngemini.models.vaes import open_vae

KINDS = ("vae-region", "copy-move", "splice", "inpaint-classical", "full")
CONFIG = ManipulationSetConfig(kinds=KINDS, max_side=100, val_share=0.3, seed=3, align_jpeg=1.0)


@pytest.fixture(scope="module")
def vae(tmp_path_factory):
    return open_vae(str(tiny_vaes.tiny(tmp_path_factory.mktemp("vae") / "tiny")))


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Six photos in two folders, one file twice, one broken."""
    folder = tmp_path_factory.mktemp("photos")
    for number in range(6):
        image = Image.fromarray(texture(90 + number, 130, seed=number))
        place = folder / "ab"[number % 2]
        place.mkdir(exist_ok=True)
        image.save(place / f"{number}.jpg", quality=80, subsampling="4:4:4")
    (folder / "b" / "twin.jpg").write_bytes((folder / "a" / "0.jpg").read_bytes())
    (folder / "b" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 nothing more")
    return folder


@pytest.fixture(scope="module")
def fakes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fakes") / "midjourney"
    folder.mkdir()
    (folder / "f.png").write_bytes(png(texture(120, 80, seed=50)))
    return folder


@pytest.fixture(scope="module")
def inputs(photos, fakes, vae):
    return photos, fakes, vae


@pytest.fixture(scope="module")
def whole(inputs, tmp_path_factory):
    out = tmp_path_factory.mktemp("sets") / "whole"
    return build(*inputs, out), out


def build(photos, fakes, vae, out, config=CONFIG, *, masks=None, **options):
    items = list(expand([str(photos)]))
    tools = Tools(vaes=[vae] if vae else [], masks=masks, donors=items)
    return build_manipulation_set(
        items, list(expand([str(fakes)])) if fakes else [], tools, out, config, **options
    )


def pixels(path):
    return np.asarray(Image.open(path).convert("RGB"))


def rows_of(out):
    return read_manifest(out / "manifest.parquet")


def contents(out):
    """Everything but the journal, as bytes; the manifest with paths of the folder."""
    files = {
        str(path.relative_to(out)): path.read_bytes()
        for path in [*sorted(out.glob("*/*.png")), out / "failed.csv", out / "contact-sheet.png"]
    }
    rows = [repr(row).replace(str(out), "") + repr(row.extra) for row in rows_of(out)]
    return files, rows


def failures(out):
    with (out / "failed.csv").open(newline="", encoding="utf-8") as file:
        return [(Path(row["path"]).name, row["code"]) for row in csv.DictReader(file)]


def test_every_photo_is_kept_and_edited_in_every_way(whole):
    summary, out = whole
    rows = rows_of(out)
    kinds = [row.extra["manipulation"] for row in rows]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {
        "none": 6,
        **dict.fromkeys(KINDS, 6),
        "full": 7,
    }
    assert (summary.photos, summary.edited, summary.fakes) == (6, 30, 1)
    assert (summary.failed, summary.duplicates) == (1, 1)
    assert sorted(failures(out)) == [("broken.jpg", "truncated"), ("twin.jpg", "duplicate")]
    assert not list(out.rglob("*.partial"))


def test_outside_the_masks_an_edited_copy_is_its_photo(whole):
    _, out = whole
    pairs = {row.path: row.pair for row in rows_of(out)}
    for sample in read_manipulation_set(out / "manifest.parquet"):
        edited = pixels(sample.path)
        masks = load_masks(sample, *edited.shape[:2])
        marked = masks.any(axis=2)
        if sample.manipulation == "none":
            assert not marked.any()
            assert pairs[sample.path] == ""
        elif pairs[sample.path]:
            photo = pixels(pairs[sample.path])
            np.testing.assert_array_equal(edited[~marked], photo[~marked])
            assert (edited != photo).any(axis=2)[marked].mean() > 0.5, sample
            head = int(sample.manipulation in ("copy-move", "splice", "inpaint-classical"))
            assert not masks[..., 1 - head].any()
            if sample.full:
                assert marked.all()
            else:
                assert 0.05 <= marked.mean() <= 0.5


def test_untouched_photos_are_the_centre_of_the_file(whole):
    _, out = whole
    untouched = [row for row in rows_of(out) if row.extra["manipulation"] == "none"]
    for row in untouched:
        original = decode(Path(row.extra["original"]).read_bytes()).pixels
        height, width = (min(side, 100) for side in original.shape[:2])
        kept = pixels(row.path)
        assert kept.shape == (height, width, 3)
        # Not quite the middle, for JPEG's blocks are to stay where they are.
        np.testing.assert_array_equal(kept, original[:height, :width])
        assert original.shape[1] - width < 2 * 16


def test_what_the_manifest_says(whole, photos, fakes):
    _, out = whole
    labels = {"none": "real"}
    for row in rows_of(out):
        kind = row.extra["manipulation"]
        assert row.label == labels.get(kind, "fake")
        made = {"vae-region": "tiny", "full": "tiny"}.get(kind, "")
        ours = kind != "full" or row.pair
        assert row.generator == (made if ours else "midjourney")
        assert row.source in {str(photos / "a"), str(photos / "b"), str(fakes)}
        sha = row.extra["original_sha256"]
        assert row.split == ("val" if in_validation(sha, CONFIG.val_share) else "train")
        assert row.extra.get("perturbation", "") == ""
        assert (row.extra["height"], row.extra["width"]) == pixels(row.path).shape[:2]
    assert {row.split for row in rows_of(out)} == {"train", "val"}


def test_what_is_kept_for_validation_is_no_donor_for_training(whole):
    _, out = whole
    splices = [row for row in rows_of(out) if row.extra["manipulation"] == "splice"]
    for row in splices:
        donor = row.extra["donor_sha256"]
        assert donor != row.extra["original_sha256"]
        assert row.split == "val" or not in_validation(donor, CONFIG.val_share)


def test_the_sheet_shows_something(whole):
    _, out = whole
    sheet = pixels(out / "contact-sheet.png").astype(int)
    red = (sheet[..., 0] > sheet[..., 1] + 80) & (sheet[..., 0] > sheet[..., 2] + 80)
    blue = (sheet[..., 2] > sheet[..., 1] + 80) & (sheet[..., 2] > sheet[..., 0] + 80)
    each = 4 * 80 * 100  # at most four of a kind, of about that size
    assert red.sum() > each
    assert blue.sum() > each / 2


def test_threads_change_nothing(whole, inputs, tmp_path):
    build(*inputs, tmp_path / "set", threads=4)
    files, rows = contents(whole[1])
    others, other_rows = contents(tmp_path / "set")
    assert files == others
    assert rows == other_rows


def test_a_stopped_run_goes_on_where_it_was(whole, inputs, tmp_path, monkeypatch):
    out = tmp_path / "set"
    left = iter(range(3))

    def step():
        if next(left, None) is None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(*inputs, out, step=step)
    assert not (out / "manifest.parquet").exists()
    made = {path: path.stat().st_mtime_ns for path in out.glob("images/*.png")}
    gone = sorted(out.glob("masks/*.png"))[0]
    gone.unlink()
    (out / "images" / ".left.partial").write_bytes(b"half")
    loads = []
    load = building.load_photo
    monkeypatch.setattr(
        building, "load_photo", lambda *given: loads.append(given[1].path) or load(*given)
    )
    build(*inputs, out)
    assert contents(out) == contents(whole[1])
    assert len(loads) < 9
    assert any(path.stat().st_mtime_ns == time for path, time in made.items())
    assert gone.exists()
    assert not list(out.rglob("*.partial"))


def test_other_settings_need_another_folder(whole, photos, vae):
    with pytest.raises(ManipulationSetError, match="begun with seed 3, not 4"):
        build(photos, None, vae, whole[1], replace(CONFIG, seed=4))


def test_another_vae_needs_another_folder(whole, photos, tmp_path):
    other = open_vae(str(tiny_vaes.kl(tmp_path / "kl")))
    with pytest.raises(ManipulationSetError, match="begun with models"):
        build(photos, None, other, whole[1])


def test_moved_pixels_alone_may_be_real(photos, tmp_path):
    config = replace(CONFIG, kinds=("copy-move",), moved_label="real")
    build(photos, None, None, tmp_path / "set", config)
    assert {row.label for row in rows_of(tmp_path / "set")} == {"real"}


def test_perturbations_move_the_masks_and_spare_no_class(inputs, tmp_path):
    out = tmp_path / "set"
    config = replace(CONFIG, kinds=("vae-region", "splice"), perturb=1.0)
    build(*inputs, out, config)
    rows, samples = rows_of(out), read_manipulation_set(out / "manifest.parquet")
    specs = [row.extra.get("perturbation", "") for row in rows]
    for kind in ("none", "vae-region", "splice", "full"):
        assert any(
            spec for row, spec in zip(rows, specs, strict=True) if row.extra["manipulation"] == kind
        )
    assert len(set(specs)) > 0.8 * len(specs)  # each its own
    assert any("scale" in spec for spec in specs)
    for row, sample in zip(rows, samples, strict=True):
        load_masks(sample, *pixels(row.path).shape[:2])  # of the image's size, and not empty
        if row.extra.get("perturbation") and row.label == "real":
            assert Path(row.pair).is_file()


def test_copies_are_shared_out_among_the_kinds():
    config = replace(CONFIG, per_photo=7)
    one = plan("ab" * 32, config)
    assert len(one) == len(set(one)) == 7
    assert {kind for kind, _ in one} == set(KINDS)
    firsts = {plan(f"{k:064x}", replace(CONFIG, per_photo=1))[0][0] for k in range(40)}
    assert firsts == set(KINDS)


def test_given_masks_are_used_and_bad_ones_named(photos, tmp_path):
    folder = tmp_path / "masks"
    folder.mkdir()
    for number in range(6):
        mask = np.zeros((90 + number, 130), np.uint8)
        mask[30:60, 40:70] = 255
        Image.fromarray(mask[: -1 if number == 2 else None]).save(folder / f"{number}.png")
    Image.fromarray(np.zeros((93, 130), np.uint8)).save(folder / "3.png")
    (folder / "5.png").unlink()
    out = tmp_path / "set"
    config = replace(CONFIG, kinds=("inpaint-classical",))
    summary = build(photos, None, None, out, config, masks=open_masks(str(folder)))
    assert summary.failed == 4  # with the broken photo
    assert {("2.jpg", "mask"), ("3.jpg", "mask"), ("5.jpg", "no-mask")} <= set(failures(out))
    text = (out / "failed.csv").read_text()
    assert "has 130 x 91 pixels and its image 130 x 92" in text
    assert "3.png marks no pixel" in text
    for sample in read_manipulation_set(out / "manifest.parquet"):
        if sample.moved:
            moved = load_masks(sample, *pixels(sample.path).shape[:2])[..., 1]
            rows, columns = np.nonzero(moved)
            assert (rows.min(), rows.max(), columns.min(), columns.max()) == (30, 59, 40, 69)


def test_one_photo_alone_has_no_donor(photos, tmp_path):
    config = replace(CONFIG, kinds=("splice", "copy-move"))
    summary = build(photos / "a" / "0.jpg", None, None, tmp_path / "set", config)
    assert (summary.photos, summary.edited, summary.failed) == (1, 1, 1)
    assert failures(tmp_path / "set") == [("0.jpg", "no-donor")]


def test_a_region_that_fits_nowhere_is_replaced(tmp_path):
    folder = tmp_path / "narrow"
    folder.mkdir()
    for number in range(10):
        sides = (48, 420) if number % 2 else (420, 48)
        (folder / f"{number}.png").write_bytes(png(texture(*sides, seed=number)))
    config = replace(CONFIG, kinds=("splice", "copy-move"), val_share=0, max_side=None)
    summary = build(folder, None, None, tmp_path / "set", config)
    assert (summary.edited, summary.failed) == (20, 0)


def test_no_image_at_all_is_an_error(photos, tmp_path):
    with pytest.raises(ManipulationSetError, match=r"failed\.csv says why"):
        build(photos / "b" / "broken.jpg", None, None, tmp_path / "set")
    assert failures(tmp_path / "set") == [("broken.jpg", "truncated")]


@pytest.mark.parametrize(
    "wrong",
    [{"kinds": ("swirl",)}, {"area": (0.5, 0.1)}, {"area": (0.0, 0.5)}, {"max_side": 63}],
)
def test_settings_that_cannot_be_are_refused(wrong):
    with pytest.raises(ManipulationSetError):
        replace(CONFIG, **wrong)
