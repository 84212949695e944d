"""From a model folder of PyTorch weights to one that ONNX Runtime runs: the same numbers."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from transformers import PreTrainedModel

from aligngemini.models.expert import PixelExpert
from aligngemini.runtimes.folder import (
    CALIBRATION,
    CARD,
    ONNX,
    PREPROCESS,
    SAFETENSORS,
    ModelError,
    ModelFolder,
    add_export,
    open_folder,
    seal_folder,
    sha256_file,
)
from aligngemini.runtimes.installing import new_folder
from aligngemini.runtimes.onnx import OnnxRuntime
from aligngemini.runtimes.preprocess import CenterCrop, Tiles
from aligngemini.runtimes.torch import TorchRuntime
from aligngemini.training.exportable import exportable, takes_any_size
from aligngemini.training.onnx_graph import ExportError, write_graph
from aligngemini.training.parity import Parity, compare_files, compare_sizes, drawn_files

LARGEST = 2_000_000_000
"""Bytes of weights that fit into one ONNX file, whose format ends at 2 GiB."""


def export_expert(
    folder: Path,
    *,
    out: Path | None = None,
    images: Sequence[str] = (),
    step: Callable[[], None] = lambda: None,
) -> tuple[str, Parity]:
    """Export a pixel expert to ONNX, batch and size free, and check it against PyTorch.

    Args:
        folder: A model folder with PyTorch weights. Without `out`, `model.onnx` is added to it.
        out: A folder to write, with the ONNX file alone; not there yet, or empty.
        images: Paths of images to check it on, besides drawn ones.
        step: Called after the export and after each image; `steps` says how often.

    Returns:
        The fingerprint, which is that of the PyTorch weights, and what the check found.

    Raises:
        ModelError: The folder cannot be opened or holds no PyTorch weights, or `out` is taken or
            cannot be written.
        ExportError: The weights are too large for one ONNX file, or a number is more than 1e-4
            away from PyTorch's. Nothing is left behind then.
    """
    model, views = open_expert(folder)
    with new_folder(out) if out is not None else inside(model.path) as target:
        trained = TorchRuntime(model)
        expert = trained.graph.expert
        check_weights(folder, expert)
        write_expert(trained, target / ONNX, views)
        step()
        exported = OnnxRuntime(target / ONNX, device="cpu")
        files = [*drawn_files(views.crop_size), *((path, None) for path in images)]
        parity = compare_files(model, trained, exported, files, step=step)
        if takes_any_size(expert):
            compare_sizes(trained, exported, _other_sizes(views))
        if out is None:
            return add_export(model.path, target / ONNX), parity
        copy_settings(model.path, target)
        weights = sha256_file(model.path / SAFETENSORS)
        return seal_folder(target, exported_from=weights), parity


def steps(images: Sequence[str]) -> int:
    """How often `export_expert` calls `step`."""
    return 1 + len(drawn_files(1)) + len(images)


def open_expert(folder: Path) -> tuple[ModelFolder, CenterCrop]:
    """A checked folder of a pixel expert, with its preprocessing.

    Raises:
        ModelError: It is none, or holds no PyTorch weights.
    """
    model = open_folder(folder)
    if isinstance(model.preprocess, Tiles):
        raise ModelError(f"{folder} is a GAMMA model, and this is for pixel experts alone")
    if not isinstance(model.preprocess, CenterCrop):
        raise ModelError(f"{folder} is no backbone expert; its kind is exported when it is trained")
    if model.safetensors is None:
        raise ModelError(f"{folder} holds no PyTorch weights to export: {ONNX} is all there is")
    return model, model.preprocess


def write_expert(trained: TorchRuntime, path: Path, views: CenterCrop) -> None:
    """Write the graph of an expert to one ONNX file.

    Raises:
        ExportError: PyTorch cannot export it.
    """
    expert: PixelExpert = trained.graph.expert
    patch = views.patch_size
    dim = torch.export.Dim
    shapes = {0: dim("images", min=1, max=4096)}
    sides = (views.crop_size, views.crop_size)
    if takes_any_size(expert):
        shapes |= {
            1: patch * dim("rows", min=1, max=512),
            2: patch * dim("columns", min=1, max=512),
        }
        sides = (3 * patch, 4 * patch)  # no square: the exporter would take both sides for one
    example = torch.zeros((2, *sides, 3), dtype=torch.uint8)
    with exportable(expert):
        write_graph(
            trained.graph,
            (example,),
            path,
            inputs=("pixels",),
            outputs=("logit", "patches"),
            dynamic_shapes=(shapes,),
        )


def check_weights(folder: Path, model: PreTrainedModel) -> None:
    """Make sure that a model's weights fit into one ONNX file.

    Raises:
        ExportError: They do not.
    """
    size = 4 * model.num_parameters()
    if size > LARGEST:
        raise ExportError(
            f"{folder} has {size / 1e9:.1f} GB of weights, and one ONNX file holds 2; run it on "
            "PyTorch, which needs no export"
        )


def copy_settings(source: Path, target: Path) -> None:
    """Copy preprocessing, calibration and card."""
    for name in (PREPROCESS, CALIBRATION, CARD):
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)


@contextmanager
def inside(folder: Path) -> Iterator[Path]:
    """A folder for unfinished work inside a model folder, on the same disk."""
    partial = folder / ".export.partial"
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir()
        yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _other_sizes(views: CenterCrop) -> list[tuple[int, int]]:
    """Of a smaller and a larger image, not square."""
    patch = views.patch_size
    cells = views.crop_size // patch
    return [(patch, 2 * patch), ((cells + 1) * patch, max(1, cells - 2) * patch)]
