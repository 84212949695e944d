"""Semantic sets: classes alike in all but what they show, the same however they were built."""

import csv
import gzip
import itertools
import math
import resource
import shutil
import tarfile
import zlib
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fixtures.drawn import png, texture
from fixtures.scenes import write_archive, write_echo, write_scenes
from PIL import Image

from aligngemini.datasets.candidates import Candidate, find_candidates
from aligngemini.datasets.manifest import Row, read_manifest, write_manifest
from aligngemini.datasets.matching import Seen, fit, match
from aligngemini.datasets.semantic_set import (
    SemanticSetConfig,
    SemanticSetError,
    build_semantic_set,
)

CONFIG = SemanticSetConfig(min_side=40, max_side=96, val_share=0.4, seed=2)
SIZES = [(70, 90), (90, 70), (80, 80), (64, 128), (128, 100), (60, 61), (200, 150), (81, 80)]


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Eight reals and eight fakes of all shapes; the fakes are twice as large."""
    folder = tmp_path_factory.mktemp("images")
    for label, factor in (("real", 1), ("fake", 2)):
        (folder / label).mkdir()
        for k, (height, width) in enumerate(SIZES):
            pixels = texture(height * factor, width * factor, seed=100 * factor + k)
            (folder / label / f"{k}.png").write_bytes(png(pixels))
    return folder


def candidates(folder):
    return [
        found
        for label in ("real", "fake")
        for found in find_candidates([str(folder / label)], label)
    ]


def contents(out):
    """Everything a set holds that must not depend on how it was built."""
    files = {path.relative_to(out).as_posix(): path.read_bytes() for path in out.glob("images/*/*")}
    rows = [(row, row.extra) for row in read_manifest(out / "manifest.parquet")]
    relative = [(replace(row, path=Path(row.path).name), extra) for row, extra in rows]
    return files, relative, (out / "failed.csv").read_text()


def failures(out):
    with (out / "failed.csv").open(newline="") as file:
        return {Path(row["path"]).name: row["code"] for row in csv.DictReader(file)}


def pairs(out):
    """Rows of each pair, fake first."""
    rows = read_manifest(out / "manifest.parquet")
    fakes = {row.extra["match"]: row for row in rows if row.label == "fake"}
    reals = {row.extra["match"]: row for row in rows if row.label == "real"}
    assert fakes.keys() == reals.keys()
    return [(fakes[key], reals[key]) for key in fakes]


def test_sizes_tell_nothing_and_no_image_is_enlarged(images, tmp_path):
    summary = build_semantic_set(candidates(images), tmp_path, CONFIG)
    assert (summary.pairs, summary.failed, summary.duplicates) == (8, 0, 0)
    for fake, real in pairs(tmp_path):
        sizes = {Image.open(row.path).size for row in (fake, real)}
        assert sizes == {(fake.extra["width"], fake.extra["height"])}
        (width, height), *_ = sizes
        assert max(width, height) <= CONFIG.max_side
        for row in (fake, real):
            assert row.extra["original_width"] >= width
            assert row.extra["original_height"] >= height


def test_the_manifest_says_everything_about_an_image(images, tmp_path):
    build_semantic_set(candidates(images), tmp_path, CONFIG)
    for fake, real in pairs(tmp_path):
        assert (fake.generator, real.generator, fake.pair, real.pair) == ("fake", "", "", "")
        assert fake.source == str(images / "fake")
        assert fake.split == real.split
        drawn = ("scale", "shrink_filter", "noise", "blur", "jpeg_quality", "enlarge_filter")
        for name in (*drawn, "fit_filter", "kept", "width", "height"):
            assert fake.extra[name] == real.extra[name]
        original = Image.open(fake.extra["original"])
        assert original.size == (fake.extra["original_width"], fake.extra["original_height"])
    splits = {fake.split for fake, _ in pairs(tmp_path)}
    assert splits == {"train", "val"}
    assert not (tmp_path / "unpacked").exists()


def test_both_of_a_pair_are_treated_alike(tmp_path):
    """The same picture on both sides comes out the same, although the files differ."""
    for label, suffix in (("real", "png"), ("fake", "bmp")):
        (tmp_path / label).mkdir()
        Image.fromarray(texture(120, 90)).save(tmp_path / label / f"a.{suffix}")
    out = tmp_path / "set"
    build_semantic_set(candidates(tmp_path), out, CONFIG)
    ((fake, real),) = pairs(out)
    assert Path(fake.path).read_bytes() == Path(real.path).read_bytes()


def test_threads_and_the_order_of_inputs_change_nothing(images, tmp_path):
    given = candidates(images)
    build_semantic_set(given, tmp_path / "one", CONFIG)
    build_semantic_set(given[::-1], tmp_path / "four", CONFIG, threads=4)
    assert contents(tmp_path / "one") == contents(tmp_path / "four")
    build_semantic_set(given, tmp_path / "other", replace(CONFIG, seed=3))
    assert contents(tmp_path / "one")[0] != contents(tmp_path / "other")[0]


def stops_at(number):
    """Progress that ends the run at a step, as Ctrl-C would."""
    left = itertools.count(1)

    @contextmanager
    def progress(total, *, text):
        def step():
            if next(left) == number:
                raise KeyboardInterrupt

        yield step

    return progress


@pytest.mark.parametrize("number", [3, 16, 18, 23])
def test_a_stopped_run_goes_on_to_the_same_set(images, tmp_path, number):
    given = candidates(images)
    build_semantic_set(given, tmp_path / "whole", CONFIG)
    with pytest.raises(KeyboardInterrupt):
        build_semantic_set(given, tmp_path / "stopped", CONFIG, progress=stops_at(number))
    assert not (tmp_path / "stopped/manifest.parquet").exists()
    half = tmp_path / "stopped/images/fake/.half.1-1.partial"
    half.write_bytes(b"half")
    build_semantic_set(given, tmp_path / "stopped", CONFIG)
    assert contents(tmp_path / "whole") == contents(tmp_path / "stopped")


def test_going_on_makes_only_what_is_missing(images, tmp_path):
    given = candidates(images)
    build_semantic_set(given, tmp_path, CONFIG)
    times = {path: path.stat().st_mtime_ns for path in tmp_path.glob("images/*/*")}
    lost = min(times)
    lost.unlink()
    build_semantic_set(given, tmp_path, CONFIG)
    again = {path: path.stat().st_mtime_ns for path in tmp_path.glob("images/*/*")}
    changed = {path for path in times if again[path] != times[path]}
    assert lost in changed
    assert len(changed) == 2  # the pair


def test_images_of_pairs_that_are_no_more_are_removed(images, tmp_path):
    given = candidates(images)
    build_semantic_set(given, tmp_path / "set", CONFIG)
    fewer = [candidate for candidate in given if not candidate.path.endswith(("0.png", "5.png"))]
    build_semantic_set(fewer, tmp_path / "set", CONFIG)
    build_semantic_set(fewer, tmp_path / "fresh", CONFIG)
    assert contents(tmp_path / "set") == contents(tmp_path / "fresh")


def test_what_cannot_be_used_is_listed_and_replaced(images, tmp_path):
    for label in ("real", "fake"):
        shutil.copytree(images / label, tmp_path / label)
    real = tmp_path / "real"
    (real / "broken.png").write_bytes(png(texture(80, 80))[:500])
    (real / "small.png").write_bytes(png(texture(39, 80)))
    (real / "long.png").write_bytes(png(texture(50, 151)))
    (real / "same.png").write_bytes((real / "3.png").read_bytes())
    (real / "of-the-fakes.png").write_bytes((tmp_path / "fake/2.png").read_bytes())
    given = [
        *candidates(tmp_path),
        *find_candidates([str(tmp_path / "missing.png")], "real"),
    ]
    out = tmp_path / "set"
    summary = build_semantic_set(given, out, CONFIG)
    assert summary.pairs == 8
    found = failures(out)
    twins = {name for name, code in found.items() if code == "duplicate"}
    assert twins - {"3.png", "same.png"} == {"of-the-fakes.png"}
    assert len(twins) == 2
    assert (
        found.items()
        >= {
            "broken.png": "truncated",
            "small.png": "too-small",
            "long.png": "too-small",
            "missing.png": "not-found",
        }.items()
    )
    assert (summary.failed, summary.duplicates) == (4, 2)
    few = build_semantic_set(given, tmp_path / "few", replace(CONFIG, count=5))
    assert few.pairs == 5


def test_one_tries_on_until_there_are_enough(images, tmp_path):
    shutil.copytree(images / "fake", tmp_path / "fake")
    for k in range(60):
        (tmp_path / f"fake/empty-{k}.png").touch()
    given = [
        *find_candidates([str(images / "real")], "real"),
        *find_candidates([str(tmp_path / "fake")], "fake"),
    ]
    assert build_semantic_set(given, tmp_path / "set", CONFIG).pairs == 8


def test_a_class_without_images_is_an_error_that_says_where_to_look(images, tmp_path):
    (tmp_path / "empty.png").write_bytes(b"")
    given = [
        *find_candidates([str(images / "real")], "real"),
        *find_candidates([str(tmp_path / "empty.png")], "fake"),
    ]
    with pytest.raises(SemanticSetError, match=r"failed\.csv says which"):
        build_semantic_set(given, tmp_path / "set", CONFIG)
    assert failures(tmp_path / "set") == {"empty.png": "empty"}


def test_a_folder_of_other_settings_or_things_is_refused(images, tmp_path):
    given = candidates(images)
    build_semantic_set(given, tmp_path / "set", CONFIG)
    with pytest.raises(SemanticSetError, match="begun with seed 2, not 7"):
        build_semantic_set(given, tmp_path / "set", replace(CONFIG, seed=7))
    with pytest.raises(SemanticSetError, match="holds no semantic set"):
        build_semantic_set(given, images, CONFIG)


def test_a_full_disk_is_one_sentence_and_the_run_goes_on_later(images, tmp_path):
    given = candidates(images)
    build_semantic_set(given, tmp_path / "whole", CONFIG)
    largest = max(path.stat().st_size for path in (tmp_path / "whole").glob("images/*/*"))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest - 1, limits[1]))
    try:
        with pytest.raises(SemanticSetError, match=r"cannot be written: .+ goes on from there"):
            build_semantic_set(given, tmp_path / "set", CONFIG)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list((tmp_path / "set").rglob("*.partial"))
    build_semantic_set(given, tmp_path / "set", CONFIG)
    assert contents(tmp_path / "set") == contents(tmp_path / "whole")


def test_an_image_that_was_changed_in_the_meantime_is_listed(images, tmp_path):
    shutil.copytree(images, tmp_path / "images")
    given = candidates(tmp_path / "images")
    with pytest.raises(KeyboardInterrupt):
        build_semantic_set(given, tmp_path / "set", CONFIG, progress=stops_at(16))
    (tmp_path / "images/fake/1.png").write_bytes(png(texture(180, 140, seed=77)))
    summary = build_semantic_set(given, tmp_path / "set", CONFIG)
    assert summary.pairs == 7
    assert failures(tmp_path / "set") == {"1.png": "unreadable"}


# Matching


def seen(width, height, label="fake"):
    return Seen(
        Candidate(f"{width}x{height}.png", label), f"{width}x{height}{label}", width, height
    )


def test_matching_cuts_away_the_least_of_all_ways_to_pair():
    rng = np.random.default_rng(0)
    fakes, reals = (
        [seen(*map(int, rng.integers(100, 300, 2)), label) for _ in range(6)]
        for label in ("fake", "real")
    )
    found = sum(math.log(pair.kept) for pair in match(fakes, reals, 512))

    def kept(fake, real):
        return -0.5 * abs(math.log(fake.aspect / real.aspect))

    best = max(
        sum(kept(fake, real) for fake, real in zip(fakes, order, strict=True))
        for order in itertools.permutations(reals)
    )
    assert found == pytest.approx(best)


def test_both_lose_the_same_share_to_the_crop():
    (pair,) = match([seen(200, 100)], [seen(300, 600, "real")], 512)
    assert pair.kept == pytest.approx(0.5)
    assert (pair.width, pair.height) == (100, 100)
    (pair,) = match([seen(1000, 500)], [seen(2000, 1000, "real")], 512)
    assert (pair.width, pair.height, pair.kept) == (512, 256, 1)


def test_what_is_left_over_is_the_last_given_not_the_most_unlike():
    pairs = match([seen(100, 100), seen(200, 100)], [seen(100, 200, "real")], 512)
    assert [pair.fake.width for pair in pairs] == [100]


@pytest.mark.parametrize("name", ["box", "bicubic"])
def test_fitting_is_a_centred_crop_and_pillows_resizing(name):
    pixels = texture(100, 140)
    wanted = Image.fromarray(pixels[:, 20:120]).resize((50, 50), Image.Resampling[name.upper()])
    inner = slice(2, -2)  # at the edge, fitting may see what was cut away
    np.testing.assert_array_equal(
        fit(pixels, 50, 50, name)[inner, inner], np.asarray(wanted)[inner, inner]
    )
    np.testing.assert_array_equal(fit(pixels, 140, 100, name), pixels)
    for size in ((33, 47), (139, 100), (7, 5)):  # none of which divides evenly
        assert fit(pixels, *size, name).shape[1::-1] == size


# Archives and manifests


def test_echo_4o_is_read_as_it_is_downloaded(tmp_path):
    write_echo(tmp_path / "Echo-4o-Image", 5)
    (tmp_path / "real").mkdir()
    for k in range(5):
        (tmp_path / f"real/{k}.png").write_bytes(png(texture(160, 160, seed=k)))
    out = tmp_path / "set"
    given = [
        *find_candidates([str(tmp_path / "real")], "real"),
        *find_candidates([str(tmp_path / "Echo-4o-Image")], "fake"),
    ]
    assert build_semantic_set(given, out, CONFIG).pairs == 5
    fakes = [fake for fake, _ in pairs(out)]
    asked = {fake.extra["instruction"] for fake in fakes}
    assert asked == {f"A fish reads newspaper number {k}." for k in range(5)}
    assert {fake.generator for fake in fakes} == {"gpt-4o"}
    assert all(":0000" in fake.extra["original"] for fake in fakes)
    before = contents(out)
    build_semantic_set(given, out, CONFIG)  # its images were cleared away
    assert contents(out) == before
    next(out.glob("images/fake/*")).unlink()
    build_semantic_set(given, out, CONFIG)
    assert contents(out) == before


def test_an_archive_cannot_write_outside_nor_bring_in_what_is_no_image(images, tmp_path):
    secret = tmp_path / "secret.png"
    secret.write_bytes(png(texture(100, 100, seed=40)))
    archive = write_archive(
        tmp_path / "in/bad.tar.gz",
        {
            "../../evil.png": png(texture(100, 100, seed=41)),
            f"{tmp_path}/absolute.png": png(texture(100, 100, seed=42)),
            "link.png": str(secret),
            "._fork.png": b"a Mac's other half",
            "notes.txt": b"no image",
            "damaged.png": png(texture(100, 100, seed=43))[:700],
            "twice.png": png(texture(100, 100, seed=44)),
        },
    )
    before = set(tmp_path.rglob("*"))
    given = [
        *find_candidates([str(images / "real")], "real"),
        *find_candidates([str(archive)], "fake"),
    ]
    out = tmp_path / "set"
    summary = build_semantic_set(given, out, CONFIG)
    assert summary.pairs == 3
    assert {path for path in set(tmp_path.rglob("*")) - before if out not in path.parents} == {out}
    names = {fake.extra["original"].removeprefix(f"{archive}:") for fake, _ in pairs(out)}
    assert names == {"../../evil.png", f"{tmp_path}/absolute.png", "twice.png"}
    assert failures(out) == {"bad.tar.gz:damaged.png": "truncated"}


def cut_tar(data, boundary):
    return ".tar", data[: boundary + 5000]


def cut_gzip(data, boundary):
    cut = gzip.compress(data)
    return ".tar.gz", cut[: int(len(cut) * 0.6)]


def cut_gzip_between_members(data, boundary):
    compressor = zlib.compressobj(wbits=31)
    return ".tgz", compressor.compress(data[:boundary]) + compressor.flush(zlib.Z_FULL_FLUSH)


@pytest.mark.parametrize("cut", [cut_tar, cut_gzip, cut_gzip_between_members])
def test_a_truncated_archive_gives_what_comes_before_and_is_listed(images, tmp_path, cut):
    members = {f"{k}.png": png(texture(100, 100, seed=50 + k)) for k in range(4)}
    whole = write_archive(tmp_path / "whole.tar", members, mode="w")
    with tarfile.open(whole) as tar:
        boundary = tar.getmembers()[2].offset
    suffix, data = cut(whole.read_bytes(), boundary)
    archive = tmp_path / f"cut{suffix}"
    archive.write_bytes(data)
    given = [
        *find_candidates([str(images / "real")], "real"),
        *find_candidates([str(archive)], "fake"),
    ]
    out = tmp_path / "set"
    summary = build_semantic_set(given, out, CONFIG)
    assert summary.pairs in (1, 2)  # gzip may keep back the last before the damage
    found = failures(out)
    assert found.pop(archive.name) == "truncated"
    assert len(found) <= 1


def test_a_manifest_gives_its_rows_of_a_label_that_are_for_training(images, tmp_path):
    rows = [
        Row(str(images / "real/0.png"), "real"),
        Row(str(images / "fake/0.png"), "fake", generator="dreamer", split="train"),
        Row(str(images / "fake/1.png"), "fake", split="test"),
        Row(str(images / "fake/2.png"), "fake", split="val"),
    ]
    write_manifest(rows, tmp_path / "images.csv")
    fakes = find_candidates([str(tmp_path / "images.csv")], "fake")
    assert [(Path(fake.path).name, fake.generator) for fake in fakes] == [("0.png", "dreamer")]
    assert len(find_candidates([str(tmp_path / "images.csv")] * 2, "real")) == 1


def test_a_folders_archives_count_beside_its_images(tmp_path):
    write_scenes(tmp_path, 2)
    write_archive(tmp_path / "fake/more/more.tar", {"x.png": b"x", "y.txt": b"y"}, mode="w")
    names = [Path(fake.name).name for fake in find_candidates([str(tmp_path / "fake")], "fake")]
    assert names == ["0.png", "1.png", "more.tar:x.png"]


def test_the_order_depends_on_seed_and_names_alone(images):
    from aligngemini.datasets.candidates import shuffled

    given = candidates(images)
    assert shuffled(given, 1) == shuffled(given[::-1], 1)
    assert shuffled(given, 1) != shuffled(given, 2)
