"""Implausible to subtle: what a semantic branch that was shown gross mistakes makes of small ones.

The open question of AlignGemini's surreal training images (Echo-4o): do they teach what is
implausible, and miss what is subtly wrong?
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from matplotlib.figure import Figure

from aligngemini.evaluation.metrics import auc
from aligngemini.evaluation.reports.plots import COLOURS, MARKS
from aligngemini.evaluation.reports.svg import INK
from aligngemini.experiments import vlm as language
from aligngemini.experiments.schooling import schooled_vlm
from aligngemini.experiments.study import Control, Study, Task
from aligngemini.experiments.table import Table, judged
from aligngemini.experiments.vlm import VlmSettings
from aligngemini.experiments.world.sets import LabelledImages, scenes, semantic_set

RULES = ("support", "containment", "shadow", "reflection")
"""Those whose grade is continuous: stems and blossoms come whole."""

TRAINED = {
    "gross": (0.7, 1.0),
    "subtle": (0.1, 0.4),
    "all grades": (0.1, 1.0),
}
"""Range of grades that each arm is shown."""

LOTS = "gross, labels by lot"
TESTED = ((0.1, 0.2), (0.2, 0.3), (0.3, 0.4), (0.4, 0.55), (0.55, 0.7), (0.7, 1.0))

DESIGN = """
AlignGemini trains its semantic branch on surreal images, whose mistakes are gross, and leaves open
what that does to the subtle ones (the summary's third open question). Here the semantic branch is
trained on scenes whose effects are far off, slightly off, or anything between, and tested by how
far off they are. The grade of a scene is how far its two effects lie apart, as a share of all there
is: 0.1 of a table's range is four pixels, 1 is forty. Obeying scenes have grades too, so the grade
says nothing of the label. Otherwise everything is as in the study `alignment`: the same small VLM,
pretrained to describe scenes of all grades, the same DPO, training images worn down by the chain,
test images as they were taken, four rules.

What it cannot show: whether real subtle mistakes (a hand of six fingers, an impossible flag) are
like a shadow that is a little too long. They are subtle in meaning; these are small in size.
"""


@dataclass(frozen=True)
class SubtleSettings:
    """Of one scale.

    Attributes:
        side: Of the pictures, pixels.
        pairs: To train on.
        tests: Pairs of each range of grades.
        vlm: The vision-language model.
        pictures: That a small one is pretrained on.
    """

    side: int = 84
    pairs: int = 600
    tests: int = 100
    vlm: VlmSettings = field(default_factory=VlmSettings)
    pictures: int = 3000


def run(task: Task) -> Mapping[str, float]:
    """AUC of one arm by how far off the broken scenes are."""
    settings: SubtleSettings = task.settings
    lots = task.cell == LOTS
    images = _scenes(task, TRAINED["gross" if lots else task.cell], settings.pairs, worn=True)
    if lots:
        images = images.by_lot(np.random.default_rng([task.seed, 22]))
    reader = schooled_vlm(task, settings.vlm, settings.side, settings.pictures)
    torch.manual_seed(task.seed)
    language.supervise(reader, images, task.seed)
    figures = {}
    for grades in TESTED:
        tested = _scenes(task, grades, settings.tests, worn=False)
        scores = language.scores(reader, tested.pixels)
        figures[_name(grades)] = auc(scores[~tested.fake], scores[tested.fake])
    return figures


def draw(table: Table) -> Figure:
    """AUC against grade, an arm a line."""
    middles = [float(np.mean(grades)) for grades in TESTED]
    figure = Figure(figsize=(7.5, 4.4), layout="constrained")
    axes = figure.subplots()
    for k, cell in enumerate(table.cells):
        values = np.stack([table.values(cell, _name(grades)) for grades in TESTED])
        deviation = values.std(1, ddof=1) if values.shape[1] > 1 else None
        label = cell if cell == LOTS else f"trained on {cell}"
        axes.errorbar(
            middles,
            values.mean(1),
            deviation,
            label=label,
            capsize=3,
            color=COLOURS[k % len(COLOURS)],
            marker=MARKS[k % len(MARKS)],
        )
    axes.axhline(0.5, color=INK, linewidth=0.8, linestyle=":")
    axes.set(xlabel="grade: how far off, share of all there is", ylabel="AUC", ylim=(0.4, 1.02))
    axes.legend(loc="upper left")
    return figure


def conclude(table: Table) -> Sequence[str]:
    """Where the arm trained on gross mistakes stops seeing, and what subtle training costs."""
    subtlest, grossest = _name(TESTED[0]), _name(TESTED[-1])
    lines = [
        judged(
            "training on gross mistakes sees gross ones better than the subtlest",
            table.difference(("gross", grossest), ("gross", subtlest)),
        )
    ]
    seen = [grades for grades in TESTED if table.difference(("gross", _name(grades)), 0.5).low > 0]
    if seen:
        lines.append(
            f"Trained on gross mistakes, the VLM is above chance from {_name(seen[0])} up "
            f"({table.text('gross', _name(seen[0]))})."
        )
    else:
        lines.append(
            "Trained on gross mistakes, the VLM is above chance nowhere: nothing can be told of "
            "subtle ones at this scale."
        )
    for other in ("subtle", "all grades"):
        for grades, words in ((TESTED[0], "the subtlest"), (TESTED[-1], "gross")):
            claim = f"training on {other} is better than on gross mistakes, on {words} ones"
            figure = _name(grades)
            lines.append(judged(claim, table.difference((other, figure), ("gross", figure))))
    return lines


def _scenes(task: Task, grades: tuple[float, float], count: int, *, worn: bool) -> LabelledImages:
    """Twins of a range of grades; the same for all arms that ask for the same."""
    settings: SubtleSettings = task.settings
    rng = np.random.default_rng([task.seed, 20 + worn, *(round(100 * end) for end in grades)])
    drawn = scenes(rng, count, RULES, grades)
    if worn:
        return semantic_set(rng, drawn, side=settings.side)
    return semantic_set(rng, drawn, side=settings.side, chain=None)


def _name(grades: tuple[float, float]) -> str:
    low, high = grades
    return f"grade {low:g} to {high:g}"


SMOKE = SubtleSettings(
    side=56,
    pairs=8,
    tests=8,
    vlm=VlmSettings(width=32, layers=2, sight_steps=2, words_steps=2, steps=2, batch=8),
    pictures=24,
)
FULL = SubtleSettings(
    side=448,
    pairs=5000,
    tests=1000,
    vlm=VlmSettings(base="qwen2.5-vl-7b", steps=1250, rate=2e-5, batch=16, beta=0.05),
)

STUDY = Study(
    name="subtle",
    question="Does a semantic branch trained on gross mistakes see subtle ones?",
    design=DESIGN,
    settings={"smoke": SMOKE, "tiny": SubtleSettings(), "full": FULL},
    cells=lambda _: [*TRAINED, LOTS],
    run=run,
    figure=draw,
    conclude=conclude,
    controls=[Control(LOTS, _name(grades), "labels drawn by lot") for grades in TESTED],
    meaning={
        _name(grades): "AUC, broken scenes this far off against their obeying twins"
        for grades in TESTED
    },
)
