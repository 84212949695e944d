"""What a study is: a question, cells to run with several seeds, and what their numbers say."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligngemini.experiments.table import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SCALES = {
    "smoke": "seconds: shows that everything runs, and nothing else",
    "tiny": "under half an hour on two cores: small models, a world of drawn scenes",
    "full": "what real weights and GPUs would run",
}


class StudyError(ValueError):
    """A study that cannot be run as asked; the message says what to do."""


@dataclass(frozen=True)
class Task:
    """One cell of a study with one seed, as its `run` gets it.

    Attributes:
        cell: Its name.
        seed: Of everything random. Python, NumPy and PyTorch are seeded with it already.
        settings: The study's, of the scale that runs.
        cache: A folder that all cells and seeds of these settings share, for what takes long and
            is the same for several of them, such as a pretrained model of one seed. Whoever writes
            there writes to a temporary name and renames.
        data: The folder given with `--data`, or None.
    """

    cell: str
    seed: int
    settings: Any
    cache: Path
    data: Path | None = None


@dataclass(frozen=True)
class Control:
    """A number that must come out at chance, or the others cannot be trusted.

    Attributes:
        cell: Where it stands.
        figure: Its name there.
        says: What was taken away, in words, such as `labels drawn by lot`.
        chance: What it must be.
        tolerance: How far off its mean may be, for lack of test images.
    """

    cell: str
    figure: str
    says: str
    chance: float = 0.5
    tolerance: float = 0.05


@dataclass(frozen=True)
class Study:
    """A question as something that can be run.

    Attributes:
        name: On the command line.
        question: One sentence.
        design: What is done, what stands for what, and what it cannot show; plain Markdown.
        settings: A dataclass of settings by scale, any of `SCALES`. Every value in them takes part
            in the key of finished runs.
        cells: Names of the cells under some settings, in the order of the table.
        run: Runs one cell with one seed; gives finite numbers by name.
        controls: Null controls, all of them cells and figures that `run` gives.
        figure: Draws the table.
        conclude: Sentences, computed from the table. `table.judged` says what the
            seeds make of a claim.
        meaning: What each figure says, by name.
        data: What `--data` is for; empty where the study takes none.
        revision: Raise it when the code changes what the numbers mean: finished runs are then
            not taken for the new ones.
    """

    name: str
    question: str
    design: str
    settings: Mapping[str, Any]
    cells: Callable[[Any], Sequence[str]]
    run: Callable[[Task], Mapping[str, float]]
    figure: Callable[[Table], "Figure"]
    conclude: Callable[[Table], Sequence[str]]
    controls: Sequence[Control] = ()
    meaning: Mapping[str, str] = field(default_factory=dict)
    data: str = ""
    revision: int = 1

    def settings_of(self, scale: str) -> Any:
        """The settings of a scale.

        Raises:
            StudyError: The study has no such scale.
        """
        if scale not in self.settings:
            known = ", ".join(self.settings)
            raise StudyError(f"the study {self.name} has no scale {scale!r}; it has {known}")
        return self.settings[scale]
