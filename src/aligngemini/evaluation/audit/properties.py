"""Headers as columns: what an audit counts, and what its decision trees may look at."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath

import numpy as np
import numpy.typing as npt

from aligngemini.evaluation.audit.headers import METADATA, Header

Floats = npt.NDArray[np.float64]

NAME = "file name"
GROUPS = ("format", "size", "compression", "colour", "metadata", NAME)
"""What properties are about. File names are counted and reported, but no detector sees them, so
that they do not make a set solvable."""

MOST_VALUES = 12  # of one property that get a column; rarer ones share none
LARGEST_STEP = 64  # generators draw in multiples of 8 to 64 pixels


@dataclass(frozen=True)
class Column:
    """What a tree splits on.

    Attributes:
        cells: (n,) one number an image.
        above: Words for cells over a threshold; `{}` stands for it.
        below: Words for the others.
    """

    cells: Floats
    above: str
    below: str


@dataclass(frozen=True)
class Property:
    """One thing that headers say.

    Attributes:
        name: In words.
        group: One of `GROUPS`.
        cells: (n,) one value an image: text for choices, booleans for flags, else float64, NaN
            where an image has no such thing.
        above: For numbers: words for values over a threshold.
        below: Likewise.
    """

    name: str
    group: str
    cells: npt.NDArray[np.generic]
    above: str = ""
    below: str = ""

    @property
    def is_choice(self) -> bool:
        """Whether the values are texts."""
        return self.cells.dtype.kind == "U"

    @property
    def is_flag(self) -> bool:
        """Whether the values are yes and no."""
        return self.cells.dtype.kind == "b"

    def only(self, inside: npt.NDArray[np.bool_]) -> "Property":
        """The same of some of the images."""
        return replace(self, cells=self.cells[inside])

    @property
    def columns(self) -> list[Column]:
        """Choices make one column a value, flags and numbers one alone."""
        if self.is_choice:
            common = Counter(self.cells.tolist()).most_common(MOST_VALUES)
            return [
                Column(
                    (self.cells == value).astype(np.float64),
                    f"{self.name} {value}",
                    f"{self.name} not {value}",
                )
                for value, _ in common
            ]
        cells = np.nan_to_num(self.cells.astype(np.float64))  # what is not there counts as 0
        if self.is_flag:
            return [Column(cells, f"with {self.name}", f"without {self.name}")]
        above = self.above or f"{self.name} over {{}}"
        return [Column(cells, above, self.below or f"{self.name} at most {{}}")]


def properties(headers: Sequence[Header], paths: Sequence[str]) -> list[Property]:
    """What the headers and the names of some images say.

    Args:
        headers: One an image.
        paths: Their files, in the same order; of these only the last part counts, since folders
            are named after labels.
    """
    width, height, size = (
        np.array([getattr(header, name) for header in headers], np.float64)
        for name in ("width", "height", "size")
    )
    quality = np.array([header.quality or np.nan for header in headers], np.float64)
    pixels = np.maximum(width * height, 1)
    step = np.gcd(np.gcd(width.astype(np.int64), height.astype(np.int64)), LARGEST_STEP)
    return [
        Property("format", "format", np.array([header.format for header in headers], np.str_)),
        Property("width", "size", width),
        Property("height", "size", height),
        Property("megapixels", "size", pixels / 1e6),
        Property("width : height", "size", width / np.maximum(height, 1)),
        Property(
            "power of 2 that divides both sides",
            "size",
            step.astype(np.float64),
            above="sides divisible by a power of 2 over {}",
            below="sides divisible by no power of 2 over {}",
        ),
        Property(
            "JPEG quality",
            "compression",
            quality,
            above="a JPEG of quality over {}",
            below="no JPEG, or of quality at most {}",
        ),
        Property(
            "chroma subsampling",
            "compression",
            np.array([header.subsampling or "none" for header in headers], np.str_),
        ),
        Property(
            "several passes (progressive or interlaced)",
            "compression",
            np.array([header.progressive for header in headers], np.bool_),
        ),
        Property("bytes a pixel", "compression", size / pixels),
        Property("colour mode", "colour", np.array([header.mode for header in headers], np.str_)),
        *(
            Property(
                name,
                "metadata",
                np.array([name in header.metadata for header in headers], np.bool_),
            )
            for name in METADATA
        ),
        *_name_properties([PurePath(path).name for path in paths]),
    ]


def _name_properties(names: Sequence[str]) -> list[Property]:
    patterns = [_pattern(name) for name in names]
    examples: dict[str, str] = {}
    for pattern, name in zip(patterns, names, strict=True):
        examples.setdefault(pattern, name)
    digits = [sum(character.isdigit() for character in name) for name in names]
    return [
        Property(
            "name like",
            NAME,
            np.array([examples[pattern] for pattern in patterns], np.str_),
        ),
        Property(
            "suffix", NAME, np.array([PurePath(name).suffix or "none" for name in names], np.str_)
        ),
        Property("characters in the name", NAME, np.array([len(name) for name in names], float)),
        Property("digits in the name", NAME, np.array(digits, np.float64)),
    ]


def _pattern(name: str) -> str:
    """A name's shape: words and numbers of any length look alike, their order and signs stay."""
    path = PurePath(name)
    stem = re.sub(r"[^\W\d_]+", "a", path.stem)
    return re.sub(r"\d+", "0", stem) + path.suffix.lower()
