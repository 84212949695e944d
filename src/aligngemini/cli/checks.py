"""Everything that can be known to be wrong before any work is done."""

import os
from collections.abc import Sequence
from pathlib import Path

ALL_JUDGED, SOME_NOT_JUDGED, WRONG_USE = 0, 1, 2

SUFFIXES = {".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv"}


class UsageError(Exception):
    """An option that cannot be what it is; the message names it."""

    def __init__(self, option: str, message: str) -> None:
        super().__init__(f"{option}: {message}")


def output_format(name: str | None, out: Path | None) -> str:
    """The format asked for, or the one that the suffix of `out` stands for.

    Raises:
        UsageError: The suffix stands for none.
    """
    if name is not None:
        return name
    if out is None:
        return "table"
    suffix = out.suffix.lower()
    if suffix in (".html", ".htm"):
        raise UsageError("--out", f"for a page use --report {out}")
    if suffix not in SUFFIXES:
        known = ", ".join(SUFFIXES)
        raise UsageError("--out", f"{out.name} ends in none of {known}: say --format too")
    return SUFFIXES[suffix]


def outputs(
    inputs: Sequence[str], *, out: Path | None, report: Path | None, heatmaps: Path | None
) -> None:
    """Make sure that every output can be written, and would not replace an input.

    Raises:
        UsageError: One cannot, or would.
    """
    files = {"--out": out, "--report": report}
    for option, path in files.items():
        if path is not None:
            _writable_file(path, option)
            if any(_same_file(path, given) for given in inputs):
                raise UsageError(option, f"{path} is one of the inputs")
    if out is not None and report is not None and out.resolve() == report.resolve():
        raise UsageError("--report", f"{report} is --out already")
    if heatmaps is not None:
        folder(heatmaps, "--heatmaps")


def detector(
    *,
    pixel: Sequence[str],
    semantic: bool,
    vlm_options: bool,
    fusion: str,
    heatmaps: Path | None,
    gamma: bool = False,
) -> None:
    """Make sure that the detector's options make sense, as far as that is told cheaply.

    Args:
        pixel: The experts, or `off`.
        semantic: Whether there is a vision-language model.
        vlm_options: Whether anything is asked of it.
        fusion: Name or file of the rule.
        heatmaps: Folder for overlays, or None.
        gamma: Whether there is a GAMMA model.

    Raises:
        UsageError: They do not.
    """
    from aligngemini.fusion import FusionError, open_rule

    try:
        open_rule(fusion)
    except FusionError as error:
        raise UsageError("--fusion", str(error)) from error
    if "off" in pixel and len(pixel) > 1:
        raise UsageError("--pixel", "off, and yet an expert; leave one of them out")
    if len(set(pixel)) < len(pixel):
        raise UsageError("--pixel", "the same expert is given twice")
    if vlm_options and not semantic:
        raise UsageError(
            "--explain, --max-pixels, --four-bit", "say which model too: --semantic MODEL"
        )
    if heatmaps is not None and "off" in pixel and not gamma:
        raise UsageError("--heatmaps", "only a pixel expert or a GAMMA model draws them")


def calibration(path: Path | None) -> None:
    """Make sure that a calibration can be read, if there is one.

    Raises:
        UsageError: It cannot.
    """
    if path is None:
        return
    from aligngemini.calibration import CalibrationError, read_calibration

    try:
        read_calibration(path)
    except CalibrationError as error:
        raise UsageError("--calibration", str(error)) from error


def _writable_file(path: Path, option: str) -> None:
    if path.is_dir():
        raise UsageError(option, f"{path} is a folder")
    if not path.parent.is_dir():
        raise UsageError(option, f"no such folder: {path.parent}")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise UsageError(option, f"not allowed to write {path}")


def folder(path: Path, option: str) -> None:
    """Make the folder, but not the ones above it: a typing error should not grow a tree."""
    try:
        path.mkdir(exist_ok=True)
    except FileNotFoundError as error:
        raise UsageError(option, f"no such folder: {path.parent}") from error
    except OSError as error:
        raise UsageError(option, f"{path}: {error.strerror}") from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise UsageError(option, f"not allowed to write in {path}")


def _same_file(path: Path, given: str) -> bool:
    try:
        return path.samefile(given)
    except (OSError, ValueError):
        return False
