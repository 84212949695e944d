"""Was this image made by AI? See `Detector`."""

from typing import TYPE_CHECKING, Any

from aligngemini.version import __version__

if TYPE_CHECKING:
    from aligngemini.client import AsyncClient, Client, ServiceError
    from aligngemini.detector import Detector
    from aligngemini.evidence import Evidence, Problem, Signal
    from aligngemini.verdict import Verdict

__all__ = [
    "AsyncClient",
    "Client",
    "Detector",
    "Evidence",
    "Problem",
    "ServiceError",
    "Signal",
    "Verdict",
    "__version__",
]

_HOMES = {
    "AsyncClient": "aligngemini.client",
    "Client": "aligngemini.client",
    "Detector": "aligngemini.detector",
    "Evidence": "aligngemini.evidence",
    "Problem": "aligngemini.evidence",
    "ServiceError": "aligngemini.client",
    "Signal": "aligngemini.evidence",
    "Verdict": "aligngemini.verdict",
}


def __getattr__(name: str) -> Any:
    # Lazy, so that `aligngemini --help` does not pay for numpy and Pillow.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415

    return getattr(import_module(_HOMES[name]), name)
