"""An expert in 8 bits: a third of the time on a CPU, a quarter of the size, other numbers.

The weights of the linear layers are rounded per output channel, their inputs per image while the
model runs (ONNX Runtime's dynamic quantisation). What that does to verdicts depends on the weights,
so it is measured on the user's images before anything is written.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic

from aligngemini.branches.pixel import PixelBranch
from aligngemini.runtimes.folder import (
    CARD,
    ONNX,
    ModelFolder,
    open_folder,
    seal_folder,
    write_settings,
)
from aligngemini.runtimes.installing import new_folder
from aligngemini.runtimes.onnx import OnnxRuntime
from aligngemini.runtimes.preprocess import CenterCrop
from aligngemini.training.export_expert import copy_settings, export_expert
from aligngemini.training.onnx_graph import ExportError, quiet
from aligngemini.training.parity import open_images

CHUNK = 4
NEAR = 0.1
"""Scores this close to a threshold may change sides."""

NOTE = """
## This copy is int8

Its numbers are not those of the float32 model above (`{fingerprint}`), nor are its error rates,
which nobody measured. What the rounding changed:

{change}
"""


@dataclass
class Change:
    """What rounding did to the scores of some images.

    Attributes:
        exact: Their float32 scores.
        rounded: Their int8 scores.
        flips: How many have another verdict.
        correct: Of those of known label whose float32 score lies near a threshold: how many there
            are, and how many of them either model calls rightly.
        unreadable: Why an image could not be opened, by path.
    """

    exact: list[float] = field(default_factory=list)
    rounded: list[float] = field(default_factory=list)
    flips: int = 0
    near: int = 0
    exact_correct: int = 0
    rounded_correct: int = 0
    unreadable: dict[str, str] = field(default_factory=dict)

    @property
    def images(self) -> int:
        """How many were scored."""
        return len(self.exact)

    def __str__(self) -> str:
        moved = np.abs(np.array(self.rounded) - self.exact)
        lines = [
            f"- on {self.images} images, scores move by {moved.mean():.4f} on average and "
            f"{moved.max():.4f} at most",
            f"- {self.flips} verdicts change ({self.flips / self.images:.1%})",
        ]
        if self.near:
            before, after = (n / self.near for n in (self.exact_correct, self.rounded_correct))
            lines.append(
                f"- of {self.near} images with a label whose score lies within {NEAR} of a "
                f"threshold, {before:.1%} were called rightly and {after:.1%} are now"
            )
        return "\n".join(lines)


def quantize_expert(
    folder: Path,
    out: Path,
    labels: Mapping[str, str | None],
    *,
    max_flips: float = 0.01,
    report: Callable[[Change], None] = lambda change: None,
    step: Callable[[], None] = lambda: None,
) -> str:
    """Write an int8 copy of an expert, if it keeps enough of the verdicts.

    Args:
        folder: A model folder of a backbone expert.
        out: The folder to write; not there yet, or empty.
        labels: Images to measure on, by path: `real`, `fake` or None.
        max_flips: Share of verdicts that may change, in [0, 1].
        report: Called with what was measured, before anything is decided.
        step: Called once the int8 graph is made, and after each image.

    Returns:
        The copy's fingerprint, which is its own.

    Raises:
        ModelError: The folder cannot be opened or is of another kind.
        ExportError: No image could be read, too many verdicts change, the model is int8 already,
            or `out` is taken. Nothing is left behind then.
    """
    with TemporaryDirectory() as work, new_folder(out) as target:
        model, exact = _exported(folder, Path(work))
        quantize(exact, target / ONNX)
        step()
        change = measure(model, exact, target / ONNX, labels, step=step)
        if not change.images:
            raise ExportError("none of the images could be read; int8 is only written measured")
        report(change)
        if change.flips > max_flips * change.images:
            raise ExportError(
                f"int8 changes {change.flips} of {change.images} verdicts, more than "
                f"--max-flips {max_flips:g} allows; nothing was written"
            )
        return _finish(model, target, change)


def quantize(source: Path, target: Path) -> None:
    """Round the linear layers of an exported expert.

    Args:
        source: The float32 ONNX file.
        target: The file to write. It takes one image at a time: inputs are rounded by the range of
            the whole tensor, so that a score would depend on its neighbours in a batch.

    Raises:
        ExportError: It is int8 already.
    """
    graph = onnx.load(source)
    if any(node.op_type == "MatMulInteger" for node in graph.graph.node):
        raise ExportError(f"{source} is int8 already; take the float32 model it came from")
    # Shapes that the exporter noted trip ONNX's own shape inference.
    del graph.graph.value_info[:]
    for value in (*graph.graph.input, *graph.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    with quiet():
        quantize_dynamic(
            graph,
            target,
            op_types_to_quantize=["MatMul"],
            nodes_to_exclude=_head(graph),
            per_channel=True,
            weight_type=QuantType.QInt8,
            # Attention multiplies two activations: rounding both costs accuracy and gains little.
            extra_options={"MatMulConstBOnly": True},
        )


def _head(graph: onnx.ModelProto) -> list[str]:
    """Names of the products with one output, which cost nothing and every score goes through."""
    weights = {
        weight.name
        for weight in graph.graph.initializer
        if len(weight.dims) == 2 and 1 in weight.dims
    }
    names = [node.name for node in graph.graph.node if not weights.isdisjoint(node.input)]
    # The quantiser first turns a Gemm into a MatMul of this name.
    return [*names, *(f"{name}_MatMul" for name in names)]


def measure(
    model: ModelFolder,
    exact: Path,
    rounded: Path,
    labels: Mapping[str, str | None],
    *,
    step: Callable[[], None] = lambda: None,
) -> Change:
    """Judge images with a float32 export and its int8 copy.

    Args:
        model: Their folder.
        exact: The first's file.
        rounded: The second's.
        labels: As for `quantize_expert`.
        step: Called after each image.
    """
    change = Change()
    sides = [
        PixelBranch(model, OnnxRuntime(path, device="cpu"))
        for path in (model.onnx, rounded)
        if path
    ]
    images = open_images(((path, None) for path in labels), change.unreadable)
    while chunk := list(islice(images, CHUNK)):
        answers = [side.judge(chunk) for side in sides]
        for image, before, after in zip(chunk, *answers, strict=True):
            step()
            if before.score is None or after.score is None:
                change.unreadable[image.path] = "the expert's answer is no number"
                continue
            change.exact.append(before.score)
            change.rounded.append(after.score)
            change.flips += before.verdict != after.verdict
            label = labels[image.path]
            if label is not None and _is_near(before.score, model):
                change.near += 1
                change.exact_correct += before.verdict == label
                change.rounded_correct += after.verdict == label
    return change


def _exported(folder: Path, work: Path) -> tuple[ModelFolder, Path]:
    """A checked folder and its float32 ONNX file, which is made where there is none."""
    model = open_folder(folder)
    if not isinstance(model.preprocess, CenterCrop):
        raise ExportError(f"{folder} is no backbone expert: there is little to gain from int8")
    if model.onnx is not None:
        return model, model.onnx
    export_expert(folder, out=work / "exact")
    return model, work / "exact" / ONNX


def _is_near(score: float, model: ModelFolder) -> bool:
    thresholds = (model.calibration.threshold, model.calibration.threshold_real)
    return any(abs(score - threshold) <= NEAR for threshold in thresholds)


def _finish(model: ModelFolder, target: Path, change: Change) -> str:
    copy_settings(model.path, target)
    calibration = replace(
        model.calibration,
        fitted_on=f"{model.calibration.fitted_on} (before rounding to int8)",
        false_alarm_rate=None,
        miss_rate=None,
    )
    write_settings(target, model.preprocess, calibration)
    card = target / CARD
    text = card.read_text(encoding="utf-8") if card.is_file() else f"# {model.name}\n"
    note = NOTE.format(fingerprint=model.fingerprint, change=change)
    card.write_text(f"{text.rstrip()}\n{note}", encoding="utf-8")
    return seal_folder(target)


def steps(labels: Sequence[str] | Mapping[str, str | None]) -> int:
    """How often `quantize_expert` calls `step`."""
    return 1 + len(labels)
