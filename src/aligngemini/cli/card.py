"""One image in full, for people. Plain text: rich would take longer than all the rest of a run."""

from collections.abc import Iterator

from aligngemini.report import words
from aligngemini.verdict import Verdict


def card(verdict: Verdict) -> str:
    """Lines of what is known of one image, each with its name before it."""
    rows = list(_rows(verdict))
    width = max(len(name) for name, _ in rows)
    return "".join(f"{name:{width}}  {words.printable(value)}\n" for name, value in rows)


def _rows(verdict: Verdict) -> Iterator[tuple[str, str]]:
    yield "File", verdict.path
    yield "Result", words.verdict_words(verdict)
    if verdict.score is not None:
        yield "Score", f"{words.number(verdict.score, *thresholds(verdict))} of 1"
    if verdict.stability is not None:
        said = words.stability_words(verdict.stability, *thresholds(verdict))
        yield "Stability", said
    if verdict.fused is not None:
        yield "Fusion", f"{verdict.fusion}: {words.why_words(verdict.fused)}"
    if verdict.guarantee is not None:
        yield "Promise", words.guarantee_words(verdict.guarantee)
    if verdict.disagreement:
        yield "Note", words.DISAGREEMENT
    titles = words.branch_titles(verdict)
    for name, evidence in verdict.branches.items():
        if evidence.skipped is None:
            yield titles[name], words.why_words(evidence)
        if evidence.explanation is not None:
            yield "", f"The model's words: {evidence.explanation}"
        for line in words.area_words(evidence):
            yield "", line
        for signal in evidence.signals or ():
            yield "", signal.detail
    if verdict.width is not None:
        yield "Image", f"{verdict.format}, {verdict.width} x {verdict.height} pixels"
    for note in verdict.notes:
        yield "Note", note


def thresholds(verdict: Verdict) -> tuple[float | None, ...]:
    """What a score will be read against, so that rounding does not carry it across."""
    evidence = verdict.scale
    return () if evidence is None else (evidence.threshold, evidence.threshold_real)
