"""Which engine runs a model folder."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy.typing as npt

from aligngemini.runtimes.folder import ModelError, ModelFolder
from aligngemini.runtimes.onnx import OnnxRuntime, has_cuda

if TYPE_CHECKING:
    from aligngemini.runtimes.classifier import TorchClassifier


class Runtime(Protocol):
    """One loaded model.

    Attributes:
        device: `cpu` or `cuda`: where it really runs.
        inputs: Shape of each input by name; a size that may vary is a string.
    """

    device: str
    inputs: dict[str, list[int | str]]

    def run(self, **inputs: npt.NDArray[Any]) -> dict[str, npt.NDArray[Any]]:
        """Outputs by name."""
        ...


def open_runtime(
    folder: ModelFolder, *, device: str = "auto", threads: int | None = None
) -> Runtime:
    """Load a model where it runs best: its export on ONNX Runtime on a CPU, PyTorch on a GPU.

    Args:
        folder: A checked model folder.
        device: `auto`, `cpu` or `cuda`. `auto` takes CUDA where one of the two engines has it for
            what the folder holds.
        threads: CPU threads of one forward pass; None takes one a core this process may use.

    Raises:
        ModelError: The device is unknown or not there, or the engine is not installed, or the
            weights do not load.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise ModelError(f"unknown device {device!r}; known: auto, cpu, cuda")
    torch_cuda = folder.safetensors is not None and device != "cpu" and _torch_has_cuda()
    if torch_cuda or folder.onnx is None:
        return _torch_runtime(folder, "cuda" if torch_cuda else device, threads)
    if device == "cuda" and not has_cuda():
        raise ModelError(
            "neither PyTorch nor ONNX Runtime has CUDA for this model here; "
            "install one that has, or use --device cpu"
        )
    return OnnxRuntime(folder.onnx, device=device, threads=threads)


def open_classifier(
    folder: Path, *, device: str = "auto", threads: int | None = None
) -> "TorchClassifier":
    """Load an image classifier of `transformers`.

    Args:
        folder: Its configuration, image processor and weights.
        device: `auto`, `cpu` or `cuda`.
        threads: CPU threads of one forward pass; None leaves it to PyTorch.

    Raises:
        ModelError: The device is unknown or not there, PyTorch is not installed, or the folder is
            no such classifier.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise ModelError(f"unknown device {device!r}; known: auto, cpu, cuda")
    if find_spec("torch") is None or find_spec("transformers") is None:
        raise ModelError(f"{folder} needs PyTorch and transformers: install aligngemini[vlm]")
    from aligngemini.runtimes.classifier import TorchClassifier  # noqa: PLC0415 - as above

    return TorchClassifier(folder, device=device, threads=threads)


def _torch_runtime(folder: ModelFolder, device: str, threads: int | None) -> Runtime:
    if find_spec("torch") is None or find_spec("transformers") is None:
        raise ModelError(
            f"{folder.path} holds weights for PyTorch alone: install aligngemini[vlm], or export "
            f"it where PyTorch is: aligngemini export {folder.path}"
        )
    from aligngemini.runtimes.torch import TorchRuntime  # noqa: PLC0415 - seconds to import

    return TorchRuntime(folder, device="cpu" if device == "auto" else device, threads=threads)


def _torch_has_cuda() -> bool:
    if find_spec("torch") is None:
        return False
    import torch  # noqa: PLC0415 - seconds to import

    return torch.cuda.is_available()
