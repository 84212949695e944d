"""Scores of some of a run's images, under some deliveries, for the checks at its end."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from aligngemini.evidence import calibrated
from aligngemini.images.decode import decode, read_bytes
from aligngemini.images.degrade import DELIVERIES, Pixels, semantic_chain
from aligngemini.images.item import ImageError
from aligngemini.images.text_overlays import draw_text, without_meaning
from aligngemini.runtimes.folder import Calibration
from aligngemini.training.diagnostics import AS_IS, EVENED, TRAINED_ON, Scored
from aligngemini.training.signatures import CONTROLS

Progress: TypeAlias = Callable[[int], AbstractContextManager[Callable[[], None]]]
"""Given a number of images, a context whose value is called after each."""

Delivery: TypeAlias = Callable[[Pixels], Pixels]

MOST = 64
"""Images of one group and label: a check takes minutes with large models, not hours."""

WORDS = "THIS IMAGE WAS MADE BY AI"

CONTROL_DELIVERIES: dict[str, Delivery] = dict(
    zip(
        CONTROLS,
        (
            lambda pixels: np.ascontiguousarray(pixels[:, ::-1]),
            lambda pixels: draw_text(pixels, WORDS),
            lambda pixels: draw_text(pixels, without_meaning(WORDS)),
            DELIVERIES["JPEG 75"],
            lambda pixels: semantic_chain(pixels, np.random.default_rng(0))[0],
        ),
        strict=True,
    )
)
"""What semantic models are put through, by name."""


@dataclass(frozen=True)
class Probe:
    """An image to score.

    Attributes:
        group: See `Scored`.
        label: Likewise.
        open: Gives its pixels, (H, W, 3) uint8 RGB, or raises `ImageError`.
        name: Of its file, for the list of those that cannot be read.
        grade: See `Scored`.
        even_out: Gives it the other class's compression; None where nobody knows that.
    """

    group: str
    label: str
    open: Callable[[], Pixels]
    name: str
    grade: str = ""
    even_out: Delivery | None = None


def no_progress(total: int) -> AbstractContextManager[Callable[[], None]]:
    """Shows nothing."""
    return nullcontext(lambda: None)


def opener(path: str) -> Callable[[], Pixels]:
    """Opens an image file when called."""
    return lambda: decode(read_bytes(path), path=path).pixels


def spread_out(found: Sequence[Any], most: int = MOST) -> list[Any]:
    """At most so many of a list, from its beginning to its end."""
    count = min(len(found), most)
    return [found[k * len(found) // count] for k in range(count)]


def probes_of_files(
    group: str,
    label: str,
    paths: Iterable[str],
    even_out: Callable[[str], Delivery] | None = None,
) -> list[Probe]:
    """Image files to score, `MOST` of them.

    Args:
        group: Of all.
        label: Of all.
        paths: May name a file twice.
        even_out: Gives each file's `Probe.even_out`.
    """
    return [
        Probe(group, label, opener(path), Path(path).name, even_out=even_out and even_out(path))
        for path in spread_out(list(dict.fromkeys(paths)))
    ]


def probe(
    logits: Callable[[Sequence[Pixels]], Iterable[float]],
    probes: Sequence[Probe],
    deliveries: Mapping[str, Delivery],
    calibration: Calibration,
    progress: Progress = no_progress,
) -> tuple[list[Scored], list[str]]:
    """Score images, those trained on as they are alone.

    Args:
        logits: The model.
        probes: The images.
        deliveries: What held-out ones go through besides.
        calibration: Makes scores of the logits.
        progress: Shows how far the work is.

    Returns:
        The scores, and the names of files that could not be read.
    """
    scored, unreadable = [], []
    with progress(len(probes)) as step:
        for one in probes:
            try:
                pixels = one.open()
            except ImageError as error:
                unreadable.append(f"{one.name}: {error.code}")
                step()
                continue
            delivered = list(_delivered(one, pixels, deliveries))
            answers = logits([picture for _, picture in delivered])
            first = Scored(one.group, one.label, AS_IS, np.nan, grade=one.grade)
            for (name, _), logit in zip(delivered, answers, strict=True):
                score = float(calibrated(logit, calibration.scale, calibration.bias))
                scored.append(replace(first, delivery=name, score=score))
            step()
    return scored, unreadable


def _delivered(
    one: Probe, pixels: Pixels, deliveries: Mapping[str, Delivery]
) -> Iterator[tuple[str, Pixels]]:
    yield AS_IS, pixels
    if one.group == TRAINED_ON:
        return
    if one.even_out is not None:
        yield EVENED, one.even_out(pixels)
    for name, deliver in deliveries.items():
        if name != AS_IS:
            yield name, deliver(pixels)
