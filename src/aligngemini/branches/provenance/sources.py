"""IPTC digital source types: the vocabulary in which C2PA and XMP say how an image came to be."""

from typing import Literal

Claim = Literal["ai", "camera", "edited"]

WHOLE_AI = "trainedAlgorithmicMedia"
PART_AI = "compositeWithTrainedAlgorithmicMedia"

# What is not listed claims nothing here: `algorithmicMedia` (fractals and the like, no trained
# model), `digitalCreation` (drawn by hand), `screenCapture`, `print`, `dataDrivenMedia`, ...
CLAIMS: dict[str, Claim] = {
    WHOLE_AI: "ai",
    PART_AI: "edited",
    "algorithmicallyEnhanced": "edited",
    "composite": "edited",
    "compositeCapture": "edited",
    "compositeSynthetic": "edited",
    "humanEdits": "edited",
    "minorHumanEdits": "edited",
    "digitalCapture": "camera",
    "computationalCapture": "camera",
    "negativeFilm": "camera",
    "positiveFilm": "camera",
}
_BY_FOLDED = {name.casefold(): name for name in CLAIMS}


def source_name(value: str) -> str:
    """The bare name of a source type given as a URI, a prefixed name or a bare name."""
    name = value.strip().rstrip("/").replace(":", "/").rpartition("/")[2]
    return _BY_FOLDED.get(name.casefold(), name)
