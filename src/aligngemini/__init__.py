"""Was this image made by AI? See `Detector`."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aligngemini.detector import Detector
    from aligngemini.verdict import Evidence, Problem, Signal, Verdict

__version__ = "0.1.0"
__all__ = ["Detector", "Evidence", "Problem", "Signal", "Verdict", "__version__"]

_HOMES = {
    "Detector": "aligngemini.detector",
    "Evidence": "aligngemini.verdict",
    "Problem": "aligngemini.verdict",
    "Signal": "aligngemini.verdict",
    "Verdict": "aligngemini.verdict",
}


def __getattr__(name: str) -> Any:
    # Lazy, so that `aligngemini --help` does not pay for numpy and Pillow.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415

    return getattr(import_module(_HOMES[name]), name)
