"""How well labels can be told from columns: small decision trees, cross-validated."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.tree import DecisionTreeClassifier

from aligngemini.evaluation.audit.properties import Column

Flags = npt.NDArray[np.bool_]

DEPTH = 3
FEWEST = 10  # of each class
FOLDS = 5
SMALLEST_LEAF = 5  # images
Z95 = 1.96


@dataclass(frozen=True)
class Told:
    """How well photos and fakes were told apart by something.

    Attributes:
        by: By what, in words.
        accuracy: Balanced, cross-validated.
        photos: Share of the photos that were told right.
        fakes: Share of the fakes.
        low: Between this and `high`, chance alone lies in 95 of 100 sets of this size.
        high: See `low`.
    """

    by: str
    accuracy: float
    photos: float
    fakes: float
    low: float
    high: float


@dataclass(frozen=True)
class Rule:
    """One leaf of a tree.

    Attributes:
        label: `real` or `fake`: what it says of the images it holds for.
        conditions: In words; all of them have to hold.
        photos: How many photos of the set they hold for.
        fakes: How many fakes.
    """

    label: str
    conditions: tuple[str, ...]
    photos: int
    fakes: int


def tell_apart(by: str, columns: Sequence[Column], fake: Flags, *, seed: int = 0) -> Told | None:
    """Measure how well a decision tree of three questions tells the classes apart.

    Both classes weigh alike, however many images each has. The range of chance is that of two
    independent shares, (TPR + TNR) / 2 with each at a half, by the normal approximation.

    Args:
        by: What the columns are, in words.
        columns: At least one, each with a cell an image.
        fake: (n,) the labels.
        seed: Of the folds.

    Returns:
        None where a class has fewer than `FEWEST` images.
    """
    fakes, photos = int(fake.sum()), int((~fake).sum())
    if min(fakes, photos) < FEWEST:
        return None
    margin = Z95 / 4 * float(np.sqrt(1 / photos + 1 / fakes))
    chance = (0.5 - margin, 0.5 + margin)
    columns = [column for column in columns if np.ptp(column.cells) > 0]
    if not columns:  # all images alike: a coin does as well
        return Told(by, 0.5, 0.5, 0.5, *chance)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    said = cross_val_predict(_tree(seed), _table(columns), fake, cv=folds)
    right_photos, right_fakes = float(np.mean(~said[~fake])), float(np.mean(said[fake]))
    return Told(by, (right_photos + right_fakes) / 2, right_photos, right_fakes, *chance)


def rules(columns: Sequence[Column], fake: Flags, *, seed: int = 0) -> tuple[Rule, ...]:
    """The tree grown on all images, leaf by leaf in words, those of most images first.

    Leaves of one branch that say the same are one rule.
    """
    table = _table(columns)
    model = _tree(seed).fit(table, fake)
    leaf = model.apply(table)
    found = _leaves(model.tree_, 0, {}, columns)
    made = []
    for label, nodes, conditions in found:
        inside = np.isin(leaf, nodes)
        made.append(
            Rule(label, conditions, int((inside & ~fake).sum()), int((inside & fake).sum()))
        )
    return tuple(sorted(made, key=lambda rule: -(rule.photos + rule.fakes)))


_Side = tuple[int, bool]  # column, and whether its cells are over the threshold


def _leaves(
    tree: Any, node: int, path: dict[_Side, float], columns: Sequence[Column]
) -> list[tuple[str, list[int], tuple[str, ...]]]:
    """Label, leaf nodes and conditions of each rule below a node."""
    left, right = int(tree.children_left[node]), int(tree.children_right[node])
    if left == right:  # a leaf
        label = "fake" if int(np.argmax(tree.value[node][0])) == 1 else "real"
        return [(label, [node], tuple(_words(columns[k], t, a) for (k, a), t in path.items()))]
    column, threshold = int(tree.feature[node]), float(tree.threshold[node])
    # A second question on one side of one column is the stricter one.
    below = _leaves(tree, left, {**path, (column, False): threshold}, columns)
    above = _leaves(tree, right, {**path, (column, True): threshold}, columns)
    if len(below) == len(above) == 1 and below[0][0] == above[0][0]:
        here = tuple(_words(columns[k], t, a) for (k, a), t in path.items())
        return [(below[0][0], below[0][1] + above[0][1], here)]
    return below + above


def _words(column: Column, threshold: float, above: bool) -> str:
    whole = bool(np.all(column.cells == np.rint(column.cells)))
    shown = f"{int(threshold)}" if whole else f"{threshold:.3g}"
    return (column.above if above else column.below).replace("{}", shown)


def _tree(seed: int) -> Any:
    return DecisionTreeClassifier(
        max_depth=DEPTH,
        min_samples_leaf=SMALLEST_LEAF,
        class_weight="balanced",
        random_state=seed,
    )


def _table(columns: Sequence[Column]) -> npt.NDArray[np.float32]:
    return np.stack([column.cells for column in columns], axis=1).astype(np.float32)
