"""The detector's options, as the commands take them that judge images with one."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligngemini.cli import checks
from aligngemini.cli.parser import positive_int, seconds
from aligngemini.runtimes.published import DEFAULT_GAMMA

if TYPE_CHECKING:
    from aligngemini.runner import DetectorOptions

DEFAULT_PIXEL = ("compact",)


def add_models(group: Any) -> None:
    """Add the options that say what judges; `aligngemini detect` explains them.

    Args:
        group: A parser, or a group of one.
    """
    add = group.add_argument
    add(
        "--pixel",
        action="append",
        metavar="MODEL",
        help="as of aligngemini detect; may be given several times",
    )
    add("--semantic", default="off", metavar="MODEL", help="as of detect (default: off)")
    add("--gamma", metavar="MODEL", help=f"as of detect (default: {DEFAULT_GAMMA})")
    add("--max-pixels", type=positive_int, metavar="N", help="as of detect")
    add("--four-bit", action="store_true", help="as of detect")
    add("--fusion", default="or", metavar="RULE", help="as of detect (default: or)")


def add_reading(group: Any) -> None:
    """Add those on what becomes of scores, which commands that measure do without."""
    add = group.add_argument
    add("--cascade", action="store_true", help="as of detect")
    add("--calibration", type=Path, metavar="FILE", help="as of detect")
    add("--trust", metavar="PEM", help="as of detect")


def add_running(group: Any) -> None:
    """Add the options that say where and how long it judges."""
    add = group.add_argument
    add("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where models run")
    add("--workers", type=positive_int, metavar="N", help="processes (default: as of detect)")
    add(
        "--timeout",
        type=seconds,
        metavar="SECONDS",
        help="for one image, before it is given up (default: as of detect)",
    )


def check(given: Any) -> None:
    """Make sure that they make sense together, and with `detect`'s own.

    Raises:
        UsageError: They do not.
    """
    checks.detector(
        pixel=tuple(given.pixel or DEFAULT_PIXEL),
        semantic=given.semantic != "off",
        vlm_options=bool(getattr(given, "explain", False) or given.max_pixels or given.four_bit),
        fusion=given.fusion,
        heatmaps=getattr(given, "heatmaps", None),
        gamma=(given.gamma or DEFAULT_GAMMA) != "off",
    )


def check_reading(given: Any) -> None:
    """The same with those of `add_reading`.

    Raises:
        UsageError: They do not, or the calibration is no file.
    """
    check(given)
    checks.calibration(given.calibration)


def any_given(given: Any) -> bool:
    """Whether a model or a rule was named, which scores made elsewhere have no use for."""
    named = (given.pixel, given.gamma, given.semantic != "off", given.fusion != "or")
    return any(named)


def options_of(given: Any) -> "DetectorOptions":
    """The detector that they describe."""
    from aligngemini.runner import DetectorOptions

    return DetectorOptions(
        pixel=tuple(given.pixel or DEFAULT_PIXEL),
        semantic=given.semantic,
        max_pixels=given.max_pixels,
        four_bit=given.four_bit,
        gamma=given.gamma or DEFAULT_GAMMA,
        fusion=given.fusion,
        device=given.device,
    )


def reading_options_of(given: Any) -> "DetectorOptions":
    """The same with those of `add_reading`."""
    return replace(
        options_of(given),
        cascade=given.cascade,
        calibration=None if given.calibration is None else str(given.calibration),
        trust=given.trust,
    )
