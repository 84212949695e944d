"""Running the weights of a model folder on PyTorch."""

from typing import Any

import numpy.typing as npt
import torch

from aligngemini.models.expert import ExpertGraph, PixelExpert
from aligngemini.models.quiet import quiet_transformers
from aligngemini.runtimes.folder import ModelError, ModelFolder
from aligngemini.runtimes.preprocess import CenterCrop


class TorchRuntime:
    """A pixel expert of a model folder, ready to run.

    Attributes:
        device: `cpu` or `cuda`: where it really runs.
        inputs: Shape of each input by name; a size that may vary is a string.
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
        if not isinstance(views, CenterCrop):
            raise ModelError(f"{folder.path} has views of kind {views.kind!r}, not an expert's")
        if device == "cuda" and not torch.cuda.is_available():
            raise ModelError("this PyTorch has no CUDA; use --device cpu, or install one that has")
        if threads is not None:
            torch.set_num_threads(threads)
        try:
            with quiet_transformers():
                expert = PixelExpert.from_pretrained(folder.path, dtype=dtype)
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            raise ModelError(f"cannot load {folder.safetensors}: {error}") from error
        self.device = device
        self.inputs: dict[str, list[int | str]] = {"pixels": ["images", "height", "width", 3]}
        self.graph = ExpertGraph(expert, views.mean, views.std).eval().to(device)

    @torch.inference_mode()
    def run(self, **inputs: npt.NDArray[Any]) -> dict[str, npt.NDArray[Any]]:
        """`logit` (N,) and `patches` (N, h, w) of `pixels` (N, H, W, 3) uint8."""
        pixels = torch.from_numpy(inputs["pixels"]).to(self.device)
        logit, patches = self.graph(pixels)
        return {"logit": logit.cpu().numpy(), "patches": patches.cpu().numpy()}
