"""Results for people: a card for one image, a table for more, and what they mean below."""

from typing import NamedTuple, TextIO

from aligngemini.cli.card import card, thresholds
from aligngemini.cli.summary import Summary
from aligngemini.report import words
from aligngemini.verdict import Verdict


class Row(NamedTuple):
    """What the table keeps of a verdict; safe to print."""

    name: str
    kind: words.Kind
    result: str
    score: str
    why: str


class People:
    """Collects verdicts, and prints them on closing: columns fit only when all rows are known."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._rows: list[Row] = []
        self._only: Verdict | None = None

    def add(self, verdict: Verdict) -> None:
        """Take one verdict, keeping no more of it than its row."""
        self._only = None if self._rows else verdict
        score = "" if verdict.score is None else words.number(verdict.score, *thresholds(verdict))
        name = words.printable(verdict.path)
        kind = words.kind_of(verdict)
        result = words.EDITED_WORDS if words.edited(verdict) else words.KIND_WORDS[kind]
        self._rows.append(Row(name, kind, result, score, why(verdict)))

    def close(self, summary: Summary, not_images: int) -> None:
        """Print everything, and below it what must be known beside."""
        if self._only is not None:
            self._stream.write(card(self._only))
        else:
            from aligngemini.cli.table import print_table

            print_table(self._rows, self._stream)
            self._stream.write(f"{summary.headline()}\n")
        for remark in summary.remarks(not_images):
            self._stream.write(f"{remark}\n")
        self._stream.flush()  # a pipe nobody reads any more must show here, not on the way out


def why(verdict: Verdict) -> str:
    """What stands behind a verdict, in one line; safe to print."""
    if verdict.error is not None:
        return words.printable(verdict.error.message)
    parts = [words.DISAGREEMENT] if verdict.disagreement else []
    if verdict.stability is not None and verdict.stability.flips:
        parts.append(words.stability_words(verdict.stability, *thresholds(verdict)))
    if verdict.fused is not None and verdict.fused.remark is not None:
        parts.append(verdict.fused.remark)
    for name, evidence in verdict.branches.items():
        if evidence.error is not None:
            parts.append(f"{name} gave no answer: {evidence.error.message}")
        if evidence.remark is not None:
            parts.append(evidence.remark)
        parts += words.area_words(evidence)
        parts += [words.signal_words(signal) for signal in evidence.signals or ()]
    if verdict.verdict is None:
        parts.append("no branch gave a verdict")
    parts += verdict.notes
    return words.printable("; ".join(dict.fromkeys(parts)))
