"""What would turn a verdict: the same rule asked again with another answer of one branch."""

from collections.abc import Mapping
from dataclasses import replace

from aligngemini.evidence import Evidence, Label, branch_kind
from aligngemini.fusion import FUSIONS, join
from aligngemini.fusion.base import thresholds
from aligngemini.report import words
from aligngemini.verdict import Verdict

LABELS: tuple[Label, ...] = ("fake", "undecided", "real")


def what_would_change(verdict: Verdict) -> list[str]:
    """Sentences that say which other answer of one branch, by itself, makes another verdict.

    Rules that weigh scores are read against their own thresholds instead.
    """
    if verdict.verdict is None:
        return []
    scored = verdict.fused if verdict.fused and verdict.fused.threshold is not None else None
    lines = _of_scale(scored, verdict) if scored else _of_branches(verdict)
    if verdict.scope is not None and verdict.scope.reasons:
        lines = ["No score would, as long as the picture is out of scope."]
    stated = _stated(verdict)
    if stated in ("fake", "undecided"):
        lines = [] if stated == "fake" else lines
        without = _joined(verdict, _looking(verdict))
        if without not in (None, verdict.verdict):
            lines.append(f"Without the signed statement: {words.KIND_WORDS[without]}.")
    if verdict.verdict != "fake":
        lines.append(
            "A signature in the file that you trust and that says AI: "
            f"{words.KIND_WORDS['fake']}, whatever the scores."
        )
    return lines or ["No other answer of a single branch would."]


def _of_branches(verdict: Verdict) -> list[str]:
    titles = words.branch_titles(verdict)
    lines = []
    for name, evidence in _looking(verdict).items():
        if evidence.verdict is None or evidence.score is None or evidence.remark is not None:
            continue
        high, low = thresholds(evidence)
        now = words.number(evidence.score, high, low)
        upper, lower = words.number(high, evidence.score), words.number(low, evidence.score)
        ranges: Mapping[Label, str] = {
            "fake": f"from {upper} up",
            "undecided": f"from {lower} to below {upper}",
            "real": f"below {lower}",
        }
        for label in LABELS:
            if label == evidence.verdict or (label == "undecided" and low == high):
                continue
            turned = _joined(verdict, {**_all(verdict), name: _as(evidence, label)})
            if turned is not None and turned != verdict.verdict:
                lines.append(
                    f"{titles[name]} with a score {ranges[label]} instead of {now}: "
                    f"{words.KIND_WORDS[turned]}."
                )
    return lines


def _of_scale(scale: Evidence, verdict: Verdict) -> list[str]:
    """Of a rule with a scale of its own: what its score would have to be."""
    high, low = thresholds(scale)
    score = scale.score if scale.score is not None else 0.5
    lines = []
    if scale.verdict != "fake":
        lines.append(
            f"A joint score from {words.number(high, score)} up: {words.KIND_WORDS['fake']}."
        )
    if scale.verdict != "undecided" and low < high:
        between = f"from {words.number(low, score)} to below {words.number(high, score)}"
        lines.append(f"A joint score {between}: {words.KIND_WORDS['undecided']}.")
    if scale.verdict != "real" and _stated(verdict) is None:
        lines.append(f"A joint score below {words.number(low, score)}: {words.KIND_WORDS['real']}.")
    return lines


def _as(evidence: Evidence, label: Label) -> Evidence:
    """The same branch with the score where that label begins or ends."""
    high, low = thresholds(evidence)
    score = {"fake": high, "undecided": low, "real": low / 2}[label]
    return replace(evidence, verdict=label, score=score)


def _joined(verdict: Verdict, branches: Mapping[str, Evidence]) -> Label | None:
    rule = FUSIONS.get(verdict.fusion)
    return None if rule is None else join(rule, branches)[0]


def _all(verdict: Verdict) -> dict[str, Evidence]:
    return {name: one for name, one in verdict.branches.items() if one.skipped is None}


def _looking(verdict: Verdict) -> dict[str, Evidence]:
    return {name: one for name, one in _all(verdict).items() if branch_kind(name) != "provenance"}


def _stated(verdict: Verdict) -> Label | None:
    """What signatures alone say."""
    stated = [one for name, one in _all(verdict).items() if branch_kind(name) == "provenance"]
    return next((one.verdict for one in stated if one.verdict is not None), None)
