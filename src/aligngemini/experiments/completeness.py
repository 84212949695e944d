"""What do two branches miss that ask two questions, and does GAMMA find it?"""

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from aligngemini.evaluation.metrics import auc
from aligngemini.experiments.budgets import called_fake, probabilities, within_budget
from aligngemini.experiments.completeness_shipped import JUDGED, SHIPPED, run_shipped
from aligngemini.experiments.completeness_text import DESIGN, MEANING
from aligngemini.experiments.edits import KINDS, edit
from aligngemini.experiments.figures import bars
from aligngemini.experiments.photos import FOLDERS
from aligngemini.experiments.small_gamma import (
    GammaSettings,
    look,
    new_small_gamma,
    train_small_gamma,
)
from aligngemini.experiments.study import Control, Study, Task
from aligngemini.experiments.table import Table, judged
from aligngemini.experiments.two_branches import (
    SEEN,
    SMOKE,
    UNSEEN,
    BranchSettings,
    draw,
    kept_logits,
    open_branches,
    saved,
    world_decoder,
)
from aligngemini.experiments.world.decoders import reconstruct
from aligngemini.fusion import FUSIONS
from aligngemini.images.degrade import Pixels
from aligngemini.models.gamma import Gamma

TWO, THREE = "pixel + semantic", "pixel + semantic + gamma"
BRANCHES = {
    "pixel": ("pixel",),
    "semantic": ("semantic",),
    "gamma": ("gamma",),
    TWO: ("pixel", "semantic"),
    THREE: ("pixel", "semantic", "gamma"),
}
INTACT, OTHERS, FIT, UNCHANGED = "intact", "others", "calibration: ", "no edit"
STRANGE = "region, unseen decoder"
WHOLE, RULE = "whole", "rule"
EDITS = (*KINDS, STRANGE)
MISSED, ALARMS, NOTHING = "missed: ", "false alarms", "nothing to find"


@dataclass(frozen=True)
class Settings:
    """Of the study.

    Attributes:
        branches: The pixel and the semantic branch.
        gamma: The third branch and its training.
        intact: Scenes without any flaw, to calibrate on and as many to test.
        each: Fakes of each kind.
        budget: False alarms that every combination may have on the calibration set.
        real: Real AI images, and as many photos and a half, for the models that ship.
    """

    branches: BranchSettings = field(default_factory=BranchSettings)
    gamma: GammaSettings = field(default_factory=lambda: GammaSettings(steps=200))
    intact: int = 300
    each: int = 100
    budget: float = 0.05
    real: int = 40


SETTINGS = {
    "smoke": Settings(
        SMOKE, GammaSettings(width=8, batch=4, steps=2), intact=20, each=8, budget=0.2, real=2
    ),
    "tiny": Settings(),
    "full": Settings(
        BranchSettings(decoder_steps=5000, pairs=3000),
        GammaSettings(steps=5000),
        intact=3000,
        each=1000,
        real=10_000,
    ),
}


def run(task: Task) -> dict[str, float]:
    """One combination: false alarms, and what it misses of each kind."""
    settings: Settings = task.settings
    if task.cell in SHIPPED:
        return run_shipped(task, settings.real, settings.budget)
    file = task.cache / f"logits-{task.seed}.npz"
    logits = kept_logits(file, partial(_judge, settings, task.seed, task.cache))
    photos = logits[FIT + INTACT]
    # Each branch is calibrated on what it was taught.
    fakes = {
        "pixel": logits[FIT + WHOLE]["pixel"],
        "semantic": logits[FIT + RULE]["semantic"],
        "gamma": logits[FIT + KINDS[0]]["gamma"],
    }
    chosen = BRANCHES[task.cell]
    scores = {
        name: probabilities({branch: one[branch] for branch in chosen}, photos, fakes)
        for name, one in logits.items()
    }
    rule = FUSIONS["or"]
    thresholds = within_budget(rule, scores[FIT + INTACT], settings.budget)
    alarms = float(called_fake(rule, scores[INTACT], thresholds).mean())
    found = {ALARMS: alarms}
    for kind in (WHOLE, RULE, *EDITS):
        found[MISSED + kind] = 1 - float(called_fake(rule, scores[kind], thresholds).mean())
    others = float(called_fake(rule, scores[OTHERS], thresholds).mean())
    found[NOTHING] = (others + 1 - alarms) / 2
    if task.cell == "gamma":
        found[UNCHANGED] = auc(logits[INTACT]["gamma"], logits[UNCHANGED]["gamma"])
    return found


def _judge(settings: Settings, seed: int, cache: Path) -> dict[str, np.ndarray]:
    branches = open_branches(settings.branches, seed, cache)
    gamma = _gamma(settings, seed, cache)
    found = {}
    for name, pictures in _pictures(settings, seed, cache).items():
        for branch, logits in {**branches.scores(pictures), "gamma": look(gamma, pictures)}.items():
            found[f"{name}/{branch}"] = logits
    return found


def _gamma(settings: Settings, seed: int, cache: Path) -> Gamma:
    file = cache / f"gamma-{seed}.pt"
    if not file.is_file():
        rng = np.random.default_rng([seed, 31])
        one = settings.branches
        photos = draw(one.pairs, one.reader.rules, rng, one.side)
        made = reconstruct(world_decoder(SEEN, one, cache), photos)
        trained = train_small_gamma(photos, made, settings.gamma, seed)
        partial_file = file.with_suffix(".partial")
        torch.save(trained.state_dict(), partial_file)
        partial_file.replace(file)
    gamma = new_small_gamma(settings.gamma)
    gamma.load_state_dict(torch.load(file, weights_only=True))
    gamma.train(False)
    return gamma


def _pictures(settings: Settings, seed: int, cache: Path) -> dict[str, Pixels]:
    """All sets of a seed, every picture saved alike at the end."""
    rng = np.random.default_rng([seed, 32])
    one, each = settings.branches, settings.each
    seen, unseen = (world_decoder(name, one, cache) for name in (SEEN, UNSEEN))

    def scenes(count: int, *, broken: bool = False) -> Pixels:
        return draw(count, one.reader.rules, rng, one.side, broken=broken)

    def edited(kind: str, decoder: str = SEEN) -> Pixels:
        pictures = scenes(each)
        made = reconstruct(seen if decoder == SEEN else unseen, pictures)
        others = np.roll(pictures, 1, axis=0)
        return np.stack(
            [edit(kind, *three, rng).pixels for three in zip(pictures, made, others, strict=True)]
        )

    unchanged = scenes(settings.intact)
    sets = {
        FIT + INTACT: scenes(settings.intact),
        FIT + WHOLE: reconstruct(seen, scenes(each)),
        FIT + RULE: scenes(each, broken=True),
        FIT + KINDS[0]: edited(KINDS[0]),
        INTACT: scenes(settings.intact),
        OTHERS: scenes(settings.intact),
        UNCHANGED: np.stack([edit(KINDS[0], same, same, same, rng).pixels for same in unchanged]),
        WHOLE: reconstruct(seen, scenes(each)),
        RULE: scenes(each, broken=True),
        STRANGE: edited(KINDS[0], UNSEEN),
        **{kind: edited(kind) for kind in KINDS},
    }
    return {name: saved(pictures) for name, pictures in sets.items()}


def conclude(table: Table) -> list[str]:
    """What two branches miss, what GAMMA adds at equal false alarms, and what it costs."""
    names = [MISSED + kind for kind in EDITS]
    missed = {cell: np.mean([table.values(cell, name) for name in names], 0) for cell in BRANCHES}
    said = [
        "Of edited scenes, which keep their rule and are no decoder's as a whole, the two branches "
        f"miss {missed[TWO].mean():.0%} at {table.mean(TWO, ALARMS):.1%} false alarms; with GAMMA "
        f"{missed[THREE].mean():.0%} at {table.mean(THREE, ALARMS):.1%}."
    ]
    for kind in (*EDITS, WHOLE, RULE):
        gain = table.difference((TWO, MISSED + kind), (THREE, MISSED + kind))
        said.append(judged(f"GAMMA lowers what is missed of `{kind}` at one budget", gain))
    compact = SHIPPED[0]
    if table.has(compact, "of these found by GAMMA"):
        said.append(
            f"Of real AI images {compact} misses {table.text(compact, 'missed: AI images')} at "
            f"{table.mean(compact, ALARMS):.1%} false alarms; of these gamma-compact-v1 marks "
            f"{table.text(compact, 'of these found by GAMMA')}."
        )
        extra = table.difference((compact, "of these found by GAMMA"), (compact, ALARMS))
        said.append(judged("gamma-compact-v1 marks more of them than of photos", extra))
        less = table.difference((compact, "missed: AI images"), (SHIPPED[1], "missed: AI images"))
        said.append(judged("the two shipped models by OR miss less at one budget", less))
    return said


def figure(table: Table) -> Figure:
    """What is missed by kind, a bar a combination."""
    panels = {
        "missed of edited scenes": [MISSED + kind for kind in EDITS],
        "missed of the fakes the two branches are for, and false alarms": [
            MISSED + WHOLE,
            MISSED + RULE,
            ALARMS,
        ],
    }
    return bars(table, panels, list(BRANCHES), chance=None, label="share")


STUDY = Study(
    name="completeness",
    question="What do two branches miss that ask two questions, and does GAMMA find it?",
    design=DESIGN,
    settings=SETTINGS,
    cells=lambda settings: [*BRANCHES, *SHIPPED],
    run=run,
    controls=(
        Control(THREE, NOTHING, "intact scenes on both sides"),
        Control("gamma", UNCHANGED, "edits that put back what was there"),
    ),
    figure=figure,
    conclude=conclude,
    meaning={**MEANING, JUDGED: MEANING["judged"]},
    data=f"{FOLDERS}, for the models that ship",
)
