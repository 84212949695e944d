"""The failure signatures themselves: which check goes with which branch.

The reasons are the papers': supervision that is mixed or misaligned teaches something else than
what is asked (AlignGemini, arXiv 2512.06746); pixel experts go by format and size where those tell
the classes apart (DDA, arXiv 2505.14359).
"""

from aligngemini.evaluation.metrics import Interval
from aligngemini.training.diagnostics import (
    HELD_OUT,
    TRAINED_ON,
    UNSEEN,
    Check,
    Measurement,
    NotMeasuredError,
    Scored,
    Scores,
    called_fake,
    difference,
    separation,
    share,
)

CONTROLS = ("flipped", "with a text", "with letters", "JPEG 75", "worn down")
"""What does not change whether a scene is possible; the last is `semantic_chain`."""


def false_alarms(scores: Scores) -> Measurement:
    """Share of photos not trained on that are called fake."""
    photos = scores.take("real")
    return called_fake(photos, scores.threshold), f"{len(photos)} held-out photos"


def delivered_alarms(scores: Scores) -> Measurement:
    """The same after the delivery that costs most."""
    rates: dict[str, Interval] = {}
    for delivery in scores.deliveries("real"):
        photos = scores.take("real", delivery=delivery)
        rates[delivery] = called_fake(photos, scores.threshold)
    if not rates:
        raise NotMeasuredError("no photo was delivered in any other way")
    worst = max(rates, key=lambda name: rates[name].value)
    return rates[worst], f"held-out photos {worst}, the worst of {', '.join(rates)}"


def unseen_generators(scores: Scores) -> Measurement:
    """AUC lost between fakes of generators trained on and of others, in one format."""
    unseen = scores.take("fake", (UNSEEN,), scores.alike())
    photos = scores.take("real", delivery=scores.alike())
    try:
        seen, known_photos, what = scores.take("fake", (HELD_OUT,), scores.alike()), photos, ""
    except NotMeasuredError:
        # Everything held out is of unseen generators: compared with the images trained on.
        seen, known_photos = scores.take("fake", (TRAINED_ON,)), scores.take("real", (TRAINED_ON,))
        what = ", which were trained on"
    found = difference(
        lambda a, b, c, d: separation(a, b) - separation(c, d), known_photos, seen, photos, unseen
    )
    return found, f"{len(seen)} fakes of known generators{what}, {len(unseen)} of others"


def file_format(scores: Scores) -> Measurement:
    """AUC lost where both classes come in one format, instead of in the files they are in."""
    alike = scores.alike()
    parts = [
        scores.take(label, delivery=delivery)
        for delivery in ("as is", alike)
        for label in ("real", "fake")
    ]
    found = difference(lambda a, b, c, d: separation(a, b) - separation(c, d), *parts)
    return found, f"{len(parts[0])} photos and {len(parts[1])} fakes held out, as is and as {alike}"


def one_sided(scores: Scores) -> Measurement:
    """The larger of the shares called fake and not called fake, both classes weighing alike."""
    photos, fakes = scores.take("real"), scores.take("fake")

    def larger(photos: list[Scored], fakes: list[Scored]) -> float:
        mean = (share(photos, scores.threshold) + share(fakes, scores.threshold)) / 2
        return max(mean, 1 - mean)

    found = difference(larger, photos, fakes)
    return found, f"{len(photos)} photos and {len(fakes)} fakes held out"


def gap(scores: Scores) -> Measurement:
    """AUC lost between images trained on and held-out ones of the same generators."""
    parts = [
        scores.take(label, (group,))
        for group in (TRAINED_ON, HELD_OUT)
        for label in ("real", "fake")
    ]
    found = difference(lambda a, b, c, d: separation(a, b) - separation(c, d), *parts)
    return found, f"{len(parts[0]) + len(parts[1])} images trained on, as many held out at most"


def worn_down(scores: Scores) -> Measurement:
    """Recall lost where the fakes' pixels are worn down and what they show stays."""
    before, after = scores.take("fake"), scores.take("fake", delivery=CONTROLS[-1])
    return _recall_lost(scores, before, after), f"{len(before)} held-out fakes, as is and worn down"


def gross_alone(scores: Scores) -> Measurement:
    """Recall lost between plainly impossible scenes and subtly impossible ones."""
    if not any(one.grade for one in scores.all):
        raise NotMeasuredError(
            "the pairs have no column implausibility that says gross or subtle of the fakes"
        )
    gross, subtle = (scores.take("fake", grade=grade) for grade in ("gross", "subtle"))
    return _recall_lost(scores, gross, subtle), f"{len(gross)} gross and {len(subtle)} subtle fakes"


def _recall_lost(scores: Scores, before: list[Scored], after: list[Scored]) -> Interval:
    def lost(before: list[Scored], after: list[Scored]) -> float:
        return share(before, scores.threshold) - share(after, scores.threshold)

    return difference(lost, before, after)


_SHARED = (
    Check(
        "photos called fake",
        false_alarms,
        0.05,
        "train on more kinds of photos, or set the threshold on photos of your own: "
        "aligngemini calibrate",
    ),
    Check(
        "one answer for everything",
        one_sided,
        0.9,
        "look whether the loss fell at all: more steps, another learning rate; if it did, the "
        "threshold is wrong for these scores",
    ),
)
_GAP = Check(
    "lost beyond the training images",
    gap,
    0.1,
    "it learned its images by heart: more images, fewer steps, more augmentation",
)

PIXEL = (
    *_SHARED,
    Check(
        "photos called fake once compressed or resized",
        delivered_alarms,
        0.1,
        "send both classes through the same compression and resizing in training",
    ),
    Check(
        "lost on unseen generators",
        unseen_generators,
        0.15,
        "add traces of other decoders: aligngemini build pixel-set with another --vae; until then "
        "say of the model which generators it knows",
    ),
    Check(
        "lost once both classes have one format",
        file_format,
        0.15,
        "it goes by the files' format, or by traces that JPEG wipes out: give both classes one "
        "format and compression in training; aligngemini audit says what else tells them apart",
    ),
    _GAP,
)
"""Of pixel experts and of GAMMA."""

SEMANTIC = (
    *_SHARED,
    Check(
        "photos called fake after changes that mean nothing",
        delivered_alarms,
        0.1,
        "it goes by pixels or by written words instead of the scene: wear both classes down alike "
        "(aligngemini build semantic-set), and draw texts into both",
    ),
    Check(
        "lost once the pixels are worn down",
        worn_down,
        0.15,
        "it goes by pixels and not by what the image shows: wear both classes down alike "
        "(aligngemini build semantic-set)",
    ),
    Check(
        "lost where faults are subtle",
        gross_alone,
        0.3,
        "it knows gross faults alone: add fakes that are nearly possible",
    ),
    _GAP,
)
"""Of semantic models."""
