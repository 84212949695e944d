"""The findings of a run in words: lines for the terminal, a part of the card, a file."""

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from aligngemini.runtimes.folder import CARD, DIAGNOSTICS
from aligngemini.settings import from_mapping, write_json, write_text
from aligngemini.training.diagnostics import (
    LOOK,
    Check,
    Finding,
    Scored,
    Scores,
    all_not_measured,
    run_checks,
)

VERSION = 1

INTRODUCTION = """What often goes wrong with detectors, looked for in this one by small measurements
on the run's own images. `look` is a reason to look closer, `ok` no proof."""


@dataclass(frozen=True)
class Diagnosis:
    """What was found at the end of a run.

    Attributes:
        findings: One a check.
        unreadable: Files that could not be read and are in no number, with the reason.
        version: Of the file's form.
    """

    findings: tuple[Finding, ...] = ()
    unreadable: tuple[str, ...] = ()
    version: int = VERSION

    def lines(self) -> list[str]:
        """One line a finding, those to look at first."""
        ordered = sorted(self.findings, key=lambda one: one.verdict != LOOK)
        return [f"{one.verdict}: {one.name}{_tail(one)}" for one in ordered]

    def section(self) -> str:
        """A part of the model card, Markdown."""
        rows = [
            ("", "verdict", "value (95 % interval)", "limit", "measured on", "what to do"),
            ("---",) * 6,
            *(
                (
                    one.name,
                    one.verdict,
                    _number(one),
                    "" if one.limit is None else f"{one.limit:g}",
                    one.images,
                    one.note,
                )
                for one in self.findings
            ),
        ]
        table = "\n".join(f"| {' | '.join(cells)} |" for cells in rows)
        left_out = (
            f"\n\n{len(self.unreadable)} images could not be read and are in no number."
            if self.unreadable
            else ""
        )
        return f"## Failure signatures\n\n{INTRODUCTION}\n\n{table}{left_out}\n"


def diagnose(
    checks: Collection[Check],
    score: Callable[[], tuple[Sequence[Scored], Sequence[str]]],
    threshold: float,
) -> Diagnosis:
    """Score images and make the checks; a training that is done is not lost where that fails.

    Args:
        checks: To make.
        score: Gives the scores, and the names of files that could not be read.
        threshold: Scores from here up are `fake`.
    """
    try:
        scored, unreadable = score()
    except Exception as error:  # models and files fail in every way
        why = f"the images could not be scored: {type(error).__name__}: {error}"
        return Diagnosis(tuple(all_not_measured(checks, " ".join(why.split()))))
    return Diagnosis(tuple(run_checks(checks, Scores(scored, threshold))), tuple(unreadable))


def add_diagnosis(diagnosis: Diagnosis, folder: Path) -> None:
    """Write `diagnostics.json` into a model's folder, and its part of the card behind the rest."""
    write_json(asdict(diagnosis), folder / DIAGNOSTICS)
    card = (folder / CARD).read_text(encoding="utf-8").rstrip("\n")
    write_text(f"{card}\n\n{diagnosis.section()}", folder / CARD)


def read_diagnosis(folder: Path) -> Diagnosis | None:
    """What `add_diagnosis` wrote, or None where there is none.

    Raises:
        SettingsError: The file holds something else.
    """
    path = folder / DIAGNOSTICS
    if not path.is_file():
        return None
    return from_mapping(Diagnosis, json.loads(path.read_text(encoding="utf-8")))


def _tail(one: Finding) -> str:
    if one.value is None:
        return f" ({one.note})"
    return f" {_number(one)}, limit {one.limit:g}, on {one.images}" + (
        f"; {one.note}" if one.note else ""
    )


def _number(one: Finding) -> str:
    if one.value is None:
        return ""
    return f"{one.value:.2f} ({one.low:.2f} to {one.high:.2f})"
