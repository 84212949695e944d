"""Scenes of the two-axis world: what is where, and whether it can be.

Every scene has two places, a left one and a right one. At each there is a cause and an effect that
has to fit it: a table and the thing that stands on it, a post and its shadow. A scene that breaks
its rule has the very same parts with the two effects exchanged. So causes alone, effects alone, and
everything else about a scene are distributed alike in both classes; only which effect belongs to
which cause is not.
"""

from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Numbers: TypeAlias = npt.NDArray[np.float64]

RULES = ("support", "containment", "shadow", "count", "reflection")
"""What can be broken; `world.drawing` says how each looks."""

GROSS, SUBTLE = (0.7, 1.0), (0.1, 0.3)
"""Ranges of the grade: how far two effects lie apart, which is how far off a broken one is."""

MOST = 4  # stems and blossoms at one place
CONTRAST = 70  # grey levels, in one channel at least


@dataclass(frozen=True)
class Scene:
    """What is drawn.

    Attributes:
        rule: One of `RULES`.
        obeys: Whether each effect fits its cause.
        sizes: Of the causes, left and right, in [0, 1]: how high, wide, tall or many.
        grade: How far the two sizes lie apart, in (0, 1].
        places: Horizontal centres, left and right, in [0, 1] of the picture.
        widths: Of the things, in [0, 1] of the picture.
        shapes: Of the things, 0 to 3.
        colours: (2, 3) of the things, grey levels.
        grounds: (3, 3) of wall or sky, ground, and furniture, grey levels.
        level: Where wall and ground meet, a shift in [-1, 1].
        lean: Direction and length of shadows, in [-1, 1].
        seed: Of texture and camera.
    """

    rule: str
    obeys: bool
    sizes: tuple[float, float]
    grade: float
    places: tuple[float, float]
    widths: tuple[float, float]
    shapes: tuple[int, int]
    colours: Numbers
    grounds: Numbers
    level: float
    lean: float
    seed: int

    @property
    def effects(self) -> tuple[float, float]:
        """Sizes of the effects, left and right: the causes' own, or exchanged."""
        left, right = self.sizes
        return (left, right) if self.obeys else (right, left)

    def twin(self) -> "Scene":
        """The same scene with the effects exchanged: obeying if this one breaks its rule."""
        return replace(self, obeys=not self.obeys)


def draw_scene(
    rng: np.random.Generator,
    rule: str,
    *,
    obeys: bool,
    grades: tuple[float, float] = GROSS,
) -> Scene:
    """A scene at random; what is drawn does not depend on `obeys`.

    Args:
        rng: Source of every draw.
        rule: One of `RULES`.
        obeys: Whether the rule holds.
        grades: Range of the grade, drawn uniformly.
    """
    grade = float(rng.uniform(*grades))
    if rule == "count":  # things come whole
        steps = max(1, round((MOST - 1) * grade))
        low, grade = int(rng.integers(MOST - steps)) / (MOST - 1), steps / (MOST - 1)
    else:
        low = float(rng.uniform(0, 1 - grade))
    sizes = (low, low + grade) if rng.random() < 0.5 else (low + grade, low)
    # Grounds and things are equally light on average: what hides what then tells no linear probe
    # anything.
    grounds = rng.uniform(60, 195, (2, 3))
    return Scene(
        rule=rule,
        obeys=obeys,
        sizes=sizes,
        grade=grade,
        places=(float(rng.uniform(0.22, 0.30)), float(rng.uniform(0.70, 0.78))),
        widths=(float(rng.uniform(0.10, 0.16)), float(rng.uniform(0.10, 0.16))),
        shapes=(int(rng.integers(4)), int(rng.integers(4))),
        colours=np.stack([_colour(rng, grounds), _colour(rng, grounds)]),
        grounds=np.vstack([grounds, _colour(rng, grounds)]),
        level=float(rng.uniform(-1, 1)),
        lean=float(rng.uniform(-1, 1)),
        seed=int(rng.integers(1 << 62)),
    )


def _colour(rng: np.random.Generator, grounds: Numbers) -> Numbers:
    """(3,) grey levels that stand out from all of the grounds."""
    while True:
        colour = rng.uniform(20, 235, 3)
        if np.abs(grounds - colour).max(1).min() >= CONTRAST:
            return colour


def amount(size: float) -> int:
    """How many stems or blossoms a size stands for, 1 to `MOST`."""
    return 1 + round((MOST - 1) * size)


def parameters(scene: Scene, *, effects: bool = True, causes: bool = True) -> Numbers:
    """Everything about a scene as numbers, without saying which rule holds.

    A probe that is given causes or effects alone must be at chance; so must a linear one that is
    given both, for which fits which is no sum of parts.

    Args:
        scene: The scene.
        effects: Whether to give the sizes of the effects.
        causes: Whether to give the sizes of the causes.
    """
    parts = [
        scene.sizes if causes else (),
        scene.effects if effects else (),
        (scene.grade, scene.level, scene.lean, *scene.places, *scene.widths),
        scene.colours.ravel(),
        scene.grounds.ravel(),
    ]
    return np.concatenate([np.asarray(part, np.float64) for part in parts])
