"""Benchmarks of one's own: two parts, and nothing left to tell them by but what is meant."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fixtures.drawn import png, texture
from PIL import Image

from aligngemini.datasets.benchmark_set import (
    BenchmarkSetConfig,
    BenchmarkSetError,
    build_benchmark_set,
)
from aligngemini.datasets.candidates import find_candidates
from aligngemini.datasets.manifest import read_manifest
from aligngemini.datasets.semantic_set import no_progress
from aligngemini.images.jpeg import jpeg_settings

CONFIG = BenchmarkSetConfig(min_side=48, max_side=90, semantic_side=64, seed=3)
SIZES = [(70, 90), (90, 70), (80, 120), (100, 130)]


def jpeg(pixels, quality):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return file.getvalue()


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Photos as JPEG, two generators' images as PNG: formats that give the classes away."""
    folder = tmp_path_factory.mktemp("images")
    for name, save in (
        ("photos", lambda pixels: jpeg(pixels, 80)),
        ("flux", png),
        ("gpt 4o", png),
    ):
        (folder / name).mkdir()
        for k, (height, width) in enumerate(SIZES):
            pixels = texture(height, width, seed=sum(name.encode()) + k)
            (folder / name / f"{k}.img").write_bytes(save(pixels))
    return folder


def candidates(folder):
    fakes = [*sorted((folder / "flux").iterdir()), *sorted((folder / "gpt 4o").iterdir())]
    return [
        *find_candidates([str(path) for path in sorted((folder / "photos").iterdir())], "real"),
        *find_candidates([str(path) for path in fakes], "fake"),
    ]


def build(given, out, config=CONFIG, **options):
    return build_benchmark_set(given, out, config, progress=no_progress, **options)


def contents(out):
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in out.rglob("*")
        if path.is_file() and path.suffix in (".jpg", ".parquet", ".csv")
    }


def test_layout_manifest_and_pairs(images, tmp_path):
    out = tmp_path / "set"
    summary = build(candidates(images), out)
    assert sum(summary.groups.values()) == 8
    assert (summary.failed, summary.duplicates) == (0, 0)
    rows = read_manifest(out / "manifest.parquet")
    assert len(rows) == 4 * 8
    for row in rows:
        group, part, folder, _ = Path(row.path).relative_to(out).parts
        assert folder == {"real": "0_real", "fake": "1_fake"}[row.label]
        assert row.extra["subset"] == f"{group}/{part}"
        assert Path(row.path).is_file()
    fakes = {row.generator for row in rows if row.label == "fake"}
    assert fakes == {"flux", "gpt 4o"}  # as named, though the folder's name is a safe one
    for part in ("pixel", "semantic"):
        both = [row for row in rows if row.extra["subset"] == f"flux/{part}"]
        assert sorted(row.label for row in both) == ["fake"] * 4 + ["real"] * 4


def test_format_size_and_compression_say_nothing(images, tmp_path):
    out = tmp_path / "set"
    build(candidates(images), out)
    rows = read_manifest(out / "manifest.parquet")
    seen: dict[tuple, set] = {}
    for row in rows:
        data = Path(row.path).read_bytes()
        with Image.open(io.BytesIO(data)) as image:
            facts = (image.format, image.size, image.mode, tuple(image.info), jpeg_settings(data))
        seen.setdefault((row.extra["subset"], row.extra["match"]), set()).add(facts)
    assert all(len(facts) == 1 for facts in seen.values())


def test_the_pixel_part_is_cut_and_never_resampled(images, tmp_path):
    """With lossless inputs and quality 100 the crop is the original's, within JPEG's rounding."""
    out = tmp_path / "set"
    build(candidates(images), out, replace(CONFIG, quality=100))
    rows = [r for r in read_manifest(out / "manifest.parquet") if r.extra["subset"] == "flux/pixel"]
    for row in rows:
        original = np.asarray(Image.open(row.extra["original"]).convert("RGB")).astype(int)
        made = np.asarray(Image.open(row.path)).astype(int).mean(2)  # colour is subsampled
        height, width = made.shape
        top, left = (
            (whole - part) // 2 // 16 * 16
            for whole, part in zip(original.shape, (height, width), strict=False)
        )
        cut = original[top : top + height, left : left + width].mean(2)
        assert np.abs(cut - made).mean() < 6
        shifted = original[top : top + height, left + 1 : left + 1 + width].mean(2)
        if shifted.shape == made.shape:
            assert np.abs(shifted - made).mean() > 2 * np.abs(cut - made).mean()


def test_both_of_a_semantic_pair_are_degraded_alike(tmp_path):
    """The same picture as real and as fake comes out the same, down to the noise."""
    for name, extra in (("photos", b""), ("flux", b"x")):
        (tmp_path / name).mkdir()
        picture = png(texture(80, 100, seed=1)) + extra  # other bytes, so no duplicate
        (tmp_path / name / "a.png").write_bytes(picture)
    out = tmp_path / "set"
    given = [
        *find_candidates([str(tmp_path / "photos")], "real"),
        *find_candidates([str(tmp_path / "flux")], "fake"),
    ]
    build(given, out)
    one, other = (
        Path(row.path).read_bytes()
        for row in read_manifest(out / "manifest.parquet")
        if row.extra["subset"] == "flux/semantic"
    )
    assert one == other


def test_a_stopped_run_goes_on_and_threads_change_nothing(images, tmp_path):
    whole = tmp_path / "whole"
    build(candidates(images), whole)
    stopped = tmp_path / "stopped"

    class StopError(Exception):
        pass

    made = []

    def stop_after_three():
        made.append(1)
        if len(made) == 15:
            raise StopError

    class Watching:
        def __init__(self, *_, **__):
            pass

        def __enter__(self):
            return stop_after_three

        def __exit__(self, *_):
            return None

    with pytest.raises(StopError):
        build_benchmark_set(candidates(images), stopped, CONFIG, progress=Watching, threads=2)
    assert not (stopped / "manifest.parquet").exists()
    journal = (stopped / "journal" / "pairs.jsonl").read_text().splitlines()
    assert 0 < len(journal) < 8
    build(candidates(images), stopped, threads=3)
    assert contents(stopped) == contents(whole)


def test_unreadable_images_are_listed_and_the_rest_is_built(images, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(png(texture(80, 80))[:400])
    out = tmp_path / "set"
    summary = build([*candidates(images), *find_candidates([str(broken)], "fake")], out)
    assert summary.failed == 1
    with (out / "failed.csv").open() as file:
        assert [row["path"] for row in csv.DictReader(file)] == [str(broken)]


def test_groups_whose_names_differ_in_odd_signs_stay_apart(images, tmp_path):
    for name in ("a b", "a-b", "a/b"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "x.png").write_bytes(png(texture(80, 80, seed=len(name) + ord(name[1]))))
    fakes = find_candidates([str(tmp_path)], "fake")
    reals = [one for one in candidates(images) if one.label == "real"]
    summary = build([*reals, *fakes], tmp_path / "set")
    assert sorted(summary.groups.values()) == [1, 1, 1]
    assert all(".." not in group and "/" not in group for group in summary.groups)


def test_other_settings_and_nothing_usable_are_said(images, tmp_path):
    out = tmp_path / "set"
    build(candidates(images), out)
    with pytest.raises(BenchmarkSetError, match="begun with quality 96"):
        build(candidates(images), out, replace(CONFIG, quality=90))
    with pytest.raises(BenchmarkSetError, match="no pair could be made"):
        build(candidates(images), tmp_path / "none", replace(CONFIG, min_side=2000))


def test_settings_are_written_for_others_to_read(images, tmp_path):
    build(candidates(images), tmp_path / "set")
    written = json.loads((tmp_path / "set" / "settings.json").read_text())
    assert written["set"] == "benchmark"
    assert written["chain"]["quality"] == [30, 70]
