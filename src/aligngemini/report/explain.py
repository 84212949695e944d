"""How a verdict came about, in plain words: what looked, what it rests on, how often it errs."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from aligngemini.evidence import Evidence, branch_kind
from aligngemini.record_id import record_id
from aligngemini.report import words
from aligngemini.report.record import RecordError
from aligngemini.report.turning import what_would_change
from aligngemini.verdict import SCOPE_WORDS, Verdict

Section = tuple[str, list[str]]

MEANINGS: dict[words.Kind, str] = {
    "fake": (
        "Signs of AI generation were found. That is a reason to look closer and no proof: photos "
        "are called so by mistake, too."
    ),
    "undecided": (
        "Nothing here tells a photo from an AI image. Count it for neither, however high the score."
    ),
    "real": (
        "No sign of AI generation was found. That is all: nobody can prove a photo, and traces get "
        "lost with each saving and resizing."
    ),
    "unjudged": "There is no verdict, and that says nothing of the image, for or against.",
}
EDITED_MEANING = (
    "A part of the picture looks changed, and the rest like a camera's. That is a reason to look "
    "closer and no proof: untouched photos are marked by mistake, too."
)

RULES = {
    "or": (
        "or: one branch that finds signs is enough; else one that is undecided keeps it undecided"
    ),
    "vote": "vote: what more than half of the branches say, else undecided",
    "weighted": "weighted: the mean of the scores, read against the mean of the thresholds",
    "learned": "learned: a weighted sum of the scores that was fitted on images with known labels",
}

LIMITS = {
    "constant": "contrast {contrast:g} grey levels; in scope from 16",
    "flat": "{flat:.2f} of the pixels equal their neighbour; in scope up to 0.70",
    "few-colours": "eight colours make up {colours:.2f} of it; in scope up to 0.75",
    "text": (
        "paper {paper:.2f}, strokes {strokes:.2f}, saturation {saturation:g}; out of scope over "
        "0.55, over 0.30 and under 30 together"
    ),
}
NOT_LOOKED = {
    "pixel": "whether the pixels look as if a decoder had made them",
    "semantic": "whether what the picture shows is possible",
    "gamma": "whether a part was generated or changed, and where",
    "provenance": "what the file says of its origin",
}


def explain(verdict: Verdict) -> list[Section]:
    """Say how a verdict came about.

    Args:
        verdict: Of one image; from a record where it was judged elsewhere.

    Returns:
        Titles, and sentences under each. Parts of them are out of files: print them through
        `words.printable`.
    """
    sections = {
        "What it means": [_meaning(verdict)],
        "How it came about": list(_course(verdict)),
        "What was not looked at": list(_not_looked(verdict)),
        "How often it is wrong": list(_error_rates(verdict)),
        "What would change it": what_would_change(verdict),
    }
    return [(title, lines) for title, lines in sections.items() if lines]


def id_words(record: Mapping[str, Any]) -> tuple[bool, str]:
    """Whether a record matches its id, and that in words.

    Args:
        record: As read from JSON; a record by `parse_record`.

    Raises:
        RecordError: It holds what no id can be computed of.
    """
    given = record.get("id")
    if given is None:
        return True, "It has no id, as of an earlier version: changes since would not show."
    if not isinstance(given, str):
        raise RecordError("id must be a text")
    try:
        found = record_id(record)
    except (OverflowError, RecursionError) as error:
        raise RecordError("it holds numbers or lists that no record holds") from error
    if found == given:
        return True, f"Its id {given} matches: the record is as it was written."
    if found.split("-")[0] == given.split("-")[0]:
        what = "what was answered (a verdict, a score, a remark)"
    else:
        what = "what was judged or by what (the image, a model, a rule, a version)"
    return False, f"CHANGED since it was written: {what} does not match its id {given}."


def _meaning(verdict: Verdict) -> str:
    if words.edited(verdict):
        return EDITED_MEANING
    meaning = MEANINGS[words.kind_of(verdict)]
    if verdict.verdict is not None:
        return meaning
    reason = verdict.error.message if verdict.error else "no branch gave a verdict"
    return f"{meaning} The reason: {reason}."


def _course(verdict: Verdict) -> Iterator[str]:
    if verdict.scope is not None and verdict.scope.reasons:
        measured = [_measured(verdict.scope.measured, reason) for reason in verdict.scope.reasons]
        why = "; ".join(
            SCOPE_WORDS[reason] + (f" ({found})" if found else "")
            for reason, found in zip(verdict.scope.reasons, measured, strict=True)
        )
        yield f"The picture is out of scope: {why}. Scores of such pictures do not count."
    titles = words.branch_titles(verdict)
    for name, evidence in verdict.branches.items():
        if evidence.skipped is None:
            yield f"{titles[name]}: {_said(evidence, verdict)}."
            yield from (f"{titles[name]}: {line}." for line in words.area_words(evidence))
        if evidence.explanation is not None:
            yield (
                f"{titles[name]}: the model also wrote reasons. They were written for the verdict, "
                "and are no ground of it."
            )
    if verdict.branches:
        yield f"Joined by {RULES.get(verdict.fusion, verdict.fusion)}.{_fused(verdict)}"
    if verdict.disagreement:
        yield "The branches disagree: one found signs, another none."
    if verdict.stability is not None:
        said = words.stability_words(verdict.stability)
        yield f"Under mild changes of the image: {said}."
    for note in verdict.notes:
        yield f"The image: {note}."


def _measured(measured: object, reason: str) -> str:
    """What a rule of scope was held against, where the record has all of it."""
    try:
        return LIMITS[reason].format_map(measured)  # type: ignore[arg-type]  # any mapping will do
    except KeyError:
        return ""


def _said(evidence: Evidence, verdict: Verdict) -> str:
    """One branch's answer, and against what its score was read."""
    if verdict.scope is not None and evidence.remark == verdict.scope.remark:
        evidence = replace(evidence, remark="not counted" if evidence.remark else None)
    said = words.why_words(evidence)
    if evidence.signals and not any(one.state.startswith("signed") for one in evidence.signals):
        said = f"{said}. Unsigned hints move no verdict"
    if evidence.model is not None and evidence.signals is None:
        said = f"{said}. Asked was {evidence.model}"
    return said


def _fused(verdict: Verdict) -> str:
    if verdict.fused is not None:
        return f" It says: {words.why_words(verdict.fused)}."
    if verdict.verdict is None:
        return ""
    named = [
        words.BRANCH_TITLES.get(branch_kind(name), name)
        for name, one in verdict.branches.items()
        if one.verdict == verdict.verdict
    ]
    return f" It follows {' and '.join(dict.fromkeys(named))}." if named else ""


def _not_looked(verdict: Verdict) -> Iterator[str]:
    if not verdict.branches:
        return
    kinds = {branch_kind(name) for name, one in verdict.branches.items() if one.skipped is None}
    reasons = {branch_kind(name): one.skipped for name, one in verdict.branches.items()}
    for kind, what in NOT_LOOKED.items():
        if kind not in kinds:
            reason = reasons.get(kind) or "not asked for"
            yield f"{words.BRANCH_TITLES[kind]}: {what} ({reason})."
    provenance = verdict.branches.get("provenance")
    if provenance is not None and "+trust-" not in (provenance.model or "+trust-"):
        yield "Signatures could show nobody whom you trust: no list of trusted signers was given."
    yield "Whether the picture is shown with a true story: no look at pixels tells."


def _error_rates(verdict: Verdict) -> Iterator[str]:
    if not verdict.branches:
        return
    if verdict.scope is not None and verdict.scope.reasons:
        yield "Nobody measured it on pictures that are out of scope."
        return
    if verdict.guarantee is not None:
        yield f"Promised by a calibration: {words.guarantee_words(verdict.guarantee)}."
        yield "Of photos from elsewhere nothing is promised."
        return
    titles = words.branch_titles(verdict)
    scales = verdict.branches if verdict.fused is None else {verdict.fusion: verdict.fused}
    scored = {name: one for name, one in scales.items() if one.threshold is not None}
    for name, one in scored.items():
        title = titles.get(name, name)
        if one.false_alarm_rate is None:
            yield f"{title}: nobody measured how many photos reach its threshold."
            continue
        bound = one.false_alarm_bound
        sure = "" if bound is None else f" (95 % sure: at most {words.share(bound)})"
        rate = words.share(one.false_alarm_rate)
        yield f"{title}: {rate} of held-out photos reach its threshold{sure}."
    if len(scored) > 1:
        yield "Joined, their false alarms add up; nobody measured the sum here."
    if scored:
        yield "On photos of another kind it may be more: aligngemini calibrate measures yours."
