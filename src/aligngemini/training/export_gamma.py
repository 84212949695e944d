"""From a GAMMA folder of PyTorch weights to one that ONNX Runtime runs: the same numbers."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch

from aligngemini.branches.gamma import GammaBranch
from aligngemini.models.gamma import Gamma
from aligngemini.runtimes.folder import (
    ONNX,
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
from aligngemini.runtimes.opening import Runtime
from aligngemini.runtimes.preprocess import Tiles
from aligngemini.runtimes.torch import TorchRuntime
from aligngemini.training.export_expert import check_weights, copy_settings, inside
from aligngemini.training.exportable import exportable
from aligngemini.training.onnx_graph import check_outputs, write_graph
from aligngemini.training.parity import BATCH, Parity, drawn_files, open_images

OUTPUTS = ("logit", "generated", "moved")


def export_gamma(
    folder: Path,
    *,
    out: Path | None = None,
    images: Sequence[str] = (),
    step: Callable[[], None] = lambda: None,
) -> tuple[str, Parity]:
    """Export a GAMMA model to ONNX, the batch free, and check it against PyTorch.

    Args:
        folder: A model folder with PyTorch weights. Without `out`, `model.onnx` is added to it.
        out: A folder to write, with the ONNX file alone; not there yet, or empty.
        images: Paths of images to check it on, besides drawn ones.
        step: Called after the export and after each image; `export_expert.steps` says how often.

    Returns:
        The fingerprint, which is that of the PyTorch weights, and what the check found.

    Raises:
        ModelError: The folder cannot be opened or holds no PyTorch weights of GAMMA, or `out` is
            taken or cannot be written.
        ExportError: The weights are too large for one ONNX file, or a logit, a score or a cell of a
            map is more than 1e-4 away from PyTorch's. Nothing is left behind then.
    """
    model = open_folder(folder)
    if not isinstance(model.preprocess, Tiles):
        raise ModelError(f"{folder} is no GAMMA model")
    if model.safetensors is None:
        raise ModelError(f"{folder} holds no PyTorch weights to export: {ONNX} is all there is")
    with new_folder(out) if out is not None else inside(model.path) as target:
        trained = TorchRuntime(model)
        check_weights(folder, trained.graph.gamma)
        write_gamma(trained, target / ONNX, model.preprocess)
        step()
        exported = OnnxRuntime(target / ONNX, device="cpu")
        files = [*drawn_files(model.preprocess.tile_size), *((path, None) for path in images)]
        parity = compare_maps(model, trained, exported, files, step=step)
        if out is None:
            return add_export(model.path, target / ONNX), parity
        copy_settings(model.path, target)
        weights = sha256_file(model.path / SAFETENSORS)
        return seal_folder(target, exported_from=weights), parity


def write_gamma(trained: TorchRuntime, path: Path, tiles: Tiles) -> None:
    """Write the graph of a GAMMA model to one ONNX file.

    Raises:
        ExportError: PyTorch cannot export it.
    """
    gamma: Gamma = trained.graph.gamma
    example = torch.zeros((2, tiles.tile_size, tiles.tile_size, 3), dtype=torch.uint8)
    with nullcontext() if gamma.config.small is not None else exportable(gamma):
        write_graph(
            trained.graph,
            (example,),
            path,
            inputs=("pixels",),
            outputs=OUTPUTS,
            dynamic_shapes=({0: torch.export.Dim("tiles", min=1, max=4096)},),
        )


def compare_maps(
    model: ModelFolder,
    trained: Runtime,
    exported: Runtime,
    files: Iterable[tuple[str, bytes | None]],
    *,
    step: Callable[[], None] = lambda: None,
) -> Parity:
    """Judge files with both engines, and noise in batches of one and several tiles.

    Args:
        model: The folder they belong to.
        trained: PyTorch.
        exported: ONNX Runtime.
        files: Path and bytes; None for bytes reads the path.
        step: Called after each image.

    Raises:
        ExportError: A logit, a score or a cell of a map is more than 1e-4 away.
    """
    sides = [GammaBranch(model, runtime) for runtime in (trained, exported)]
    side = sides[0].settings.tile_size
    rng = np.random.default_rng(0)
    for count in (1, BATCH):
        noise = rng.integers(0, 256, (count, side, side, 3), dtype=np.uint8)
        check_outputs(trained.run(pixels=noise), exported.run(pixels=noise))
    parity = Parity()
    for image in open_images(files, parity.unreadable):
        expected, got = (one.look(image.pixels) for one in sides)
        check_outputs(expected.maps, got.maps)
        parity.add(np.array([expected.logit]), np.array([got.logit]), model.calibration)
        step()
    return parity
