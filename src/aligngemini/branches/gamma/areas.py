"""What is said of maps: how much is marked, in which boxes, and whether that is a part."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from aligngemini.evidence import Area

Map = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Box = tuple[int, int, int, int]

MARKED = 0.5
"""Cells from here up are marked."""
SMALLEST = 0.001
"""Share of the picture below which a region is a speck."""
MOST_BOXES = 10

MOST_EDITED = 0.5
"""Share of the picture up to which what is marked is a part of it."""
CAMERA_LIKE = 0.25
"""Mean of the maps up to which what is not marked looks like a camera's."""


def area_of(values: Map, cell: int, height: int, width: int) -> Area:
    """What a map marks.

    A region that shows on both sides of lines where nobody looked is one.

    Args:
        values: (h, w) in [0, 1], NaN where nobody looked; at least one cell is a number.
        cell: Side of its cells, pixels.
        height: Of the image, pixels.
        width: Likewise.
    """
    seen = ~np.isnan(values)
    rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    mask = values[np.ix_(rows, columns)] >= MARKED  # tiles lie in lines: nothing in it is NaN
    regions = [one for one in components(mask) if one[0] >= SMALLEST * mask.size]
    boxes = tuple(
        (
            int(columns[left]) * cell,
            int(rows[top]) * cell,
            min(width, (int(columns[right - 1]) + 1) * cell),
            min(height, (int(rows[bottom - 1]) + 1) * cell),
        )
        for _, (left, top, right, bottom) in sorted(regions, reverse=True)[:MOST_BOXES]
    )
    return Area(share=float(mask.mean()), boxes=boxes)


def is_edited(maps: Mapping[str, Map], areas: Mapping[str, Area]) -> bool:
    """Whether a part stands out, and the rest looks like a camera's.

    That is: a region is marked that is no speck, at most half of the picture is marked, and over
    the rest the larger of the maps is a quarter at most on average.
    """
    if not any(area.boxes for area in areas.values()):
        return False
    highest = np.fmax.reduce(list(maps.values()))
    marked = highest >= MARKED
    looked = ~np.isnan(highest)
    if marked.sum() > MOST_EDITED * looked.sum():
        return False
    return float(highest[looked & ~marked].mean()) <= CAMERA_LIKE


def components(mask: Mask) -> list[tuple[int, Box]]:
    """Regions of a mask whose cells touch, at corners too: cells, and the box around them.

    By runs of rows that are joined to those above them, for what detection is installed with has
    no labelling of its own, and one in plain Python over cells would take seconds.

    Args:
        mask: (h, w).

    Returns:
        Size in cells and (left, top, right, bottom), right and bottom excluded, of each.
    """
    steps = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    rows, starts = np.nonzero(steps == 1)
    ends = np.nonzero(steps == -1)[1]
    labels = _joined(rows, starts, ends, len(mask))
    _, labels = np.unique(labels, return_inverse=True)
    sizes = np.bincount(labels, weights=ends - starts).astype(int)
    edges = [np.full(len(sizes), limit) for limit in (*mask.shape[::-1], 0, 0)]
    left, top, right, bottom = edges
    np.minimum.at(left, labels, starts)
    np.minimum.at(top, labels, rows)
    np.maximum.at(right, labels, ends)
    np.maximum.at(bottom, labels, rows + 1)
    boxes = zip(left.tolist(), top.tolist(), right.tolist(), bottom.tolist(), strict=True)
    return list(zip(sizes.tolist(), boxes, strict=True))


def _joined(
    rows: npt.NDArray[np.intp],
    starts: npt.NDArray[np.intp],
    ends: npt.NDArray[np.intp],
    height: int,
) -> npt.NDArray[np.intp]:
    """The label of each run: the first run of its region."""
    parents = list(range(len(rows)))
    first = np.searchsorted(rows, np.arange(height + 1)).tolist()
    start, end = starts.tolist(), ends.tolist()
    for row in range(1, height):
        above, run = first[row - 1], first[row]
        while above < first[row] and run < first[row + 1]:
            if start[above] <= end[run] and start[run] <= end[above]:
                one, other = _root(parents, above), _root(parents, run)
                parents[max(one, other)] = min(one, other)
            if end[above] < end[run]:
                above += 1
            else:
                run += 1
    return np.array([_root(parents, run) for run in range(len(parents))], dtype=np.intp)


def _root(parents: list[int], run: int) -> int:
    while parents[run] != run:
        parents[run] = run = parents[parents[run]]
    return run
