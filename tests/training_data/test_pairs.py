"""Pairs as the expert trains on them: deterministic, alike within, whole or refused."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from fixtures.drawn import png, texture
from fixtures.pairs import CROP, STILL, rebuilt, write_pairs
from torch.utils.data import DataLoader

from aligngemini.datasets.manifest import ManifestError, Row, read_manifest
from aligngemini.datasets.pair_settings import Alignment, Augmentation, PairSettings
from aligngemini.datasets.pairs import HeldOutDataset, PairDataset, collate, find_pairs
from aligngemini.images.degrade import reencode
from aligngemini.images.jpeg import JpegSettings
from aligngemini.images.views import center_crop

BARE = PairSettings(Alignment(jpeg=0, blend=0), None, STILL)


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    return read_manifest(write_pairs(tmp_path_factory.mktemp("pairs"), 5, val=2))


@pytest.fixture
def pairs(rows):
    return find_pairs(rows, "train")


def dataset(pairs, settings=None, *, draws=40, seed=7):
    return PairDataset(pairs, draws, CROP, settings or PairSettings(), seed=seed)


def test_pairs_are_those_of_the_split_with_their_compression(rows):
    train, val = (find_pairs(rows, split) for split in ("train", "val"))
    assert [len(train), len(val)] == [5, 2]
    assert train[0].fake.endswith("fake-0.png")
    assert train[0].real.endswith("real-0.png")
    assert train[0].generator == "halved"
    assert [pair.compression for pair in train[:2]] == [None, JpegSettings(90, "4:2:0")]


def test_rows_without_a_split_are_for_training_and_fakes_without_a_photo_are_left_out(rows):
    loose = [replace(row, split="", extra=row.extra) for row in rows]
    loose.append(Row("image.png", "fake", generator="flux"))
    assert len(find_pairs(loose, "train")) == 7
    assert find_pairs(loose, "val") == []


def test_item_holds_six_views_and_their_labels(pairs):
    item = dataset(pairs)[3]
    assert item["pixels"].shape == (6, CROP, CROP, 3)
    assert item["pixels"].dtype == torch.uint8
    assert item["labels"].tolist() == [0, 0, 0, 1, 1, 1]


def test_without_rescaling_two_views_of_the_files_own_pixels(pairs):
    item = dataset(pairs, BARE)[0]
    assert item["labels"].tolist() == [0, 1]
    images = {name: texture(96, 96 + k % 3, seed=k, spread=20.0) for k, name in enumerate("abcde")}
    windows = np.concatenate(
        [
            np.lib.stride_tricks.sliding_window_view(image, (CROP, CROP), (0, 1)).reshape(
                -1, 3, CROP, CROP
            )
            for image in images.values()
        ]
    )
    real = item["pixels"][0].permute(2, 0, 1).numpy()
    assert (windows == real).all((1, 2, 3)).any()


def test_a_number_always_gives_the_same(pairs):
    first, again = dataset(pairs), dataset(pairs)
    backwards = [again[number] for number in reversed(range(12))]
    for number, item in enumerate(reversed(backwards)):
        assert torch.equal(first[number]["pixels"], item["pixels"])


def test_loader_processes_change_nothing(pairs):
    batches = [
        [
            batch["pixels"]
            for batch in DataLoader(
                dataset(pairs, draws=8), batch_size=2, num_workers=workers, collate_fn=collate
            )
        ]
        for workers in (0, 2)
    ]
    assert len(batches[0]) == 4
    assert batches[0][0].shape == (12, CROP, CROP, 3)
    assert all(torch.equal(one, two) for one, two in zip(*batches, strict=True))


def test_seeds_and_numbers_differ(pairs):
    one = dataset(pairs)
    assert not torch.equal(one[0]["pixels"], one[5]["pixels"])
    assert not torch.equal(one[0]["pixels"], dataset(pairs, seed=8)[0]["pixels"])


def test_every_pair_comes_up_once_an_epoch_in_a_new_order(pairs, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        "aligngemini.datasets.pairs.augmented", lambda pair, *others: drawn.append(pair.fake)
    )
    data = dataset(pairs, draws=20)
    for number in range(20):
        data[number]
    epochs = [tuple(drawn[start : start + 5]) for start in range(0, 20, 5)]
    assert all(len(set(epoch)) == 5 for epoch in epochs)
    assert len(set(epochs)) > 1


def test_all_views_of_a_pair_go_the_same_way(tmp_path):
    """Of two equal files, photo and fake stay equal through every draw."""
    manifest = write_pairs(tmp_path, 1)
    (tmp_path / "fake-0.png").write_bytes((tmp_path / "real-0.png").read_bytes())
    always = Augmentation(
        **dict.fromkeys(
            ("jpeg", "mirror", "flip", "noise", "pepper", "blur", "sharpen", "jitter", "grey"), 0.5
        )
    )
    settings = PairSettings(Alignment(jpeg=0), augmentation=always)
    data = dataset(find_pairs(read_manifest(manifest), "train"), settings)
    for number in range(12):
        reals, fakes = data[number]["pixels"].chunk(2)
        assert torch.equal(reals, fakes)


def test_alignment_touches_the_fake_alone(pairs):
    plain, blended = (
        dataset(pairs, replace(BARE, alignment=alignment))
        for alignment in (
            Alignment(jpeg=0, blend=0),
            Alignment(jpeg=0, blend=1, blend_weight=(0, 0)),
        )
    )
    for number in range(5):
        before, after = plain[number]["pixels"], blended[number]["pixels"]
        assert not torch.equal(after[1], before[1])
        assert torch.equal(after[0], after[1])  # a fake of weight 0 is its photo


def test_held_out_images_are_what_detection_sees(rows):
    val = find_pairs(rows, "val")
    data = HeldOutDataset(val, CROP)
    assert len(data) == 4
    batch = collate([data[k] for k in range(4)])
    assert batch["labels"].tolist() == [0, 1, 0, 1]
    photo = texture(96, 96 + 5 % 3, seed=5, spread=20.0)
    np.testing.assert_array_equal(batch["pixels"][0].numpy(), center_crop(photo, CROP))


def test_held_out_fakes_are_compressed_as_their_photo_was(rows):
    pair = replace(find_pairs(rows, "val")[0], compression=JpegSettings(50, "4:4:4"))
    photo = texture(96, 96 + 5 % 3, seed=5, spread=20.0)
    data = HeldOutDataset([pair], CROP)
    compressed = center_crop(reencode(rebuilt(photo), 50, subsampling="4:4:4"), CROP)
    np.testing.assert_array_equal(data[1]["pixels"][0].numpy(), compressed)
    np.testing.assert_array_equal(data[0]["pixels"][0].numpy(), center_crop(photo, CROP))


def test_a_damaged_file_is_named(tmp_path):
    pairs = find_pairs(read_manifest(write_pairs(tmp_path, 1)), "train")
    (tmp_path / "fake-0.png").write_bytes(b"\x89PNG\r\n\x1a\ncut short")
    with pytest.raises(ManifestError, match=r"fake-0\.png cannot be trained on: .*remove its rows"):
        dataset(pairs)[0]
    with pytest.raises(ManifestError, match=r"fake-0\.png"):
        HeldOutDataset(pairs, CROP)[1]


def test_sizes_that_differ_are_said_with_both_files(tmp_path):
    pairs = find_pairs(read_manifest(write_pairs(tmp_path, 1)), "train")
    (tmp_path / "fake-0.png").write_bytes(png(texture(96, 88)))
    with pytest.raises(ManifestError, match=r"real-0\.png has 96 x 96 .*fake-0\.png 88 x 96"):
        dataset(pairs)[0]


def test_missing_files_are_found_before_training(tmp_path):
    rows = read_manifest(write_pairs(tmp_path, 3))
    for name in ("fake-1.png", "real-2.png"):
        (tmp_path / name).unlink()
    with pytest.raises(ManifestError, match=r"2 files .* do not exist, the first is .*fake-1\.png"):
        find_pairs(rows, "train")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pair": "elsewhere.png"}, r"its pair elsewhere\.png is no real image"),
        ({"split": "val"}, "a pair belongs to one split"),
        ({"extra": {"quality": 101, "subsampling": "4:2:0"}}, "quality 101 .* no JPEG compression"),
        ({"extra": {"quality": 90, "subsampling": "4:1:1"}}, "'4:1:1' are no JPEG compression"),
        ({"extra": {"quality": "good"}}, "'good'"),
    ],
)
def test_rows_that_do_not_fit_are_said(rows, change, message):
    rows = list(rows)
    rows[1] = replace(rows[1], **change)
    with pytest.raises(ManifestError, match=message):
        [find_pairs(rows, split) for split in ("train", "val")]
