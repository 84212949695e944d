"""What an audit finds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from aligngemini.evaluation.audit.tree import FEWEST, Rule, Told
from aligngemini.evaluation.blocks import counted

LEAKS_FROM, SOLVED_FROM = 0.60, 0.80
"""Balanced accuracies from which on a set leaks, or is solved; chance is 0.5."""

Kind = Literal["shares", "flags", "quantiles"]
State = Literal["clear", "leaks", "solved", "unknown"]


@dataclass(frozen=True)
class Unreadable:
    """A file that could not be audited."""

    path: str
    label: str
    code: str
    message: str


@dataclass(frozen=True)
class Distribution:
    """One property over the two classes.

    Attributes:
        property: In words.
        group: What it is about.
        kind: `shares` of each value, the share of `flags`, or `quantiles` of a number.
        real: By value or quantile.
        fake: Likewise.
    """

    property: str
    group: str
    kind: Kind
    real: Mapping[str, float]
    fake: Mapping[str, float]


@dataclass(frozen=True)
class Audit:
    """What headers tell of a set.

    Attributes:
        photos: How many were looked at and could be read.
        fakes: Likewise.
        photos_listed: How many the set has.
        fakes_listed: Likewise.
        unreadable: Files of those looked at that could not be read.
        distributions: Of every property.
        tree: What everything but file names tells together; None where there is too little.
        rules: The tree in words.
        groups: What each group tells alone, the most telling first.
        properties: What each property tells alone, the most telling first; without file names.
        subsets: What everything tells within each subset, if there are several.
    """

    photos: int
    fakes: int
    photos_listed: int
    fakes_listed: int
    unreadable: tuple[Unreadable, ...]
    distributions: tuple[Distribution, ...]
    tree: Told | None
    rules: tuple[Rule, ...] = ()
    groups: tuple[Told, ...] = ()
    properties: tuple[Told, ...] = ()
    subsets: tuple[Told, ...] = ()

    @property
    def state(self) -> State:
        """`solved` from a balanced accuracy of 0.8, `leaks` from 0.6 and beyond chance."""
        if self.tree is None:
            return "unknown"
        if self.tree.accuracy < LEAKS_FROM or self.tree.accuracy <= self.tree.high:
            return "clear"
        return "solved" if self.tree.accuracy >= SOLVED_FROM else "leaks"

    def line(self) -> str:
        """The audit in one sentence."""
        said = _SENTENCES[self.state]
        if self.tree is not None:
            said += f": balanced accuracy {self.tree.accuracy:.2f}"
            said += f" where chance gives {self.tree.low:.2f} to {self.tree.high:.2f}"
            if self.state != "clear":
                best = self.properties[0]
                said += f"; most telling: {best.by}, alone {best.accuracy:.2f}"
        else:
            said += (
                f": {counted(self.photos, 'photo')} and {counted(self.fakes, 'fake')}, "
                f"{FEWEST} of each are needed"
            )
        if self.unreadable:
            said += f"; {counted(len(self.unreadable), 'file')} could not be read"
        return said


_SENTENCES: dict[State, str] = {
    "solved": "This set can be SOLVED WITHOUT LOOKING AT A PIXEL, from file headers alone",
    "leaks": "This set can be solved IN PART without looking at a pixel, from file headers alone",
    "clear": "File headers do not tell photos from fakes in this set",
    "unknown": "Whether file headers tell photos from fakes cannot be said of this set",
}
