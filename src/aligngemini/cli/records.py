"""Results for programs: JSON Lines, one JSON array, CSV."""

import csv
import io
from typing import Any, BinaryIO, Protocol

from aligngemini.cli.summary import Summary
from aligngemini.evidence import Evidence, Signal, expert_name
from aligngemini.verdict import Verdict

COLUMNS_BEFORE = ("path", "sha256", "width", "height", "format", "verdict", "score")
COLUMNS_OF_EXPERT = ("score", "verdict", "model", "remark")
COLUMNS_OF_GAMMA = tuple(
    f"gamma_{column}" for column in (*COLUMNS_OF_EXPERT, "detail", "generated_share", "moved_share")
)
COLUMNS_OF_STABILITY = ("stability_low", "stability_high", "stability_flips", "stability_of")
COLUMNS_LAST = ("scope", "id")
COLUMNS_AFTER = (
    *("provenance_verdict", "signals", "error_code", "error_message", "disagreement"),
    *(f"semantic_{column}" for column in COLUMNS_OF_EXPERT),
)

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


class Records(Protocol):
    """Takes verdicts as they come."""

    def add(self, verdict: Verdict) -> None:
        """Write one record."""
        ...

    def close(self, summary: Summary, not_images: int) -> None:
        """Complete the output, whether or not all inputs came.

        Args:
            summary: What people want to know beside the records.
            not_images: Files in folders that were left out because they are no images.
        """
        ...


class JsonLines:
    """One record a line, each on its way before the next is begun."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def add(self, verdict: Verdict) -> None:
        """Write one record."""
        _write(self._file, f"{verdict.to_json()}\n")

    def close(self, summary: Summary, not_images: int) -> None:
        """Nothing is left to do."""


class JsonArray:
    """One JSON array, written as it grows."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._lead = "[\n"

    def add(self, verdict: Verdict) -> None:
        """Write one record, with the comma before it."""
        _write(self._file, f"{self._lead}{verdict.to_json()}")
        self._lead = ",\n"

    def close(self, summary: Summary, not_images: int) -> None:
        """End the array."""
        _write(self._file, "[]\n" if self._lead == "[\n" else "\n]\n")


class Csv:
    """One flat row a record.

    No cell can begin a spreadsheet formula: a relative path that looks like one is written as the
    same path with `./` before it, other text with an apostrophe.
    """

    def __init__(
        self,
        file: BinaryIO,
        experts: int = 1,
        *,
        gamma: bool = False,
        stability: bool = False,
    ) -> None:
        """Write the header.

        Args:
            file: Takes the rows.
            experts: Pixel experts, each with columns of its own.
            gamma: Whether a GAMMA model has columns too, after the other branches.
            stability: Whether four more columns tell how far a score moved under mild changes.
        """
        self._file = file
        self._experts = [expert_name(number) for number in range(1, experts + 1)]
        of_experts = (
            f"{name.replace('-', '_')}_{column}"
            for name in self._experts
            for column in COLUMNS_OF_EXPERT
        )
        self._stability = stability
        self._gamma = gamma
        of_gamma = COLUMNS_OF_GAMMA if gamma else ()
        last = COLUMNS_OF_STABILITY if stability else ()
        self._row((*COLUMNS_BEFORE, *of_experts, *COLUMNS_AFTER, *of_gamma, *last, *COLUMNS_LAST))

    def add(self, verdict: Verdict) -> None:
        """Write one row."""
        experts = [verdict.branches.get(name, Evidence()) for name in self._experts]
        provenance = verdict.branches.get("provenance", Evidence())
        signals = "; ".join(_signal(signal) for signal in provenance.signals or ())
        error = verdict.error
        self._row(
            (
                _harmless(verdict.path, "./"),
                verdict.sha256,
                verdict.width,
                verdict.height,
                verdict.format,
                verdict.verdict,
                verdict.score,
                *(cell for expert in experts for cell in _cells(expert)),
                provenance.verdict,
                _harmless(signals, "'"),
                error and error.code,
                error and _harmless(error.message, "'"),
                str(verdict.disagreement).lower(),
                *_cells(verdict.branches.get("semantic", Evidence())),
                *(_gamma_cells(verdict) if self._gamma else ()),
                *(_stability(verdict) if self._stability else ()),
                "" if verdict.scope is None else " ".join(verdict.scope.reasons),
                verdict.id,
            )
        )

    def close(self, summary: Summary, not_images: int) -> None:
        """Nothing is left to do."""

    def _row(self, cells: tuple[Any, ...]) -> None:
        row = io.StringIO()
        csv.writer(row).writerow(cells)
        _write(self._file, row.getvalue())


def _cells(evidence: Evidence) -> tuple[Any, ...]:
    """What stands in `COLUMNS_OF_EXPERT`; a branch that failed says so in place of a remark."""
    model = evidence.model and _harmless(evidence.model, "'")
    remark = evidence.remark or (evidence.error and evidence.error.message)
    return evidence.score, evidence.verdict, model, remark and _harmless(remark, "'")


def _stability(verdict: Verdict) -> tuple[Any, ...]:
    """What stands in `COLUMNS_OF_STABILITY`."""
    moved = verdict.stability
    return ("",) * 4 if moved is None else (moved.low, moved.high, moved.flips, moved.of)


def _gamma_cells(verdict: Verdict) -> tuple[Any, ...]:
    """What stands in `COLUMNS_OF_GAMMA`."""
    evidence = verdict.branches.get("gamma", Evidence())
    shares = {name: area.share for name, area in (evidence.areas or {}).items()}
    return (*_cells(evidence), evidence.detail, shares.get("generated"), shares.get("moved"))


def _write(file: BinaryIO, text: str) -> None:
    # Whole and at once, so that a kill leaves whole records. Names that are no Unicode are escaped.
    file.write(text.encode("utf-8", "backslashreplace"))
    file.flush()


def _harmless(text: str, guard: str) -> str:
    return guard + text if text.startswith(FORMULA_STARTS) else text


def _signal(signal: Signal) -> str:
    claim = f" {signal.claim}" if signal.claim else ""
    return f"{signal.kind} {signal.state}{claim}: {signal.detail}"
