"""Masks that somebody else made: COCO's instances and folders, good and bad ones."""

import json

import numpy as np
import pytest
from fixtures.drawn import png
from PIL import Image

from aligngemini.datasets.manipulation_set import ManipulationSetError
from aligngemini.datasets.manipulations.mask_files import open_masks

BOX = np.zeros((60, 80), bool)
BOX[10:30, 20:60] = True


def coco(path, *instances, height=60, width=80, name="train/a.jpg"):
    content = {
        "images": [{"id": 7, "file_name": name, "height": height, "width": width}],
        "annotations": [{"id": k, "image_id": 7, **one} for k, one in enumerate(instances)],
    }
    path.write_text(json.dumps(content))
    return open_masks(f"coco:{path}")


def save_mask(path, mask):
    Image.fromarray(mask.astype(np.uint8) * 255).save(path)


def test_polygons_and_run_lengths_are_the_same_box(tmp_path):
    polygon = {"segmentation": [[20, 10, 60, 10, 60, 30, 20, 30]]}
    # Column by column: 20 empty columns and 10 rows, then 20 marked and 40 not, 40 times.
    counts = [20 * 60 + 10, *([20, 40] * 39), 20, 19 * 60 + 60 + 30]
    lengths = {"segmentation": {"counts": counts, "size": [60, 80]}}
    masks = coco(tmp_path / "c.json", polygon, lengths).regions("photos/a.jpg", 60, 80)
    np.testing.assert_array_equal(masks[1], BOX)
    # A polygon's edge is a pixel's border, which rasterising takes to one side or the other.
    assert np.count_nonzero(masks[0] ^ BOX) <= 2 * (20 + 40)
    assert masks[0][11:29, 21:59].all()


def test_two_parts_are_one_instance(tmp_path):
    parts = {"segmentation": [[0, 0, 10, 0, 10, 10, 0, 10], [40, 40, 60, 40, 60, 50, 40, 50]]}
    (mask,) = coco(tmp_path / "c.json", parts).regions("a.jpg", 60, 80)
    assert mask[5, 5]
    assert mask[45, 50]
    assert not mask[20:35].any()


def test_crowds_and_other_photos_have_no_region(tmp_path):
    crowd = {"segmentation": {"counts": [60 * 80], "size": [60, 80]}, "iscrowd": 1}
    source = coco(tmp_path / "c.json", crowd)
    assert source.regions("a.jpg", 60, 80) == []
    assert source.regions("b.jpg", 60, 80) == []


def test_coco_of_another_size_is_refused(tmp_path):
    source = coco(tmp_path / "c.json", {"segmentation": [[0, 0, 9, 0, 9, 9]]})
    with pytest.raises(ManipulationSetError, match=r"says that a\.jpg has 80 x 60 pixels.*60 x 80"):
        source.regions("a.jpg", 80, 60)


@pytest.mark.parametrize(
    "segmentation",
    [
        {"counts": "PPYo1", "size": [60, 80]},
        {"counts": [5, 5], "size": [60, 80]},
        {"counts": [-5, 60 * 80 + 5]},
        {"counts": {"a": 1}},
        [[1, 2, 3]],
        [[1e300, 0, 9, 0, 9, 9]],
        [["x", "y"]],
        [[]],
        [None],
        None,
        17,
    ],
)
def test_a_segmentation_that_is_none_is_refused(tmp_path, segmentation):
    source = coco(tmp_path / "c.json", {"segmentation": segmentation})
    with pytest.raises(ManipulationSetError, match="annotation 0 cannot be read"):
        source.regions("a.jpg", 60, 80)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"images": 3, "annotations": []}', '{"images": [{}]}', "17"]
)
def test_a_file_that_is_no_coco_file_is_refused(tmp_path, text):
    (tmp_path / "c.json").write_text(text)
    with pytest.raises(ManipulationSetError, match="no COCO annotation file"):
        open_masks(f"coco:{tmp_path / 'c.json'}")


def test_masks_that_are_not_there_are_refused(tmp_path):
    with pytest.raises(ManipulationSetError, match="there is no file"):
        open_masks(f"coco:{tmp_path / 'c.json'}")
    with pytest.raises(ManipulationSetError, match="there is no folder"):
        open_masks(str(tmp_path / "masks"))
    with pytest.raises(ManipulationSetError, match="holds no image"):
        open_masks(str(tmp_path))


def test_a_folder_gives_the_mask_of_the_photos_name(tmp_path):
    save_mask(tmp_path / "a.png", BOX)
    source = open_masks(str(tmp_path))
    (mask,) = source.regions("photos/a.jpg", 60, 80)
    np.testing.assert_array_equal(mask, BOX)
    assert source.regions("photos/b.jpg", 60, 80) == []


def test_a_mask_of_another_size_is_refused(tmp_path):
    save_mask(tmp_path / "a.png", BOX)
    with pytest.raises(ManipulationSetError, match=r"has 80 x 60 pixels and its image 80 x 61"):
        open_masks(str(tmp_path)).regions("a.jpg", 61, 80)


def test_a_mask_without_region_is_refused(tmp_path):
    save_mask(tmp_path / "a.png", np.zeros((60, 80), bool))
    with pytest.raises(ManipulationSetError, match="marks no pixel"):
        open_masks(str(tmp_path)).regions("a.jpg", 60, 80)


def test_a_mask_that_is_no_image_is_refused(tmp_path):
    (tmp_path / "a.png").write_bytes(png(np.zeros((60, 80, 3), np.uint8))[:40])
    with pytest.raises(ManipulationSetError, match="cannot be used"):
        open_masks(str(tmp_path)).regions("a.jpg", 60, 80)
