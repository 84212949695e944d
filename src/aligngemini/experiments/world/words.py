"""What can be said of a scene without judging it: what is there, and which side has more of it."""

from aligngemini.experiments.world.scene import RULES, Scene

PARTS = {
    "support": ("table", "thing"),
    "containment": ("glass", "drink"),
    "shadow": ("post", "shadow"),
    "count": ("stems", "blossoms"),
    "reflection": ("tower", "image"),
}
"""What cause and effect are called, by rule."""

SIDES = ("left", "right")
QUESTION = "What is there?"
WORDS = (*RULES, *(word for parts in PARTS.values() for word in parts), *SIDES)


def facts(scene: Scene) -> dict[str, str]:
    """The side where each part is higher, wider, longer or more.

    Facts are the same whether effects fit or not, each taken alone.

    Args:
        scene: What to describe.

    Returns:
        `left` or `right` by the part's name.
    """
    cause, effect = PARTS[scene.rule]
    return {
        cause: _side(*scene.sizes),
        effect: _side(*scene.effects),
    }


def _side(left: float, right: float) -> str:
    return SIDES[0] if left > right else SIDES[1]
