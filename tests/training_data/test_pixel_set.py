"""Pixel sets: pairs that are aligned, the same however they were built, and nothing lost."""

import csv
import math
import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fixtures import vaes as tiny_vaes
from fixtures.drawn import png, texture
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from aligngemini.datasets import photos as photos_module
from aligngemini.datasets.manifest import read_manifest
from aligngemini.datasets.photos import Photo, by_size, crop_to_multiple
from aligngemini.datasets.pixel_set import (
    PixelSetConfig,
    Share,
    build_pixel_set,
    noise_seed,
)
from aligngemini.datasets.pixel_set_files import PixelSetError, in_validation
from aligngemini.images.decode import decode
from aligngemini.images.sources import expand
from aligngemini.models.vaes import open_vae

SIZES = [(41, 60), (41, 60), (48, 48), (64, 40), (41, 60), (48, 50)]
CONFIG = PixelSetConfig(seed=3, val_share=0.5)


@pytest.fixture(scope="module")
def kl(tmp_path_factory):
    return open_vae(str(tiny_vaes.kl(tmp_path_factory.mktemp("vae") / "kl")))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return open_vae(str(tiny_vaes.tiny(tmp_path_factory.mktemp("vae") / "tiny")))


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Six photos in two folders: JPEG, PNG and grey."""
    folder = tmp_path_factory.mktemp("photos")
    for number, size in enumerate(SIZES):
        image = Image.fromarray(texture(*size, seed=number))
        place = folder / ("a", "b")[number % 2]
        place.mkdir(exist_ok=True)
        if number == 1:
            image.save(place / f"{number}.png")
        else:
            image.save(place / f"{number}.jpg", quality=70 + number, subsampling="4:4:4")
    return folder


@pytest.fixture(scope="module")
def whole(kl, photos, tmp_path_factory):
    """The set of these photos, built in one go."""
    out = tmp_path_factory.mktemp("whole")
    build(photos, [kl], out)
    return out


def build(source, vaes, out, config=CONFIG, **options):
    sources = [source] if isinstance(source, Path) else source
    return build_pixel_set(list(expand(list(map(str, sources)))), vaes, out, config, **options)


def build_together(count, source, vae, out):
    """Shares at the same time, as processes do them."""
    wait = threading.Barrier(count, timeout=60).wait
    with ThreadPoolExecutor(count) as executor:
        shares = [Share(index, count, wait) for index in range(count)]
        summary, *others = executor.map(lambda s: build(source, [vae], out, share=s), shares)
    assert others == [None] * (count - 1)
    return summary


def pictures(out):
    return {
        str(path.relative_to(out)): np.asarray(Image.open(path)).astype(int)
        for path in sorted(out.glob("*/*.png"))
    }


def same_set(one, other):
    assert pictures(one).keys() == pictures(other).keys()
    for name, pixels in pictures(one).items():
        np.testing.assert_allclose(pixels, pictures(other)[name], atol=1, err_msg=name)
    first, second = (read_manifest(out / "manifest.parquet") for out in (one, other))
    for row, twin in zip(first, second, strict=True):
        assert Path(row.path).relative_to(one) == Path(twin.path).relative_to(other)
        assert (row.split, row.source) == (twin.split, twin.source)
        assert row.extra.keys() == twin.extra.keys()
        assert row.extra == pytest.approx(twin.extra, abs=0.1)


def failures(out):
    with (out / "failed.csv").open(newline="", encoding="utf-8") as file:
        return {Path(row["path"]).name: row["code"] for row in csv.DictReader(file)}


def test_real_is_the_centre_and_fake_its_reconstruction(whole, photos, kl):
    rows = read_manifest(whole / "manifest.parquet")
    assert len(rows) == 2 * len(SIZES)
    for real, fake in zip(rows[::2], rows[1::2], strict=True):
        data = Path(real.extra["original"]).read_bytes()
        original = decode(data)
        height, width = (side // 8 * 8 for side in original.pixels.shape[:2])
        top, left = (original.height - height) // 2, (original.width - width) // 2
        crop = original.pixels[top : top + height, left : left + width]
        np.testing.assert_array_equal(np.asarray(Image.open(real.path)), crop)
        seed = noise_seed(3, original.sha256, "kl")
        expected = kl.reconstruct(crop[None], seeds=[seed])[0].astype(int)
        np.testing.assert_allclose(np.asarray(Image.open(fake.path)), expected, atol=1)
        error = np.square(crop.astype(float) - expected).mean()
        assert fake.extra["psnr"] == pytest.approx(20 * math.log10(255 / math.sqrt(error)), abs=0.1)
        assert (real.extra["width"], real.extra["height"]) == (width, height)


def test_rows_say_where_everything_comes_from(whole, photos, kl):
    rows = read_manifest(whole / "manifest.parquet")
    for real, fake in zip(rows[::2], rows[1::2], strict=True):
        assert (real.label, real.generator, real.pair) == ("real", "", "")
        assert (fake.label, fake.generator, fake.pair) == ("fake", "kl", real.path)
        assert Path(real.path).name == Path(fake.path).name
        assert Path(fake.path).parent.name == "kl"
        assert real.split == fake.split
        assert real.source == fake.source == str(Path(real.extra["original"]).parent)
        assert fake.extra["vae_revision"] == kl.revision
        assert (fake.extra["posterior"], fake.extra["dtype"]) == ("sample", "fp32")
    assert {row.source for row in rows} == {str(photos / "a"), str(photos / "b")}


def test_compression_of_the_original_is_kept(whole):
    found = {
        Path(row.extra["original"]).name: (row.extra.get("quality"), row.extra.get("subsampling"))
        for row in read_manifest(whole / "manifest.parquet")
    }
    assert found.pop("1.png") == (None, None)
    assert found == {f"{k}.jpg": (70 + k, "4:4:4") for k in (0, 2, 3, 4, 5)}


@pytest.mark.parametrize("options", [{"batch_size": 3}, {"threads": 4}, {"batch_size": 2}])
def test_batches_and_threads_change_nothing(whole, photos, kl, tmp_path, options):
    build(photos, [kl], tmp_path, **options)
    same_set(whole, tmp_path)


def test_several_processes_make_the_same_set(whole, photos, kl, tmp_path):
    assert build_together(3, photos, kl, tmp_path).pairs == len(SIZES)
    same_set(whole, tmp_path)
    assert len(list((tmp_path / "journal").glob("pairs-*.jsonl"))) == 3


@pytest.mark.parametrize("after", [1, 4])
def test_stopped_run_goes_on(whole, photos, kl, tmp_path, after):
    steps = []

    def stop():
        steps.append(True)
        if len(steps) == after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(photos, [kl], tmp_path, step=stop)
    assert not (tmp_path / "manifest.parquet").exists()
    # What a kill leaves behind: a file half written, a line half written.
    half = tmp_path / "real" / ".0-12345678.1-1.partial"
    half.write_bytes(b"\x89PNG")
    with (tmp_path / "journal" / "pairs-0.jsonl").open("a") as journal:
        journal.write('{"number": 5, "orig')
    summary = build(photos, [kl], tmp_path)
    assert (summary.photos, summary.pairs) == (len(SIZES), len(SIZES))
    assert not half.exists()
    same_set(whole, tmp_path)


def test_what_is_done_is_not_done_again(photos, kl, tiny, tmp_path):
    """Nor read again; of two VAEs, only the one whose file is gone has work to do."""
    folder, out = tmp_path / "in", tmp_path / "set"
    shutil.copytree(photos, folder)
    items = list(expand([str(folder)]))
    build_pixel_set(items, [kl, tiny], out, CONFIG)
    before = {path: path.stat().st_mtime_ns for path in out.glob("*/*.png")}
    gone = min(out.glob("tiny/*.png"))
    gone.unlink()
    for photo in folder.rglob("*.*"):
        if photo.stem != gone.name[0]:
            photo.unlink()
    steps = []
    summary = build_pixel_set(items, [kl, tiny], out, CONFIG, step=lambda: steps.append(True))
    assert (len(steps), summary.pairs, summary.failed) == (len(SIZES), 2 * len(SIZES), 0)
    after = {path: path.stat().st_mtime_ns for path in before}
    assert [path for path in before if after[path] != before[path]] == [gone]


def test_more_photos_extend_a_set(whole, photos, kl, tmp_path):
    build(photos / "b", [kl], tmp_path)
    assert build(photos, [kl], tmp_path).photos == len(SIZES)
    assert pictures(tmp_path).keys() == pictures(whole).keys()


@pytest.mark.parametrize(
    ("change", "named"),
    [({"seed": 4}, "seed 3, not 4"), ({"max_side": 40}, "max_side null, not 40")],
)
def test_other_settings_are_refused(whole, photos, kl, change, named):
    with pytest.raises(PixelSetError, match=named):
        build(photos, [kl], whole, replace(CONFIG, **change))


def test_other_vae_is_refused(whole, photos, tiny):
    with pytest.raises(PixelSetError, match="was begun with vaes"):
        build(photos, [tiny], whole)


def test_folder_of_something_else_is_refused(photos, kl, tmp_path):
    (tmp_path / "thesis.txt").write_text("three years")
    with pytest.raises(PixelSetError, match="holds no pixel set"):
        build(photos, [kl], tmp_path)
    assert len(list(tmp_path.iterdir())) == 1


def test_every_vae_reconstructs_every_photo(photos, kl, tiny, tmp_path):
    summary = build(photos, [kl, tiny], tmp_path, batch_size=2, threads=2)
    assert (summary.photos, summary.pairs) == (len(SIZES), 2 * len(SIZES))
    rows = read_manifest(tmp_path / "manifest.parquet")
    assert [row.generator for row in rows] == ["", "kl", "tiny"] * len(SIZES)
    assert {row.extra["posterior"] for row in rows if row.generator == "tiny"} == {"none"}


def test_sizes_are_multiples_for_all_vaes(photos, tiny, tmp_path):
    flux2 = open_vae(str(tiny_vaes.flux2(tmp_path / "flux2")))
    build(photos, [flux2, tiny], tmp_path / "set")
    for name, pixels in pictures(tmp_path / "set").items():
        assert [side % 16 for side in pixels.shape[:2]] == [0, 0], name


def test_mean_of_the_posterior_has_no_noise(photos, kl, tmp_path):
    config = replace(CONFIG, posterior="mean")
    build(photos / "b", [kl], tmp_path, config)
    row = read_manifest(tmp_path / "manifest.parquet")[1]
    real = np.asarray(Image.open(row.pair))
    np.testing.assert_allclose(
        np.asarray(Image.open(row.path)).astype(int), kl.reconstruct(real[None])[0], atol=1
    )
    assert row.extra["posterior"] == "mean"


def test_large_photos_are_cropped_not_resized(photos, kl, tmp_path):
    build(photos, [kl], tmp_path, replace(CONFIG, max_side=45))
    crops = [pixels.shape[:2] for name, pixels in pictures(tmp_path).items() if "real" in name]
    assert {max(shape) for shape in crops} == {40}


def test_what_cannot_be_used_is_listed(kl, photos, tmp_path):
    folder = tmp_path / "in"
    shutil.copytree(photos, folder)
    (folder / "broken.jpg").write_bytes((folder / "a" / "0.jpg").read_bytes()[:300])
    (folder / "tiny.png").write_bytes(png(texture(40, 7)))
    (folder / "copy.jpg").write_bytes((folder / "a" / "0.jpg").read_bytes())
    (folder / "link.jpg").symlink_to("nowhere.jpg")
    summary = build([folder, tmp_path / "gone"], [kl], tmp_path / "out")
    assert failures(tmp_path / "out") == {
        "broken.jpg": "truncated",
        "tiny.png": "too-small",
        "copy.jpg": "duplicate",
        "link.jpg": "not-found",
        "gone": "not-found",
    }
    assert (summary.photos, summary.failed, summary.duplicates) == (len(SIZES), 4, 1)
    assert len((tmp_path / "out/journal/pairs-0.jsonl").read_text().splitlines()) == len(SIZES)


def test_photo_smaller_than_a_block_is_listed(photos, tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(tiny, "factor", 44)
    summary = build(photos, [tiny], tmp_path)
    assert (summary.photos, summary.failed) == (2, 4)
    assert set(failures(tmp_path).values()) == {"too-small"}


def test_duplicates_of_two_processes_are_one(photos, kl, tmp_path):
    """Each takes one of the equal files and knows nothing of the other."""
    folder = tmp_path / "in"
    for place in "ab":
        (folder / place).mkdir(parents=True)
        shutil.copy(photos / "a" / "0.jpg", folder / place / f"{place}.jpg")
        shutil.copy(photos / "a" / "2.jpg", folder / place / "same.jpg")
    (folder / "a" / "x.png").write_bytes(png(texture(40, 40)))  # so that equal files fall to both
    summary = build_together(2, folder, kl, tmp_path / "out")
    assert (summary.photos, summary.pairs, summary.duplicates) == (3, 3, 2)
    rows = read_manifest(tmp_path / "out" / "manifest.parquet")
    assert {row.path for row in rows} == {str(path) for path in (tmp_path / "out").glob("*/*.png")}
    assert {Path(row.extra["original"]).parent.name for row in rows} == {"a"}
    assert build(folder, [kl], tmp_path / "out") == summary


def test_image_without_finite_numbers_is_listed_and_not_saved(photos, kl, tiny, tmp_path):
    broken = open_vae(str(tiny_vaes.kl(tmp_path / "broken")))
    broken.module.decoder.conv_out.bias.fill_(float("nan"))
    summary = build(photos, [broken, tiny], tmp_path / "set")
    assert (summary.photos, summary.pairs, summary.failed) == (6, 6, 6)
    assert set(failures(tmp_path / "set").values()) == {"not-finite"}
    assert not list((tmp_path / "set" / "broken").iterdir())


def test_set_without_a_pair_is_an_error(kl, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(PixelSetError, match=r"no photo could be used; .*failed\.csv"):
        build(tmp_path / "in", [kl], tmp_path / "out")
    assert not (tmp_path / "out" / "manifest.parquet").exists()
    assert len(failures(tmp_path / "out")) == 1


def test_vaes_of_one_name_are_refused(photos, kl, tmp_path):
    with pytest.raises(PixelSetError, match="would be called 'kl'"):
        build(photos, [kl, kl], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_equal_names_are_kept_apart(kl, tmp_path):
    for seed, folder in enumerate("ab"):
        (tmp_path / "in" / folder).mkdir(parents=True)
        (tmp_path / "in" / folder / "photo.png").write_bytes(png(texture(40, 40, seed=seed)))
    assert build(tmp_path / "in", [kl], tmp_path / "out").photos == 2
    real, other = (tmp_path / "out" / "real").iterdir()
    assert real.read_bytes() != other.read_bytes()


def test_odd_names_are_files(kl, tmp_path):
    (tmp_path / "in").mkdir()
    names = [b"a b.png", b"\xff\xfe.png", "ü\n.png".encode(), b"x" * 200 + b".png"]
    for seed, name in enumerate(names):
        (tmp_path / "in" / os.fsdecode(name)).write_bytes(png(texture(40, 40, seed=seed)))
    summary = build(tmp_path / "in", [kl], tmp_path / "out")
    assert (summary.photos, summary.failed) == (len(names), 0)
    assert build(tmp_path / "in", [kl], tmp_path / "out") == summary
    assert len(read_manifest(tmp_path / "out" / "manifest.parquet")) == 2 * len(names)


def test_validation_share_goes_by_the_file(whole):
    hashes = [f"{k * 2654435761 % 2**32:08x}" for k in range(2000)]
    assert sum(in_validation(name, 0.1) for name in hashes) == pytest.approx(200, abs=40)
    assert not any(in_validation(name, 0.0) for name in hashes)
    assert all(in_validation(name, 1.0) for name in hashes)
    for row in read_manifest(whole / "manifest.parquet"):
        assert row.split == ("val" if in_validation(row.extra["original_sha256"], 0.5) else "train")


def test_noise_differs_by_seed_photo_and_vae():
    seeds = {
        noise_seed(*key) for key in [(0, "a", "x"), (1, "a", "x"), (0, "b", "x"), (0, "a", "y")]
    }
    assert len(seeds) == 4
    assert noise_seed(0, "a", "x") == noise_seed(0, "a", "x")
    assert all(0 <= seed < 2**63 for seed in seeds)


@pytest.mark.parametrize(
    ("size", "factor", "expected"), [((9, 31), 8, (8, 24)), ((7, 31), 8, (0,))]
)
def test_crop(size, factor, expected):
    image = np.arange(size[0] * size[1] * 3).reshape(*size, 3)
    crop = crop_to_multiple(image, factor)
    assert crop.shape[: len(expected)] == expected
    if crop.size:
        np.testing.assert_array_equal(crop, image[0:8, 3:27])


@given(st.lists(st.integers(1, 4), max_size=40), st.integers(1, 5), st.sampled_from([1, 30, 10**6]))
def test_every_photo_is_in_one_batch(widths, batch_size, waiting):
    given_photos = [
        Photo(number, "", "", np.zeros((3, width, 3), np.uint8), None)
        for number, width in enumerate(widths)
    ]
    before = photos_module.WAITING_PIXELS
    photos_module.WAITING_PIXELS = waiting
    try:
        batches = list(by_size(given_photos, batch_size))
    finally:
        photos_module.WAITING_PIXELS = before
    assert sorted(p.number for batch in batches for p in batch) == list(range(len(widths)))
    for batch in batches:
        assert len(batch) <= batch_size
        assert len({photo.pixels.shape for photo in batch}) == 1
