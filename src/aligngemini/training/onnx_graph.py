"""What every export shares: an ONNX file that tells nothing of its machine, and its check."""

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from onnx_ir.passes.common import ClearMetadataAndDocStringPass
from torch import Tensor, nn

TOLERANCE = 1e-4
"""How far a number of the export may lie from PyTorch's, float32."""


class ExportError(RuntimeError):
    """There is no export that can be used; the message says why."""


def write_graph(
    graph: nn.Module,
    example: tuple[Tensor, ...],
    path: Path,
    *,
    inputs: Sequence[str],
    outputs: Sequence[str],
    dynamic_shapes: tuple[Any, ...],
) -> None:
    """Export a module to one ONNX file; the same weights give the same bytes.

    Args:
        graph: In evaluation mode.
        example: Inputs to trace it with.
        path: The file to write.
        inputs: Names of the inputs.
        outputs: Names of the outputs.
        dynamic_shapes: `torch.export`'s, one entry an input.

    Raises:
        ExportError: PyTorch cannot export the module.
    """
    with quiet():
        try:
            program = torch.onnx.export(
                graph,
                example,
                input_names=list(inputs),
                output_names=list(outputs),
                dynamic_shapes=dynamic_shapes,
                dynamo=True,
                verbose=False,
            )
        except torch.onnx.errors.OnnxExporterError as error:
            reason = str(error).strip().split("\n", maxsplit=1)[0]
            raise ExportError(f"PyTorch cannot export this model: {reason}") from error
    if program is None:
        raise ExportError("PyTorch exported nothing")
    # The exporter notes paths of this machine and running numbers: the file would tell one, and
    # the other would give the same numbers another fingerprint every time.
    ClearMetadataAndDocStringPass()(program.model)
    program.save(path, external_data=False)


def check_outputs(expected: Mapping[str, npt.NDArray[Any]], got: Mapping[str, Any]) -> float:
    """Compare an export's outputs with PyTorch's; gives the largest difference.

    Raises:
        ExportError: A number is more than `TOLERANCE` away, or is none.
    """
    largest = 0.0
    for name, values in expected.items():
        difference = float(np.abs(values - got[name]).max())
        if not difference <= TOLERANCE:  # also when it is NaN
            raise ExportError(f"the exported {name} is {difference:.2g} away from the trained one")
        largest = max(largest, difference)
    return largest


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what the exporters say to their developers away from the user."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
