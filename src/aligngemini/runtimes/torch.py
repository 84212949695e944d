"""Running the weights of a model folder on PyTorch."""

from collections.abc import Callable
from typing import Any

import numpy.typing as npt
import torch
from torch import nn

from aligngemini.models.expert import ExpertGraph, PixelExpert
from aligngemini.models.gamma import Gamma, GammaGraph
from aligngemini.models.quiet import quiet_transformers
from aligngemini.runtimes.folder import ModelError, ModelFolder
from aligngemini.runtimes.preprocess import CenterCrop, Tiles

GRAPHS: dict[type, tuple[type[Any], Callable[..., nn.Module], tuple[str, ...]]] = {
    CenterCrop: (PixelExpert, ExpertGraph, ("logit", "patches")),
    Tiles: (Gamma, GammaGraph, ("logit", "generated", "moved")),
}
"""By views: what loads the weights, what puts the normalisation before them, and the outputs."""


class TorchRuntime:
    """A pixel expert or a GAMMA model of a model folder, ready to run.

    Attributes:
        device: `cpu` or `cuda`: where it really runs.
        inputs: Shape of each input by name; a size that may vary is a string.
        outputs: Names of the outputs.
        graph: The weights, with the normalisation before them.
    """

    def __init__(
        self,
        folder: ModelFolder,
        *,
        device: str = "cpu",
        threads: int | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """Load the weights.

        Args:
            folder: One with `model.safetensors`.
            device: `cpu` or `cuda`.
            threads: CPU threads of one forward pass, set for the whole process; None leaves
                PyTorch's.
            dtype: Of weights and computation. Thresholds are set on float32's scores.

        Raises:
            ModelError: The weights are of another kind of model, or CUDA is not there.
        """
        views = folder.preprocess
        if not isinstance(views, CenterCrop | Tiles):
            raise ModelError(f"{folder.path} has views of kind {views.kind!r}: not for PyTorch")
        if device == "cuda" and not torch.cuda.is_available():
            raise ModelError("this PyTorch has no CUDA; use --device cpu, or install one that has")
        if threads is not None:
            torch.set_num_threads(threads)
        model, graph, self.outputs = GRAPHS[type(views)]
        try:
            with quiet_transformers():
                weights = model.from_pretrained(folder.path, dtype=dtype)
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            raise ModelError(f"cannot load {folder.safetensors}: {error}") from error
        self.device = device
        self.inputs: dict[str, list[int | str]] = {"pixels": ["images", "height", "width", 3]}
        self.graph: Any = graph(weights, views.mean, views.std).eval().to(device)

    @torch.inference_mode()
    def run(self, **inputs: npt.NDArray[Any]) -> dict[str, npt.NDArray[Any]]:
        """`outputs` of `pixels` (N, H, W, 3) uint8, `logit` (N,) and maps (N, h, w)."""
        pixels = torch.from_numpy(inputs["pixels"]).to(self.device)
        values = self.graph(pixels)
        return {name: value.cpu().numpy() for name, value in zip(self.outputs, values, strict=True)}
