"""How far a verdict moves under changes that nobody would see.

A score that one more re-saving turns over is worth less than its number says. The changes are mild
ones that any upload does; what survives harsher ones, `aligngemini robustness` measures on a set.
"""

from copy import copy
from dataclasses import replace

from aligngemini.branches.base import Branch
from aligngemini.detector import Detector
from aligngemini.evidence import MILD_CHANGES, Evidence, Stability
from aligngemini.images.deliveries import deliver_image
from aligngemini.images.item import Image, ImageError
from aligngemini.verdict import Verdict


def with_stability(detector: Detector, image: Image, verdict: Verdict) -> Verdict:
    """Judge an image again after each of `MILD_CHANGES`, and note how far its scores moved.

    Takes as long as judging it eight times more. What the file says of itself stays as it was, and
    no reasons are written.

    Args:
        detector: What judged it.
        image: As it was judged.
        verdict: What was said of it.

    Returns:
        The verdict with `stability` filled, its own and that of each branch that has a verdict.
        Label, score and all else stay. A change that cannot be judged (a picture of 33 pixels a
        side, made smaller) is not counted in `Stability.of`.
    """
    quick = copy(detector)
    quick.branches = [_without_reasons(branch) for branch in detector.branches]
    again = [one for spec in MILD_CHANGES if (one := _changed(quick, image, spec)) is not None]
    branches = {
        name: replace(evidence, stability=_spread(evidence, [one.branches[name] for one in again]))
        for name, evidence in verdict.branches.items()
    }
    return replace(verdict, stability=_spread(verdict, again), branches=branches)


def _changed(detector: Detector, image: Image, spec: str) -> Verdict | None:
    """The verdict on a changed copy, or None where there is none."""
    try:
        pixels = deliver_image(image, spec).pixels
        detector.limits.check_size((pixels.shape[1], pixels.shape[0]))
        verdict = detector.judge(replace(image, pixels=pixels))
    except (ImageError, MemoryError):  # the verdict that is there must not be lost
        return None
    return verdict if verdict.error is None else None


def _spread(
    before: Verdict | Evidence, again: "list[Verdict] | list[Evidence]"
) -> Stability | None:
    if before.verdict is None or (isinstance(before, Evidence) and before.signals is not None):
        return None
    answered = [one for one in again if one.verdict is not None]
    scores = [one.score for one in (before, *answered) if one.score is not None]
    return Stability(
        low=min(scores, default=None),
        high=max(scores, default=None),
        flips=sum(one.verdict != before.verdict for one in answered),
        of=len(answered),
    )


def _without_reasons(branch: Branch) -> Branch:
    """The branch as it answers quickest: the semantic one without the reasons it would write."""
    from aligngemini.branches.semantic import SemanticBranch  # noqa: PLC0415 - rarely there

    if not isinstance(branch, SemanticBranch) or not branch.explain:
        return branch
    quick = copy(branch)
    quick.explain = False
    return quick
