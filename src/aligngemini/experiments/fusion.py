"""Which rule joins two aligned branches best, and where does the logical OR lose?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from aligngemini.datasets.manifest import Row
from aligngemini.evaluation.fusion_fit import fit_fusion
from aligngemini.evaluation.labelled import Labelled
from aligngemini.evaluation.metrics import threshold_at
from aligngemini.evidence import Evidence
from aligngemini.experiments.budgets import (
    ByBranch,
    called_fake,
    evidence,
    probabilities,
    within_budget,
)
from aligngemini.experiments.figures import bars
from aligngemini.experiments.fusion_text import DESIGN, MEANING
from aligngemini.experiments.study import Control, Study, Task
from aligngemini.experiments.table import Table, judged
from aligngemini.experiments.two_branches import (
    SEEN,
    SMOKE,
    UNSEEN,
    UNSEEN_RULES,
    BranchSettings,
    draw,
    kept_logits,
    open_branches,
    saved,
    world_decoder,
)
from aligngemini.experiments.world.decoders import reconstruct
from aligngemini.fusion import FUSIONS
from aligngemini.fusion.base import FusionError, Rule
from aligngemini.fusion.fitted import FittedRule, FusionFile, counted_log_odds, fused_score
from aligngemini.images.degrade import rescale
from aligngemini.verdict import Verdict

OR, EACH, VOTE, WEIGHTED, LEARNED = "or", "or, 5 % each", "vote", "weighted", "learned"
ALONE = {"pixel alone": "pixel", "semantic alone": "semantic"}
RULES = (OR, VOTE, WEIGHTED, LEARNED)
INTACT, OTHERS = "intact", "others"
JPEG, RESIZED = "JPEG 60", "resized"
KNOWN = ("trace", "meaning", "both")
STRANGE = ("unseen decoder", "unseen rules")
ALARMS = "false alarms"
SHIFTED = {f"{ALARMS}, {name}": name for name in (JPEG, RESIZED)}
PRECISION = {"precision 1:1": 1, "precision 1:9": 9, "precision 1:99": 99}
NOTHING, LOT = "nothing to find", "labels by lot"
CALIBRATION = "calibration: "


@dataclass(frozen=True)
class Settings:
    """Of the study.

    Attributes:
        branches: Both branches.
        intact: Scenes without any flaw, to calibrate on and as many to test.
        each: Fakes of each kind, likewise.
        budget: False alarms that every rule may have on the calibration set.
        quality: Of the JPEG that intact scenes are tested after, too.
        scale: That they are resized to, and back, likewise.
    """

    branches: BranchSettings = field(default_factory=BranchSettings)
    intact: int = 300
    each: int = 100
    budget: float = 0.05
    quality: int = 60
    scale: float = 0.7


SETTINGS = {
    "smoke": Settings(SMOKE, intact=30, each=12, budget=0.2),
    "tiny": Settings(),
    "full": Settings(BranchSettings(decoder_steps=5000, pairs=3000), intact=3000, each=1000),
}


def run(task: Task) -> dict[str, float]:
    """One rule, fitted on the calibration set and tested on everything else."""
    settings: Settings = task.settings
    file = task.cache / f"logits-{task.seed}.npz"
    logits = kept_logits(file, partial(_judge, settings, task.seed, task.cache))
    photos = logits[CALIBRATION + INTACT]
    fakes = _joined([logits[CALIBRATION + kind] for kind in KNOWN])
    scores = {name: probabilities(one, photos, fakes) for name, one in logits.items()}
    rule, thresholds = _rule(task.cell, settings.budget, scores)
    chosen = (ALONE[task.cell],) if task.cell in ALONE else tuple(photos)

    def called(name: str) -> np.ndarray:
        return called_fake(rule, {branch: scores[name][branch] for branch in chosen}, thresholds)

    alarms = float(called(INTACT).mean())
    found = {ALARMS: alarms}
    found |= {figure: float(called(name).mean()) for figure, name in SHIFTED.items()}
    recalls = {kind: called(kind) for kind in (*KNOWN, *STRANGE)}
    found |= {kind: float(answers.mean()) for kind, answers in recalls.items()}
    recall = float(np.mean([found[kind] for kind in KNOWN]))
    for name, photos_a_fake in PRECISION.items():
        flagged = recall + photos_a_fake * alarms
        found[name] = recall / flagged if flagged else 1.0  # nothing called fake, nobody accused
    found[NOTHING] = (float(called(OTHERS).mean()) + 1 - alarms) / 2
    answers = np.concatenate([called(INTACT), *recalls.values()])
    lot = np.random.default_rng(task.seed).permutation(len(answers)) % 2 == 0
    found[LOT] = float(answers[lot].mean() + (~answers[~lot]).mean()) / 2
    return found


def _rule(
    cell: str, budget: float, scores: Mapping[str, ByBranch]
) -> tuple[Rule, Mapping[str, float]]:
    """The rule of a cell and the branches' thresholds under it."""
    photos = scores[CALIBRATION + INTACT]
    if cell == LEARNED:
        own = dict.fromkeys(photos, 0.5)
        images = [
            Labelled(Row(f"{name} {k}", label), Verdict(f"{name} {k}", branches=_named(branches)))
            for label, names in (("real", (INTACT,)), ("fake", KNOWN))
            for name in names
            for k, branches in enumerate(evidence(scores[CALIBRATION + name], own))
        ]
        try:
            return _within_budget(fit_fusion(images), photos, budget), own
        except FusionError:  # branches that know nothing leave nothing to fit
            return FUSIONS[OR], dict.fromkeys(photos, 1.0)  # calls nothing fake
    rule = FUSIONS.get(cell, FUSIONS[OR])
    if cell in ALONE:
        photos = {ALONE[cell]: photos[ALONE[cell]]}
    if cell == EACH:
        alone = {name: within_budget(rule, {name: one}, budget) for name, one in photos.items()}
        return rule, {name: thresholds[name] for name, thresholds in alone.items()}
    return rule, within_budget(rule, photos, budget)


def _within_budget(file: FusionFile, photos: ByBranch, budget: float) -> FittedRule:
    """A fitted rule of all branches with the budget's threshold.

    Its own is never under a half, and would leave a part of the budget unused.
    """
    combination = next(one for one in file.combinations if len(one.weights) == len(photos))
    odds = (counted_log_odds(one) for one in evidence(photos, dict.fromkeys(photos, 0.5)))
    scores = [fused_score(one, combination.weights, combination.bias) for one in odds]
    threshold = threshold_at(np.array(scores), budget)
    changed = replace(combination, threshold=threshold, threshold_real=threshold)
    return FittedRule(replace(file, combinations=(changed,)))


def _named(branches: Mapping[str, Evidence]) -> dict[str, Evidence]:
    """With the models' names, which fitting asks for."""
    return {name: replace(one, model=f"small-{name}@drawn") for name, one in branches.items()}


def _joined(parts: Sequence[ByBranch]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _judge(settings: Settings, seed: int, cache: Path) -> dict[str, np.ndarray]:
    branches = open_branches(settings.branches, seed, cache)
    sets = _pictures(settings, seed, cache)
    return {
        f"{name}/{branch}": logits
        for name, pictures in sets.items()
        for branch, logits in branches.scores(pictures).items()
    }


def _pictures(settings: Settings, seed: int, cache: Path) -> dict[str, np.ndarray]:
    """All sets of a seed, every picture saved alike at the end."""
    rng = np.random.default_rng([seed, 20])
    side, rules = settings.branches.side, settings.branches.reader.rules
    seen, unseen = (world_decoder(name, settings.branches, cache) for name in (SEEN, UNSEEN))

    def scenes(count: int, broken: bool, which: Sequence[str] = rules) -> np.ndarray:
        return draw(count, which, rng, side, broken=broken)

    sets: dict[str, np.ndarray] = {}
    for prefix in (CALIBRATION, ""):
        sets |= {
            f"{prefix}{INTACT}": scenes(settings.intact, False),
            f"{prefix}trace": reconstruct(seen, scenes(settings.each, False)),
            f"{prefix}meaning": scenes(settings.each, True),
            f"{prefix}both": reconstruct(seen, scenes(settings.each, True)),
        }
    sets[OTHERS] = scenes(settings.intact, False)
    sets["unseen decoder"] = reconstruct(unseen, scenes(settings.each, False))
    sets["unseen rules"] = scenes(settings.each, True, UNSEEN_RULES)
    resized = [
        rescale(rescale(one, settings.scale), side / round(side * settings.scale))
        for one in sets[INTACT]
    ]
    sets[RESIZED] = np.stack(resized)
    done = {name: saved(pictures) for name, pictures in sets.items()}
    return {**done, JPEG: saved(sets[INTACT], settings.quality)}


def conclude(table: Table) -> list[str]:
    """Where OR loses and where it wins, at equal false alarms; what it costs without a budget."""
    said = []
    for rule in (VOTE, WEIGHTED, LEARNED):
        for kind in (*KNOWN, *STRANGE):
            difference = table.difference((OR, kind), (rule, kind))
            if difference.word != "does not tell":
                verb = "more" if difference.mean > 0 else "less"
                said.append(
                    f"At one budget of false alarms, OR finds **{verb}** of `{kind}` than {rule}: "
                    f"{difference}."
                )
    if not said:
        said.append("At one budget of false alarms no rule differs from OR by more than the seeds.")
    best = max(ALONE, key=lambda cell: table.mean(cell, "trace") + table.mean(cell, "meaning"))
    mean = {cell: np.mean([table.mean(cell, kind) for kind in KNOWN]) for cell in table.cells}
    ranked = ", ".join(f"{cell} {mean[cell]:.3f}" for cell in sorted(mean, key=lambda c: -mean[c]))
    return [
        judged(
            "OR finds more known fakes by trace than the semantic branch alone (same budget)",
            table.difference((OR, "trace"), ("semantic alone", "trace")),
        ),
        judged(
            f"OR finds more fakes with both flaws than {best} (same budget)",
            table.difference((OR, "both"), (best, "both")),
        ),
        *said,
        *(_shift(table, figure) for figure in SHIFTED),
        judged(
            "OR of branches that each keep their own threshold raises more false alarms than one "
            "branch alone",
            table.difference((EACH, ALARMS), ("pixel alone", ALARMS)),
        ),
        f"Mean recall over known kinds of fakes: {ranked}. With one fake in a hundred images, what "
        f"OR calls fake is so in {table.text(OR, 'precision 1:99')} of the cases, and with every "
        f"branch at its own threshold in {table.text(EACH, 'precision 1:99')}.",
    ]


def _shift(table: Table, figure: str) -> str:
    """How many intact scenes each rule accuses that came another way than those it was set on."""
    rates = ", ".join(f"{rule} {table.mean(rule, figure):.1%}" for rule in RULES)
    verdict = judged(
        f"OR raises more `{figure}` than the learned rule, set to the same budget",
        table.difference((OR, figure), (LEARNED, figure)),
    )
    return f"{verdict} ({rates}.)"


def figure(table: Table) -> Figure:
    """Recall by kind of fake and false alarms, a bar a rule."""
    panels = {
        "recall on known fakes": KNOWN,
        "recall on fakes the branches never saw": STRANGE,
        "false alarms": (ALARMS, *SHIFTED),
        "precision by share of fakes": tuple(PRECISION),
    }
    # As many as there are colours; `weighted` lies between its neighbours.
    cells = [cell for cell in table.cells if cell != WEIGHTED]
    return bars(table, panels, cells, chance=None, label="share")


STUDY = Study(
    name="fusion",
    question="Which rule joins two aligned branches best, and where does the logical OR lose?",
    design=DESIGN,
    settings=SETTINGS,
    cells=lambda settings: [*ALONE, OR, EACH, VOTE, WEIGHTED, LEARNED],
    run=run,
    controls=(
        Control(OR, NOTHING, "intact scenes on both sides"),
        Control(OR, LOT, "labels of the test images drawn by lot"),
    ),
    figure=figure,
    conclude=conclude,
    meaning=MEANING,
)
