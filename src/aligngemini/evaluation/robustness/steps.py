"""The grids of `aligngemini robustness`: deliveries that go together, by name."""

from collections.abc import Sequence

from aligngemini.images.deliveries import AS_IS, parse_delivery
from aligngemini.images.text_overlays import STYLES, WORDS

TEXT, CONTROL = "text", "control"


def overlays() -> list[tuple[str, str]]:
    """Every pair of a text delivery and its control."""
    return [
        (f"{TEXT}:{words}@{style}", f"{CONTROL}:{words}@{style}")
        for words in WORDS
        for style in STYLES
    ]


GRIDS: dict[str, tuple[str, ...]] = {
    # AlignGemini's evaluation: JPEG, scale, blur, as its authors' scripts have them.
    "published": (
        *(f"jpeg:{quality}" for quality in (100, 90, 80, 70, 60)),
        *(f"scale:{factor:g}" for factor in (0.5, 0.75, 1, 1.25, 1.5, 1.75, 2)),
        *(f"blur:{sigma:g}" for sigma in (0, 0.5, 1, 1.5, 2)),
    ),
    # GenImage (NeurIPS 2023): low resolution, JPEG, blur.
    "genimage": ("side:112", "side:64", "jpeg:65", "jpeg:30", "blur:3", "blur:5"),
    # What the web does; this project's own choice.
    "web": (
        *(f"jpeg:{quality}" for quality in (95, 85, 75, 60, 40)),
        *(f"webp:{quality}" for quality in (90, 75, 50)),
        *(f"scale:{factor:g}" for factor in (0.75, 0.5, 0.35)),
        *(f"blur:{sigma:g}" for sigma in (0.5, 1, 2)),
        *(f"noise:{sigma}" for sigma in (2, 5, 10)),
        *(f"crop:{share:g}" for share in (0.9, 0.75, 0.5)),
        *("screenshot", "screenshot+jpeg:85"),
        *(f"share:{hops}" for hops in range(1, 6)),
    ),
    # One of each kind.
    "quick": (
        *("jpeg:75", "webp:75", "scale:0.5", "blur:1", "noise:5"),
        *("crop:0.75", "screenshot", "share:3"),
    ),
    "text": tuple(delivery for pair in overlays() for delivery in pair),
}


def protocols_of(grids: Sequence[str], steps: Sequence[str]) -> list[str]:
    """What to judge: the images as they are, then the steps of all grids and the further ones.

    Args:
        grids: Names of `GRIDS`.
        steps: Deliveries; a text one brings its control along.

    Raises:
        DeliveryError: (a ValueError) A step is no delivery.
        KeyError: There is no such grid.
    """
    wanted = [AS_IS, *(step for name in grids for step in GRIDS[name])]
    for step in steps:
        parse_delivery(step)
        wanted.append(step)
        if (control := control_of(step)) is not None:
            parse_delivery(control)
            wanted.append(control)
    return list(dict.fromkeys(wanted))


def control_of(step: str) -> str | None:
    """The control of a delivery that is nothing but a text, else None."""
    name, _, words = step.partition(":")
    return f"{CONTROL}:{words}" if name == TEXT and "+" not in step else None
