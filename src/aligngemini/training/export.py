"""From a trained expert to a model folder that detection runs."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from aligngemini.models.compact import CompactExpert, CompactGraph
from aligngemini.runtimes.folder import Calibration, seal_folder, write_settings
from aligngemini.runtimes.onnx import OnnxRuntime
from aligngemini.runtimes.preprocess import CropsAndWhole
from aligngemini.training.onnx_graph import ExportError, check_outputs, write_graph
from aligngemini.training.recipe import CompactRecipe

__all__ = ["UNCALIBRATED", "ExportError", "export_compact"]

OUTPUTS = ("logit", "patches", "weights")

UNCALIBRATED = Calibration(
    scale=1.0,
    bias=0.0,
    threshold=0.5,
    threshold_real=0.5,
    fitted_on="nothing: not calibrated",
)


def export_compact(
    expert: CompactExpert,
    recipe: CompactRecipe,
    calibration: Calibration,
    card: str,
    out: Path,
) -> str:
    """Write a model folder and check it against PyTorch.

    Args:
        expert: Trained weights.
        recipe: Its preprocessing goes along.
        calibration: Thresholds and scale.
        card: The model card, Markdown.
        out: Folder to write; made if missing.

    Returns:
        The folder's fingerprint.

    Raises:
        ExportError: A number of ONNX Runtime's is more than 1e-4 away from PyTorch's.
    """
    out.mkdir(parents=True, exist_ok=True)
    graph = CompactGraph(expert.cpu().float()).eval()
    write_graph(
        graph,
        _example(recipe, 2),
        out / "model.onnx",
        inputs=("crops", "whole"),
        outputs=OUTPUTS,
        dynamic_shapes=({0: torch.export.Dim("crops_count", min=1, max=4096)}, None),
    )
    for count in (1, recipe.crops):
        _check(graph, out / "model.onnx", _example(recipe, count))
    preprocess = CropsAndWhole(
        crop_size=recipe.pool.crop_size,
        crops=recipe.crops,
        grid=recipe.grid,
        whole_size=recipe.pool.whole_size,
        whole_filter="bilinear",
    )
    write_settings(out, preprocess, calibration)
    (out / "card.md").write_text(card, encoding="utf-8")
    return seal_folder(out)


def _example(recipe: CompactRecipe, crops: int) -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(0)
    shapes = (crops, recipe.pool.crop_size), (1, recipe.pool.whole_size)
    native, whole = (
        torch.from_numpy(rng.integers(0, 256, (count, side, side, 3), dtype=np.uint8))
        for count, side in shapes
    )
    return native, whole


def _check(graph: CompactGraph, weights: Path, inputs: tuple[Tensor, Tensor]) -> None:
    with torch.no_grad():
        expected = {
            name: tensor.numpy() for name, tensor in zip(OUTPUTS, graph(*inputs), strict=True)
        }
    crops, whole = inputs
    got = OnnxRuntime(weights, device="cpu").run(crops=crops.numpy(), whole=whole.numpy())
    check_outputs(expected, got)
