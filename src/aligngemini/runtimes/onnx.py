"""Running an exported graph on ONNX Runtime."""

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy.typing as npt
import onnxruntime

from aligngemini.cores import usable_cores
from aligngemini.runtimes.folder import ModelError

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


class OnnxRuntime:
    """One ONNX graph, ready to run.

    Attributes:
        device: `cpu` or `cuda`: where it really runs.
        inputs: Shape of each input by name; a size that may vary is a string.
    """

    def __init__(self, weights: Path, *, device: str = "auto", threads: int | None = None) -> None:
        """Load a graph.

        Args:
            weights: The `.onnx` file.
            device: `auto`, `cpu` or `cuda`. `auto` takes CUDA where this ONNX Runtime has it and
                it works, else the CPU.
            threads: CPU threads of one forward pass; None takes one a core this process may use.

        Raises:
            ModelError: The device is unknown or not there, or the graph does not load.
        """
        self.device = pick_device(device)
        if self.device == "cuda":
            _find_libraries()
        options = onnxruntime.SessionOptions()
        # ONNX Runtime counts the machine's cores, not those this process may use.
        options.intra_op_num_threads = threads or usable_cores()
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Idle threads that spin would starve the other workers.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(
                str(weights), options, providers=[PROVIDERS[self.device]]
            )
        except Exception as error:  # ONNX Runtime raises many types that share no base class
            raise ModelError(f"cannot load {weights}: {error}") from error
        ran_on = self._session.get_providers()[0]
        if ran_on != PROVIDERS[self.device]:
            if device != "auto":
                raise ModelError(f"{device} was asked for, but ONNX Runtime fell back to {ran_on}")
            self.device = "cpu"
        self.inputs: dict[str, list[int | str]] = {
            tensor.name: tensor.shape for tensor in self._session.get_inputs()
        }
        self._outputs = [output.name for output in self._session.get_outputs()]

    def run(self, **inputs: npt.NDArray[Any]) -> dict[str, npt.NDArray[Any]]:
        """Outputs by name."""
        return dict(zip(self._outputs, self._session.run(None, inputs), strict=True))


def pick_device(device: str) -> str:
    """The device to use: what was asked for, or an error; never a quiet second choice.

    Raises:
        ModelError: The name is unknown, or this ONNX Runtime has no CUDA.
    """
    if device == "auto":
        return "cuda" if has_cuda() else "cpu"
    if device not in PROVIDERS:
        raise ModelError(f"unknown device {device!r}; known: auto, cpu, cuda")
    if device == "cuda" and not has_cuda():
        raise ModelError("this ONNX Runtime has no CUDA; install onnxruntime-gpu, or use cpu")
    return device


def _find_libraries() -> None:
    """Load CUDA and cuDNN from site-packages, where `onnxruntime-gpu[cuda,cudnn]` puts them."""
    if hasattr(onnxruntime, "preload_dlls"):  # since 1.21
        with redirect_stdout(sys.stderr):  # results go to the one, its complaints to the other
            onnxruntime.preload_dlls()


def has_cuda() -> bool:
    """Whether this ONNX Runtime was built for CUDA."""
    return PROVIDERS["cuda"] in onnxruntime.get_available_providers()
