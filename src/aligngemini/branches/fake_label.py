"""Which of a classifier's labels mean that an image was made by AI."""

import re
from collections.abc import Sequence

FAKE_WORDS = {"fake", "deepfake", "ai", "aigc", "artificial", "generated", "synthetic", "machine"}
REAL_WORDS = {
    "real",
    "human",
    "hum",
    "photo",
    "natural",
    "nature",
    "authentic",
    "genuine",
    "camera",
}
NOT_WORDS = {"not", "no", "non"}


class LabelError(ValueError):
    """It cannot be told which labels mean fake; the message lists those there are."""


def fake_indices(labels: Sequence[str], named: Sequence[str] = ()) -> tuple[int, ...]:
    """The labels whose probabilities add up to P(fake).

    Without names they are told by their words: of two labels one has to say fake or the other real.
    Of one, or of three and more, exactly one has to say fake and all others real.

    Args:
        labels: The classifier's, in the order of its outputs.
        named: Those that mean fake, in any case of letters; empty to tell them by their words.

    Raises:
        LabelError: A named label is not there, all are named, or words do not tell.
    """
    if named:
        return _named(labels, named)
    kinds = [_kind(label) for label in labels]
    fakes = [index for index, kind in enumerate(kinds) if kind == "fake"]
    reals = [index for index, kind in enumerate(kinds) if kind == "real"]
    if len(fakes) == 1 and len(reals) == len(labels) - 1:
        return (fakes[0],)
    if len(labels) == 2 and len(fakes) + len(reals) == 1:
        return (fakes[0] if fakes else 1 - reals[0],)
    raise LabelError(f"cannot tell which label means fake; there are: {_listed(labels)}")


def _named(labels: Sequence[str], named: Sequence[str]) -> tuple[int, ...]:
    known = {label.casefold(): index for index, label in enumerate(labels)}
    missing = [name for name in named if name.casefold() not in known]
    if missing:
        raise LabelError(f"there is no label {missing[0]!r}; there are: {_listed(labels)}")
    indices = tuple(sorted({known[name.casefold()] for name in named}))
    if len(indices) == len(labels) > 1:
        raise LabelError(f"one label at least has to mean real; there are: {_listed(labels)}")
    return indices


def _kind(label: str) -> str | None:
    """`fake` or `real` where the label's words say the one and not the other."""
    spaced = re.sub(r"([a-z])([A-Z])", r"\1 \2", label)
    words = set(re.findall(r"[a-z]+", spaced.lower()))
    fake, real = bool(words & FAKE_WORDS), bool(words & REAL_WORDS)
    if fake == real or words & NOT_WORDS:
        return None
    return "fake" if fake else "real"


def _listed(labels: Sequence[str]) -> str:
    return ", ".join(labels)
