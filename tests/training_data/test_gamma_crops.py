"""Crops and masks go the same way, favour regions, repeat, and say what they cannot label."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from fixtures.drawn import png, texture
from fixtures.manipulated import PLAIN, write_set
from fixtures.pairs import STILL
from PIL import Image

from aligngemini.datasets.crop_settings import CropSettings, CropShape, Delivery, Stage
from aligngemini.datasets.crops import cell_shares, collate, draw_crops, read_pixels
from aligngemini.datasets.manifest import ManifestError, read_manifest, write_manifest
from aligngemini.datasets.manipulated import CropDataset, HeldOutCrops
from aligngemini.datasets.manipulation_set import (
    ManipulationSetError,
    Sample,
    read_manipulation_set,
)
from aligngemini.settings import SettingsError

SIDE = 32
SHAPE = CropShape(map_stride=4, moved_is_fake=True)


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    return read_manipulation_set(write_set(tmp_path_factory.mktemp("set"), 3))


@pytest.fixture
def lit(tmp_path):
    """Writes a dark picture whose region is lit, mask and picture being one; gives the sample."""

    def write(height=90, width=120, box=(50, 30, 70, 44), kind="vae-region"):
        mask = np.zeros((height, width), np.uint8)
        mask[box[1] : box[3], box[0] : box[2]] = 255
        Image.fromarray(mask).save(tmp_path / "mask.png")
        (tmp_path / "lit.png").write_bytes(png(mask[..., None].repeat(3, 2)))
        path = str(tmp_path / "mask.png")
        return Sample(
            path=str(tmp_path / "lit.png"),
            generated=path if kind == "vae-region" else None,
            moved=path if kind == "splice" else None,
            full=False,
            manipulation=kind,
            generator="",
            source="",
            split="",
            label="fake",
        )

    return write


def draw(sample, settings=PLAIN, shape=SHAPE, seed=0, side=SIDE):
    """One crop."""
    return first(draw_crops(sample, side, shape, settings, np.random.default_rng(seed)))


def first(item):
    return {name: values[0] for name, values in item.items()}


def dataset(samples, draws, settings, *, seed=0, stages=None):
    stages = stages or [Stage(draws, SIDE)]
    return CropDataset(samples, stages, SHAPE, settings, per_step=1, seed=seed)


def means_of_cells(item):
    """The picture's own brightness by cell, in [0, 1]."""
    pixels = item["pixels"].float().mean(2)[None, None] / 255
    return torch.nn.functional.avg_pool2d(pixels, SHAPE.map_stride)[0, 0]


@pytest.mark.parametrize("head", [0, 1], ids=["generated", "moved"])
@pytest.mark.parametrize(
    "settings",
    [
        PLAIN,
        replace(PLAIN, augmentation=replace(STILL, mirror=1.0)),
        replace(PLAIN, augmentation=replace(STILL, flip=1.0)),
        replace(PLAIN, delivery=Delivery(rescale=1, scale=(0.5, 0.5), jpeg=0)),
        replace(PLAIN, delivery=Delivery(rescale=1, scale=(1.4, 1.7), jpeg=0)),
        replace(PLAIN, delivery=Delivery(rescale=0, jpeg=1, jpeg_quality=(90, 95))),
    ],
    ids=["plain", "mirrored", "flipped", "halved", "enlarged", "JPEG"],
)
def test_masks_lie_on_what_they_mark(lit, settings, head):
    sample = lit(kind=("vae-region", "splice")[head])
    settings = replace(settings, aim=1.0)
    for seed in range(5):
        item = draw(sample, settings, seed=seed)
        assert (item["pixels"].shape, item["masks"].shape) == ((32, 32, 3), (2, 8, 8))
        assert item["masks"][1 - head].max() == 0
        difference = (item["masks"][head] - means_of_cells(item)).abs()
        assert difference.max() < 0.3
        assert difference.mean() < 0.03
        assert item["masks"][head].max() > 0.2


def test_aimed_crops_hold_a_part_of_the_region_and_others_need_not(lit):
    sample = lit(height=200, width=260, box=(200, 150, 212, 160))
    for aim, wanted in ((1.0, 40), (0.0, 12)):
        hits = [
            draw(sample, replace(PLAIN, aim=aim), seed=seed)["masks"].any() for seed in range(40)
        ]
        assert sum(hits) == wanted if aim else sum(hits) < wanted


def test_a_region_at_the_very_edge_can_be_aimed_at(lit):
    for box in ((0, 0, 3, 3), (117, 87, 120, 90)):
        for seed in range(10):
            assert draw(lit(box=box), replace(PLAIN, aim=1.0), seed=seed)["masks"].any()


def test_a_smaller_image_is_mirrored_and_its_mask_with_it(lit):
    item = draw(lit(height=40, width=40, box=(8, 8, 24, 24)), side=64)
    assert item["pixels"].shape == (64, 64, 3)
    shares = torch.nn.functional.avg_pool2d(item["pixels"].float().mean(2)[None, None] / 255, 4)
    torch.testing.assert_close(item["masks"][0], shares[0, 0], atol=0.01, rtol=0)
    # The region and what is left of its mirror images.
    assert item["masks"][0].sum() * 16 > 16 * 16


def test_draws_depend_on_seed_and_number_alone(samples):
    settings = CropSettings()
    one, other = (dataset(samples, 20, settings, seed=3) for _ in range(2))
    other[7], other[2]  # in another order
    for number in (0, 5, 19):
        for name, value in one[number].items():
            assert torch.equal(value, other[number][name])
    different = dataset(samples, 20, settings, seed=4)
    assert not torch.equal(one[0]["pixels"], different[0]["pixels"])
    assert len(one) == 20


def test_held_out_crops_are_one_an_image_and_always_the_same(samples):
    held_out = HeldOutCrops(samples, SIDE, SHAPE, CropSettings(), seed=0)
    assert len(held_out) == len(samples)
    for number in range(len(samples)):
        assert torch.equal(held_out[number]["pixels"], held_out[number]["pixels"])


def test_shares_say_what_is_drawn_how_often(samples):
    settings = replace(PLAIN, shares={"none": 3.0, "full": 1.0, "inpaint": 5.0})
    data = dataset(samples, 200, settings)
    full = [bool((data[k]["masks"][0, 0] == 1).all()) for k in range(200)]
    assert {bool(data[k]["masks"].any()) for k in range(200) if not full[k]} == {False}
    assert 30 <= sum(full) <= 70  # a quarter, and there are no `inpaint` images


def test_without_shares_every_image_is_drawn_alike(samples):
    none = [sample for sample in samples if sample.manipulation == "none"]
    full = [sample for sample in samples if sample.manipulation == "full"][:1]
    data = dataset(none + full, 200, PLAIN)
    assert 30 <= sum(bool(data[k]["masks"].any()) for k in range(200)) <= 70


def test_shares_of_nothing_that_is_there_are_said(samples):
    with pytest.raises(ManifestError, match="none is of a manipulation in inpaint"):
        dataset(samples, 1, replace(PLAIN, shares={"inpaint": 1.0}))


@pytest.mark.parametrize(
    ("kind", "moved_is_fake", "label"),
    [
        ("none", True, 0),
        ("vae-region", False, 1),
        ("full", False, 1),
        ("splice", True, 1),
        ("splice", False, 0),
    ],
)
def test_labels_of_crops(samples, kind, moved_is_fake, label):
    sample = next(sample for sample in samples if sample.manipulation == kind)
    item = draw(sample, shape=CropShape(4, moved_is_fake), side=96)
    assert item["labels"].item() == label
    assert bool(item["masks"].any()) == (kind != "none")


def test_a_crop_with_hardly_anything_marked_has_no_label(lit):
    sample = lit(height=32, width=32, box=(4, 4, 6, 6))  # 4 of 1024 pixels
    assert draw(sample, replace(PLAIN, min_share=0.01))["labels"].item() == -1
    assert draw(sample, replace(PLAIN, min_share=0.003))["labels"].item() == 1


def test_cells_hold_the_share_that_is_marked():
    rng = np.random.default_rng(0)
    masks = rng.random((12, 20, 2)) < 0.5
    planes = np.zeros((12, 20, 3), np.uint8)
    planes[..., :2] = 255 * masks
    shares = cell_shares(planes, 4)
    assert shares.shape == (2, 3, 5)
    for head in range(2):
        for row in range(3):
            for column in range(5):
                cell = masks[4 * row : 4 * row + 4, 4 * column : 4 * column + 4, head]
                assert shares[head, row, column] == pytest.approx(cell.mean())


def test_a_plain_crop_is_pixels_of_the_image(samples):
    sample = next(sample for sample in samples if sample.manipulation == "none")
    crop, image = draw(sample)["pixels"].numpy(), read_pixels(sample.path)
    assert (window(image) == crop.transpose(2, 0, 1)).all((2, 3, 4)).any()


def test_the_original_comes_along_treated_alike(samples):
    settings = replace(CropSettings(), pairs=True, aim=1.0)
    for kind in ("vae-region", "splice"):
        sample = next(sample for sample in samples if sample.manipulation == kind)
        for seed in range(6):
            item = draw_crops(sample, SIDE, SHAPE, settings, np.random.default_rng(seed), count=3)
            assert item["pixels"].shape == (6, SIDE, SIDE, 3)
            assert (item["labels"][1::2] == 0).all()
            assert (item["masks"][1::2] == 0).all()
            assert (item["masks"][::2].amax((1, 2, 3)) > 0).all()
            alone = draw_crops(
                sample, SIDE, SHAPE, replace(settings, pairs=False), np.random.default_rng(seed)
            )
            torch.testing.assert_close(alone["pixels"][0], item["pixels"][0])


def test_originals_are_photos_of_the_set_that_nothing_was_done_to(tmp_path):
    manifest = write_set(tmp_path, 2)
    before = {sample.path: sample for sample in read_manipulation_set(manifest)}
    photo, edited, whole = (str(tmp_path / f"{k}-0.png") for k in ("none", "splice", "full"))
    assert before[edited].original == photo
    assert before[photo].original is None
    assert before[whole].original is None
    rows = [
        replace(row, extra={**row.extra, "perturbation": "blur"}) if row.path == photo else row
        for row in read_manifest(manifest)
    ]
    write_manifest(rows, manifest)
    after = {sample.path: sample for sample in read_manipulation_set(manifest)}
    assert after[edited].original is None
    assert after[str(tmp_path / "splice-1.png")].original == str(tmp_path / "none-1.png")


def test_pairs_differ_inside_the_mask_alone(samples):
    sample = next(sample for sample in samples if sample.manipulation == "splice")
    settings = replace(PLAIN, pairs=True, augmentation=replace(STILL, mirror=0.5, noise=1.0))
    for seed in range(6):
        item = draw_crops(sample, SIDE, SHAPE, settings, np.random.default_rng(seed))
        edited, original = item["pixels"]
        differs = (edited != original).any(2)[None].float()
        marked = torch.nn.functional.interpolate(item["masks"][:1, 1:], scale_factor=4)[0] > 0
        assert not (differs[0] > 0)[~marked[0]].any()


def test_photos_and_whole_fakes_come_alone(samples):
    settings = replace(PLAIN, pairs=True)
    for kind in ("none", "full"):
        sample = next(sample for sample in samples if sample.manipulation == kind)
        item = draw_crops(sample, SIDE, SHAPE, settings, np.random.default_rng(0), count=2)
        assert len(item["pixels"]) == 2


def test_stages_follow_each_other(samples):
    stages = [
        Stage(steps=2, side=16, crops=3, delivery=0.0, kinds=("none",)),
        Stage(steps=1, side=24, crops=1, kinds=("full",)),
        Stage(steps=2, side=32),
    ]
    data = CropDataset(samples, stages, SHAPE, CropSettings(), per_step=4, seed=0)
    assert len(data) == 20
    shapes = [tuple(data[k]["pixels"].shape[:2]) for k in range(20)]
    assert shapes == [(3, 16)] * 8 + [(1, 24)] * 4 + [(1, 32)] * 8
    assert not any(data[k]["masks"].any() for k in range(8))
    assert all((data[k]["masks"][:, 0] == 1).all() for k in range(8, 12))


def test_a_stage_can_do_without_deliveries(samples):
    settings = replace(PLAIN, delivery=Delivery(rescale=0, jpeg=1, jpeg_quality=(20, 20)))
    photos = [sample for sample in samples if sample.manipulation == "none"]
    image = {sample.path: read_pixels(sample.path) for sample in photos}
    for share, alike in ((0.0, True), (1.0, False)):
        crop = dataset(photos, 0, settings, stages=[Stage(1, SIDE, delivery=share)])[0]["pixels"][0]
        found = [
            (window(pixels) == crop.numpy().transpose(2, 0, 1)).all((2, 3, 4)).any()
            for pixels in image.values()
        ]
        assert any(found) == alike


def window(pixels):
    return np.lib.stride_tricks.sliding_window_view(pixels, (SIDE, SIDE), axis=(0, 1))


def test_crops_of_several_images_are_one_batch(samples):
    settings = replace(PLAIN, pairs=True)
    items = [
        draw_crops(sample, SIDE, SHAPE, settings, np.random.default_rng(0), count=2)
        for sample in samples[:5]
    ]
    batch = collate(items)
    sizes = {len(values) for values in batch.values()}
    assert sizes == {sum(len(item["labels"]) for item in items)}


def test_files_that_cannot_be_used_are_named(lit, tmp_path):
    sample = lit()
    Image.fromarray(np.zeros((50, 50), np.uint8)).save(tmp_path / "mask.png")
    with pytest.raises(ManipulationSetError, match=r"mask\.png has 50 x 50 pixels and its image"):
        draw(sample)
    (tmp_path / "lit.png").write_bytes(png(texture(40, 40))[:100])
    with pytest.raises(ManifestError, match=r"lit\.png cannot be used: .*; mend it, or remove"):
        draw(sample)


@pytest.mark.parametrize(
    ("kind", "values", "said"),
    [
        (Delivery, {"jpeg": 1.5}, "must lie between 0 and 1"),
        (Delivery, {"scale": (1.2, 0.5)}, "delivery.scale"),
        (Delivery, {"jpeg_quality": (0, 90)}, "delivery.jpeg_quality"),
        (CropSettings, {"aim": -0.1}, "aim and min_share"),
        (CropSettings, {"shares": {"none": 0.0}}, "one of them above 0"),
        (CropSettings, {"shares": {}}, "one of them above 0"),
        (Stage, {"steps": 0, "side": 32}, "a stage needs steps"),
        (Stage, {"steps": 1, "side": 32, "delivery": 2.0}, "a stage needs steps"),
    ],
)
def test_settings_that_do_not_fit(kind, values, said):
    with pytest.raises(SettingsError, match=said):
        kind(**values)
