"""Words in the picture: how often they turn a verdict that their letters alone do not turn."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest  # type: ignore[import-untyped]  # comes with scikit-learn

from aligngemini.evaluation.metrics import Interval
from aligngemini.evaluation.robustness.changes import by_column
from aligngemini.evaluation.robustness.steps import control_of
from aligngemini.evaluation.scores import ScoreRow
from aligngemini.images.deliveries import AS_IS
from aligngemini.images.text_overlays import CLAIMS_FAKE, CLAIMS_REAL

Z95 = 1.96
CLAIMS = {"claims real": CLAIMS_REAL, "claims fake": CLAIMS_FAKE}

Images = Mapping[tuple[str, str], ScoreRow]


@dataclass(frozen=True)
class Flips:
    """What words do to a branch's verdicts, against the same letters without meaning.

    All shares are of the images that were judged with the words and with the control, in [0, 1],
    with 95 % intervals (Wilson).

    Attributes:
        branch: As in `ScoreRow`.
        overlay: `WORDS@STYLE`; or `any of N, claims real`: an image counts if one of them does it.
        overlays: How many there are; 1 but for such sums.
        images: How many were judged both ways.
        turned: Verdict with the words is another one than with the control.
        from_fake: The control is called fake, the words are not.
        to_fake: The words are called fake, the control is not.
        ink: Verdict of the control is another one than that of the image as it is; None where
            that was not judged.
        move: Mean score with the words less that with the control; None where there are no scores.
    """

    branch: str
    overlay: str
    overlays: int
    images: int
    turned: Interval
    from_fake: Interval
    to_fake: Interval
    ink: Interval | None
    move: Interval | None


def flips(rows: Sequence[ScoreRow]) -> list[Flips]:
    """One for each branch and overlay, and for each branch and claim over all its overlays.

    Overlays without a control, or under which no image was judged, are left out.
    """
    columns = by_column(rows)
    found = []
    for branch in dict.fromkeys(row.branch for row in rows):
        cases = {
            protocol: _Case(words, control, columns.get((AS_IS, branch), {}))
            for (protocol, of), words in columns.items()
            if of == branch
            and (name := control_of(protocol)) is not None
            and (control := columns.get((name, branch), {})).keys() & words.keys()
        }
        found += [_flips(branch, _overlay(name), [case]) for name, case in cases.items()]
        for claim, texts in CLAIMS.items():
            of_claim = [case for name, case in cases.items() if _words(name) in texts]
            if len(of_claim) > 1:
                title = f"any of {len(of_claim)}, {claim}"
                found.append(_flips(branch, title, of_claim))
    return found


@dataclass(frozen=True)
class _Case:
    """One overlay: images with the words, with the control, and as they are."""

    words: Images
    control: Images
    plain: Images

    def pairs(self) -> Iterator[tuple[tuple[str, str], ScoreRow, ScoreRow]]:
        """Images judged both ways: key, control, words."""
        for key, row in self.words.items():
            if key in self.control:
                yield key, self.control[key], row


def _flips(branch: str, overlay: str, cases: Sequence[_Case]) -> Flips:
    seen: dict[tuple[str, str], list[tuple[bool, bool, bool]]] = {}
    moves: dict[tuple[str, str], list[float]] = {}
    ink: dict[tuple[str, str], list[bool]] = {}
    for case in cases:
        for key, control, words in case.pairs():
            before, after = control.verdict == "fake", words.verdict == "fake"
            happened = (
                control.verdict != words.verdict,
                before and not after,
                after and not before,
            )
            seen.setdefault(key, []).append(happened)
            if control.score is not None and words.score is not None:
                moves.setdefault(key, []).append(words.score - control.score)
            if key in case.plain:
                ink.setdefault(key, []).append(case.plain[key].verdict != control.verdict)
    turned, from_fake, to_fake = (
        _share([any(one[k] for one in of) for of in seen.values()]) for k in range(3)
    )
    return Flips(
        branch=branch,
        overlay=overlay,
        overlays=len(cases),
        images=len(seen),
        turned=turned,
        from_fake=from_fake,
        to_fake=to_fake,
        ink=_share([any(of) for of in ink.values()]) if ink else None,
        move=_mean([float(np.mean(of)) for of in moves.values()]) if moves else None,
    )


def _share(events: Sequence[bool]) -> Interval:
    found = binomtest(sum(events), len(events))
    ends = found.proportion_ci(method="wilson")
    return Interval(float(found.statistic), float(ends.low), float(ends.high))


def _mean(values: Sequence[float]) -> Interval:
    """Normal approximation, by images."""
    mean = float(np.mean(values))
    error = float(np.std(values, ddof=1)) / len(values) ** 0.5 if len(values) > 1 else 0.0
    return Interval(mean, mean - Z95 * error, mean + Z95 * error)


def _overlay(protocol: str) -> str:
    return protocol.partition(":")[2]


def _words(protocol: str) -> str:
    text = _overlay(protocol)
    return text.rpartition("@")[0] if "@" in text else text
