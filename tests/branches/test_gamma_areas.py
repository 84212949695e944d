"""What is said of maps: shares, boxes, and when a picture counts as edited."""

import numpy as np
import pytest
from scipy import ndimage

from aligngemini.branches.gamma.areas import MOST_BOXES, area_of, components, is_edited
from aligngemini.evidence import Area


def drawn_masks():
    rng = np.random.default_rng(0)
    for density in (0.02, 0.2, 0.4, 0.5, 0.7, 0.98):
        yield rng.random((37, 53)) < density
    yield np.zeros((5, 7), bool)
    yield np.ones((5, 7), bool)
    yield np.eye(9, dtype=bool)[::-1]
    spiral = np.zeros((9, 9), bool)  # runs that meet only far below
    spiral[::2], spiral[1:-1, 0], spiral[1:8:4, -1] = True, True, True
    yield spiral
    yield np.array([[1, 0, 1, 0, 1], [1, 0, 1, 0, 1], [0, 1, 0, 1, 0]], bool)


@pytest.mark.parametrize("mask", list(drawn_masks()))
def test_regions_are_scipys(mask):
    labels, count = ndimage.label(mask, structure=np.ones((3, 3)))
    expected = []
    for number, (rows, columns) in enumerate(ndimage.find_objects(labels), start=1):
        box = (columns.start, rows.start, columns.stop, rows.stop)
        expected.append((int((labels == number).sum()), box))
    assert len(expected) == count
    assert sorted(components(mask)) == sorted(expected)


def test_share_and_boxes_in_pixels_of_the_image():
    values = np.zeros((25, 50), np.float32)
    values[2:6, 40:] = 0.9
    values[10:20, 5:15] = 0.5
    values[0, 0] = 1  # a speck: under a thousandth
    area = area_of(values, 4, 98, 197)
    assert area.share == pytest.approx((40 + 100 + 1) / 1250)
    assert area.boxes == ((20, 40, 60, 80), (160, 8, 197, 24))
    bottom = np.zeros((25, 50), np.float32)
    bottom[-2:, -2:] = 1
    assert area_of(bottom, 4, 98, 197).boxes == ((192, 92, 197, 98),)


def test_below_a_half_nothing_is_marked():
    assert area_of(np.full((9, 9), 0.4999, np.float32), 4, 36, 36) == Area(0.0)


def test_share_is_of_what_was_looked_at():
    values = np.full((10, 10), np.nan, np.float32)
    values[:, :2] = 0
    values[:5, :2] = 1
    assert area_of(values, 4, 40, 40).share == 0.5


def test_a_region_across_a_gap_is_one():
    values = np.full((10, 30), np.nan, np.float32)
    values[:, :10] = values[:, 20:] = 0
    values[3:7, 4:26] += 1
    assert area_of(values, 4, 40, 120) == Area(0.24, ((16, 12, 104, 28),))


def test_only_the_largest_boxes_are_listed():
    values = np.zeros((100, 100), np.float32)
    for k in range(16):
        values[6 * k : 6 * k + 5, 0 : 10 + k] = 1
    boxes = area_of(values, 1, 100, 100).boxes
    assert len(boxes) == MOST_BOXES
    assert [right for _, _, right, _ in boxes] == list(range(25, 15, -1))


def edited(generated, moved, rest=0.0):
    maps = {}
    for name, share in (("generated", generated), ("moved", moved)):
        maps[name] = np.full((20, 50), rest, np.float32)
        maps[name][:, : int(50 * share)] = 0.9
    return is_edited(maps, {name: area_of(one, 4, 80, 200) for name, one in maps.items()})


@pytest.mark.parametrize(
    ("shares", "rest", "expected"),
    [
        ((0.2, 0), 0.0, True),
        ((0, 0.2), 0.0, True),
        ((0.5, 0), 0.25, True),
        ((0, 0), 0.0, False),  # nothing stands out
        ((0.52, 0), 0.0, False),  # more than a part
        ((1, 0), 0.0, False),
        ((0.3, 0), 0.3, False),  # the rest looks no better
    ],
)
def test_edited_is_a_part_beside_a_rest_that_looks_like_a_cameras(shares, rest, expected):
    assert edited(*shares, rest) is expected


def test_where_nobody_looked_does_not_count_as_rest():
    maps = {name: np.full((10, 10), np.nan, np.float32) for name in ("generated", "moved")}
    for values in maps.values():
        values[:4] = 0
    maps["generated"][:1] = 1
    areas = {name: area_of(values, 4, 40, 40) for name, values in maps.items()}
    assert is_edited(maps, areas)
    maps["generated"][:3] = 1
    areas = {name: area_of(values, 4, 40, 40) for name, values in maps.items()}
    assert not is_edited(maps, areas)
