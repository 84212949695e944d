"""Regions that somebody else marked: a folder of masks, or COCO's instances."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from aligngemini.datasets.manipulation_set import ManipulationSetError, read_mask
from aligngemini.datasets.manipulations.base import Mask
from aligngemini.images.sources import SUFFIXES

COCO = "coco:"


class MaskFolder:
    """Masks as files, each named as its photo but for the suffix; light pixels are the region."""

    def __init__(self, folder: Path) -> None:
        """Look into a folder.

        Raises:
            ManipulationSetError: It is not there, or holds no image.
        """
        if not folder.is_dir():
            raise ManipulationSetError(f"--masks: there is no folder {folder}")
        self.folder = folder
        self._files = {
            path.stem: path
            for path in sorted(folder.iterdir())
            if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
        }
        if not self._files:
            raise ManipulationSetError(f"--masks: {folder} holds no image")

    def regions(self, path: str, height: int, width: int) -> list[Mask]:
        """The photo's mask, or nothing where it has none.

        Raises:
            ManipulationSetError: It cannot be read, has another size, or marks no pixel.
        """
        file = self._files.get(Path(path).stem)
        return [] if file is None else [read_mask(file, height, width)]


class CocoInstances:
    """Instances of a COCO annotation file: polygons, or run lengths as plain lists.

    Crowds are passed over. Photos are known by their file names.
    """

    def __init__(self, file: Path) -> None:
        """Read the annotations.

        Raises:
            ManipulationSetError: The file is not there, or is no such file.
        """
        self.file = file
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            self._images = {Path(image["file_name"]).name: image for image in content["images"]}
            self._instances: dict[Any, list[Mapping[str, Any]]] = {}
            for instance in content["annotations"]:
                if not instance.get("iscrowd"):
                    self._instances.setdefault(instance["image_id"], []).append(instance)
        except FileNotFoundError as error:
            raise ManipulationSetError(f"--masks: there is no file {file}") from error
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ManipulationSetError(
                f"--masks: {file} is no COCO annotation file: {type(error).__name__}: {error}"
            ) from error

    def regions(self, path: str, height: int, width: int) -> list[Mask]:
        """The photo's instances, or nothing where it has none.

        Raises:
            ManipulationSetError: They are of an image of another size, or cannot be read.
        """
        image = self._images.get(Path(path).name)
        if image is None:
            return []
        size = image.get("height"), image.get("width")
        if size != (height, width):
            raise ManipulationSetError(
                f"{self.file} says that {Path(path).name} has {size[1]} x {size[0]} pixels, but it "
                f"has {width} x {height}; they must be equal"
            )
        return [self._mask(each, height, width) for each in self._instances.get(image["id"], [])]

    def _mask(self, instance: Mapping[str, Any], height: int, width: int) -> Mask:
        shape = instance.get("segmentation")
        try:
            if isinstance(shape, Mapping):
                return _from_run_lengths(shape["counts"], height, width)
            return _from_polygons(shape, height, width)
        except (ValueError, TypeError, KeyError, OverflowError) as error:
            raise ManipulationSetError(
                f"{self.file}: the segmentation of annotation {instance.get('id')} cannot be read; "
                "it must be polygons, or run lengths as a list of numbers"
            ) from error


def open_masks(spec: str) -> MaskFolder | CocoInstances:
    """Open what `--masks` names: `coco:FILE` or a folder.

    Raises:
        ManipulationSetError: It cannot be used.
    """
    if spec.startswith(COCO):
        return CocoInstances(Path(spec.removeprefix(COCO)))
    return MaskFolder(Path(spec))


def _from_polygons(polygons: Any, height: int, width: int) -> Mask:
    canvas = np.zeros((height, width), np.uint8)
    for polygon in polygons:
        points = np.asarray(polygon, np.float64).reshape(-1, 2)
        if not np.isfinite(points).all() or np.abs(points).max() > 1e6:
            raise ValueError("points far outside of any image")
        # COCO's coordinates are of corners of pixels, OpenCV's of their centres.
        cv2.fillPoly(canvas, [np.rint(points - 0.5).astype(np.int32)], 1)
    return canvas.astype(np.bool_)


def _from_run_lengths(counts: Any, height: int, width: int) -> Mask:
    """Runs of zeros and ones by turns, column by column."""
    if isinstance(counts, str):
        raise ValueError("compressed run lengths")
    lengths = np.asarray(counts, np.int64)
    if lengths.ndim != 1 or (lengths < 0).any() or lengths.sum() != height * width:
        raise ValueError("run lengths of another size")
    values = np.arange(len(lengths)) % 2 == 1
    mask: Mask = np.repeat(values, lengths).reshape(width, height).T
    return mask
