"""`aligngemini export`: a pixel expert or a GAMMA model for ONNX Runtime."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from aligngemini.cli.checks import WRONG_USE
from aligngemini.cli.parser import Parser
from aligngemini.cli.progress import progress

if TYPE_CHECKING:
    from aligngemini.training.quantize import Change

DESCRIPTION = """Make a pixel expert or a GAMMA model run without PyTorch.

Writes model.onnx beside the PyTorch weights of a model folder, or into a folder of its
own. Before it counts, it is checked against PyTorch from the bytes of files to the
score, and GAMMA's maps too: 1e-4 is the most that any may differ. The fingerprint
stays, for the numbers do.

With --int8 a copy of a pixel expert is written that computes in 8 bits: about three
times as fast on processors with VNNI, and a quarter of the size. Its numbers differ,
so it has a fingerprint of its own, and what it changes on your images is measured
first.
"""

EPILOG = """Needs the train extra: pip install "aligngemini[train]"

examples:
  aligngemini export my-expert
  aligngemini export my-expert --out my-expert-onnx --images photos/
  aligngemini export my-expert --out my-expert-int8 --int8 --manifest images.csv
  aligngemini detect photo.jpg --pixel my-expert-int8
"""


def main(arguments: Sequence[str]) -> int:
    """Run the command; gives the exit code."""
    parser = _parser()
    if not arguments:
        parser.print_help()
        return WRONG_USE
    given = parser.parse_args(arguments)
    if given.int8 and given.out is None:
        parser.error("--int8 needs --out DIR: its numbers are others than those of MODEL")
    if given.int8 and not (given.images or given.manifest):
        parser.error("--int8 is measured first: give it images with --images or --manifest")
    try:
        import aligngemini.training.quantize  # noqa: F401
    except ImportError as error:
        print(
            f"aligngemini export: {error.name} is not installed; "
            'pip install "aligngemini[train]" brings what exporting needs',
            file=sys.stderr,
        )
        return WRONG_USE
    from aligngemini.datasets.manifest import ManifestError
    from aligngemini.runtimes.folder import ModelError
    from aligngemini.training.onnx_graph import ExportError

    try:
        labels = _labels(given.images, given.manifest)
        (_int8 if given.int8 else _export)(given, labels)
    except (ManifestError, ModelError, ExportError) as error:
        print(f"aligngemini export: {error}", file=sys.stderr)
        return WRONG_USE
    except OSError as error:
        place = f" {error.filename}" if error.filename else ""
        reason = error.strerror or error
        print(f"aligngemini export: cannot write{place}: {reason}", file=sys.stderr)
        return WRONG_USE
    return 0


def _export(given: argparse.Namespace, labels: Mapping[str, str | None]) -> None:
    from aligngemini.runtimes.folder import open_folder
    from aligngemini.runtimes.preprocess import Tiles
    from aligngemini.training.export_expert import export_expert, steps
    from aligngemini.training.export_gamma import export_gamma

    images = list(labels)
    is_gamma = isinstance(open_folder(given.model).preprocess, Tiles)
    export = export_gamma if is_gamma else export_expert
    with progress(steps(images), text="Exporting") as step:
        fingerprint, parity = export(given.model, out=given.out, images=images, step=step)
    _say_unreadable(parity.unreadable)
    print(
        f"{given.out or given.model}: {fingerprint}; on {parity.images} images, scores are at most "
        f"{parity.score:.1e} from PyTorch's"
    )


def _int8(given: argparse.Namespace, labels: Mapping[str, str | None]) -> None:
    from aligngemini.training.quantize import quantize_expert, steps

    with progress(steps(labels), text="Rounding to int8") as step:
        fingerprint = quantize_expert(
            given.model,
            given.out,
            labels,
            max_flips=given.max_flips,
            report=_say_change,
            step=step,
        )
    print(f"{given.out}: {fingerprint}; the figures are in {given.out / 'card.md'}")


def _say_change(change: "Change") -> None:
    _say_unreadable(change.unreadable)
    print(change)


def _say_unreadable(unreadable: Mapping[str, str]) -> None:
    for path, reason in unreadable.items():
        print(f"not used: {path}: {reason}", file=sys.stderr)


def _labels(images: Path | None, manifest: Path | None) -> dict[str, str | None]:
    """Paths of images, with their labels where a manifest gives them."""
    from aligngemini.datasets.manifest import read_manifest
    from aligngemini.images.sources import expand
    from aligngemini.training.onnx_graph import ExportError

    labels: dict[str, str | None] = {}
    for item in expand([str(images)]) if images is not None else ():
        if item.problem is not None:
            raise ExportError(f"--images: {item.path}: {item.problem.message}")
        labels[item.path] = None
    if images is not None and not labels:
        raise ExportError(f"--images: no image in {images}")
    if manifest is not None:
        labels |= {row.path: row.label for row in read_manifest(manifest)}
    return labels


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError("must lie between 0 and 1")
    return value


def _parser() -> Parser:
    parser = Parser(
        prog="aligngemini export",
        usage="aligngemini export MODEL [options]",
        description=DESCRIPTION,
        epilog=EPILOG,
    )
    add = parser.add_argument
    add("model", type=Path, metavar="MODEL", help="model folder of PyTorch weights")
    add(
        "--out",
        type=Path,
        metavar="DIR",
        help="folder to write instead, new or empty, without the PyTorch weights",
    )
    add(
        "--images",
        type=Path,
        metavar="DIR",
        help="images to check or measure on, beside drawn ones",
    )
    add(
        "--manifest",
        type=Path,
        metavar="FILE",
        help="the same, with labels (CSV or Parquet: columns path and label)",
    )
    add("--int8", action="store_true", help="compute in 8 bits; needs --out and images")
    add(
        "--max-flips",
        type=_share,
        default=0.01,
        metavar="SHARE",
        help="of verdicts that --int8 may change before it is refused (default: 0.01)",
    )
    return parser
