"""The numbers of a study: by cell, figure and seed, with mean, deviation and paired differences."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import t as student  # type: ignore[import-untyped]  # comes with scikit-learn

CONFIDENCE = 0.95

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Difference:
    """One number minus another, over the seeds.

    Attributes:
        mean: Over the seeds.
        low: Lower end of the 95 % interval of the mean (Student's t over the seeds).
        high: Upper end.
        seeds: How many.
    """

    mean: float
    low: float
    high: float
    seeds: int

    @property
    def word(self) -> str:
        """What it says of a claim that it is above 0: whether the interval leaves 0 out."""
        if self.low > 0:
            return "supports"
        return "contradicts" if self.high < 0 else "does not tell"

    def __str__(self) -> str:
        """`+0.12 (95 % interval over 3 seeds +0.08 to +0.16)`."""
        span = f"{self.low:+.3f} to {self.high:+.3f}"
        return f"{self.mean:+.3f} (95 % interval over {self.seeds} seeds {span})"


class Table:
    """Figures of every cell with every seed.

    Attributes:
        cells: In their order.
        figures: All names that any cell gave, in the order of their appearance.
        seeds: In their order.
    """

    def __init__(self, results: Mapping[tuple[str, int], Mapping[str, float]]) -> None:
        """Take the results of finished runs.

        Args:
            results: By cell and seed; every cell with every seed.
        """
        self._results = dict(results)
        self.cells = tuple(dict.fromkeys(cell for cell, _ in results))
        self.seeds = tuple(sorted({seed for _, seed in results}))
        self.figures = tuple(dict.fromkeys(name for found in results.values() for name in found))

    def has(self, cell: str, figure: str) -> bool:
        """Whether a cell gives this figure with every seed."""
        return all(figure in self._results.get((cell, seed), {}) for seed in self.seeds)

    def values(self, cell: str, figure: str) -> Floats:
        """(seeds,) one figure of one cell.

        Raises:
            KeyError: The cell does not give it.
        """
        return np.array([self._results[cell, seed][figure] for seed in self.seeds], np.float64)

    def mean(self, cell: str, figure: str) -> float:
        """Over the seeds."""
        return float(self.values(cell, figure).mean())

    def sd(self, cell: str, figure: str) -> float:
        """Standard deviation over the seeds (n - 1); NaN for one seed."""
        values = self.values(cell, figure)
        return float(values.std(ddof=1)) if len(values) > 1 else math.nan

    def difference(self, more: tuple[str, str], less: tuple[str, str] | float) -> Difference:
        """One figure minus another, paired by seed.

        Args:
            more: Cell and figure.
            less: Cell and figure, or a number such as chance.
        """
        other = less if isinstance(less, float) else self.values(*less)
        return difference_of(self.values(*more) - other)

    def text(self, cell: str, figure: str) -> str:
        """`0.912 ± 0.010`, or a dash where there is none."""
        if not self.has(cell, figure):
            return "-"
        return f"{self.mean(cell, figure):.3f} ± {self.sd(cell, figure):.3f}"

    def markdown(
        self, cells: Sequence[str] | None = None, figures: Sequence[str] | None = None
    ) -> str:
        """Mean ± standard deviation over the seeds, a row a cell, a column a figure.

        Args:
            cells: Rows; None for all.
            figures: Columns; None for all.
        """
        names = self.figures if figures is None else figures
        lines = ["| | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
        for cell in self.cells if cells is None else cells:
            texts = " | ".join(self.text(cell, name) for name in names)
            lines += [f"| {cell} | {texts} |"]
        return "\n".join(lines) + "\n"


def difference_of(values: Floats) -> Difference:
    """Mean of values, one a seed, with Student's t interval.

    Args:
        values: (n,); for fewer than two the interval is everything.
    """
    count = len(values)
    mean = float(np.mean(values))
    if count < 2:
        return Difference(mean, -math.inf, math.inf, count)
    quantile = student.ppf((1 + CONFIDENCE) / 2, count - 1)
    reach = float(quantile * np.std(values, ddof=1) / math.sqrt(count))
    return Difference(mean, mean - reach, mean + reach, count)


def judged(claim: str, difference: Difference) -> str:
    """A sentence on a claim that a difference is above 0: supports, contradicts, or neither.

    Args:
        claim: Goes on after `that`.
        difference: Above 0 if the claim holds.
    """
    ending = "that" if difference.word != "does not tell" else "whether"
    return f"This run **{difference.word}** {ending} {claim}: {difference}."
